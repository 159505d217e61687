"""The planted corpus is what it says it is, and `recovery` tells truth from chance."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hf_attn_attr.demo.planted import (
    WORDS_OF_KIND,
    PlantedCorpus,
    bayes_accuracy,
    generate_planted_corpus,
    recovery,
    to_dataset,
)
from hf_attn_attr.errors import InvalidInputError, NonFiniteError

CORPUS = generate_planted_corpus(seed=0)
NEGATORS = [w for w, k in zip(CORPUS.words, CORPUS.kind, strict=True) if k == "negator"]
OTHERS = [w for w in CORPUS.words if w not in NEGATORS]


def digest(corpus: PlantedCorpus) -> str:
    sha = hashlib.sha256("\n".join([*corpus.words, *corpus.kind, *corpus.labels]).encode())
    for split in (corpus.train, corpus.validation, corpus.test):
        sha.update("\n".join(split.texts).encode())
        sha.update(split.labels.tobytes() + split.logits.tobytes())
    sha.update(corpus.strength.tobytes() + corpus.prior.tobytes() + corpus.partner.tobytes())
    return sha.hexdigest()


def counts_in(texts: Sequence[str]) -> NDArray[np.int64]:
    """Occurrences, (texts, words)."""
    row = {word: i for i, word in enumerate(CORPUS.words)}
    table = np.zeros((len(texts), len(row)), dtype=np.int64)
    for number, text in enumerate(texts):
        np.add.at(table[number], [row[word] for word in text.split()], 1)
    return table


COUNTS = counts_in(CORPUS.train.texts)


# The corpus


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_same_seed_gives_the_same_bytes_in_another_process(hash_seed: str) -> None:
    program = (
        "import sys; from test_planted import digest, generate_planted_corpus as generate;"
        "print(digest(generate(7, 200, 50, 20)))"
    )
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == digest(generate_planted_corpus(7, 200, 50, 20))


def test_another_seed_gives_another_corpus_of_the_same_words() -> None:
    one, other = generate_planted_corpus(0, 50, 0), generate_planted_corpus(1, 50, 0)
    assert one.words == other.words
    assert (one.kind != other.kind).any()
    assert one.train.texts != other.train.texts


def test_the_size_of_a_split_does_not_touch_the_other_splits() -> None:
    corpus = generate_planted_corpus(0, validation_texts=10, test_texts=30)
    assert corpus.train.texts == CORPUS.train.texts
    assert (corpus.train.labels == CORPUS.train.labels).all()
    assert (len(corpus.validation.texts), len(corpus.test.texts)) == (10, 30)
    assert CORPUS.test.texts == ()
    assert np.isnan(bayes_accuracy(CORPUS.test))


@pytest.mark.parametrize("arguments", [(-1,), (0, -1), (0, 1, -1), (0, 1, 1, -1)])
def test_negative_arguments_are_refused(arguments: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="may be negative"):
        generate_planted_corpus(*arguments)


def test_the_vocabulary_has_the_announced_kinds() -> None:
    assert len(set(CORPUS.words)) == 700
    assert {name: (CORPUS.kind == name).sum() for name in WORDS_OF_KIND} == WORDS_OF_KIND
    assert ((CORPUS.strength != 0).any(axis=1) == (CORPUS.kind == "planted")).all()
    assert ((CORPUS.partner >= 0) == (CORPUS.kind == "confounded")).all()


def test_every_class_has_fifteen_words_from_weak_to_strong_two_of_them_against() -> None:
    planted = CORPUS.strength[CORPUS.kind == "planted"]
    own = np.abs(planted).argmax(axis=1)
    for label in range(6):
        strength = planted[own == label, label]
        assert len(strength) == 15
        assert (strength < 0).sum() == 2
        assert np.abs(strength).max() > 10 * np.abs(strength).min()


def test_texts_are_of_readable_length() -> None:
    lengths = np.array([len(text.split()) for text in CORPUS.train.texts])
    assert lengths.min() >= 6
    assert lengths.mean() < 20
    assert np.quantile(lengths, 0.99) <= 30


def test_stop_words_are_frequent_and_noise_words_rare() -> None:
    count = COUNTS.sum(axis=0)
    median = {name: np.median(count[CORPUS.kind == name]) for name in WORDS_OF_KIND}
    assert median["stop"] > 3 * median["planted"]
    assert 1 <= median["noise"] <= 5
    assert count[CORPUS.kind == "noise"].max() < count[CORPUS.kind == "stop"].max()
    assert count[CORPUS.kind == "planted"].min() >= 50


def test_confounded_words_come_with_their_partner() -> None:
    here = COUNTS > 0
    confounded = np.flatnonzero(CORPUS.partner >= 0)
    partner = CORPUS.partner[confounded]
    together = (here[:, confounded] & here[:, partner]).sum(axis=0)
    assert (together / here[:, partner].sum(axis=0)).min() > 0.55
    assert (together / here[:, confounded].sum(axis=0)).min() > 0.55


def test_negators_always_have_a_word_to_turn_round() -> None:
    for text in CORPUS.train.texts:
        words = text.split()
        assert words[-1] not in NEGATORS
        assert not any(a in NEGATORS and b in NEGATORS for a, b in pairwise(words))


# The labels


def test_labels_are_drawn_from_the_softmax_of_the_logits() -> None:
    split = generate_planted_corpus(3, train_texts=20_000, validation_texts=0).train
    chance = np.exp(split.logits - split.logits.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    label = split.labels[:, None] == np.arange(6)
    for low in np.arange(0, 1, 0.1):
        cells = (chance >= low) & (chance < low + 0.1)
        spread = np.sqrt((chance[cells] * (1 - chance[cells])).sum())
        assert abs((label[cells] - chance[cells]).sum()) < 5 * spread
    spread = np.sqrt((chance * (1 - chance)).sum(axis=0))
    assert (np.abs((label - chance).sum(axis=0)) < 5 * spread).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_bayes_rule_is_right_on_about_82_percent(seed: int) -> None:
    split = generate_planted_corpus(seed, train_texts=20_000, validation_texts=0).train
    assert 0.81 < bayes_accuracy(split) < 0.83


def test_a_bag_of_words_stays_far_below_the_bayes_rule() -> None:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=0.1, max_iter=200).fit(COUNTS, CORPUS.train.labels)
    accuracy = model.score(counts_in(CORPUS.validation.texts), CORPUS.validation.labels)
    assert 0.62 < accuracy < 0.69


def test_to_dataset_keeps_texts_and_labels() -> None:
    dataset = to_dataset(CORPUS.validation)
    assert tuple(dataset["text"]) == CORPUS.validation.texts
    assert dataset["label"] == CORPUS.validation.labels.tolist()
    assert tuple(dataset.features["label"].names) == CORPUS.labels


# The effective strengths


@given(st.integers(0, len(CORPUS.train.texts) - 1))
def test_effective_strengths_and_prior_make_the_logits(number: int) -> None:
    effective = CORPUS.effective_strength(CORPUS.train.texts[number])
    assert np.allclose(CORPUS.prior + effective.sum(axis=0), CORPUS.train.logits[number])


@given(st.lists(st.sampled_from(OTHERS), min_size=1, max_size=12), st.data())
def test_a_negator_flips_the_next_word_and_nothing_else(
    words: list[str], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(words) - 1))
    negator = data.draw(st.sampled_from(NEGATORS))
    plain = CORPUS.effective_strength(" ".join(words))
    negated = CORPUS.effective_strength(" ".join([*words[:place], negator, *words[place:]]))
    flip = np.where(np.arange(len(words)) == place, -1, 1)[:, None]
    assert (np.delete(negated, place, axis=0) == flip * plain).all()
    assert (negated[place] == 0).all()
    assert (plain == CORPUS.strength[[CORPUS.words.index(w) for w in words]]).all()


def test_an_empty_text_has_no_strengths_and_an_unknown_word_is_refused() -> None:
    assert CORPUS.effective_strength("").shape == (0, 6)
    with pytest.raises(InvalidInputError, match="'zzz'"):
        CORPUS.effective_strength(f"{OTHERS[0]} zzz")


# The recovery


def test_the_truth_recovers_itself() -> None:
    result = recovery(CORPUS.words, CORPUS.strength, CORPUS)
    assert result.planted_words == 90
    for value in (result.rho, result.rho_own, result.auc_noise, result.auc_stop):
        assert value == pytest.approx(1)
    assert result.auc_confounded == 1
    assert recovery(CORPUS.words, -CORPUS.strength, CORPUS).rho == pytest.approx(-1)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_shuffled_scores_recover_nothing(seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=CORPUS.strength.shape)
    result = recovery(CORPUS.words, scores, CORPUS)
    # Six standard errors of 540 cells, 90 words, 90 against 553, 25 and 30 words.
    assert abs(result.rho) < 0.26
    assert abs(result.rho_own) < 0.64
    assert abs(result.auc_noise - 0.5) < 0.2
    assert abs(result.auc_stop - 0.5) < 0.4
    assert abs(result.auc_confounded - 0.5) < 0.37


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_order_of_words_and_shift_and_scale_of_scores_do_not_matter_to_rho(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = CORPUS.strength + rng.normal(size=CORPUS.strength.shape)
    order = rng.permutation(len(scores))
    words = [CORPUS.words[i] for i in order]
    plain = recovery(CORPUS.words, scores, CORPUS)
    assert asdict(recovery(words, scores[order], CORPUS)) == pytest.approx(asdict(plain))
    moved = recovery(words, 3 * scores[order] + rng.normal(size=(len(words), 1)), CORPUS)
    assert moved.rho == pytest.approx(plain.rho, abs=1e-9)
    assert moved.confounded_sign == plain.confounded_sign


def test_a_score_fooled_by_company_is_found_out() -> None:
    fooled = CORPUS.strength.copy()
    confounded = np.flatnonzero(CORPUS.partner >= 0)
    fooled[confounded] = CORPUS.strength[CORPUS.partner[confounded]]
    result = recovery(CORPUS.words, fooled, CORPUS)
    assert result.confounded_sign == 1
    assert result.auc_confounded < 0.5
    assert result.auc_noise == 1


def test_a_score_fooled_by_frequency_is_found_out() -> None:
    score = np.repeat(COUNTS.sum(axis=0)[:, None], 6, axis=1)
    result = recovery(CORPUS.words, score, CORPUS)
    assert result.auc_stop < 0.1
    assert np.isnan(result.rho)


def test_rare_words_can_be_left_out() -> None:
    count = COUNTS.sum(axis=0)
    score = CORPUS.strength + np.where(count < 3, 100, 0)[:, None]
    assert recovery(CORPUS.words, score, CORPUS, count).auc_noise < 0.9
    assert recovery(CORPUS.words, score, CORPUS, count, min_count=3).auc_noise == 1
    nothing = recovery(CORPUS.words, score, CORPUS, count, min_count=10**6)
    assert nothing.planted_words == 0
    assert np.isnan(nothing.rho)
    assert np.isnan(nothing.auc_stop)
    assert np.isnan(nothing.confounded_sign)


def test_scores_that_do_not_fit_are_refused() -> None:
    words, strength = CORPUS.words, CORPUS.strength
    with pytest.raises(InvalidInputError, match="not a word of the planted corpus"):
        recovery(("zzz", *words[1:]), strength, CORPUS)
    with pytest.raises(InvalidInputError, match="more than once"):
        recovery((words[1], *words[1:]), strength, CORPUS)
    with pytest.raises(InvalidInputError, match=r"shape \(700, 5\)"):
        recovery(words, strength[:, :5], CORPUS)
    with pytest.raises(InvalidInputError, match="counts have shape"):
        recovery(words, strength, CORPUS, np.ones(3))
    with pytest.raises(NonFiniteError, match="4200 scores are NaN"):
        recovery(words, strength * np.nan, CORPUS)
