"""The sentences: balanced, distinct, and with words that recur enough to be counted."""

import re
from collections import Counter, defaultdict

import pytest
from datasets import Dataset

from hf_attn_attr.demo.sentences import EMOTIONS, SENTENCES_LICENCE, load_sentences


@pytest.fixture(scope="module")
def sentences() -> Dataset:
    return load_sentences()


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z']+", text.lower()))


def test_every_class_has_sixty_sentences(sentences: Dataset) -> None:
    assert sentences.features["label"].names == list(EMOTIONS)
    assert Counter(sentences["label"]) == dict.fromkeys(range(6), 60)
    assert SENTENCES_LICENCE == "CC0-1.0"


def test_any_stretch_of_six_has_every_class(sentences: Dataset) -> None:
    labels = sentences["label"]
    assert all(len(set(labels[i : i + 6])) == 6 for i in range(355))


def test_sentences_have_six_to_twenty_five_words_and_end_properly(sentences: Dataset) -> None:
    for text in sentences["text"]:
        assert 6 <= len(text.split()) <= 25, text
        assert text == text.strip()
        assert text[0].isupper(), text
        assert text[-1] in ".!?", text


def test_no_sentence_nearly_repeats_another(sentences: Dataset) -> None:
    bags = [words_of(text) for text in sentences["text"]]
    for i, one in enumerate(bags):
        for other in bags[:i]:
            assert len(one & other) / len(one | other) < 0.5


def test_every_class_has_words_of_its_own_in_three_or_more_sentences(sentences: Dataset) -> None:
    classes_of: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for row in sentences:
        for word in words_of(row["text"]):
            classes_of[word][row["label"]] += 1
    for label in range(6):
        own = [w for w, n in classes_of.items() if n[label] >= 3 and n[label] > 0.6 * n.total()]
        assert len(own) >= 6, EMOTIONS[label]
