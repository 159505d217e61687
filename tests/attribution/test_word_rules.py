"""Words by white space or by a rule of the user's."""

import re

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_attn_attr import AttributionExtractor, InvalidInputError, extract
from hf_attn_attr.encoding import encode

from .zoo import TEXTS, build, tokenizer

KINDS = ["wordpiece", "bytes", "unigram", "words"]
ALPHABET = "aé \u0301\u0300e\n\t日本かन\u093fمرحבא👍🏽\u200d👩️ﬁ½…İ\u00a0.,'-#▁Ġ\u202e"


def characters(text):
    """Each character a word, as somebody might cut a language without spaces."""
    return [(at, at + 1) for at, character in enumerate(text) if not character.isspace()]


def pairs(text):
    return [match.span() for match in re.finditer(r"\w{1,2}", text)]


@pytest.mark.parametrize("rule", ["whitespace", characters, pairs])
@given(
    text=st.text(st.one_of(st.sampled_from(ALPHABET), st.characters(codec="utf-8")), max_size=40)
)
@settings(max_examples=150)
def test_words_are_those_of_the_rule_or_unions_of_them(rule, text):
    ruled = [m.span() for m in re.finditer(r"\S+", text)] if rule == "whitespace" else rule(text)
    starts, ends = {start for start, _ in ruled}, {end for _, end in ruled}
    for kind in KINDS:
        (encoded,) = encode(tokenizer(kind), [text], 10**6, word_rule=rule)
        position = 0
        for start, end in encoded.spans:
            assert position <= start < end <= len(text)
            assert start in starts
            assert end in ends
            position = end
        assert set(encoded.owner) - {-1} == set(range(len(encoded.spans)))
        owned = [own for own in encoded.owner if own >= 0]
        assert owned == sorted(owned)


@pytest.mark.parametrize(
    ("kind", "rule", "text", "wanted"),
    [
        ("wordpiece", "pre_tokens", "love, truly!!!", ["love", ",", "truly", "!", "!", "!"]),
        ("wordpiece", "whitespace", "love, truly!!!", ["love,", "truly!!!"]),
        ("bytes", "whitespace", " love,\n truly!!!", ["love,", "truly!!!"]),
        ("unigram", "whitespace", "日本 film", ["日本", "film"]),
        ("bytes", characters, "本日", ["本", "日"]),
        ("wordpiece", pairs, "love", ["lo", "ve"]),
    ],
)
def test_words_of_a_rule(kind, rule, text, wanted):
    (encoded,) = encode(tokenizer(kind), [text], 100, word_rule=rule)
    found = [text[start:end] for start, end in encoded.spans]
    # Where one token covers two words of the rule they are one.
    assert "".join(found) == "".join(wanted)
    if rule != pairs:
        assert found == wanted


@pytest.mark.parametrize("method", ["input_x_gradient", "attention", "occlusion"])
def test_whole_words_sum_what_their_parts_had(method):
    model, words = build("bert"), tokenizer("wordpiece")
    dataset = Dataset.from_dict({"text": TEXTS})
    fine = extract(dataset, model, words, method=method)
    coarse = extract(dataset, model, words, method=method, word_rule="whitespace")
    for one, other in zip(fine, coarse, strict=True):
        assert other["words"] == one["text"].split()
        if method == "occlusion":  # of several words at once: no sum
            assert len(other["attribution"]) == 3 * len(other["words"])
            continue
        name = "attribution" if method == "input_x_gradient" else method
        parts = np.array(one[name]).reshape(len(one["words"]), -1)
        place = np.searchsorted(other["word_end"], one["word_start"], side="right")
        wanted = np.zeros((len(other["words"]), parts.shape[1]))
        np.add.at(wanted, place, parts)
        found = np.array(other[name]).reshape(wanted.shape)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_the_rule_is_part_of_provenance_and_so_of_the_cache():
    model, words = build("bert"), tokenizer("wordpiece")
    dataset = Dataset.from_dict({"text": TEXTS})
    prints = []
    for rule in ("pre_tokens", "whitespace", characters):
        extractor = AttributionExtractor(model, words, "attention", word_rule=rule)
        name = extractor.provenance["words"]
        assert name == rule if isinstance(rule, str) else name.endswith(".characters")
        columns = extract(dataset, model, words, method="attention", word_rule=rule)
        prints.append(columns._fingerprint)
    assert len(set(prints)) == 3


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("sentences", r"word_rule is 'sentences'; give one of \['pre_tokens', 'whitespace'\]"),
        (None, "word_rule is None"),
        (lambda _: [(0, 0)], r"gave \(0, 0\) after position 0 of a text of 4"),
        (lambda _: [(2, 3), (0, 1)], r"gave \(0, 1\) after position 3"),
        (lambda _: [(0, 99)], r"gave \(0, 99\)"),
        (lambda _: ["fine"], "gave 'fine'"),
    ],
)
def test_a_wrong_rule_is_named(rule, message):
    with pytest.raises(InvalidInputError, match=message):
        AttributionExtractor(
            build("bert"), tokenizer("wordpiece"), "attention", word_rule=rule
        ).table(["fine"])
