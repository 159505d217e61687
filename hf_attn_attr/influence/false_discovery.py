"""From many p-values to q-values: how many of the cells found would be found by chance?"""

import numpy as np
from scipy.stats import false_discovery_control

from .exact import FloatArray
from .exact_test import ExactTest

# Mirrored outcomes (a class and its complement) have equal p-values up to rounding.
_ROUNDING = 1 + 1e-7


def discrete_q_values(test: ExactTest) -> FloatArray:
    """Benjamini-Hochberg q-values, with the chance findings of discrete tests counted exactly.

    Plain Benjamini-Hochberg expects m t false findings at p <= t, as if each of m cells could
    reach any p. A word of a few texts cannot, nor can a rare class, so it gives findings away.
    Here q(t) = E[cells with p <= t | no association] / (cells found with p <= t), made monotone
    from the largest t down (Heyse 2011, "A false discovery rate procedure for categorical data").
    If nothing at all is associated, this can name a cell a little too often. So no q is below the
    smallest that plain Benjamini-Hochberg gives with plain p-values: Simes' test (1986) that there
    is any association, which never errs more often than it says for independent cells.

    Returns:
        q-values in the shape of the p-values, in [0, 1], monotone in `mid_p_value`.
    """
    p = test.mid_p_value.ravel()
    if not p.size:
        return test.mid_p_value.copy()
    order = np.argsort(p, kind="stable")
    reach = p[order] * _ROUNDING
    place = np.searchsorted(test.null_p_values, reach, side="right")
    expected = np.concatenate([[0.0], test.null_counts])[place]
    found = np.searchsorted(p[order], reach, side="right")
    ascending = np.minimum.accumulate((expected / found)[::-1])[::-1]
    q = np.empty(p.shape)
    q[order] = ascending
    simes = false_discovery_control(test.p_value.ravel()).min()
    return np.clip(q, simes, 1).reshape(test.mid_p_value.shape)
