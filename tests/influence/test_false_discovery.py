"""q-values: the continuous limit, an example by hand, invariants, and no findings from nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from hf_attn_attr.influence.exact_test import ExactTest, exact_test
from hf_attn_attr.influence.false_discovery import discrete_q_values

from .test_exact_test import counts, random_tables

seeds = st.integers(0, 2**32 - 1)


def test_with_continuous_p_values_it_is_benjamini_hochberg():
    rng = np.random.default_rng(0)
    p = rng.random((40, 5)) ** 3
    grid = np.union1d(np.linspace(0, 1, 100_001), p)
    q = discrete_q_values(ExactTest(p, p, grid, grid * p.size))
    expected = false_discovery_control(p.ravel()).reshape(p.shape)
    np.testing.assert_allclose(q, expected, rtol=1e-6)


def test_what_cannot_be_found_gives_findings_away():
    # Two cells of a fair coin's 5 tosses, two that can only ever have p = .5.
    null_p, null_counts = np.array([1 / 32, 0.5]), np.array([4 / 32, 4.0])
    mid = np.array([[1 / 32, 0.5], [1 / 32, 0.5]])
    plain = np.array([[0.001, 1.0], [0.001, 1.0]])
    q = discrete_q_values(ExactTest(plain, mid, null_p, null_counts))
    assert q[:, 0] == pytest.approx(4 / 32 / 2)
    assert q[:, 1] == pytest.approx(1)
    # Simes: no q below the smallest of plain Benjamini-Hochberg.
    plain = np.array([[0.2, 1.0], [0.2, 1.0]])
    q = discrete_q_values(ExactTest(plain, mid, null_p, null_counts))
    assert q[:, 0] == pytest.approx(0.4)


@given(seeds)
@settings(max_examples=50)
def test_q_values_lie_in_the_unit_interval_and_follow_the_p_values(seed):
    presence, labels = random_tables(seed, n_words=12)
    test = exact_test(*counts(presence, labels))
    q = discrete_q_values(test)
    assert ((q >= 0) & (q <= 1)).all()
    ordered = q.ravel()[np.argsort(test.mid_p_value.ravel())]
    assert (np.diff(ordered) >= 0).all()
    rng = np.random.default_rng(seed)
    words, classes = rng.permutation(len(presence)), rng.permutation(labels.shape[1])
    moved = discrete_q_values(exact_test(*counts(presence[words], labels[:, classes])))
    np.testing.assert_allclose(moved, q[words][:, classes], rtol=1e-9)


def test_nothing_is_found_where_nothing_is_tested():
    empty = exact_test(np.zeros((0, 2), int), np.zeros(0, int), np.array([3, 4]), 10)
    assert discrete_q_values(empty).shape == (0, 2)


def test_what_is_associated_is_found_and_shuffled_labels_are_not():
    rng = np.random.default_rng(0)
    labels = np.eye(4, dtype=np.int64)[rng.integers(0, 4, 600)]
    chance = np.full((60, 600), 0.05)
    chance[:10] += 0.25 * labels[:, 0]
    presence = (rng.random(chance.shape) < chance).astype(np.int64)
    q = discrete_q_values(exact_test(*counts(presence, labels)))
    assert (q[:10, 0] < 0.05).all()
    assert (q[10:] < 0.05).sum() <= 0.1 * (q < 0.05).sum()
    found = sum(
        discrete_q_values(exact_test(*counts(presence, rng.permutation(labels)))).min() <= 0.05
        for _ in range(100)
    )
    assert found <= 10  # 5 expected at most
