"""Which words go, and what goes by chance."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hf_attn_attr.evaluation.faithfulness import BINS
from hf_attn_attr.evaluation.rankings import (
    MOST_STEPS,
    frequency_class,
    frequency_matched_scores,
    leading,
    matched_words,
    most_important_first,
    random_scores,
    share_sizes,
    step_sizes,
)


def test_the_most_important_words_lead_and_ties_keep_their_order():
    order = most_important_first([0.1, 0.5, 0.5, -1.0])
    np.testing.assert_array_equal(order, [1, 2, 0, 3])
    np.testing.assert_array_equal(
        leading(order, np.array([0, 1, 3])), [[0] * 4, [0, 1, 0, 0], [1, 1, 1, 0]]
    )


def test_shares_are_rounded_up():
    np.testing.assert_array_equal(share_sizes(100, BINS), [1, 5, 10, 20, 50])
    np.testing.assert_array_equal(share_sizes(7, BINS), [1, 1, 1, 2, 4])
    assert share_sizes(100, [0.07]) == [7]  # 0.07 * 100 is 7.000000000000001


@given(st.integers(1, 500))
def test_steps_grow_and_leave_a_word(words):
    sizes = step_sizes(words)
    assert (np.diff(sizes) > 0).all()
    assert len(sizes) <= MOST_STEPS
    if words > 1:
        assert 1 <= sizes[0] <= sizes[-1] < words
        # One at a time where there are few words, evenly where there are many.
        assert np.diff(sizes).max(initial=1) <= -(-words // MOST_STEPS)
    else:
        assert not len(sizes)


def test_random_scores_are_orders():
    found = random_scores([3, 0, 5], np.random.default_rng(0))
    assert [sorted(one.tolist()) for one in found] == [[0, 1, 2], [], [0, 1, 2, 3, 4]]


def test_matched_scores_keep_what_frequency_tells_and_forget_the_words():
    rng = np.random.default_rng(0)
    texts = 400
    # Rare words lead every text, in random order; frequent ones follow.
    scores = [np.concatenate([10 + rng.random(3), rng.random(3)]) for _ in range(texts)]
    frequency = [np.array([2, 2, 2, 900, 900, 900])] * texts
    found = frequency_matched_scores(scores, frequency, rng)
    assert all(one[:3].min() > one[3:].max() for one in found)
    leaders = np.bincount([int(one.argmax()) for one in found], minlength=3)
    same = np.mean([one.argmax() == two.argmax() for one, two in zip(found, scores, strict=True)])
    assert leaders.min() > texts / 6
    assert same < 0.5


def test_two_classes_for_each_doubling():
    np.testing.assert_array_equal(frequency_class([1, 2, 3, 4, 8]), [0, 2, 3, 4, 6])


@given(st.integers(0, 2**32 - 1))
def test_matched_words_are_as_frequent_and_others(seed):
    rng = np.random.default_rng(seed)
    frequency = rng.integers(1, 200, 300)
    chosen = rng.permutation(300)[:20]
    allowed = np.ones(300, dtype=bool)
    allowed[chosen] = False
    drawn = matched_words(chosen, frequency, allowed, rng)
    assert len(set(drawn.tolist())) == 20
    assert not set(drawn.tolist()) & set(chosen.tolist())
    classes = frequency_class(frequency)
    for word, other in zip(chosen, drawn, strict=True):
        left = np.flatnonzero(allowed & ~np.isin(np.arange(300), drawn))
        # Nothing that was left at the end would have been nearer.
        nearest = np.abs(classes[left] - classes[word]).min()
        assert np.abs(classes[other] - classes[word]) <= nearest


def test_there_may_be_fewer_to_draw():
    drawn = matched_words(
        np.array([0, 1, 2]), np.array([5, 5, 5, 900]), np.array([0, 0, 0, 1], bool),
        np.random.default_rng(0),
    )  # fmt: skip
    assert drawn.tolist() == [3]
