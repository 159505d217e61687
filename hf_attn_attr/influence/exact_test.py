"""Fisher's exact test of every word against every class, and what it finds by chance alone.

Whole label rows are permuted over the texts, with text and label counts held. For one word and one
class only that class's column moves, so the number x of texts that have both is hypergeometric,
whether texts have one label or many: nothing need be drawn or approximated.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from .exact import FloatArray, IntArray

# Outcomes whose log probabilities differ by less are equally probable; rounding is far below.
_TIE = 1e-7


class ExactTest(NamedTuple):
    """Two-sided p-values of all cells, and their distribution when nothing is associated.

    Attributes:
        p_value: P(outcomes less probable than x) + P(outcomes as probable as x), (W, C).
        mid_p_value: The same with the second term halved, (W, C): 1/2 on average under the null,
            where the plain p-value of few texts is larger.
        null_p_values: Mid-p-values that cells can take, ascending, (outcomes,).
        null_counts: How many cells are expected at each or below, under the null, (outcomes,).
    """

    p_value: FloatArray
    mid_p_value: FloatArray
    null_p_values: FloatArray
    null_counts: FloatArray


def exact_test(both: IntArray, documents: IntArray, labelled: IntArray, texts: int) -> ExactTest:
    """Fisher's exact test, two-sided, of W words against C classes.

    Args:
        both: Texts that have the word and the class, (W, C).
        documents: Texts that have the word, (W,).
        labelled: Texts that have the class, (C,).
        texts: Texts in all.

    Source: Fisher 1935; mid-p: Lancaster 1961, "Significance tests in discrete distributions".
    """
    log_factorial = gammaln(np.arange(texts + 1) + 1.0)
    p_value, mid_p_value = np.empty(both.shape), np.empty(both.shape)
    outcomes = [(np.zeros(0), np.zeros(0))]
    # Words with equally many texts share their distributions, and are most of the words.
    for d in np.unique(documents):
        rows = np.flatnonzero(documents == d)
        for k in np.unique(labelled):
            cells = np.ix_(rows, np.flatnonzero(labelled == k))
            fewest = max(0, int(d + k) - texts)
            probability = _hypergeometric(int(d), int(k), fewest, log_factorial)
            plain, mid = _two_sided(probability)
            x = both[cells] - fewest
            p_value[cells], mid_p_value[cells] = plain[x], mid[x]
            possible = probability > 0  # in float64; far tails of frequent words are not
            outcomes.append((mid[possible], probability[possible] * x.size))
    values, counts = (np.concatenate(part) for part in zip(*outcomes, strict=True))
    order = np.argsort(values, kind="stable")
    return ExactTest(p_value, mid_p_value, values[order], np.cumsum(counts[order]))


def _hypergeometric(d: int, k: int, fewest: int, log_factorial: FloatArray) -> FloatArray:
    """P(x) for x = fewest, ..., min(d, k): texts of k among d drawn from all."""
    texts = len(log_factorial) - 1
    x = np.arange(fewest, min(d, k) + 1)

    def log_choose(n: int, m: IntArray | int) -> FloatArray:
        return log_factorial[n] - log_factorial[m] - log_factorial[n - m]

    chances = log_choose(k, x) + log_choose(texts - k, d - x) - log_choose(texts, d)
    return np.exp(chances)


def _two_sided(probability: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Plain and mid-p-value of each outcome."""
    order = np.argsort(probability, kind="stable")
    ascending = probability[order]
    below = np.concatenate([[0.0], np.cumsum(ascending)])  # small ones first: tails stay exact
    less = below[np.searchsorted(ascending, ascending * (1 - _TIE), side="left")]
    upto = below[np.searchsorted(ascending, ascending * (1 + _TIE), side="right")]
    plain, mid = np.empty(len(order)), np.empty(len(order))
    plain[order], mid[order] = np.minimum(upto, 1), np.minimum((less + upto) / 2, 1)
    return plain, mid
