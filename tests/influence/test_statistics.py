"""Estimates against hand-written references, a bootstrap and a simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_attn_attr.influence import statistics


@pytest.mark.parametrize(
    ("q_value", "influence", "log_odds", "wanted"),
    [
        (0.05, 0.2, 0.3, True), (0.0, -0.2, -0.3, True), (0.0500001, 0.2, 0.3, False),
        (0.01, 0.2, -0.3, False), (0.01, -2.0, 3.0, False), (0.01, 0.0, 3.0, False),
        (0.01, 2.0, 0.0, False), (np.nan, 2.0, 3.0, False), (0.01, 2.0, np.nan, False),
    ],
)  # fmt: skip
def test_data_support_an_influence_of_their_own_direction(q_value, influence, log_odds, wanted):
    row = {"association_q_value": q_value, "influence": influence, "log_odds": log_odds}
    assert statistics.supported(row) is wanted


seeds = st.integers(0, 2**32 - 1)


def texts_of_words(rng, documents, spread=0.6):
    """Per text: its word, its occurrences n and its total T; and the words' true means."""
    word = np.repeat(np.arange(len(documents)), documents)
    mean = rng.normal(size=len(documents)) * 0.5
    scale = np.exp(rng.normal(size=len(documents)) * spread)
    n = 1 + rng.integers(0, 2, len(word)) * (rng.random(len(word)) < 0.2)
    noise = rng.standard_t(5, len(word)) * math.sqrt(3 / 5)
    return word, n, mean[word] * n + scale[word] * np.sqrt(n) * noise, mean


def folded(word, n, total, documents):
    """Mean, residual sum of squares and occurrences from the sums, as the fold has them."""

    def summed(values):
        return np.bincount(word, values, len(documents))

    count = summed(n).astype(np.int64)
    mean = statistics.mean_influence(summed(total)[:, None], count)
    residuals = statistics.residual_sum_of_squares(
        mean, summed(total**2)[:, None], summed(total * n)[:, None], summed(n * n).astype(np.int64)
    )
    return mean, residuals, count


@given(seeds)
def test_the_standard_error_is_that_of_a_ratio_over_texts(seed):
    rng = np.random.default_rng(seed)
    documents = rng.integers(2, 20, 6)
    word, n, total, _ = texts_of_words(rng, documents)
    mean, residuals, count = folded(word, n, total, documents)
    error = statistics.standard_error(residuals / (documents - 1)[:, None], documents, count)
    for w, d in enumerate(documents):
        own = word == w
        r = sum(total[own]) / sum(n[own])
        assert mean[w, 0] == pytest.approx(r, rel=1e-9)
        squares = sum((t - r * k) ** 2 for t, k in zip(total[own], n[own], strict=True))
        expected = math.sqrt(d * squares / (d - 1)) / sum(n[own])
        assert error[w, 0] == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_few_words_lean_on_all_words_of_like_document_count():
    documents = np.array([1, 2, 4, 7, 8])
    residuals = np.array([[0.0], [3.0], [6.0], [12.0], [70.0]])
    variance, degrees = statistics.moderated_variance(np.ones((5, 1)), residuals, documents)
    pooled = 18 / 9
    assert np.isnan(variance[:2]).all()
    prior = 4 + 3 / 8
    assert variance[2, 0] == pytest.approx((6 + prior * pooled) / (3 + prior))
    prior = 4 + 6 / 8
    assert variance[3, 0] == pytest.approx((12 + prior * pooled) / (6 + prior))
    assert variance[4, 0] == pytest.approx(10)
    # A word alone in its bin has nothing to borrow.
    assert degrees == pytest.approx([0, 1, 3 + 4 + 3 / 8, 9, 7])


def test_many_words_lean_on_those_with_means_of_like_size():
    rng = np.random.default_rng(0)
    documents = np.full(60, 4)
    mean = rng.normal(size=(60, 2)) * 3
    residuals = rng.gamma(1.5, size=(60, 2)) * mean**2
    variance, degrees = statistics.moderated_variance(mean, residuals, documents)
    prior = 4 + 3 / 8
    for column in range(2):
        by_size = sorted(range(60), key=lambda word: abs(mean[word, column]))
        for peers in (by_size[:20], by_size[20:40], by_size[40:]):
            pooled = residuals[peers, column].sum() / 60
            for word in peers:
                expected = (residuals[word, column] + prior * pooled) / (3 + prior)
                assert variance[word, column] == pytest.approx(expected)
    assert degrees == pytest.approx(3 + prior)


def test_the_standard_error_agrees_with_a_bootstrap_over_texts():
    rng = np.random.default_rng(0)
    documents = np.full(30, 400)
    word, n, total, _ = texts_of_words(rng, documents)
    _, residuals, count = folded(word, n, total, documents)
    error = statistics.standard_error(residuals / (documents - 1)[:, None], documents, count)
    n, total = n.reshape(30, 400), total.reshape(30, 400)
    draws = rng.integers(0, 400, (300, 400))
    means = [total[:, draw].sum(axis=1) / n[:, draw].sum(axis=1) for draw in draws]
    ratios = np.std(means, axis=0) / error[:, 0]
    assert np.abs(np.median(ratios) - 1) < 0.03
    assert np.abs(ratios - 1).max() < 0.2


