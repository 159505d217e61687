"""Sums that come out the same, to the last bit, in any order.

float64 addition rounds at every step, so a sum depends on the order of its terms, and a matrix
folded from 7 shards differs from one folded from 64 (in a trial, in 33 to 88 of 29,963 cells).
Integers do not round. Here every number is rounded once, to the nearest multiple of a fixed step
(ties to even), and added as an integer from then on. One int64 would be too short for small and
large sums at once, so a number is held in two, its *limbs*, on a grid of `bits`:

    value = high * 2^-bits + low * 2^-(bits + 30),      -2^29 <= low < 2^29.

The range of `low` makes the two limbs of a total unique, so equal totals are equal bytes.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_attn_attr.errors import InvalidInputError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

LIMB_BITS = 30
# Two limbs below the limit add up to less than 2^63, so int64 never wraps before the check sees it.
LIMIT = 2**62


class Limbs(NamedTuple):
    """Numbers on a grid: two int64 arrays of one shape."""

    high: IntArray
    low: IntArray


def sum_groups(
    values: FloatArray, groups: "csr_array", bits: int, bound: float = math.inf
) -> Limbs:
    """Sums of rows of `values`, each number first rounded to a multiple of 2^-(bits + 30).

    Args:
        values: Numbers, (rows, columns).
        groups: Which rows make up each sum: float ones, (groups, rows).
        bits: Grid of the result; ties round to even.
        bound: No number is larger in size than this, if known; it only saves looking.

    Returns:
        Limbs (groups, columns), the lower ones not `carried`.

    Raises:
        InvalidInputError: If a value is not finite, or a sum could leave the range of the grid.
    """
    longest = int(np.diff(groups.indptr).max(initial=1))
    if bound == math.inf:
        bound = max(values.max(initial=0.0), -values.min(initial=0.0))
    if bound * longest >= 2.0 ** (51 - bits) or longest >= 2**20 or bound != bound:
        return _sum_large(values, groups, bits, longest)
    # Between 2^52 and 2^53 times the step, float64 holds the multiples of the step and no others:
    # adding a number of that size rounds to them. Their sums are exact below 2^53 steps.
    shift = 1.5 * 2.0 ** (52 - bits)
    high = values + shift
    high -= shift
    high_sums = groups @ high
    low = np.subtract(values, high, out=high)  # exact: no finer digits, at most half a step
    shift *= 2.0**-LIMB_BITS
    low += shift
    low -= shift
    low_sums = groups @ low
    high_sums *= 2.0**bits
    low_sums *= 2.0 ** (bits + LIMB_BITS)
    return Limbs(high_sums.astype(np.int64), low_sums.astype(np.int64))


def _sum_large(values: FloatArray, groups: "csr_array", bits: int, longest: int) -> Limbs:
    """`sum_groups` of numbers whose upper limbs may add up to more than a float64 holds."""
    with np.errstate(over="ignore", invalid="ignore"):
        rest = values * 2.0**bits
    high = np.rint(rest)
    _check(max(high.max(initial=0.0), -high.min(initial=0.0)) * longest)
    # Exact: the difference has no finer digits than `rest` and is at most a half. Since
    # high * 2^30 is even, rounding the difference to even rounds the whole to even.
    rest -= high
    rest *= 2.0**LIMB_BITS
    integer_groups = groups.astype(np.int64)
    low = np.rint(rest, out=rest).astype(np.int64)
    return Limbs(integer_groups @ high.astype(np.int64), integer_groups @ low)


def add(left: Limbs, right: Limbs) -> Limbs:
    """The exact sums left + right, element by element.

    Raises:
        InvalidInputError: If a sum leaves the range of the grid.
    """
    total = carried(Limbs(left.high + right.high, left.low + right.low))
    _check(int(np.abs(total.high).max(initial=0)))
    return total


def to_float(limbs: Limbs, bits: int) -> FloatArray:
    """The float64 nearest to each number (ties to even).

    A limb of up to 62 bits does not fit a float64, so the number is cut elsewhere: the upper 46
    bits of `high` in one part, its lower 16 bits with `low` in the other. Both parts fit, and one
    addition of exact parts is rounded once.
    """
    top = limbs.high >> 16
    rest = ((limbs.high - (top << 16)) << LIMB_BITS) + limbs.low
    return (top * 2.0 ** (16 + LIMB_BITS) + rest) * 2.0 ** -(bits + LIMB_BITS)


def zeros(shape: tuple[int, ...]) -> Limbs:
    """Limbs of the number 0."""
    return Limbs(np.zeros(shape, np.int64), np.zeros(shape, np.int64))


def carried(limbs: Limbs) -> Limbs:
    """The same numbers in the one form in which -2^29 <= low < 2^29."""
    carry = (limbs.low + 2 ** (LIMB_BITS - 1)) >> LIMB_BITS
    return Limbs(limbs.high + carry, limbs.low - (carry << LIMB_BITS))


def _check(largest: float) -> None:
    if not largest < LIMIT:  # also true of NaN
        raise InvalidInputError(
            "A total over the texts is too large to be kept exactly. Attributions beyond about a "
            "thousand per text come from an unscaled regression target or a broken model: rescale "
            "the target (divide it by its standard deviation), train and extract again."
        )
