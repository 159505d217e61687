"""How far a class prefers a word, by counts alone: what the data say, without any model.

Notation, for W words and C classes: y = occurrences of w in texts of c, f = its occurrences in all
texts, n_c and n = occurrences of all words there.
"""

from typing import NamedTuple

import numpy as np

from .exact import FloatArray, IntArray

# Occurrences imagined before any are counted, as a share of those in the corpus. 0.001 to 0.1 agree
# with planted strengths equally well; this holds log-odds within log(101).
PRIOR_SHARE = 0.01


class LogOdds(NamedTuple):
    """Log-odds ratios, natural logarithm, and their standard errors, (W, C) each."""

    value: FloatArray
    standard_error: FloatArray


def log_odds(inside: IntArray, total: IntArray) -> LogOdds:
    """Log-odds of each word in a class against the other texts, informative Dirichlet prior.

        value = log((y + a) / (n_c + a0 - y - a)) - log((y' + a) / (n' + a0 - y' - a)),
        variance = 1 / (y + a) + 1 / (y' + a),

    with y' = f - y and n' = n - n_c of the texts without c, and a = a0 f / n, a0 = 0.01 n: a prior
    in which all classes use words as the whole corpus does.

    Args:
        inside: y, (W, C).
        total: f, (W,).

    Returns:
        NaN for a class that no text or every text has, and where one word is the whole corpus.

    Source: Monroe, Colaresi & Quinn 2008, "Fightin' Words", equations 15, 16 and 20.
    """
    prior = PRIOR_SHARE * total[:, None]
    within, beyond = inside + prior, total[:, None] - inside + prior
    n_within, n_beyond = within.sum(axis=0), beyond.sum(axis=0)
    contrast = (inside.sum(axis=0) > 0) & (inside.sum(axis=0) < total.sum())
    defined = contrast & (n_within > within) & (n_beyond > beyond)
    value, error = np.full(inside.shape, np.nan), np.full(inside.shape, np.nan)
    ratio = within / beyond
    np.divide(n_beyond - beyond, n_within - within, out=value, where=defined)
    np.log(ratio * value, out=value, where=defined)
    np.sqrt(1 / within + 1 / beyond, out=error, where=defined)
    return LogOdds(value, error)


def pointwise_mutual_information(
    both: IntArray, documents: IntArray, labelled: IntArray, texts: int
) -> FloatArray:
    """log((x + 1/2) / (x_expected + 1/2)) with x_expected = documents * labelled / texts, (W, C).

    The halves keep pairs that never meet finite and draw rare ones towards 0; without them this is
    PMI, log P(w, c) / (P(w) P(c)), over texts. Natural logarithm; NaN without texts.

    Args:
        both: x, texts that have the word and the class, (W, C).
        documents: Texts that have the word, (W,).
        labelled: Texts that have the class, (C,).
        texts: Texts in all.

    Source: Church & Hanks 1990; the halves: Noren, Hopstadius & Bate 2013, "Shrinkage observed-to-
    expected ratios for robust and transparent large-scale pattern discovery".
    """
    if not texts:
        return np.full(both.shape, np.nan)
    expected = np.outer(documents, labelled) / texts
    information: FloatArray = np.log((both + 0.5) / (expected + 0.5))
    return information
