"""Only the beginning of a very long text is read, and its tokens are those of the whole text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hf_attn_attr import InvalidInputError, encoding
from hf_attn_attr.encoding import encode

from .zoo import TEXTS, tokenizer

KINDS = ["wordpiece", "bytes", "unigram", "words"]
PIECES = [*TEXTS, "a" * 24, "a-", "  ", "\n", "e\u0301\u0301", "👩\u200d👩", "日本", "…ﬁ"]


@pytest.mark.parametrize("kind", KINDS)
@given(
    texts=st.lists(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), max_size=4),
    max_length=st.integers(3, 12),
    read=st.integers(1, 12),
)
@settings(max_examples=100)
def test_the_beginning_is_tokenized_as_the_whole_is(kind, texts, max_length, read):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "_READ", 10**6)
        whole = encode(tokenizer(kind), texts, max_length)
        patch.setattr(encoding, "_READ", read)
        assert encode(tokenizer(kind), texts, max_length) == whole


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "reads"),
    [("good film " * 2000, 1), ("!" * 20_000, 2), ("x" * 20_000, 2), (" " * 20_000, 2)],
)
def test_no_more_is_read_than_suffices(kind, text, reads, monkeypatch):
    words = tokenizer(kind)
    read = []

    def counted(texts, **options):
        read.append(len(texts[0]))
        return words(texts, **options)

    counted.truncation_side = "right"
    found = encoding._cut(counted, [text], 0, 16)
    assert read[0] == 16 * encoding._READ
    assert read[1:] == [len(text)] * (len(read) - 1)
    assert found[0].ids == words(text, truncation=True, max_length=16)["input_ids"]
    if kind == "wordpiece":  # of others it depends on the vocabulary
        assert len(read) == reads


def test_a_text_cut_on_the_left_is_read_whole():
    words = tokenizer("words")
    words.truncation_side = "left"
    text = "good " * 20_000 + "film"
    try:
        (found,) = encode(words, [text], 4)
        assert found.ids == words(text, truncation=True, max_length=4)["input_ids"]
    finally:
        words.truncation_side = "right"
    assert text[slice(*found.spans[-1])] == "film"
    assert found.truncated > 99_000


def test_numbers_that_are_cut_from_the_right_are_read_whole():
    """As tokenizers of some language models cut them; each group of three counts as a word."""
    words = tokenizer("bytes")
    backend = Tokenizer.from_str(words.backend_tokenizer.to_str())
    groups = pre_tokenizers.Split(Regex(r"\d{1,3}(?=(?:\d{3})*(?!\d))"), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [groups, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, **words.special_tokens_map)
    for text in ("1" * 5000, "pi is " + "3141592653" * 500, "fine film " * 999 + "1" * 5000):
        (found,) = encode(fast, [text], 16)
        assert found.ids == fast(text, truncation=True, max_length=16)["input_ids"]


def test_what_cannot_be_read_is_refused_wherever_it_stands():
    for text in ("fine film " * 4000 + "\ud800", "\ud800 fine film"):
        with pytest.raises(InvalidInputError, match="row 1 cannot be tokenized"):
            encode(tokenizer("words"), ["fine", text], 16)
