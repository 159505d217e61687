"""Intervals of means over texts and over random draws."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t


class Interval(NamedTuple):
    """An estimate and its 95% interval."""

    mean: float
    low: float
    high: float


def mean_interval(values: ArrayLike) -> Interval:
    """Mean of at least two numbers and its 95% t-interval; NaN are left out."""
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    mean = float(array.mean())
    margin = float(t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array)))
    return Interval(mean, mean - margin, mean + margin)


def draw_interval(draws: Sequence[float]) -> Interval:
    """Mean of random draws and the range that holds the middle 95% of them."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(np.mean(draws)), float(low), float(high))
