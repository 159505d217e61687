"""Log-odds and mutual information, number by number."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_attn_attr.influence.log_odds import log_odds, pointwise_mutual_information

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_log_odds_follow_the_paper(seed):
    rng = np.random.default_rng(seed)
    inside = rng.poisson(4, (6, 3))
    total = inside.max(axis=1) + rng.integers(1, 9, 6)  # a text may have many labels
    odds = log_odds(inside, total)
    n, a0 = int(total.sum()), 0.01 * total.sum()
    for w, f in enumerate(total):
        a = a0 * f / n
        for c in range(3):
            y, n_c = inside[w, c], inside[:, c].sum()
            within = (y + a) / (n_c + a0 - y - a)
            beyond = (f - y + a) / (n - n_c + a0 - (f - y) - a)
            assert odds.value[w, c] == pytest.approx(math.log(within) - math.log(beyond))
            variance = 1 / (y + a) + 1 / (f - y + a)
            assert odds.standard_error[w, c] == pytest.approx(math.sqrt(variance))


def test_of_two_classes_one_is_the_other_turned_round():
    inside = np.array([[3, 1], [0, 5], [7, 7]])
    odds = log_odds(inside, inside.sum(axis=1))
    np.testing.assert_allclose(odds.value[:, 0], -odds.value[:, 1])
    assert odds.value[0, 0] > 0 > odds.value[1, 0]


def test_a_class_without_contrast_says_nothing():
    odds = log_odds(np.array([[3, 0, 3], [2, 0, 1]]), np.array([3, 2]))
    assert np.isnan(odds.value[:, :2]).all()
    assert np.isnan(odds.standard_error[:, :2]).all()
    assert np.isfinite(odds.value[:, 2]).all()
    assert np.isnan(log_odds(np.array([[2]]), np.array([3])).value).all()  # the only word


def test_mutual_information_counts_texts():
    both, documents, labelled = np.array([[8, 2], [0, 1]]), np.array([10, 1]), np.array([16, 4])
    found = pointwise_mutual_information(both, documents, labelled, 20)
    assert found[0, 0] == pytest.approx(math.log(8.5 / 8.5))
    assert found[1, 0] == pytest.approx(math.log(0.5 / 1.3))
    assert found[1, 1] == pytest.approx(math.log(1.5 / 0.7))
    many = pointwise_mutual_information(both * 1000, documents * 1000, labelled * 1000, 20_000)
    assert many[0, 1] == pytest.approx(math.log(2 / 2), abs=1e-3)
    assert many[1, 1] == pytest.approx(math.log(1 / 0.2), abs=0.01)
    assert np.isnan(pointwise_mutual_information(both[:0], documents[:0], labelled, 0)).all()
