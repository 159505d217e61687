"""From exact totals to the matrix of estimates."""

from typing import Any

import numpy as np

from . import statistics
from .exact import FloatArray, to_float
from .matrix import InfluenceMatrix
from .totals import BITS, Totals


def estimate(
    totals: Totals, description: dict[str, Any], provenance: dict[str, Any]
) -> InfluenceMatrix:
    """The influence matrix that follows from `totals`, words sorted by code point.

    Args:
        totals: Sums over all texts.
        description: labels, problem_type, word_rule and method; classes, if not all labels are
            attributed.
        provenance: What the texts and the model were, plain JSON values.
    """
    totals = totals.in_word_order()
    labels = tuple(description["labels"])
    shape = (len(totals.words), len(labels))
    occurrences, documents = totals.counts[:, 0], totals.counts[:, 2]
    undefined = np.full(shape, np.nan)
    relative_attention = _sum(totals, "relative_attention", (shape[0], 1))
    columns = {
        "attention_ratio": statistics.ratio(relative_attention[:, 0], occurrences),
        "association_q_value": undefined,
        "log_odds": undefined,
        "log_odds_standard_error": undefined,
        **_influence(totals, shape, _attributed(description)),
        **_joint(totals, shape),
    }
    manifest = {
        **description,
        "texts": totals.texts,
        "empty_texts": totals.empty_texts,
        "words": int(occurrences.sum()),
        "distinct_words": shape[0],
        "provenance": provenance,
        "checks": {},
    }
    return InfluenceMatrix(
        words=tuple(totals.words),
        labels=labels,
        count=occurrences,
        document_count=documents,
        manifest=manifest,
        **columns,
    )


def _attributed(description: dict[str, Any]) -> FloatArray:
    """1 for attributed labels and NaN for the others, (labels,)."""
    classes = description.get("classes", description["labels"])
    return np.array([1.0 if label in classes else np.nan for label in description["labels"]])


def _influence(
    totals: Totals, shape: tuple[int, int], attributed: FloatArray
) -> dict[str, FloatArray]:
    """Everything that comes from signed attributions; NaN throughout where there are none."""
    occurrences, squares, documents = totals.counts.T
    total = _sum(totals, "attribution", shape) * attributed
    mean = statistics.mean_influence(total, occurrences)
    residuals = statistics.residual_sum_of_squares(
        mean,
        _sum(totals, "attribution_squared", shape),
        _sum(totals, "attribution_times_count", shape),
        squares,
    )
    variance, degrees = statistics.moderated_variance(mean, residuals, documents)
    error = statistics.standard_error(variance, documents, occurrences)
    low, high = statistics.interval(mean, error, degrees)
    influence = statistics.shrunk(mean, documents)
    of_context = _sum(totals, "attribution_context", shape) * attributed
    context = statistics.mean_influence(of_context, occurrences)
    context_part = statistics.shrunk(context, documents)
    return {
        "influence": influence,
        "mean": mean,
        "standard_error": error,
        "degrees_of_freedom": degrees,
        "low": low,
        "high": high,
        "lower_bound": statistics.lower_bound(mean, error),
        "word_part": influence - context_part,
        "context_part": context_part,
    }


def _joint(totals: Totals, shape: tuple[int, int]) -> dict[str, FloatArray]:
    """Everything that comes from attention and probabilities; NaN for regression."""
    joint = statistics.ratio(_sum(totals, "joint", shape), totals.texts)
    p_word = statistics.ratio(_sum(totals, "attention", (shape[0], 1))[:, 0], totals.texts)
    p_class = statistics.ratio(to_float(totals.class_sums, BITS["joint"]), totals.texts)
    lift = statistics.lift(joint, p_word, p_class)
    return {
        "joint": joint,
        "p_word_given_class": statistics.word_given_class(joint),
        "p_class_given_word": statistics.class_given_word(joint, p_word),
        "lift": lift,
        "npmi": statistics.npmi(joint, lift),
    }


def _sum(totals: Totals, name: str, shape: tuple[int, int]) -> FloatArray:
    if name not in totals.sums:
        return np.full(shape, np.nan)
    return to_float(totals.sums[name], BITS[name])
