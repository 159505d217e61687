"""From totals to estimates: pure functions of numpy arrays.

Notation, for a word w and a class c, sums over the d texts that hold w: n = occurrences of w in a
text, T = total attribution of those occurrences. W words, C classes. What is undefined (0/0) is
NaN, never infinite and never silently 0.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .exact import FloatArray, IntArray

# A mean over d texts is shown as mean * d / (d + 5): five imagined texts without influence.
SHRINKAGE_DOCUMENTS = 5
# Weight of the pooled variance, in degrees of freedom: so much, and a share of the word's own
# (even many texts tell the variance of long-tailed attributions badly). With words pooled by the
# size of their mean, these cover best at every number of texts (benchmarks/interval_coverage.py).
PRIOR_DEGREES = 4.0
PRIOR_SHARE = 1 / 8
# Words of like document count are pooled in up to 5 groups by the size of their mean.
PEER_GROUPS = 5
LEAST_PEERS = 20
# Below three texts a spread between texts says nothing.
MIN_DOCUMENTS = 3
# One-sided 95% point of the normal distribution, for ranking.
BOUND = 1.64
LEVEL = 0.95
EVIDENCE = ("consistent", "insufficient", "uncertain")
# Up to this q-value the data are said to associate a word and a label.
Q_LEVEL = 0.05


def ratio(numerator: FloatArray, denominator: NDArray[Any] | float) -> FloatArray:
    """The quotient where the denominator is above 0, NaN elsewhere."""
    top, bottom = np.broadcast_arrays(numerator, denominator)
    result = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=result, where=bottom > 0)
    return result


def mean_influence(total: FloatArray, count: IntArray) -> FloatArray:
    """Mean attribution per occurrence, r = sum T / sum n, (W, C)."""
    return ratio(total, count[:, None])


def residual_sum_of_squares(
    mean: FloatArray,
    total_squared: FloatArray,
    total_times_count: FloatArray,
    count_squared: IntArray,
) -> FloatArray:
    """Spread of the texts around the mean, sum (T - r n)^2, (W, C).

    Expanded to sum T^2 - 2 r sum T n + r^2 sum n^2, because only these sums are kept; what
    rounding leaves below 0 is 0.
    """
    squares = count_squared[:, None].astype(np.float64)
    return np.maximum(total_squared - 2 * mean * total_times_count + mean**2 * squares, 0)


def moderated_variance(
    mean: FloatArray, residuals: FloatArray, documents: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Variance of a text around its word's mean, steadied by the words most like it.

    s2 = sum e^2 / (d - 1) of a word with few texts is nearly noise. A word's *peers*, per class,
    are words of the same floor(log2 d) and of a like |mean|: strong words vary more from text to
    text than weak ones, and pooled with them would seem surer than they are. With
    s2_peers = (sum of sum e^2) / (sum of d - 1) over the peers,

        s2_post = ((d - 1) s2 + nu s2_peers) / (d - 1 + nu),    nu = 4 + (d - 1) / 8.

    Its degrees of freedom are d - 1 + nu, but no more than the peers have in all: few peers cannot
    lend what they do not have.

    Returns:
        s2_post, (W, C), NaN where d < 3; and the degrees of freedom, (W,).

    Source: Smyth 2004, "Linear models and empirical Bayes methods for assessing differential
    expression in microarray experiments", section 4; for a prior that follows the mean, Sartor et
    al. 2006, "Intensity-based hierarchical Bayes method". nu is fixed here, not estimated.
    """
    own_degrees = documents - 1.0
    pooled, shared_degrees = np.full(mean.shape, np.nan), np.zeros(mean.shape)
    bins = np.frexp(documents)[1] - 1  # floor(log2 d), exactly
    classes = np.arange(mean.shape[1])
    for rows in (np.flatnonzero(bins == number) for number in np.unique(bins)):
        groups = min(max(len(rows) // LEAST_PEERS, 1), PEER_GROUPS)
        peers = _ranks(np.abs(mean[rows])) * groups // len(rows)
        squares, degrees = np.zeros((groups, len(classes))), np.zeros((groups, len(classes)))
        np.add.at(squares, (peers, classes), residuals[rows])
        np.add.at(degrees, (peers, classes), own_degrees[rows, None])
        pooled[rows] = ratio(squares, degrees)[peers, classes]
        shared_degrees[rows] = degrees[peers, classes]
    prior = PRIOR_DEGREES + PRIOR_SHARE * own_degrees
    degrees = own_degrees + prior
    variance = (residuals + prior[:, None] * pooled) / degrees[:, None]
    variance[documents < MIN_DOCUMENTS] = np.nan
    return variance, np.minimum(degrees, shared_degrees.min(axis=1))


def _ranks(values: FloatArray) -> NDArray[np.intp]:
    """Rank of each row within its column, from 0; equal values in the order of the rows."""
    order = np.argsort(values, axis=0, kind="stable")
    return np.argsort(order, axis=0, kind="stable")


def standard_error(variance: FloatArray, documents: IntArray, count: IntArray) -> FloatArray:
    """Standard error of the mean, sqrt(d s2) / sum n, (W, C): that of a ratio, texts as units.

    Source: Cochran 1977, "Sampling Techniques", section 2.11 (without finite correction).
    """
    return ratio(np.sqrt(documents[:, None] * variance), count[:, None])


def interval(
    mean: FloatArray, error: FloatArray, degrees: FloatArray, level: float = LEVEL
) -> tuple[FloatArray, FloatArray]:
    """Lower and upper end of mean -+ t * error, (W, C) each.

    Args:
        mean: Raw means, (W, C).
        error: Their standard errors, (W, C).
        degrees: Degrees of freedom, (W,).
        level: Share of intervals that should hold the true mean, between 0 and 1.
    """
    # Only other levels than the stored one need scipy, and readers should not wait for it.
    from scipy.special import stdtrit

    margin = stdtrit(degrees, (1 + level) / 2)[:, None] * error
    return mean - margin, mean + margin


def lower_bound(mean: FloatArray, error: FloatArray) -> FloatArray:
    """What of the mean is left with caution, sign * max(|mean| - 1.64 error, 0), (W, C).

    0 where the error is undefined (too few texts), NaN where there is no mean.
    """
    cautious = np.maximum(np.abs(mean) - BOUND * error, 0)
    bound = np.sign(mean) * np.nan_to_num(cautious)
    return np.where(bound == 0, np.abs(bound), bound)  # no -0.0, which would print as a sign


def shrunk(values: FloatArray, documents: IntArray) -> FloatArray:
    """Values * d / (d + 5), (W, C): what few texts say counts for less."""
    return values * (documents / (documents + SHRINKAGE_DOCUMENTS))[:, None]


def evidence(low: FloatArray, high: FloatArray) -> NDArray[np.str_]:
    """How far the texts agree, (W, C), from the 95% interval of the mean.

    "insufficient": no interval (fewer than 3 texts, or no signed attributions).
    "uncertain": the interval holds 0.
    "consistent": it does not. The *model* pushes this way consistently; that says nothing about
    whether word and class go together in the data (nets trained on shuffled labels are consistent
    too). For that, see `association_q_value`.
    """
    return np.array(EVIDENCE)[evidence_codes(low, high)]


def evidence_codes(low: FloatArray, high: FloatArray) -> NDArray[np.int8]:
    """The same as places in `EVIDENCE`, which take a 48th of the memory."""
    agree = np.where((low > 0) | (high < 0), np.int8(0), np.int8(2))
    return np.where(np.isnan(low) | np.isnan(high), np.int8(1), agree)


def supported(row: Mapping[Any, Any]) -> bool:
    """Whether the data, too, associate word and label, and in the direction of the influence.

    Args:
        row: A row of the published table.
    """
    return bool(row["association_q_value"] <= Q_LEVEL and row["influence"] * row["log_odds"] > 0)


def word_given_class(joint: FloatArray) -> FloatArray:
    """P(w | c) = J / sum over words of J, (W, C)."""
    return ratio(joint, joint.sum(axis=0))


def class_given_word(joint: FloatArray, p_word: FloatArray) -> FloatArray:
    """P(c | w) = J / P(w), (W, C), with P(w) the mean attention mass of w, (W,)."""
    return ratio(joint, p_word[:, None])


def lift(joint: FloatArray, p_word: FloatArray, p_class: FloatArray) -> FloatArray:
    """J / (P(w) P(c)), (W, C): 1 where word and class ignore each other."""
    return ratio(joint, p_word[:, None] * p_class)


def npmi(joint: FloatArray, lift: FloatArray) -> FloatArray:
    """Normalised pointwise mutual information, log(lift) / -log(J), (W, C), in [-1, 1].

    -1 where word and class never meet (J = 0, the limit), NaN where lift is undefined or J = 1.

    Source: Bouma 2009, "Normalized (Pointwise) Mutual Information in Collocation Extraction".
    """
    result = np.full(joint.shape, np.nan)
    defined = (lift > 0) & (joint > 0) & (joint != 1)
    result[defined] = np.clip(np.log(lift[defined]) / -np.log(joint[defined]), -1, 1)
    result[lift == 0] = -1
    return result


def coverage(low: FloatArray, high: FloatArray, truth: FloatArray) -> float:
    """Share of the defined intervals that hold the true value; NaN if none is defined."""
    defined = ~(np.isnan(low) | np.isnan(high) | np.isnan(truth))
    held = (low <= truth) & (truth <= high)
    return float(held[defined].mean()) if defined.any() else float("nan")
