"""Agreement and selection against scipy and counting, on real folds."""

import dataclasses
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from influence.test_folding import dataset_of
from influence.texts import LABELS, accumulated, random_rows
from scipy.stats import spearmanr

from hf_attn_attr.errors import IncompatibleError, InvalidInputError
from hf_attn_attr.evaluation.stability import (
    half_matrices,
    seed_agreement,
    selection_frequency,
    split_half_agreement,
)
from hf_attn_attr.influence import fold

VOCABULARY = [f"w{number:02}" for number in range(40)]


def matrices(n=3, **settings):
    rows = [random_rows(seed, 150, vocabulary=VOCABULARY) for seed in range(n)]
    return [accumulated(part, **settings).finalize() for part in rows]


def test_agreement_is_spearman_over_the_words_both_know():
    given_ = matrices()
    table = seed_agreement(given_, measures=["influence", "joint"], min_documents=12)
    assert len(table) == 3 * 2 * 3
    for row in table.itertuples():
        first, second = given_[row.first], given_[row.second]
        left, right = (
            {
                word: getattr(matrix, row.measure)[at, LABELS.index(row.label)]
                for at, word in enumerate(matrix.words)
                if matrix.document_count[at] >= 12
            }
            for matrix in (first, second)
        )
        both = sorted(set(left) & set(right))
        assert row.words == len(both) > 3
        expected = spearmanr([left[w] for w in both], [right[w] for w in both]).statistic
        assert row.spearman == pytest.approx(expected)
        alike = [np.sign(left[w]) == np.sign(right[w]) for w in both]
        assert row.same_sign == pytest.approx(np.mean(alike))
    pairs = list(zip(table["first"], table["second"], strict=True))
    assert sorted(set(pairs)) == list(combinations(range(3), 2))


def test_a_matrix_agrees_with_itself_and_not_with_its_opposite():
    (matrix,) = matrices(1)
    assert seed_agreement([matrix, matrix])["spearman"].tolist() == pytest.approx([1] * 12)
    opposite = dataclasses.replace(matrix, influence=-matrix.influence)
    table = seed_agreement([matrix, opposite], measures=["influence"])
    assert table["spearman"].tolist() == pytest.approx([-1] * 3)
    assert table["same_sign"].tolist() == [0] * 3


def test_what_is_undefined_has_no_agreement():
    (matrix,) = matrices(1)
    table = seed_agreement([matrix, matrix], measures=["log_odds"])
    assert table["words"].tolist() == [0] * 3
    assert table["spearman"].isna().all()
    assert table["same_sign"].isna().all()
    constant = dataclasses.replace(matrix, influence=np.ones_like(matrix.influence))
    assert seed_agreement([matrix, constant], measures=["influence"])["spearman"].isna().all()


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 3))
@settings(max_examples=15)
def test_halves_make_up_the_whole(seed, n_texts, splits):
    dataset = dataset_of(random_rows(seed, n_texts, vocabulary=VOCABULARY))
    whole = fold(dataset)
    halves = half_matrices(dataset, splits=splits, seed=seed)
    assert len(halves) == 2 * splits
    for first, second in zip(halves[::2], halves[1::2], strict=True):
        texts = [m.manifest["texts"] + m.manifest["empty_texts"] for m in (first, second)]
        assert sum(texts) == n_texts
        assert abs(texts[0] - texts[1]) <= 1
        counts = Counter()
        for matrix in (first, second):
            counts.update(dict(zip(matrix.words, matrix.count.tolist(), strict=True)))
        assert counts == dict(zip(whole.words, whole.count.tolist(), strict=True))


def test_split_halves_are_compared_pair_by_pair():
    dataset = dataset_of(random_rows(0, 300, vocabulary=VOCABULARY))
    table = split_half_agreement(dataset, splits=2, seed=3, measures=["influence"])
    halves = half_matrices(dataset, splits=2, seed=3)
    expected = [
        correlation
        for pair in (halves[:2], halves[2:])
        for correlation in seed_agreement(pair, measures=["influence"])["spearman"]
    ]
    assert table["spearman"].tolist() == expected
    assert table["first"].tolist() == [0] * 3 + [2] * 3
    other = split_half_agreement(dataset, splits=2, seed=4, measures=["influence"])
    assert other["spearman"].tolist() != table["spearman"].tolist()
    cased = half_matrices(dataset, splits=1, lowercase=False)
    assert cased[0].manifest["word_rule"]["lowercase"] is False


def test_selection_counts_the_lists_a_word_is_in():
    given_ = matrices(4)
    table = selection_frequency(given_, 5)
    for label in LABELS:
        lists = [matrix.top_words(label, 5)["word"].tolist() for matrix in given_]
        part = table[table["label"] == label]
        expected = Counter(word for words in lists for word in words)
        assert dict(zip(part["word"], part["frequency"] * 4, strict=True)) == expected
        assert part["frequency"].is_monotonic_decreasing
    assert table["label"].drop_duplicates().tolist() == list(LABELS)
    assert selection_frequency(given_[:1], 5)["frequency"].eq(1).all()


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InvalidInputError, match="pass 2 or more"):
        seed_agreement(matrices(1))
    with pytest.raises(InvalidInputError, match="pass 1 or more"):
        selection_frequency([])
    with pytest.raises(InvalidInputError, match="no measure 'magic'"):
        seed_agreement(matrices(2), measures=["magic"])
    with pytest.raises(InvalidInputError, match="no measure 'count'"):
        seed_agreement(matrices(2), measures=["count"])
    with pytest.raises(IncompatibleError, match="word_rule"):
        seed_agreement([*matrices(1), *matrices(1, lowercase=False)])
    two = accumulated(random_rows(0, 9, LABELS[:2]), labels=LABELS[:2]).finalize()
    with pytest.raises(IncompatibleError, match="labels"):
        selection_frequency([*matrices(1), two])
    with pytest.raises(InvalidInputError, match="cannot be halved"):
        split_half_agreement(dataset_of(random_rows(0, 1)))
    with pytest.raises(InvalidInputError, match="cannot be halved"):
        split_half_agreement(dataset_of(random_rows(0, 9)), splits=0)
