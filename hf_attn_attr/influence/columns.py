"""The columns of an extracted dataset as flat numpy arrays, checked at the door.

A batch is a pyarrow.Table, a RecordBatch, or a mapping of column names to Arrow arrays, numpy
arrays or lists. Arrow data are not copied where that can be avoided. Every error names the row,
counted from `first_row`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hf_attn_attr.errors import InvalidInputError, NonFiniteError

from .exact import FloatArray, IntArray

Batch: TypeAlias = Mapping[str, Any] | pa.Table | pa.RecordBatch
ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]

ATTENTION_TOLERANCE = 1e-5
PROBABILITY_TOLERANCE = 1e-4

_LOOKED_AT = 2**16  # numbers at a time, few enough to be looked at twice in the processor's cache
_UNREADABLE = (pa.ArrowException, TypeError, ValueError)


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


class Numbers(NamedTuple):
    """A column of finite numbers: the numbers, and the largest size of one."""

    values: NDArray[Any]
    largest: float


class _Ragged(NamedTuple):
    values: pa.Array
    offsets: IntArray
    filled: NDArray[np.bool_]  # False where the row is null


def read_words(batch: Batch, first_row: int = 0) -> Words:
    """The column `words`.

    Raises:
        InvalidInputError: If the column is missing, a row or a word is null, or a word is empty or
            not text.
    """
    ragged = _ragged(_column(batch, "words"), "words", first_row, _is_text, pa.string())
    _require_filled(ragged, "words", first_row)
    values = ragged.values
    if not pa.types.is_dictionary(values.type) or values.dictionary.null_count:
        values = values.dictionary_decode() if hasattr(values, "dictionary") else values
        _require_values(ragged._replace(values=values), "words", first_row, pa.string())
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
    ragged = _ragged(
        _column(batch, "attention"), "attention", words.first_row, _is_number, pa.float64()
    )
    if len(ragged.filled) == len(words.lengths):
        has_words = words.lengths > 0
        if has_words.any() and not ragged.filled[has_words].any():
            return None
    if words.lengths.any():  # a method without attention leaves null where there are no words too
        _require_filled(ragged, "attention", words.first_row)
    _require_lengths(ragged, words, words.lengths, "attention", "one number per word")
    weights = _finite(ragged, "attention", words.first_row).values.astype(np.float64)
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
    if name not in _names(batch):
        return None
    ragged = _ragged(_column(batch, name), name, words.first_row, _is_number, pa.float64())
    if len(ragged.filled) != len(words.lengths):
        raise _unequal_columns(name, len(ragged.filled), len(words.lengths))
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
    _require_lengths(ragged, words, expected, name, f"one number per word and class ({n_labels})")
    values, largest = _finite(ragged, name, words.first_row)
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
    ragged = _ragged(_column(batch, name), name, words.first_row, _is_number, pa.float64())
    _require_filled(ragged, name, words.first_row)
    expected = np.full(len(words.lengths), n_labels)
    _require_lengths(ragged, words, expected, name, "one number per class")
    values = _finite(ragged, name, words.first_row).values
    numbers = values.astype(np.float64).reshape(-1, n_labels)
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


def _names(batch: Batch) -> list[str]:
    return list(batch) if isinstance(batch, Mapping) else list(batch.schema.names)


def _column(batch: Batch, name: str) -> Any:
    if name not in _names(batch):
        raise InvalidInputError(
            f"The batch has the columns {_names(batch)} but no {name!r}. "
            "`extract` writes all columns the fold reads."
        )
    return batch[name]


def _ragged(
    column: Any,
    name: str,
    first_row: int,
    accepts: Callable[[pa.DataType], bool],
    kind: pa.DataType,
) -> _Ragged:
    array = _arrow(column, name, first_row)
    if pa.types.is_null(array.type):
        array = array.cast(pa.list_(kind))
    if not _is_list(array.type):
        raise InvalidInputError(
            f"The column {name} holds {array.type} from row {first_row} on; wanted a list per text."
        )
    item = array.type.value_type
    if pa.types.is_null(item):
        array, item = array.cast(pa.list_(kind)), kind
    if not accepts(item):
        raise InvalidInputError(
            f"The column {name} holds {array.type} from row {first_row} on; wanted lists of {kind}."
        )
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    filled = array.is_valid().to_numpy(zero_copy_only=False)
    # Unlike .values, .flatten honours slices and null rows.
    ragged = _Ragged(array.flatten(), offsets, filled)
    _require_values(ragged, name, first_row, kind)
    return ragged


def _arrow(column: Any, name: str, first_row: int) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(column, pa.Array):
        return column
    rows = list(column)
    try:
        return pa.array(rows)
    except _UNREADABLE as error:
        row = first_row + _first_unreadable(rows)
        raise InvalidInputError(
            f"Row {row} of {name} cannot be read ({error}). Wanted a list of one kind of value."
        ) from error


def _first_unreadable(rows: list[Any]) -> int:
    readable, unreadable = 0, len(rows)  # lengths of prefixes that can and cannot be read
    while unreadable - readable > 1:
        middle = (readable + unreadable) // 2
        try:
            pa.array(rows[:middle])
            readable = middle
        except _UNREADABLE:
            unreadable = middle
    return readable


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _require_values(ragged: _Ragged, name: str, first_row: int, kind: pa.DataType) -> None:
    if ragged.values.null_count:
        position = int(np.argmin(ragged.values.is_valid().to_numpy(zero_copy_only=False)))
        row = first_row + int(np.searchsorted(ragged.offsets, position, side="right")) - 1
        raise InvalidInputError(f"Row {row} of {name} holds a null; wanted {kind}.")


def _require_filled(ragged: _Ragged, name: str, first_row: int) -> None:
    if not ragged.filled.all():
        row = first_row + int(np.argmin(ragged.filled))
        raise InvalidInputError(
            f"Row {row} of {name} is null; wanted a list (an empty one for a text without words). "
            "Extract this row again or drop it."
        )


def _require_lengths(
    ragged: _Ragged, words: Words, expected: NDArray[Any], name: str, wanted: str
) -> None:
    found = np.diff(ragged.offsets)
    if len(found) != len(expected):
        raise _unequal_columns(name, len(found), len(expected))
    if not np.array_equal(found, expected):
        row = int(np.argmax(found != expected))
        raise InvalidInputError(
            f"Row {words.first_row + row} has {words.lengths[row]} words and {found[row]} numbers "
            f"in {name}; wanted {expected[row]}, {wanted}. Extract this row again."
        )


def _unequal_columns(name: str, found: int, expected: int) -> InvalidInputError:
    return InvalidInputError(
        f"The batch has {expected} rows of words but {found} of {name}. Pass columns of one length."
    )


def _finite(ragged: _Ragged, name: str, first_row: int) -> Numbers:
    values = ragged.values.to_numpy(zero_copy_only=False)
    largest = 0.0
    for start in range(0, len(values), _LOOKED_AT):
        part = values[start : start + _LOOKED_AT]
        # Whatever is not finite shows in one of the two, and neither takes memory.
        most, least = float(part.max()), float(part.min())
        if not (isfinite(most) and isfinite(least)):
            position = start + int(np.argmin(np.isfinite(part)))
            row = first_row + int(np.searchsorted(ragged.offsets, position, side="right")) - 1
            raise NonFiniteError(
                f"Row {row} of {name} holds {values[position]}; wanted finite numbers. "
                "Look for overflow in the model (half precision?) and extract again."
            )
        largest = max(largest, most, -least)
    return Numbers(values, largest)


def _require_unit_sums(sums: FloatArray, rows: NDArray[Any], name: str, tolerance: float) -> None:
    wrong = np.abs(sums - 1) > tolerance
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidInputError(
            f"Row {rows[row]} of {name} sums to {sums[row]}; wanted 1 +- {tolerance}. "
            "Extract in float32 or float64."
        )
