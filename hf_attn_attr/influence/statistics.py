"""From totals to estimates: pure functions of numpy arrays.

Notation, for a word w and a class c, sums over the d texts that hold w: n = occurrences of w in a
text, T = total attribution of those occurrences. W words, C classes. What is undefined (0/0) is
NaN, never infinite and never silently 0.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .exact import FloatArray, IntArray

# A mean over d texts is shown as mean * d / (d + 5): five imagined texts without influence.
SHRINKAGE_DOCUMENTS = 5
# Weight of the pooled variance, in degrees of freedom.
PRIOR_DEGREES = 8.0
# Below three texts a spread between texts says nothing.
MIN_DOCUMENTS = 3
# One-sided 95% point of the normal distribution, for ranking.
BOUND = 1.64
LEVEL = 0.95


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
    residuals: FloatArray, documents: IntArray, prior_degrees: float = PRIOR_DEGREES
) -> tuple[FloatArray, FloatArray]:
    """Variance of a text around its word's mean, steadied by words of like document count.

    s2 = sum e^2 / (d - 1) of a word with few texts is nearly noise. Words are pooled in bins of
    floor(log2 d); per class, s2_bin = (sum of sum e^2) / (sum of d - 1) over the bin, and

        s2_post = ((d - 1) s2 + nu0 s2_bin) / (d - 1 + nu0)

    with nu0 = `prior_degrees`. Its degrees of freedom are d - 1 + nu0, but no more than the bin
    has in all: words in a thin bin cannot borrow what is not there.

    Returns:
        s2_post, (W, C), NaN where d < 3; and the degrees of freedom, (W,).

    Source: Smyth 2004, "Linear models and empirical Bayes methods for assessing differential
    expression in microarray experiments", section 4 (nu0 fixed here, not estimated).
    """
    own_degrees = documents - 1.0
    bins = np.frexp(documents)[1] - 1  # floor(log2 d), exactly
    n_bins = int(bins.max(initial=0)) + 1
    bin_degrees = np.bincount(bins, own_degrees, n_bins)
    bin_squares = np.zeros((n_bins, residuals.shape[1]))
    np.add.at(bin_squares, bins, residuals)
    pooled = ratio(bin_squares, bin_degrees[:, None])[bins]
    degrees = own_degrees + prior_degrees
    variance = (residuals + prior_degrees * pooled) / degrees[:, None]
    variance[documents < MIN_DOCUMENTS] = np.nan
    return variance, np.minimum(degrees, bin_degrees[bins])


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
    agree = np.where((low > 0) | (high < 0), "consistent", "uncertain")
    return np.where(np.isnan(low) | np.isnan(high), "insufficient", agree)


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
