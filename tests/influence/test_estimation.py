"""Every number of a matrix against plain sums over the rows, word by word and class by class."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from .texts import LABELS, accumulated, random_rows

WORDS = ["the", "hope", "gloom", "rain", "sun"]
ROWS = random_rows(11, 60, problem_type="multi_label_classification", vocabulary=WORDS)
C = len(LABELS)
for words_, values in zip(ROWS["words"], ROWS["attribution"], strict=True):
    for t, word_ in enumerate(words_):
        if word_ == "hope":  # speaks for joy and against fear
            values[C * t] += 2
            values[C * t + 1] -= 2


@pytest.fixture(scope="module")
def matrix():
    accumulator = accumulated(ROWS, problem_type="multi_label_classification", method="occlusion")
    return accumulator.finalize({"corpus": "test"})


def texts():
    """Words, attention, attributions, those of the context, and probabilities of each text."""
    names = ("words", "attention", "attribution", "attribution_context", "probabilities")
    for words, attention, own, context, probabilities in zip(*map(ROWS.get, names), strict=True):
        if words:
            own, context = (np.reshape(values, (-1, C)) for values in (own, context))
            yield words, attention, own, context, probabilities


@pytest.mark.parametrize("word", WORDS)
def test_means_and_their_parts(matrix, word):
    row = matrix.words.index(word)
    places = [
        (own[t], context[t], attention[t] * len(words))
        for words, attention, own, context, _ in texts()
        for t in range(len(words))
        if words[t] == word
    ]
    documents = sum(word in words for words, *_ in texts())
    own, context, relative = (np.mean(part, axis=0) for part in zip(*places, strict=True))
    kept = documents / (documents + 5)
    assert matrix.count[row] == len(places)
    assert matrix.document_count[row] == documents
    assert matrix.attention_ratio[row] == pytest.approx(relative)
    np.testing.assert_allclose(matrix.mean[row], own, rtol=1e-9)
    np.testing.assert_allclose(matrix.influence[row], own * kept, rtol=1e-9)
    np.testing.assert_allclose(matrix.context_part[row], context * kept, rtol=1e-9)
    np.testing.assert_allclose(matrix.word_part[row], (own - context) * kept, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("word", WORDS)
def test_joint_and_conditional_probabilities(matrix, word):
    row = matrix.words.index(word)
    n = sum(1 for _ in texts())
    joint = {
        w: [
            sum(
                p[c] * sum(a for a, other in zip(attention, words, strict=True) if other == w)
                for words, attention, _, _, p in texts()
            )
            / n
            for c in range(C)
        ]
        for w in WORDS
    }
    p_word = (
        sum(
            a
            for words, attention, *_ in texts()
            for a, other in zip(attention, words, strict=True)
            if other == word
        )
        / n
    )
    for c in range(C):
        j = joint[word][c]
        p_class = sum(p[c] for *_, p in texts()) / n
        assert matrix.joint[row, c] == pytest.approx(j)
        assert matrix.p_word_given_class[row, c] == pytest.approx(
            j / sum(joint[w][c] for w in WORDS)
        )
        assert matrix.p_class_given_word[row, c] == pytest.approx(j / p_word)
        assert matrix.lift[row, c] == pytest.approx(j / (p_word * p_class))
        npmi = math.log(j / (p_word * p_class)) / -math.log(j)
        assert matrix.npmi[row, c] == pytest.approx(npmi)


def test_intervals_and_bounds_follow_from_mean_and_error(matrix):
    assert (matrix.standard_error > 0).all()
    np.testing.assert_allclose(matrix.low + matrix.high, 2 * matrix.mean, atol=1e-12)
    cautious = np.abs(matrix.mean) - norm.isf(0.05) * matrix.standard_error
    np.testing.assert_allclose(
        np.abs(matrix.lower_bound), np.maximum(cautious, 0), rtol=0.02, atol=0.01
    )
    assert (matrix.lower_bound * matrix.mean >= 0).all()
    hope = matrix.lower_bound[matrix.words.index("hope")]
    assert hope[0] > 1
    assert hope[1] < -1


def test_the_manifest_says_what_was_folded(matrix):
    assert matrix.manifest["labels"] == list(LABELS)
    assert matrix.manifest["problem_type"] == "multi_label_classification"
    assert matrix.manifest["method"] == "occlusion"
    assert matrix.manifest["texts"] == sum(1 for _ in texts())
    assert matrix.manifest["empty_texts"] == 60 - matrix.manifest["texts"] > 0
    assert matrix.manifest["words"] == sum(len(words) for words, *_ in texts())
    assert matrix.manifest["distinct_words"] == len(WORDS) != C
    assert matrix.manifest["provenance"] == {"corpus": "test"}
    assert matrix.manifest["checks"] == {}
    assert "max_words" not in matrix.manifest
    assert accumulated(random_rows(0), max_words=9).finalize().manifest["max_words"] == 9
    for name in ("log_odds", "log_odds_standard_error", "association_q_value"):
        assert np.isnan(getattr(matrix, name)).all()


def test_attention_alone_tells_nothing_of_signs_but_how_much_each_word_is_looked_at():
    rows = ROWS | {"attribution": [None] * 60, "attribution_context": [None] * 60}
    settings = {"problem_type": "multi_label_classification", "method": "attention"}
    matrix = accumulated(rows, **settings).finalize()
    assert np.isfinite(matrix.attention_ratio).all()
    without = accumulated(ROWS | {"attention": [None] * 60}, **settings | {"method": "x"})
    assert np.isnan(without.finalize().attention_ratio).all()
    assert np.isnan(without.finalize().p_class_given_word).all()
    assert np.isfinite(without.finalize().influence).all()
