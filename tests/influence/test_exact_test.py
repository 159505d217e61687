"""Fisher's test against scipy, and against permuting label rows in every possible way."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, hypergeom

from hf_attn_attr.influence.exact_test import exact_test

seeds = st.integers(0, 2**32 - 1)


def counts(presence, labels):
    """Arguments of `exact_test` from tables (words, texts) and (texts, classes) of 0 and 1."""
    return presence @ labels, presence.sum(axis=1), labels.sum(axis=0), presence.shape[1]


def random_tables(seed, n_words=5, n_texts=40, n_classes=3):
    rng = np.random.default_rng(seed)
    presence = (rng.random((n_words, n_texts)) < rng.random((n_words, 1))).astype(np.int64)
    labels = (rng.random((n_texts, n_classes)) < rng.random(n_classes)).astype(np.int64)
    return presence, labels


@given(seeds)
@settings(max_examples=50)
def test_p_values_are_those_of_scipy(seed):
    both, documents, labelled, texts = counts(*random_tables(seed))
    test = exact_test(both, documents, labelled, texts)
    for w, d in enumerate(documents):
        for c, k in enumerate(labelled):
            x = both[w, c]
            table = [[x, d - x], [k - x, texts - d - k + x]]
            assert test.p_value[w, c] == pytest.approx(fisher_exact(table).pvalue, rel=1e-9)
            outcomes = hypergeom.pmf(np.arange(d + 1), texts, k, d)
            equal = outcomes[np.isclose(outcomes, outcomes[x], rtol=1e-7)].sum()
            assert test.mid_p_value[w, c] == pytest.approx(test.p_value[w, c] - equal / 2, abs=1e-9)


def test_far_tails_of_frequent_words_keep_their_digits():
    texts, d, k = 50_000, 3_000, 4_000
    x = np.array([[240], [400], [600], [100]])
    test = exact_test(x, np.full(4, d), np.array([k]), texts)
    for row, observed in enumerate(x[:, 0]):
        table = [[observed, d - observed], [k - observed, texts - d - k + observed]]
        expected = fisher_exact(table).pvalue
        assert test.p_value[row, 0] == pytest.approx(expected, rel=1e-6)


def test_permuting_whole_label_rows_gives_the_same_p_values():
    labels = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 1], [0, 1, 1], [0, 0, 1]])
    presence = np.array([[1, 1, 0, 0, 1, 0, 0], [1, 1, 1, 0, 1, 1, 0], [0, 0, 0, 1, 0, 0, 0]])
    both, documents, labelled, texts = counts(presence, labels)
    drawn = np.array([presence @ labels[list(order)] for order in permutations(range(texts))])
    test = exact_test(both, documents, labelled, texts)
    for w in range(len(presence)):
        for c in range(labels.shape[1]):
            values, times = np.unique(drawn[:, w, c], return_counts=True)
            chance = dict(zip(values, times / len(drawn), strict=True))
            own = chance[both[w, c]]
            less = sum(p for p in chance.values() if p < own * (1 - 1e-9))
            equal = sum(p for p in chance.values() if np.isclose(p, own))
            assert test.p_value[w, c] == pytest.approx(less + equal)
            assert test.mid_p_value[w, c] == pytest.approx(less + equal / 2)


@given(seeds)
@settings(max_examples=30)
def test_the_null_distribution_is_that_of_all_cells(seed):
    both, documents, labelled, texts = counts(*random_tables(seed))
    test = exact_test(both, documents, labelled, texts)
    assert (np.diff(test.null_p_values) >= 0).all()
    assert test.null_counts[-1] == pytest.approx(both.size)
    # Of one cell: every outcome with its chance, and a mean of one half.
    for w, d in enumerate(documents):
        for c, k in enumerate(labelled):
            alone = exact_test(both[[w]][:, [c]], documents[[w]], labelled[[c]], texts)
            chances = np.diff(alone.null_counts, prepend=0)
            assert (alone.null_p_values * chances).sum() == pytest.approx(0.5)
            outcomes = hypergeom.pmf(np.arange(d + 1), texts, k, d)
            assert np.sort(outcomes[outcomes > 0]) == pytest.approx(np.sort(chances), abs=1e-9)


@given(seeds)
@settings(max_examples=30)
def test_order_of_words_classes_and_complements_do_not_matter(seed):
    presence, labels = random_tables(seed)
    plain = exact_test(*counts(presence, labels))
    rng = np.random.default_rng(seed)
    words, classes = rng.permutation(len(presence)), rng.permutation(labels.shape[1])
    moved = exact_test(*counts(presence[words], labels[:, classes]))
    np.testing.assert_array_equal(moved.mid_p_value, plain.mid_p_value[words][:, classes])
    texts = rng.permutation(presence.shape[1])
    shuffled = exact_test(*counts(presence[:, texts], labels[texts]))
    np.testing.assert_array_equal(shuffled.mid_p_value, plain.mid_p_value)
    others = exact_test(*counts(presence, 1 - labels))
    np.testing.assert_allclose(others.mid_p_value, plain.mid_p_value, rtol=1e-9)
