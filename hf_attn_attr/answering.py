"""Texts in, answers out: the label of each, and what every word did for it."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from .classifier import problem_type
from .errors import InvalidInputError
from .extraction import AttributionExtractor

# Arguments of the extractor that are not handed through: texts come as such, not in a column, and
# an answer is about one class.
_OURS = {"model", "tokenizer", "text_column", "context", "classes"}


def answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    label: str | None = None,
    **arguments: Any,
) -> list[dict[str, Any]]:
    """For each text a label, its score, and attention and attribution of every word.

    Args:
        model: Any sequence classifier.
        tokenizer: Its fast tokenizer.
        texts: The texts.
        label: The label to ask about; by default the likeliest one of each text.
        **arguments: Of `AttributionExtractor`: `method` ("auto" by default), `options`, ...

    Returns:
        Per text `label`; `score`, its probability (regression: the value); `method`; `words`, each
        with `word`, its `start` and `end` in the text, `attention` (they sum to 1) and
        `attribution` (its part of the label's logit, centred over classes for single-label models),
        None where the method has none; and `truncated`. Multi-label answers name in `labels` those
        above their thresholds. `attention_special`, `attribution_special` and `completeness_error`
        are there where the extractor writes them.

    Raises:
        InvalidInputError: For an unknown label, argument, method or option, or a tokenizer that is
            not a fast one.
        IncompatibleError: If the method does not fit the model.
    """
    extractor = answering_extractor(model, tokenizer, label, **arguments)
    return [_answer(extractor, row, label) for row in extractor.table(texts).to_pylist()]


def answering_extractor(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    label: str | None = None,
    **arguments: Any,
) -> AttributionExtractor:
    """The extractor behind `answers`, whose arguments it checks."""
    known = [
        name for name in inspect.signature(AttributionExtractor).parameters if name not in _OURS
    ]
    for name in arguments:
        if name not in known:
            raise InvalidInputError(f"Unknown parameter {name!r}; there are {['label', *known]}.")
    given = {"method": "auto", "context": False, **arguments}
    extractor = AttributionExtractor(model, tokenizer, **given)
    labels = extractor.labels
    if label is not None and label not in labels:
        raise InvalidInputError(f"The model has no label {label!r}. It has {labels}.")
    if len(labels) == 1 or not extractor.attribute.by_class:
        return extractor
    # A backward pass per class: only the class that is asked about.
    classes = "predicted" if label is None else [label]
    return AttributionExtractor(model, tokenizer, classes=classes, **given)


def _answer(
    extractor: AttributionExtractor, row: Mapping[str, Any], label: str | None
) -> dict[str, Any]:
    """The answer from one row of the extractor's columns."""
    labels = extractor.labels
    scores = row["probabilities"] or [row["prediction"]]
    if label is not None:
        index = labels.index(label)
    else:
        index = row.get("attributed_class", _likeliest(extractor, row))
    answer = {"label": labels[index], "score": scores[index]}
    if problem_type(extractor.model) == "multi_label_classification":
        answer["labels"] = [labels[number] for number in row["prediction"]]
    numbers = {
        name: row[name] for name in ("attention_special", "completeness_error") if name in row
    }
    if "attribution_special" in row:
        (numbers["attribution_special"],) = _terms(extractor, row["attribution_special"], index)
    nothing = [None] * len(row["words"])
    words = zip(
        row["words"],
        row["word_start"],
        row["word_end"],
        nothing if row["attention"] is None else row["attention"],
        nothing if row["attribution"] is None else _terms(extractor, row["attribution"], index),
        strict=True,
    )
    names = ("word", "start", "end", "attention", "attribution")
    return {
        **answer,
        "method": extractor.method,
        "words": [dict(zip(names, word, strict=True)) for word in words],
        "truncated": row["truncated"],
        **numbers,
    }


def _likeliest(extractor: AttributionExtractor, row: Mapping[str, Any]) -> int:
    if problem_type(extractor.model) == "single_label_classification":
        return row["prediction"]
    return 0 if row["probabilities"] is None else int(np.argmax(row["probabilities"]))


def _terms(extractor: AttributionExtractor, flat: Sequence[float], index: int) -> list[float]:
    """The terms of the class `index` from flat rows over the attributed classes."""
    if extractor.attribute.classes is not None:  # this one alone, and centred where it should be
        return list(flat)
    terms: NDArray[np.float64] = np.array(flat).reshape(-1, len(extractor.labels))
    if problem_type(extractor.model) == "single_label_classification":
        terms = terms - terms.mean(1, keepdims=True)
    return terms[:, index].tolist()
