"""The columns of an extracted dataset as flat numpy arrays, checked at the door."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hf_attn_attr.errors import InvalidInputError

from .exact import FloatArray, IntArray
from .ragged import Batch, Numbers, Ragged, column_names, is_number, is_text, read_ragged

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]

ATTENTION_TOLERANCE = 1e-5
PROBABILITY_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a batch of texts.

    Attributes:
        dictionary: Words as written, strings. Those of a column that came with a dictionary are
            that dictionary's: there may be more of them than the texts have.
        codes: Index into `dictionary` of each word, int32 (words,).
        offsets: Text i owns the words offsets[i] to offsets[i + 1] - 1, int64 (texts + 1,).
        first_row: Number of the first text, for messages.
    """

    dictionary: pa.Array
    codes: NDArray[np.int32]
    offsets: IntArray
    first_row: int = 0

    def used(self) -> NDArray[np.bool_]:
        """Which words of the dictionary the texts have, (dictionary,)."""
        used = np.zeros(len(self.dictionary), bool)
        used[self.codes] = True
        return used

    @property
    def lengths(self) -> IntArray:
        """Words of each text, int64 (texts,)."""
        return np.diff(self.offsets)

    def row_of(self, position: int) -> int:
        """Number of the text that owns the word at `position`."""
        return self.first_row + int(np.searchsorted(self.offsets, position, side="right")) - 1


def read_words(batch: Batch, first_row: int = 0) -> Words:
    """The column `words`.

    Raises:
        InvalidInputError: If the column is missing, a row or a word is null, or a word is empty or
            not text.
    """
    ragged = read_ragged(batch, "words", first_row, is_text, pa.string())
    ragged.require_filled()
    values = ragged.values
    if not pa.types.is_dictionary(values.type) or values.dictionary.null_count:
        values = values.dictionary_decode() if hasattr(values, "dictionary") else values
        replace(ragged, values=values).require_values(pa.string())
        values = values.dictionary_encode()
    words = Words(
        dictionary=values.dictionary,
        codes=values.indices.to_numpy().astype(np.int32, copy=False),
        offsets=ragged.offsets,
        first_row=first_row,
    )
    empty = words.codes == pc.index(words.dictionary, "").as_py()
    if empty.any():
        raise InvalidInputError(
            f"Row {words.row_of(int(np.argmax(empty)))} holds an empty word. Leave empty words "
            "out, together with their attention and attribution."
        )
    return words


def read_attention(batch: Batch, words: Words) -> FloatArray | None:
    """The column `attention`, float64 (words,).

    Returns:
        The weights, or None where every row with words is null: the method has no attention.

    Raises:
        NonFiniteError: If a weight is NaN or infinite.
        InvalidInputError: If the column is missing, only some rows are null, a row has another
            length than its words, a weight is negative, or the weights of a text with words do not
            sum to 1 +- 1e-5.
    """
    ragged = _numbers(batch, "attention", words)
    if len(ragged.filled) == len(words.lengths):
        has_words = words.lengths > 0
        if has_words.any() and not ragged.filled[has_words].any():
            return None
    if words.lengths.any():  # a method without attention leaves null where there are no words too
        ragged.require_filled()
    ragged.require_lengths(words.lengths, words.lengths, "one number per word")
    weights = ragged.finite().values.astype(np.float64)
    if weights.size and weights.min() < 0:
        position = int(np.argmin(weights))
        raise InvalidInputError(
            f"Row {words.row_of(position)} of attention holds {weights[position]}; "
            "attention weights are at least 0."
        )
    with_words = np.flatnonzero(words.lengths)
    if with_words.size:
        sums = np.add.reduceat(weights, words.offsets[with_words])
        _require_unit_sums(sums, with_words + words.first_row, "attention", ATTENTION_TOLERANCE)
    return weights


def read_attribution(batch: Batch, name: str, words: Words, n_labels: int) -> Numbers | None:
    """The column `name` (`attribution` or `attribution_context`), (words, n_labels).

    Returns:
        The numbers, of the type of the column, or None when the column is absent or no text with
        words has any.

    Raises:
        NonFiniteError: If a number is NaN or infinite.
        InvalidInputError: If only some of the texts with words have numbers, or a row has another
            length than its words times `n_labels`.
    """
    if name not in column_names(batch):
        return None
    ragged = _numbers(batch, name, words)
    ragged.require_rows(len(words.lengths))
    has_words = words.lengths > 0
    if not (ragged.filled & has_words).any():
        return None
    if (has_words & ~ragged.filled).any():
        row = words.first_row + int(np.argmax(has_words & ~ragged.filled))
        raise InvalidInputError(
            f"Row {row} of {name} is null but other rows have numbers. "
            "Extract all rows with one method."
        )
    expected = words.lengths * n_labels
    ragged.require_lengths(words.lengths, expected, f"one number per word and class ({n_labels})")
    values, largest = ragged.finite()
    return Numbers(values.reshape(-1, n_labels), largest)


def read_probabilities(
    batch: Batch, words: Words, n_labels: int, problem_type: ProblemType
) -> FloatArray | None:
    """The column `probabilities`, float64 (texts, n_labels); None for regression.

    Raises:
        NonFiniteError: If a probability is NaN or infinite.
        InvalidInputError: If the column is missing, a row is null or has another length than
            `n_labels`, a number is outside [0, 1], or (single label) a row does not sum to
            1 +- 1e-4.
    """
    if problem_type == "regression":
        return None
    name = "probabilities"
    ragged = _numbers(batch, name, words)
    ragged.require_filled()
    expected = np.full(len(words.lengths), n_labels)
    ragged.require_lengths(words.lengths, expected, "one number per class")
    numbers = ragged.finite().values.astype(np.float64).reshape(-1, n_labels)
    if numbers.size and (numbers.min() < 0 or numbers.max() > 1):
        row = int(np.argmax(((numbers < 0) | (numbers > 1)).any(axis=1)))
        raise InvalidInputError(
            f"Row {words.first_row + row} of probabilities holds {numbers[row].tolist()}; each "
            "must lie between 0 and 1. Write probabilities, not logits."
        )
    if problem_type == "single_label_classification":
        rows = np.arange(len(numbers)) + words.first_row
        _require_unit_sums(numbers.sum(axis=1), rows, name, PROBABILITY_TOLERANCE)
    return numbers


def _numbers(batch: Batch, name: str, words: Words) -> Ragged:
    return read_ragged(batch, name, words.first_row, is_number, pa.float64())


def _require_unit_sums(sums: FloatArray, rows: NDArray[Any], name: str, tolerance: float) -> None:
    wrong = np.abs(sums - 1) > tolerance
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidInputError(
            f"Row {rows[row]} of {name} sums to {sums[row]}; wanted 1 +- {tolerance}. "
            "Extract in float32 or float64."
        )
