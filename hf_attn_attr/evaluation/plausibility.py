"""Plausibility: do people agree? Says nothing about what the model did (that is faithfulness)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score

from ..errors import InvalidInputError, NonFiniteError
from .rankings import leading, most_important_first, share_sizes

Floats = NDArray[np.float64]
Masks = Sequence[NDArray[np.bool_]]


def words_in_spans(
    word_start: ArrayLike, word_end: ArrayLike, span_starts: ArrayLike, span_ends: ArrayLike
) -> NDArray[np.bool_]:
    """The words that share a character with any of some spans of their text: bool (n,).

    Args:
        word_start: First character of each word, (n,).
        word_end: Character behind its last one, (n,).
        span_starts: First character of each span, (s,).
        span_ends: Character behind its last one, (s,).
    """
    start, end = np.asarray(word_start)[:, None], np.asarray(word_end)[:, None]
    overlap = (start < np.asarray(span_ends)) & (np.asarray(span_starts) < end)
    return np.asarray(overlap.any(1))


def top_words_mask(scores: Sequence[ArrayLike], share: float) -> list[NDArray[np.bool_]]:
    """A hard rationale from scores: the leading share of each text's words, at least one.

    Raises:
        InvalidInputError: If `share` is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise InvalidInputError(f"share is {share}; it must be above 0 and at most 1.")
    orders = [most_important_first(one) for one in scores]
    return [leading(order, share_sizes(len(order), [share]))[0] for order in orders]


def rationale_share(gold: Sequence[ArrayLike]) -> float:
    """Mean share of a text's words in its rationale, over texts that have one (ERASER's k_d).

    Raises:
        InvalidInputError: If no text has one.
    """
    shares = [np.mean(np.asarray(one, dtype=bool)) for one in gold if np.any(one)]
    if not shares:
        raise InvalidInputError("No text has a word in its rationale, so nothing can be compared.")
    return float(np.mean(shares))


def token_f1(predicted: Sequence[ArrayLike], gold: Sequence[ArrayLike]) -> Floats:
    """F1 of the words of each text's hard rationale.

    Args:
        predicted: For each text, bool (n_i,).
        gold: What people marked, likewise.

    Returns:
        float64 (N,); NaN for texts where people marked nothing.

    Raises:
        InvalidInputError: If the shapes differ.

    Source: DeYoung et al. 2020, section 4.1; their scorer's instance-level macro F1 is the mean.
    """
    scores = np.full(len(gold), np.nan)
    for row, (mine, theirs) in enumerate(_pairs(predicted, gold)):
        if theirs.any():
            scores[row] = 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum())
    return scores


def iou_f1(
    predicted: Sequence[ArrayLike], gold: Sequence[ArrayLike], threshold: float = 0.5
) -> float:
    """F1 of spans: a run of predicted words is right if it overlaps a marked run enough.

    Enough is an intersection over union of at least `threshold` with one of them. Precision and
    recall are averaged over texts (precision over texts with a predicted word), then joined. Texts
    where people marked nothing are left out.

    Args:
        predicted: For each text, bool (n_i,).
        gold: What people marked, likewise.
        threshold: Least intersection over union.

    Raises:
        InvalidInputError: If the shapes differ or no text has a rationale.

    Source: DeYoung et al. 2020, section 4.1, after Everingham et al. 2010; the macro-averaged form
    of their scorer.
    """
    precisions, recalls = [], []
    for mine, theirs in _pairs(predicted, gold):
        marked, found = _runs(theirs), _runs(mine)
        if not marked:
            continue
        right = sum(
            max(_intersection_over_union(one, other) for other in marked) >= threshold
            for one in found
        )
        recalls.append(right / len(marked))
        if found:
            precisions.append(right / len(found))
    if not recalls:
        raise InvalidInputError("No text has a word in its rationale, so nothing can be compared.")
    precision, recall = float(np.mean(precisions or [0.0])), float(np.mean(recalls))
    return 2 * precision * recall / (precision + recall) if precision and recall else 0.0


def auprc(scores: Sequence[ArrayLike], gold: Sequence[ArrayLike]) -> Floats:
    """Area under the precision-recall curve of soft scores, by the trapezoidal rule.

    Args:
        scores: For each text a number per word, (n_i,).
        gold: What people marked, bool (n_i,).

    Returns:
        float64 (N,); NaN for texts where people marked nothing.

    Raises:
        NonFiniteError: If a score is NaN or infinite.
        InvalidInputError: If the shapes differ.

    Source: DeYoung et al. 2020, section 4.1; their scorer's AUPRC is the mean.
    """
    _check_shapes(scores, gold)
    found = np.full(len(gold), np.nan)
    for row, (one, marked) in enumerate(zip(scores, gold, strict=True)):
        score, truth = np.asarray(one, dtype=np.float64), np.asarray(marked, dtype=bool)
        if not np.isfinite(score).all():
            raise NonFiniteError(f"The scores of text {row} hold NaN or infinity.")
        if truth.any():
            precision, recall, _ = precision_recall_curve(truth, score)
            found[row] = auc(recall, precision)
    return found


def word_label_agreement(scores: ArrayLike, labels: ArrayLike, k: int = 50) -> dict[str, float]:
    """Agreement of the influence of words on a class with what people say of the words alone.

    Args:
        scores: Influence of each word on the class, (W,).
        labels: What people say, from against the class (< 0) to for it (> 0), (W,).
        k: Words at either end that are looked at.

    Returns:
        "spearman" over all words; "auc", of words for the class against words against it;
        "precision_at_k": share of the k highest scores with labels above 0 and of the k lowest with
        labels below 0.

    Raises:
        InvalidInputError: If the shapes differ, or there are not words of both kinds.
    """
    score, label = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if score.shape != label.shape or not ((label > 0).any() and (label < 0).any()):
        raise InvalidInputError(
            f"There are {score.shape} scores and {label.shape} labels; wanted one each, and labels "
            "above and below 0."
        )
    order = most_important_first(score)
    k = min(k, len(order) // 2)
    polar = label != 0
    right = (label[order[:k]] > 0).sum() + (label[order[len(order) - k :]] < 0).sum()
    return {
        "spearman": float(spearmanr(score, label).statistic),
        "auc": float(roc_auc_score(label[polar] > 0, score[polar])),
        "precision_at_k": float(right / (2 * k)),
    }


def _pairs(
    one: Sequence[ArrayLike], other: Sequence[ArrayLike]
) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    _check_shapes(one, other)
    return [
        (np.asarray(a, dtype=bool), np.asarray(b, dtype=bool))
        for a, b in zip(one, other, strict=True)
    ]


def _check_shapes(one: Sequence[ArrayLike], other: Sequence[ArrayLike]) -> None:
    shapes = [[np.shape(part) for part in parts] for parts in (one, other)]
    if shapes[0] != shapes[1]:
        raise InvalidInputError(
            "The two have different shapes; wanted one number per word of each text in both."
        )


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First position of each run of True, and the one behind its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _intersection_over_union(one: tuple[int, int], other: tuple[int, int]) -> float:
    both = max(0, min(one[1], other[1]) - max(one[0], other[0]))
    return both / (one[1] - one[0] + other[1] - other[0] - both)