def test_intervals_hold_the_true_mean_at_every_document_count_and_strength():
    rng = np.random.default_rng(2)
    documents = np.concatenate([np.full(2000, d) for d in (3, 4, 8, 20, 60)])
    word = np.repeat(np.arange(len(documents)), documents)
    n = 1 + rng.integers(0, 2, len(word)) * (rng.random(len(word)) < 0.2)
    truth = rng.laplace(size=len(documents))
    # As attributions do, those of strong words vary more; pooled with weak ones, 90% at d = 3.
    scale = (0.2 + 0.5 * np.abs(truth)) * np.exp(rng.normal(size=len(documents)) * 0.3)
    noise = rng.standard_t(5, len(word)) * math.sqrt(3 / 5)
    total = truth[word] * n + scale[word] * np.sqrt(n) * noise
    mean, residuals, count = folded(word, n, total, documents)
    variance, degrees = statistics.moderated_variance(mean, residuals, documents)
    error = statistics.standard_error(variance, documents, count)
    low, high = statistics.interval(mean, error, degrees)
    for d in np.unique(documents):
        for kind in (documents == d, (documents == d) & (np.abs(truth) > 1.5)):
            assert 0.93 < statistics.coverage(low[kind], high[kind], truth[kind, None]) < 0.985, d


def test_a_t_interval_is_read_off_the_table():
    low, high = statistics.interval(np.array([[1.0]]), np.array([[2.0]]), np.array([10.0]), 0.95)
    assert (low.item(), high.item()) == pytest.approx((1 - 2 * 2.2281389, 1 + 2 * 2.2281389))


def test_the_bound_keeps_the_sign_and_never_overshoots():
    mean = np.array([[2.0, -2.0, 0.5, -0.5, 3.0, np.nan]])
    error = np.array([[1.0, 1.0, 1.0, 1.0, np.nan, np.nan]])
    bound = statistics.lower_bound(mean, error)
    np.testing.assert_allclose(bound, [[0.36, -0.36, 0, 0, 0, np.nan]], atol=1e-12)
    assert not np.signbit(bound[0, 3])


def test_evidence_has_three_grades():
    low = np.array([[np.nan, -1.0, 0.1, -2.0, 0.0]])
    high = np.array([[np.nan, 1.0, 2.0, -0.1, 0.0]])
    expected = ["insufficient", "uncertain", "consistent", "consistent", "uncertain"]
    assert statistics.evidence(low, high).tolist() == [expected]


def test_few_texts_count_for_less():
    shrunk = statistics.shrunk(np.ones((3, 1)), np.array([1, 5, 95]))
    assert shrunk.ravel().tolist() == [1 / 6, 0.5, 0.95]


@given(seeds)
def test_the_joint_is_taken_apart_consistently(seed):
    rng = np.random.default_rng(seed)
    joint = rng.dirichlet(np.full(12, 0.3)).reshape(4, 3)
    p_word, p_class = joint.sum(axis=1), joint.sum(axis=0)
    lift = statistics.lift(joint, p_word, p_class)
    np.testing.assert_allclose(statistics.word_given_class(joint).sum(axis=0), 1)
    np.testing.assert_allclose(statistics.class_given_word(joint, p_word).sum(axis=1), 1)
    np.testing.assert_allclose(lift * p_word[:, None], statistics.word_given_class(joint))
    npmi = statistics.npmi(joint, lift)
    assert ((npmi > 0) == (lift > 1)).all()
    assert (np.abs(npmi) <= 1).all()


def test_what_is_undefined_is_nan_and_what_never_meets_is_minus_one():
    joint = np.array([[0.5, 0.0], [0.0, 0.0]])
    p_word, p_class = np.array([0.5, 0.0]), np.array([0.5, 0.5])
    lift = statistics.lift(joint, p_word, p_class)
    np.testing.assert_array_equal(lift, [[2, 0], [np.nan, np.nan]])
    np.testing.assert_allclose(statistics.npmi(joint, lift), [[1, -1], [np.nan, np.nan]])
    np.testing.assert_array_equal(statistics.word_given_class(joint), [[1, np.nan], [0, np.nan]])
    one = np.array([[1.0]])
    assert np.isnan(statistics.npmi(one, one)).all()


def test_quotients_by_nothing_are_nan_and_no_warning(recwarn):
    found = statistics.ratio(np.array([1.0, 0.0, -3.0, 2.0]), np.array([0, 0, 0, 4]))
    np.testing.assert_array_equal(found, [np.nan, np.nan, np.nan, 0.5])
    assert not recwarn


def test_information_of_each_kind_of_cell(recwarn):
    joint = np.array([[0.1, 0.1, 0.2, 0.0, 0.0, 1.0, np.nan, 1e-300]])
    lift = np.array([[2.0, 10.0 + 1e-12, 0.01, 0.0, np.nan, 1.0, np.nan, 1e-305]])
    found = statistics.npmi(joint, lift)[0]
    assert found[0] == pytest.approx(math.log(2.0) / -math.log(0.1), rel=1e-14)
    assert found[1] == 1  # a rounding above 1 is taken back
    assert found[2] == -1  # likewise below
    assert found[3] == -1
    assert np.isnan(found[4:7]).all()
    assert found[7] == -1
    assert not recwarn


def test_ranks_of_equal_values_follow_the_rows():
    values = np.tile([[2.0, 0.0], [1.0, 0.0], [2.0, 5.0], [1.0, 0.0]], (30, 1))
    found = statistics._ranks(values)
    for column in range(2):
        order = sorted(range(len(values)), key=lambda row: (values[row, column], row))
        assert [order.index(row) for row in range(len(values))] == found[:, column].tolist()


def test_coverage_counts_closed_intervals_that_are_defined():
    low = np.array([0.0, 0.0, 0.0, 0.0, np.nan, 0.0, 0.0])
    high = np.array([1.0, 1.0, 1.0, 1.0, 1.0, np.nan, 1.0])
    truth = np.array([0.0, 1.0, 2.0, -1.0, 0.5, 0.5, np.nan])
    assert statistics.coverage(low, high, truth) == 0.5
    assert math.isnan(statistics.coverage(low[4:], high[4:], truth[4:]))
