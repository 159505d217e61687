"""The columns that an extraction writes, as Arrow arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Features, List, Value
from numpy.typing import NDArray

from .classifier import class_probabilities
from .encoding import Encoded
from .merging import Floats, WordRows

# Columns beyond those that every method writes.
_EXTRA = {
    "attention": ("attention_special",),
    "attention_rollout": ("attention_special",),
    "input_x_gradient": ("attribution_special",),
    "integrated_gradients": ("attribution_special", "completeness_error"),
}
_EXTRA_TYPES = {
    "attention_special": Value("float32"),
    "attribution_special": List(Value("float32")),
    "completeness_error": Value("float32"),
}


@dataclass(frozen=True)
class Columns:
    """What decides which columns there are, and their types.

    Attributes:
        method: How attributions are made.
        labels: Label names in the order of the logits.
        problem_type: Of the model.
        thresholds: Of a multi-label model's labels, (C,).
        context: Whether there is `attribution_context`.
        predicted: Whether each text has attributions of one class, which `attributed_class` names.
    """

    method: str
    labels: Sequence[str]
    problem_type: str
    thresholds: NDArray[np.float64]
    context: bool
    predicted: bool

    @property
    def features(self) -> Features:
        """Types of the columns."""
        floats = List(Value("float32"))
        names = ClassLabel(names=list(self.labels))
        prediction: Any = {
            "single_label_classification": names,
            "multi_label_classification": List(names),
            "regression": Value("float32"),
        }[self.problem_type]
        return Features(
            words=List(Value("string")),
            word_start=List(Value("int32")),
            word_end=List(Value("int32")),
            attention=floats,
            attribution=floats,
            **({"attribution_context": floats} if self.context else {}),
            **({"attributed_class": names} if self.predicted else {}),
            probabilities=floats,
            prediction=prediction,
            truncated=Value("int32"),
            **{name: _EXTRA_TYPES[name] for name in _EXTRA.get(self.method, ())},
        )

    def table(
        self,
        texts: Sequence[str],
        encoded: Sequence[Encoded],
        rows: WordRows,
        classes: NDArray[np.int64] | None,
    ) -> pa.Table:
        """The columns of some texts.

        Args:
            texts: The texts.
            encoded: Their words.
            rows: Their results.
            classes: For each text the class that is attributed, where that is one.
        """
        spans = np.array([span for text in encoded for span in text.spans], dtype=np.int32)
        spans = spans.reshape(-1, 2)
        words = [
            text[a:b] for text, found in zip(texts, encoded, strict=True) for a, b in found.spans
        ]
        ends = np.concatenate([[0], np.cumsum([len(text.spans) for text in encoded])])
        outputs = 0 if rows.attribution is None else rows.attribution.shape[1]
        columns = {
            "words": _ragged(pa.array(words, pa.string()), ends),
            "word_start": _ragged(spans[:, 0].copy(), ends),
            "word_end": _ragged(spans[:, 1].copy(), ends),
            "attention": _ragged(rows.attention, ends),
            "attribution": _ragged(rows.attribution, ends * outputs),
            "attribution_context": _ragged(rows.context, ends * outputs),
            "attributed_class": _numbers(classes, len(texts)),
            **self._predictions(rows.logits),
            "truncated": pa.array([text.truncated for text in encoded], pa.int32()),
            "attention_special": _numbers(rows.attention_special, len(texts)),
            "attribution_special": _ragged(
                rows.attribution_special, np.arange(len(texts) + 1) * outputs
            ),
            "completeness_error": _numbers(rows.completeness_error, len(texts)),
        }
        schema = self.features.arrow_schema
        arrays = [columns[name].cast(schema.field(name).type) for name in schema.names]
        return pa.Table.from_arrays(arrays, schema=schema)

    def _predictions(self, logits: Floats) -> dict[str, pa.Array]:
        texts, labels = logits.shape
        if self.problem_type == "regression":
            return {
                "probabilities": pa.nulls(texts, pa.list_(pa.float32())),
                "prediction": pa.array(logits[:, 0]),
            }
        probabilities = class_probabilities(logits, self.problem_type)
        prediction: pa.Array
        if self.problem_type == "single_label_classification":
            prediction = pa.array(logits.argmax(1))
        else:
            chosen = probabilities >= self.thresholds
            ends = np.concatenate([[0], np.cumsum(chosen.sum(1))])
            prediction = _ragged(np.nonzero(chosen)[1], ends)
        flat = probabilities.astype(np.float32).ravel()
        return {
            "probabilities": _ragged(flat, np.arange(texts + 1) * labels),
            "prediction": prediction,
        }


def plain(value: pa.Scalar) -> Any:
    """A value of a column for `datasets.map`: a typed array for a list, even an empty one."""
    if not isinstance(value, pa.ListScalar) or not value.is_valid:
        return value.as_py()
    if pa.types.is_string(value.type.value_type):
        return np.array(value.as_py(), dtype=np.str_)
    return value.values.to_numpy(zero_copy_only=False)


def _numbers(values: NDArray[Any] | None, rows: int) -> pa.Array:
    """A column of a number per row; nulls for None."""
    return pa.nulls(rows, pa.float32()) if values is None else pa.array(values)


def _ragged(values: Any, ends: NDArray[np.int64]) -> pa.Array:
    """A list column from flat values and where each row begins and ends; nulls for None."""
    if values is None:
        return pa.nulls(len(ends) - 1, pa.list_(pa.float32()))
    flat = values if isinstance(values, pa.Array) else pa.array(values.reshape(-1))
    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), flat)
