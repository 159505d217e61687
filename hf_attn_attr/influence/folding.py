"""Whole extracted datasets: the influence matrix, and the two literal matrices behind it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array, csc_array

from hf_attn_attr.errors import IncompatibleError, InvalidInputError

from .accumulator import InfluenceAccumulator
from .columns import ProblemType, Words, read_attention, read_probabilities, read_words
from .exact import FloatArray, IntArray
from .gold import feature_names
from .grouping import group_words
from .matrix import InfluenceMatrix
from .words import Normalization, WordRule

# Large enough that what is done once per word of a batch does not show, small enough that a batch
# is small beside the sums.
BATCH_SIZE = 10_000

_COLUMNS = ("words", "attention", "attribution", "probabilities", "prediction")


class ExtractedDataset(Protocol):
    """What is used of a `datasets.Dataset` or `IterableDataset`."""

    @property
    def features(self) -> Any:
        """Mapping of column names to feature types."""

    def with_format(self, type: str) -> Any:  # noqa: A002 - the name is that of `datasets`
        """The same rows in another format."""


class Task(NamedTuple):
    """What the model behind a dataset was trained for."""

    labels: tuple[str, ...]
    problem_type: ProblemType


def fold(
    dataset: ExtractedDataset,
    *,
    lowercase: bool = True,
    normalization: Normalization | None = "NFC",
    provenance: Mapping[str, Any] | None = None,
    label_names: Sequence[str] | None = None,
    batch_size: int = BATCH_SIZE,
    max_words: int | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> InfluenceMatrix:
    """The influence matrix of an extracted dataset.

    Args:
        dataset: Columns as `extract` writes them; selected, shuffled or filtered at will. An
            `IterableDataset` is read as it comes, a batch at a time.
        lowercase: Whether words that differ in case are one word.
        normalization: Unicode normal form under which words are compared, or None.
        provenance: What the texts and the model were, plain JSON values, for the manifest; its
            "method" is how the attributions were made (not given: "attention" if there are none,
            "contribution" if there is attention beside them, else "unnamed"), its "classes" the
            labels they were made for, if not all.
        label_names: For regression the name of the target; otherwise the labels expected.
        batch_size: Texts at a time; changes the speed, never the result.
        max_words: Words that are told apart, the first to appear; see `InfluenceAccumulator`.
        advance: Called after each batch with its number of texts.

    Raises:
        NonFiniteError: If a number is NaN or infinite.
        InvalidInputError: If columns are missing or do not hold what they should.
        IncompatibleError: If `label_names` are not the labels of the dataset.
    """
    labels, problem_type = task_of(dataset, label_names)
    accumulator = InfluenceAccumulator(
        labels,
        problem_type=problem_type,
        lowercase=lowercase,
        normalization=normalization,
        method=str((provenance or {}).get("method") or _method(dataset)),
        classes=(provenance or {}).get("classes"),
        max_words=max_words,
    )
    for first_row, batch in batches(dataset, batch_size):
        accumulator.update(batch, first_row=first_row)
        advance(batch.num_rows)
    return accumulator.finalize(provenance)


def attention_matrix(
    dataset: ExtractedDataset,
    *,
    lowercase: bool = True,
    normalization: Normalization | None = "NFC",
    batch_size: int = BATCH_SIZE,
) -> tuple[tuple[str, ...], csc_array]:
    """A of J = A P^T / N: attention summed per word and text.

    Returns:
        The words, sorted by code point, and the matrix, float64 (words, texts), texts in the order
        of the dataset. A column sums to 1; that of a text without words is empty.

    Raises:
        InvalidInputError: If the dataset was extracted with a method without attention.
    """
    task_of(dataset)
    rule = WordRule(lowercase, normalization)
    ids: dict[str, int] = {}
    nothing: IntArray = np.zeros(0, np.int64)
    parts: list[tuple[IntArray, IntArray, FloatArray]] = [(nothing, nothing, np.zeros(0))]
    n_texts = 0
    for first_row, batch in batches(dataset, batch_size):
        words = read_words(batch, first_row)
        keys, pairs = group_words(words, rule)
        rows = np.array([ids.setdefault(word, len(ids)) for word in keys], np.int64)
        mass = pairs.positions @ _attention(batch, words)
        parts.append((rows[pairs.word], pairs.text.astype(np.int64) + first_row, mass))
        n_texts += len(words.lengths)

    ordered = sorted(ids)
    place = np.empty(len(ids), np.int64)
    place[[ids[word] for word in ordered]] = np.arange(len(ids))
    rows, texts, mass = (np.concatenate(part) for part in zip(*parts, strict=True))
    matrix = coo_array((mass, (place[rows], texts)), shape=(len(ids), n_texts)).tocsc()
    return tuple(ordered), matrix


def class_matrix(dataset: ExtractedDataset, *, batch_size: int = BATCH_SIZE) -> FloatArray:
    """P of J = A P^T / N: the probabilities, (classes, texts), texts in the order of the dataset.

    The column of a text without words is 0, as in A, and N counts the texts with words.

    Raises:
        InvalidInputError: If the dataset is of a regression model, which has no classes.
    """
    labels, problem_type = task_of(dataset)
    if problem_type == "regression":
        raise InvalidInputError("The dataset is of a regression model, which has no classes.")
    parts = [np.zeros((0, len(labels)))]
    for first_row, batch in batches(dataset, batch_size):
        words = read_words(batch, first_row)
        probabilities = read_probabilities(batch, words, len(labels), problem_type)
        assert probabilities is not None
        parts.append(np.where(words.lengths[:, None] > 0, probabilities, 0))
    return np.ascontiguousarray(np.concatenate(parts).T)


def task_of(dataset: ExtractedDataset, label_names: Sequence[str] | None = None) -> Task:
    """Labels and problem type, as the feature of the column `prediction` tells them.

    Raises:
        InvalidInputError: If a column is missing or `prediction` has an unknown type.
        IncompatibleError: If `label_names` are not the labels of the dataset.
    """
    features = dataset.features or {}
    missing = [name for name in _COLUMNS if name not in features]
    if missing:
        raise InvalidInputError(
            f"The dataset lacks the columns {missing}; it has {list(features)}. "
            "Run `extract` on it first."
        )
    if "attributed_class" in features:
        raise InvalidInputError(
            "Each text of the dataset has attributions of its predicted class alone. The mean over "
            "texts chosen by their outcome would be no influence: extract with classes='all', or "
            "with a list of labels."
        )
    prediction = features["prediction"]
    if str(getattr(prediction, "dtype", "")).startswith("float"):
        return Task(tuple(label_names or ("value",)), "regression")
    names = feature_names(prediction)
    if not names:
        raise InvalidInputError(
            f"The column prediction is {prediction}; wanted ClassLabel (single label), "
            "List(ClassLabel) (multi-label) or a float Value (regression)."
        )
    if label_names is not None and list(label_names) != list(names):
        raise IncompatibleError(
            f"The dataset has the labels {list(names)}, wanted {list(label_names)}. "
            "Extract with the model whose labels you want."
        )
    single = hasattr(prediction, "names")
    return Task(names, "single_label_classification" if single else "multi_label_classification")


def _method(dataset: ExtractedDataset) -> str:
    """The method of a dataset that comes without its provenance, as far as the columns tell."""
    for batch in dataset.with_format("arrow").iter(batch_size=BATCH_SIZE):
        if batch["attribution"].null_count == batch.num_rows:
            return "attention"
        nulls = batch["attention"].null_count
        return "contribution" if nulls < batch.num_rows else "unnamed"
    return "contribution"


def _attention(batch: pa.Table, words: Words) -> FloatArray:
    attention = read_attention(batch, words)
    if attention is None:
        raise InvalidInputError(
            "The column attention is null: the dataset was extracted with a method without "
            "attention. Extract with 'contribution', 'attention' or 'attention_rollout'."
        )
    return attention


def batches(dataset: ExtractedDataset, batch_size: int) -> Iterator[tuple[int, pa.Table]]:
    """Batches in Arrow, each with the number of its first row."""
    first_row = 0
    for batch in dataset.with_format("arrow").iter(batch_size=batch_size):
        yield first_row, batch
        first_row += batch.num_rows
