"""From exact totals to the matrix of estimates."""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import statistics
from .exact import FloatArray, IntArray, to_float
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
    order = totals.word_order()
    labels = tuple(description["labels"])
    shape = (len(order), len(labels))
    counts = totals.counts[order]
    occurrences, _, documents = counts.T
    undefined = np.full(shape, np.nan)

    def sums(name: str, width: int = shape[1]) -> FloatArray:
        """One sum, (words, width), words in order; one at a time, as a copy of all is large."""
        if name not in totals.sums:
            return np.full((shape[0], width), np.nan)
        return to_float(totals.sums[name], BITS[name])[order]

    columns = {
        "attention_ratio": statistics.ratio(sums("relative_attention", 1)[:, 0], occurrences),
        "association_q_value": undefined,
        "log_odds": undefined,
        "log_odds_standard_error": undefined,
        **_influence(sums, counts, _attributed(description)),
        **_joint(sums, totals),
    }
    for values in columns.values():
        values.setflags(write=False)  # the matrix takes them as they are
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
        words=tuple(totals.words[row] for row in order),
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
    sums: Callable[[str], FloatArray], counts: IntArray, attributed: FloatArray
) -> dict[str, FloatArray]:
    """Everything that comes from signed attributions; NaN throughout where there are none."""
    occurrences, squares, documents = counts.T
    total = sums("attribution") * attributed
    mean = statistics.mean_influence(total, occurrences)
    residuals = statistics.residual_sum_of_squares(
        mean,
        sums("attribution_squared"),
        sums("attribution_times_count"),
        squares,
    )
    variance, degrees = statistics.moderated_variance(mean, residuals, documents)
    error = statistics.standard_error(variance, documents, occurrences)
    low, high = statistics.interval(mean, error, degrees)
    influence = statistics.shrunk(mean, documents)
    of_context = sums("attribution_context") * attributed
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


def _joint(sums: Callable[..., FloatArray], totals: Totals) -> dict[str, FloatArray]:
    """Everything that comes from attention and probabilities; NaN for regression."""
    joint = statistics.ratio(sums("joint"), totals.texts)
    p_word = statistics.ratio(sums("attention", 1)[:, 0], totals.texts)
    p_class = statistics.ratio(to_float(totals.class_sums, BITS["joint"]), totals.texts)
    lift = statistics.lift(joint, p_word, p_class)
    return {
        "joint": joint,
        "p_word_given_class": statistics.word_given_class(joint),
        "p_class_given_word": statistics.class_given_word(joint, p_word),
        "lift": lift,
        "npmi": statistics.npmi(joint, lift),
    }
