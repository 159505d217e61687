"""Words are slices of the text, and unknown words lose as little as possible."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from hf_attn_attr import InvalidInputError, train_tokenizer
from hf_attn_attr.encoding import encode
from hf_attn_attr.models.words import word_spans
from hf_attn_attr.tokenization import canonical_tokenizer_json, save_tokenizer, words_of

TEXTS = [
    "I love this film, I really love it!",
    "I hate this film; it's hateful and I don't love it.",
    "the the film and and it it's don't don't",
] * 2


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS)


def words(tokenizer, text):
    (encoded,) = encode(tokenizer, [text], 512)
    return [text[start:end] for start, end in encoded.spans]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("I don't like well-acted films.", ["I", "don't", "like", "well-acted", "films", "."]),
        ("does n't , he 's !!!", ["does", "n't", ",", "he", "'s", "!!!"]),
        ("wow... great??", ["wow", "...", "great", "??"]),
        ("#tag @user <b> $5", ["#", "tag", "@", "user", "<", "b", ">", "$", "5"]),
        ("naïve İstanbul", ["naïve", "İstanbul"]),
        ("cafe\u0301 x", ["cafe\u0301", "x"]),
        ("ok 👨‍👩‍👧 👍🏽 ❤️", ["ok", "👨‍👩‍👧", "👍🏽", "❤️"]),
        ("日本語 is かな", ["日", "本", "語", "is", "か", "な"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("", []),
        (" \t\n\u00a0", []),
    ],
)
def test_words_of_a_text(tokenizer, text, wanted):
    assert words(tokenizer, text) == wanted


@given(st.text(max_size=60), st.sampled_from(["unk", "pieces"]))
@settings(max_examples=400)
def test_every_word_is_a_slice_and_all_but_space_is_in_one(text, unknown):
    text = text.encode("utf-8", "ignore").decode()
    (encoded,) = encode(_TOKENIZERS[unknown], [text], 10_000)
    position = 0
    for start, end in encoded.spans:
        assert position <= start < end <= len(text)
        assert not text[position:start].strip()
        position = end
    assert not text[position:].strip()
    assert len(encoded.ids) == len(encoded.owner)
    assert sorted(set(encoded.owner)) == list(range(len(encoded.spans)))


_TOKENIZERS = {rule: train_tokenizer(TEXTS, unknown=rule) for rule in ("unk", "pieces")}


@pytest.mark.parametrize("text", ["[PAD]", "[UNK]", "a [PAD] b"])
def test_typed_special_tokens_are_text(tokenizer, text, tmp_path):
    save_tokenizer(tokenizer, str(tmp_path))
    for one in (tokenizer, AutoTokenizer.from_pretrained(tmp_path)):
        ids = one(text)["input_ids"]
        assert one.pad_token_id not in ids
        spans, _ = word_spans(text, one(text).word_ids(), one(text).encodings[0].offsets)
        assert "[" in [text[a:b] for a, b in spans]
        assert "[PAD]" not in [text[a:b] for a, b in spans]


def test_an_unknown_word_is_unknown_or_spelled_with_its_longest_known_prefix(tokenizer):
    spelled = train_tokenizer(TEXTS, unknown="pieces")
    tokens = spelled.convert_ids_to_tokens(spelled("filmic")["input_ids"])
    assert tokens[0] == "film"
    assert all(token.startswith("##") for token in tokens[1:])
    for one in (spelled, tokenizer):
        assert words(one, "filmic") == ["filmic"]
    assert tokenizer("filmic")["input_ids"] == [tokenizer.unk_token_id]


def test_rare_words_are_not_kept_whole():
    vocabulary = train_tokenizer(["often often once"]).get_vocab()
    assert set(vocabulary) == {"[PAD]", "[UNK]", "often"}
    assert vocabulary["[PAD]"] == 0


def test_case_and_normal_form_are_folded_only_when_asked(tokenizer):
    assert tokenizer("LOVE")["input_ids"] == tokenizer("love")["input_ids"]
    cased = train_tokenizer(["Love love Love love"], lowercase=False)
    assert cased("Love")["input_ids"] != cased("love")["input_ids"]
    accents = train_tokenizer(["caf\u00e9 caf\u00e9"])
    assert accents("cafe\u0301")["input_ids"] == accents("caf\u00e9")["input_ids"]


def test_training_twice_gives_the_same_tokenizer(tokenizer):
    assert canonical_tokenizer_json(train_tokenizer(TEXTS)) == canonical_tokenizer_json(tokenizer)


def test_saved_files_do_not_depend_on_earlier_calls(tokenizer, tmp_path):
    save_tokenizer(tokenizer, str(tmp_path / "a"))
    tokenizer(["a", "b c d"], padding=True, truncation=True, max_length=2)
    canonical = canonical_tokenizer_json(tokenizer)
    save_tokenizer(tokenizer, str(tmp_path / "b"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    again = AutoTokenizer.from_pretrained(tmp_path / "b")
    assert canonical_tokenizer_json(again) == canonical
    assert again("I love it")["input_ids"] == tokenizer("I love it")["input_ids"]


def test_a_word_too_long_to_spell_is_one_unknown_token():
    spelled = train_tokenizer(TEXTS, unknown="pieces")
    assert spelled("x" * 1000)["input_ids"] == [spelled.unk_token_id]


def test_texts_without_a_word_cannot_train_a_tokenizer():
    with pytest.raises(InvalidInputError, match="hold no word"):
        train_tokenizer(["", "   "])


def test_words_of_agrees_with_the_trained_tokenizer(tokenizer):
    for text in TEXTS:
        assert words_of(text) == [word.lower() for word in words(tokenizer, text)]


def test_more_words_come_after_those_of_the_texts_and_are_single_words():
    tokenizer = train_tokenizer(
        ["a good good film", "a film"], min_count=2, more_texts=["A lovely film!"],
        more_words=["Splendid", "two words", "good", "", "[PAD]"],
    )  # fmt: skip
    vocabulary = tokenizer.get_vocab()
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    assert words[:2] == ["[PAD]", "[UNK]"]
    assert set(words[2:5]) == {"a", "good", "film"}
    assert set(words[5:]) == {"!", "lovely", "splendid"}
    assert tokenizer("Splendid film")["input_ids"] == [vocabulary["splendid"], vocabulary["film"]]
