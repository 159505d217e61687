"""Agreement with people: worked examples, and the definitions by brute force."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import f1_score

from hf_attn_attr import InvalidInputError, NonFiniteError
from hf_attn_attr.evaluation import auprc, iou_f1, token_f1, word_label_agreement
from hf_attn_attr.evaluation.plausibility import (
    rationale_share,
    top_words_mask,
    words_in_spans,
)

masks = st.lists(st.booleans(), min_size=1, max_size=9)
pairs = st.lists(
    st.integers(1, 9).flatmap(
        lambda n: st.tuples(*[st.lists(st.booleans(), min_size=n, max_size=n)] * 2)
    ),
    min_size=1,
    max_size=4,
)


def test_the_definitions_of_eraser_on_a_worked_example():
    """A text of 8 words, people marked words 1-3 and 6.

    Predicted 2-4 and 6: tokens P = 3/4, R = 3/4, F1 = 3/4. Spans: {2,3,4} against {1,2,3} has IOU
    2/4 = .5, right; {6} is right: P = R = F1 = 1. A second text, marked 0-3, predicted 3: token
    P = 1, R = 1/4, F1 = .4; IOU 1/4, wrong. Macro: P = R = (1 + 0) / 2, F1 = .5.
    """
    gold = [[0, 1, 1, 1, 0, 0, 1, 0], [1, 1, 1, 1, 0]]
    predicted = [[0, 0, 1, 1, 1, 0, 1, 0], [0, 0, 0, 1, 0]]
    assert token_f1(predicted, gold) == pytest.approx([0.75, 0.4])
    assert iou_f1(predicted[:1], gold[:1]) == 1.0
    assert iou_f1(predicted, gold) == 0.5
    assert iou_f1(predicted, gold, threshold=0.6) == pytest.approx(0.25)


def test_auprc_on_a_worked_example():
    """Scores .9 .8 .7 with words 0 and 2 marked: points (R, P) = (0, 1) (.5, 1) (.5, .5) (1, 2/3).

    Trapezoids: .5 * 1 + 0 + .5 * (1/2 + 2/3) / 2 = .5 + 7/24.
    """
    assert auprc([[0.9, 0.8, 0.7]], [[1, 0, 1]]) == pytest.approx([0.5 + 7 / 24])


@given(pairs)
def test_token_f1_is_that_of_scikit_learn(texts):
    predicted, gold = zip(*texts, strict=True)
    for found, mine, theirs in zip(token_f1(predicted, gold), predicted, gold, strict=True):
        if any(theirs):
            assert found == pytest.approx(f1_score(theirs, mine, zero_division=0))
        else:
            assert np.isnan(found)


@given(pairs, st.sampled_from([0.3, 0.5, 0.8]))
def test_iou_f1_by_brute_force(texts, threshold):
    def spans(mask):
        runs, run = [], set()
        for place, marked in enumerate([*mask, False]):
            if marked:
                run.add(place)
            elif run:
                runs.append(run)
                run = set()
        return runs

    predicted, gold = zip(*texts, strict=True)
    assume(any(map(any, gold)))
    precision, recall = [], []
    for mine, theirs in zip(map(spans, predicted), map(spans, gold), strict=True):
        if not theirs:
            continue
        right = [
            one for one in mine if any(len(one & t) / len(one | t) >= threshold for t in theirs)
        ]
        recall.append(len(right) / len(theirs))
        precision += [len(right) / len(mine)] if mine else []
    p, r = sum(precision) / max(1, len(precision)), sum(recall) / len(recall)
    wanted = 2 * p * r / (p + r) if p * r else 0
    assert iou_f1(predicted, gold, threshold) == pytest.approx(wanted)


def test_words_belong_to_a_span_if_they_share_a_character():
    text = "you utter fool, you"
    start, end = [0, 4, 10, 14, 16], [3, 9, 14, 15, 19]
    assert [text[a:b] for a, b in zip(start, end, strict=True)] == [
        "you",
        "utter",
        "fool",
        ",",
        "you",
    ]
    np.testing.assert_array_equal(words_in_spans(start, end, [8, 16], [14, 17]), [0, 1, 1, 0, 1])
    assert not words_in_spans(start, end, [3], [4]).any()  # a space alone
    assert not words_in_spans(start, end, [], []).any()


def test_a_hard_rationale_takes_the_share_that_people_mark():
    gold = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert rationale_share(gold) == pytest.approx(0.375)
    (mask,) = top_words_mask([[0.1, 0.9, 0.2, 0.3]], 0.375)
    np.testing.assert_array_equal(mask, [0, 1, 0, 1])


def test_agreement_with_labels_of_words():
    scores, labels = [3, 2, 1, 0, -1, -2], [1, 0, 0.5, -1, 0, -0.5]
    found = word_label_agreement(scores, labels, k=2)
    assert found["spearman"] == pytest.approx(spearmanr(scores, labels).statistic)
    assert found["auc"] == 1.0  # 3 and 1 above 0 and -2
    assert found["precision_at_k"] == 0.5  # 3 right, 2 neutral; -2 right, -1 neutral


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: token_f1([[1]], [[1, 0]]), InvalidInputError, "different shapes"),
        (lambda: iou_f1([[1]], [[0]]), InvalidInputError, "No text has a word in its rationale"),
        (lambda: rationale_share([[0, 0]]), InvalidInputError, "No text has a word"),
        (lambda: auprc([[np.nan]], [[1]]), NonFiniteError, "scores of text 0"),
        (lambda: top_words_mask([[1.0]], 0), InvalidInputError, "share is 0"),
        (lambda: word_label_agreement([1, 2], [1, 0]), InvalidInputError, "above and below 0"),
    ],
)
def test_what_cannot_be_computed_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
