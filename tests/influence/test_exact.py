"""Exact sums against fractions: rounding, order, range."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from hf_attn_attr.errors import InvalidInputError
from hf_attn_attr.influence.exact import LIMB_BITS, Limbs, add, carried, sum_groups, to_float, zeros

numbers = st.floats(-1e6, 1e6) | st.floats(-1e-6, 1e-6) | st.integers(-1000, 1000).map(float)
grids = st.sampled_from([20, 30])


def on_grid(value: float, bits: int) -> Fraction:
    step = 2 ** (bits + LIMB_BITS)
    return Fraction(round(Fraction(value) * step), step)


def as_fraction(limbs: Limbs, bits: int) -> Fraction:
    return Fraction(int(limbs.high.item()) * 2**LIMB_BITS + int(limbs.low.item())) / 2 ** (
        bits + LIMB_BITS
    )


def total(values: list[float], bits: int) -> Limbs:
    return carried(
        sum_groups(np.array(values)[:, None], csr_array(np.ones((1, len(values)))), bits)
    )


@given(st.lists(numbers, min_size=1, max_size=50), grids)
def test_a_sum_is_the_sum_of_the_rounded_numbers(values, bits):
    assert as_fraction(total(values, bits), bits) == sum(on_grid(v, bits) for v in values)


@given(st.lists(numbers, min_size=1, max_size=20), grids, st.sampled_from([1.0, 7.5, 1e9, np.nan]))
def test_a_bound_changes_the_way_but_not_the_sum(values, bits, times):
    groups = csr_array(np.ones((1, len(values))))
    column = np.array(values)[:, None]
    bounded = carried(sum_groups(column, groups, bits, times * np.abs(column).max()))
    assert bounded == total(values, bits)


@given(st.lists(numbers, min_size=1, max_size=20), grids, st.data())
def test_parts_add_up_to_the_same_limbs(values, bits, data):
    cut = data.draw(st.integers(0, len(values)))
    shuffled = data.draw(st.permutations(values))
    whole = total(values, bits)
    parts = zeros((1, 1))
    for part in (shuffled[:cut], shuffled[cut:]):
        if part:
            parts = add(parts, total(part, bits))
    assert whole.high == parts.high
    assert whole.low == parts.low


@given(st.integers(-(2**62) + 1, 2**62 - 1), st.integers(-(2**29), 2**29 - 1), grids)
def test_the_float_of_a_total_is_the_nearest_one(high, low, bits):
    exact = Fraction(high * 2**LIMB_BITS + low, 2 ** (bits + LIMB_BITS))
    assert to_float(Limbs(np.array([high]), np.array([low])), bits)[0] == float(exact)


@pytest.mark.parametrize("around", [2**53, 2**54, 2**60, 2**62 - 4, -(2**61)])
def test_the_float_of_a_total_next_to_a_tie_is_the_nearest_one(around):
    for high in range(around - 3, around + 4):
        for low in (-(2**29), -1, 0, 1, 2**29 - 1):
            exact = Fraction(high * 2**LIMB_BITS + low, 2**60)
            assert to_float(Limbs(np.array([high]), np.array([low])), 30)[0] == float(exact)


@given(st.lists(st.floats(-(2.0**30), 2.0**30), min_size=1, max_size=2))
def test_sums_beyond_53_bits_stay_exact(values):
    assert as_fraction(total([*values, 2.0**30], 30), 30) == sum(
        on_grid(v, 30) for v in [*values, 2.0**30]
    )


@given(st.floats(2.0**14, 2.0**16), st.integers(500, 1500))
def test_sums_of_many_numbers_beyond_53_bits_stay_exact(value, times):
    assert as_fraction(total([value] * times, 30), 30) == times * on_grid(value, 30)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0**32, -(2.0**32), 1e300])
def test_what_does_not_fit_is_refused(value):
    with pytest.raises(InvalidInputError, match="rescale"):
        total([1.0, value], 30)


def test_a_total_that_outgrows_the_grid_is_refused_instead_of_wrapping():
    large = total([2.0**31], 30)
    with pytest.raises(InvalidInputError, match="rescale"):
        add(large, large)
    with pytest.raises(InvalidInputError, match="rescale"):
        total([2.0**31] * 2, 30)
