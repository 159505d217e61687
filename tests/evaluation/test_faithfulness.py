"""Formulae of faithfulness: a worked example, other implementations, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import pairwise_distances

from hf_attn_attr import InvalidInputError, NonFiniteError
from hf_attn_attr.evaluation import (
    comprehensiveness,
    decision_flip,
    flip_fraction,
    leave_one_out_tau,
    sufficiency,
)
from hf_attn_attr.evaluation.faithfulness import BINS

probability = st.floats(0, 1, width=32)


def test_the_equations_of_eraser_on_a_worked_example():
    """DeYoung et al. 2020: m(x)_j, m(x without r_k)_j and m(r_k)_j of one text of 100 words.

    eq. 1 at 20%: .90 - .40 = .50. eq. 2 at 20%: .90 - .80 = .10.
    AOPC over 1, 5, 10, 20, 50%, comprehensiveness: (.00 + .10 + .20 + .50 + .70) / 5 = .30; the
    text's division by |B| + 1 = 6 gives .25. Sufficiency: (.60 + .40 + .30 + .10 + .00) / 5 = .28.
    """
    full = [0.90]
    without = [[0.90, 0.80, 0.70, 0.40, 0.20]]
    alone = [[0.30, 0.50, 0.60, 0.80, 0.90]]
    assert BINS == (0.01, 0.05, 0.10, 0.20, 0.50)
    assert comprehensiveness(full, [without[0][3]]) == pytest.approx([0.50])
    assert sufficiency(full, [alone[0][3]]) == pytest.approx([0.10])
    assert comprehensiveness(full, without) == pytest.approx([0.30])
    assert comprehensiveness(full, without) * 5 / 6 == pytest.approx([0.25])
    assert sufficiency(full, alone) == pytest.approx([0.28])


def test_a_decision_flips_where_it_first_changes():
    """Serrano & Smith 2019: of 4 words the second removal flips; it may flip back after."""
    kept = [[True, False, True], [True, True, True], [False], []]
    removed = [[0.25, 0.5, 0.75], [0.25, 0.5, 0.75], [0.5], []]
    flips = decision_flip(kept, removed)
    np.testing.assert_array_equal(flips, [0.5, np.nan, 0.5, np.nan])
    assert flip_fraction(flips) == (0.5 + 1 + 0.5 + 1) / 4


@given(st.lists(st.lists(probability, min_size=6, max_size=6), min_size=1))
def test_changes_are_means_over_shares_for_each_text(rows):
    table = np.array(rows)
    found = comprehensiveness(table[:, 0], table[:, 1:])
    wanted = [sum(row[0] - one for one in row[1:]) / 5 for row in rows]
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    np.testing.assert_array_equal(found, sufficiency(table[:, 0], table[:, 1:]))


@given(st.lists(st.lists(st.booleans(), max_size=6)))
def test_flips_equal_a_search_by_hand(kept):
    removed = [[(step + 1) / 10 for step in range(len(one))] for one in kept]
    for found, still, shares in zip(decision_flip(kept, removed), kept, removed, strict=True):
        flipped = [share for share, same in zip(shares, still, strict=True) if not same]
        assert found == flipped[0] if flipped else np.isnan(found)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3)), min_size=2, max_size=8))
def test_tau_equals_counting_pairs(words):
    scores, losses = np.array(words, dtype=float).T
    signs = [
        np.sign(pairwise_distances(one[:, None], metric=lambda a, b: (a - b)[0]))
        for one in (scores, losses)
    ]
    pairs = np.triu_indices(len(words), 1)
    one, other = signs[0][pairs], signs[1][pairs]
    norm = np.sqrt((one != 0).sum() * (other != 0).sum())
    (found,) = leave_one_out_tau([scores], [losses])
    if norm:
        assert found == pytest.approx((one * other).sum() / norm)
    else:
        assert np.isnan(found)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: comprehensiveness([0.5], [np.nan]), NonFiniteError, "without holds NaN"),
        (lambda: sufficiency([0.5, np.inf], [0, 0]), NonFiniteError, "full holds NaN"),
        (lambda: comprehensiveness([0.5], [0.1, 0.2]), InvalidInputError, r"shape \(1,\)"),
        (lambda: comprehensiveness([0.5], np.zeros((1, 0))), InvalidInputError, "shares"),
        (lambda: decision_flip([[True]], []), InvalidInputError, "1 texts in kept and 0"),
        (lambda: decision_flip([[True]], [[0.1, 0.2]]), InvalidInputError, "Text 0 has"),
        (lambda: decision_flip([[True, True]], [[0.2, 0.1]]), InvalidInputError, "must increase"),
        (lambda: decision_flip([[True]], [[1.5]]), InvalidInputError, "at most 1"),
        (lambda: leave_one_out_tau([[1, 2]], [[1]]), InvalidInputError, "one number per word"),
        (lambda: leave_one_out_tau([[1, 2]], [[1, np.inf]]), NonFiniteError, "losses holds"),
    ],
)
def test_what_cannot_be_computed_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
