"""Columns of any classifier: batching, words, special tokens, options, folding."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, processors
from transformers import PreTrainedTokenizerFast

from hf_attn_attr import (
    AttributionExtractor,
    IncompatibleError,
    InvalidInputError,
    attention_matrix,
    extract,
    fold,
)
from hf_attn_attr.attribution import METHODS
from hf_attn_attr.classifier import evaluating
from hf_attn_attr.encoding import encode, longest_text
from hf_attn_attr.merging import merged
from hf_attn_attr.workflow import facts

from .zoo import ENCODERS, LABELS, TEXTS, TOKENIZER_OF, build, tokenizer

SIGNED = ["input_x_gradient", "integrated_gradients", "occlusion"]
FOR_ALL = [*SIGNED, "attention", "attention_rollout"]
FEW = {"integrated_gradients": {"steps": 5, "max_error": 1e9}}


def dataset(texts=TEXTS):
    return Dataset.from_dict({"text": list(texts)})


def numbers(row):
    return [
        np.array(row[name], float)
        for name in row
        if name.startswith(("attention", "attribution", "prob", "compl")) and row[name] is not None
    ]


@pytest.mark.parametrize("method", FOR_ALL)
@pytest.mark.parametrize("name", [*ENCODERS, "ours", "gpt2"])
def test_neither_batch_nor_padding_matters(name, method):
    if (name, method) in (("ours", "attention_rollout"), ("modernbert", "input_x_gradient")):
        return  # refused, as other tests show
    model, words = build(name), tokenizer(TOKENIZER_OF[name])
    texts = [*TEXTS, "", "   "]
    options = FEW.get(method)
    alone = extract(dataset(texts), model, words, method=method, options=options, batch_tokens=1)
    together = extract(dataset(texts[::-1]), model, words, method=method, options=options)
    for one, other in zip(alone, list(together)[::-1], strict=True):
        assert one["words"] == other["words"]
        for a, b in zip(numbers(one), numbers(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    for row in list(alone)[-2:]:
        assert row["words"] == []
        assert row["attention"] in ([], None)
        assert row["attribution"] in ([], None)


@pytest.mark.parametrize(
    ("method", "options"),
    [("integrated_gradients", {"steps": 20, "max_error": 1e9}), ("occlusion", {})],
)
def test_passes_hardly_read_padding(method, options):
    model, words = build("bert"), tokenizer("wordpiece")
    texts = [" ".join(["film"] * length) for length in range(1, 41)]
    extractor = AttributionExtractor(model, words, method, options=options, batch_tokens=1000)
    shapes, real = [], []

    def count(_module, _arguments, inputs):
        shapes.append(inputs["attention_mask"].shape)
        real.append(int(inputs["attention_mask"].sum()))

    model.register_forward_pre_hook(count, with_kwargs=True)
    extractor.table(texts)
    read = [rows * length for rows, length in shapes]
    assert max(read) <= 1000
    assert sum(read) < 1.1 * sum(real)
    # As many passes as their size allows, and a part-filled one for each of the batches.
    assert len(read) < 1.2 * sum(read) / 1000 + 5


@pytest.mark.parametrize("name", TOKENIZER_OF)
def test_integrated_gradients_are_complete_by_default(name):
    columns = extract(
        dataset(), build(name), tokenizer(TOKENIZER_OF[name]), method="integrated_gradients"
    )
    assert max(columns["completeness_error"]) <= 0.01
    assert np.array(columns["attribution_special"][:]).any() == False  # noqa: E712


@pytest.mark.parametrize("problem", ["multi_label_classification", "regression"])
@pytest.mark.parametrize("method", SIGNED)
def test_other_problems_have_terms_of_their_raw_logits(problem, method):
    model, words = build("distilbert", problem), tokenizer("wordpiece")
    columns = extract(dataset(), model, words, method=method)
    labels = 1 if problem == "regression" else 3
    for row in columns:
        assert len(row["attribution"]) == labels * len(row["words"])
        if problem == "regression":
            assert row["probabilities"] is None
        else:
            ids = torch.tensor([words(row["text"])["input_ids"]])
            np.testing.assert_allclose(
                row["probabilities"], model(ids).logits[0].sigmoid().tolist(), atol=1e-6
            )
    assert fold(columns, provenance={"method": method}).influence.shape[1] == labels


@pytest.mark.parametrize("method", FOR_ALL)
def test_a_text_of_special_tokens_alone(method):
    model, words = build("bert"), tokenizer("wordpiece")
    columns = extract(dataset(["[CLS] [SEP]", "[PAD]", "\n"]), model, words, method=method)
    # Where they stand in the text they are words of it, as a reader sees them.
    assert columns["words"][:] == [["[CLS]", "[SEP]"], ["[PAD]"], []]
    for row in columns:
        assert all(np.isfinite(values).all() for values in numbers(row))
        assert sum(row["attention"] or [1]) == pytest.approx(1, abs=1e-5)


def test_fused_attention_is_left_as_it_was():
    model, words = build("bert"), tokenizer("wordpiece")
    model.set_attn_implementation("sdpa")
    fused = extract(dataset(), model, words, method="attention_rollout")
    assert model.config._attn_implementation == "sdpa"
    model.set_attn_implementation("eager")
    plain = extract(dataset(), model, words, method="attention_rollout")
    for one, other in zip(fused, plain, strict=True):
        np.testing.assert_allclose(one["attention"], other["attention"], atol=1e-6)


def test_deleted_words_are_left_out_of_the_text():
    model, words = build("gpt2"), tokenizer("bytes")
    (row,) = extract(
        dataset(["fine mess"]), model, words, method="occlusion", options={"by": "delete"}
    )
    (encoded,) = encode(words, ["fine mess"], 128)
    with torch.no_grad():
        full = model(torch.tensor([encoded.ids])).logits[0]
        for word in range(2):
            kept = [i for i, own in zip(encoded.ids, encoded.owner, strict=True) if own != word]
            without = model(torch.tensor([kept])).logits[0]
            found = np.array(row["attribution"]).reshape(2, 3)[word]
            np.testing.assert_allclose(found, (full - without).numpy(), rtol=1e-5, atol=1e-6)


def test_a_causal_model_without_a_stand_in_for_words_says_what_to_do():
    model, words = build("gpt2"), tokenizer("bytes")
    bare = PreTrainedTokenizerFast(
        tokenizer_object=words.backend_tokenizer, pad_token="<pad>", model_max_length=128
    )
    with pytest.raises(IncompatibleError, match="by='delete'"):
        AttributionExtractor(model, bare, "occlusion").table(TEXTS)
    with pytest.raises(IncompatibleError, match="no mask token"):
        AttributionExtractor(
            model, bare, "integrated_gradients", options={"baseline": "mask"}
        ).table(TEXTS)
    model.config.pad_token_id = None
    none = PreTrainedTokenizerFast(tokenizer_object=words.backend_tokenizer)
    with pytest.raises(IncompatibleError, match=r"tokenizer\.pad_token = tokenizer\.eos_token"):
        AttributionExtractor(model, none, "occlusion")


def test_a_long_text_is_cut_counted_and_warned_of():
    model, words = build("roberta"), tokenizer("bytes")
    assert longest_text(model, words) == 128 - 1 - 1  # positions start behind the padding index
    long = "fine mess " * 1000
    with pytest.warns(UserWarning, match=r"1 of 2 texts \(50.0%\) are longer than 126 tokens"):
        columns = extract(dataset([long, "fine"]), model, words, method="input_x_gradient")
    read = columns[0]["word_end"][-1]
    assert columns["truncated"][:] == [len(long) - read, 0]
    words.truncation_side = "left"
    try:
        (encoded,) = encode(words, [long], 126)
        assert encoded.truncated == encoded.spans[0][0] - 1  # the space before it was read
    finally:
        words.truncation_side = "right"


def test_auto_is_exact_where_it_can_be():
    assert AttributionExtractor(build("ours"), tokenizer("words"), "auto").method == "contribution"
    mlp = build("ours", head_hidden_size=4)
    assert AttributionExtractor(mlp, tokenizer("words"), "auto").method == "occlusion"
    extractor = AttributionExtractor(build("bert"), tokenizer("wordpiece"), "auto")
    assert extractor.method == "occlusion"
    assert set(METHODS) >= {*FOR_ALL, "contribution"}


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("occlusion", {"options": {"steps": 3}}, r"no option 'steps'; its options are \['by'\]"),
        ("occlusion", {"options": {"by": "magic"}}, r"choose one of \['mask', 'delete'\]"),
        ("integrated_gradients", {"options": {"steps": 0}}, "whole number of at least 1"),
        ("integrated_gradients", {"options": {"max_error": -1}}, "a number above 0"),
        ("input_x_gradient", {"classes": ["hate"]}, r"some of the labels \['anger'"),
        ("input_x_gradient", {"classes": []}, r"some of the labels \['anger'"),
        ("occlusion", {"classes": ["joy"]}, "attributes all classes at once"),
    ],
)
def test_a_wrong_option_is_named(method, given, message):
    with pytest.raises(InvalidInputError, match=message):
        AttributionExtractor(build("bert"), tokenizer("wordpiece"), method, **given)


def test_options_are_part_of_provenance_and_so_of_the_cache():
    model, words = build("bert"), tokenizer("wordpiece")

    def provenance(options=None):
        extractor = AttributionExtractor(model, words, "integrated_gradients", options=options)
        return extractor.provenance

    default = provenance()
    assert default["options"] == {"steps": 50, "baseline": "pad", "max_error": 0.01}
    assert default == provenance({"steps": 50})
    extracted = [
        extract(dataset(), model, words, method="integrated_gradients", options={"steps": steps})
        for steps in (3, 4, 3)
    ]
    prints = [columns._fingerprint for columns in extracted]
    assert prints[0] == prints[2] != prints[1]


@pytest.mark.parametrize("method", ["input_x_gradient", "integrated_gradients"])
@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification"])
def test_some_classes_fold_to_the_same_influence_on_them(problem, method):
    model, words = build("bert", problem), tokenizer("wordpiece")
    texts = TEXTS * 3
    every = extract(dataset(texts), model, words, method=method)
    full = fold(every, provenance=AttributionExtractor(model, words, method).provenance)
    some = extract(dataset(texts), model, words, method=method, classes=["love", "anger"])
    assert len(some[0]["attribution"]) == 2 * len(some[0]["words"])
    extractor = AttributionExtractor(model, words, method, classes=["love", "anger"])
    found = fold(some, provenance=extractor.provenance)
    assert found.labels == tuple(LABELS.values())
    assert found.manifest["classes"] == ["anger", "love"]
    np.testing.assert_allclose(found.influence[:, [0, 2]], full.influence[:, [0, 2]], atol=1e-6)
    assert np.isnan(found.influence[:, 1]).all()
    assert len(found.top_words("love", 3, min_documents=1))
    with pytest.raises(InvalidInputError, match=r"for the labels \['anger', 'love'\] only"):
        found.top_words("joy", 3)


def test_a_method_without_attention_folds_to_influence_alone():
    model, words = build("bert"), tokenizer("wordpiece")
    columns = extract(dataset([*TEXTS, ""]), model, words, method="occlusion")
    matrix = fold(columns, provenance=AttributionExtractor(model, words, "occlusion").provenance)
    assert matrix.manifest["method"] == "occlusion"
    assert matrix.manifest["provenance"]["options"] == {"by": "mask"}
    assert np.isfinite(matrix.mean).all()
    assert np.isnan(matrix.joint).all()
    with pytest.raises(InvalidInputError, match="without attention"):
        attention_matrix(columns)


KINDS = ["wordpiece", "bytes", "unigram", "words"]
ALPHABET = "aé \u0301\u0300e\n\t日本かन\u093fمرحבא👍🏽\u200d👩️ﬁ½…İ\u00a0.,'-#▁Ġ\u202e"


@given(st.text(st.one_of(st.sampled_from(ALPHABET), st.characters(codec="utf-8")), max_size=40))
@settings(max_examples=300)
def test_words_are_bare_slices_in_order_that_cover_the_text(text):
    for kind in KINDS:
        (encoded,) = encode(tokenizer(kind), [text], 10**6)
        position = 0
        for start, end in encoded.spans:
            assert position <= start < end <= len(text)
            position = end
            word = text[start:end]
            assert word == word.strip() or word.strip("\x1c\x1d\x1e\x1f") != word
        assert len(encoded.owner) == len(encoded.ids)
        assert set(encoded.owner) - {-1} == set(range(len(encoded.spans)))
        owned = [own for own in encoded.owner if own >= 0]
        assert owned == sorted(owned)


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("bytes", " love  this\n film ", ["love", "this", "film"]),
        ("unigram", " love  this\n film ", ["love", "this", "film"]),
        ("wordpiece", "unbelievably [CLS] dull", ["unbelievably", "[CLS]", "dull"]),
        ("bytes", "cafe\u0301 <mask>", ["cafe\u0301", "<mask>"]),
        ("unigram", "½ and…", ["½", "and…"]),
    ],
)
def test_words_of_each_kind_of_tokenizer(kind, text, wanted):
    (encoded,) = encode(tokenizer(kind), [text], 100)
    assert [text[start:end] for start, end in encoded.spans] == wanted


def test_a_tokenizer_that_cuts_no_words_is_cut_at_white_space():
    vocabulary = [("<unk>", 0.0), ("▁love", -1.0), ("▁this", -1.0), ("▁f", -2.0), ("ilm", -2.0)]
    backend = Tokenizer(models.Unigram(vocabulary, unk_id=0))
    from tokenizers import normalizers

    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    words = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    (encoded,) = encode(words, ["love this film"], 100)
    assert [("love this film")[a:b] for a, b in encoded.spans] == ["love", "this", "film"]
    assert encoded.owner == [0, 1, 2, 2]


_MODELS = {name: build(name) for name in ("bert", "roberta", "deberta", "ours")}


@given(
    texts=st.lists(st.text(ALPHABET, max_size=25), min_size=1, max_size=4),
    name=st.sampled_from(sorted(_MODELS)),
    method=st.sampled_from(["input_x_gradient", "occlusion", "attention"]),
)
@settings(max_examples=60)
def test_words_and_special_tokens_together_are_all_tokens(texts, name, method):
    model, words = _MODELS[name], tokenizer(TOKENIZER_OF[name])
    extractor = AttributionExtractor(model, words, method)
    encoded = encode(words, texts, extractor.max_length)
    batch = extractor._batch(encoded)
    with evaluating(model):
        tokens = extractor.attribute(model, batch)
    rows = merged(tokens, batch, encoded)
    ends = np.cumsum(rows.words)
    for index, (end, size) in enumerate(zip(ends, rows.words, strict=True)):
        if method == "attention":
            share = rows.attention_special[index]
            in_words = rows.attention[end - size : end].sum()
            assert in_words == pytest.approx(1 if size else 0, abs=1e-5)
            own = tokens.attention[index][batch.owner[index] < 0].sum().item()
            assert share == pytest.approx(own, abs=1e-6)
        else:
            total = rows.attribution[end - size : end].sum(0) + rows.attribution_special[index]
            wanted = tokens.attribution[index].sum(0).numpy()
            np.testing.assert_allclose(total, wanted, rtol=1e-4, atol=1e-5)


def test_facts_name_method_options_and_classes():
    from dataclasses import replace

    from hf_attn_attr.data import load_labelled
    from hf_attn_attr.demo.sentences import load_sentences

    model, words = build("bert"), tokenizer("wordpiece")
    texts = replace(load_labelled(load_sentences()), source="sentences")
    found = facts(AttributionExtractor(model, words, "auto"), texts, "other")
    assert (found["method"], found["options"]) == ("occlusion", {"by": "mask"})
    extractor = AttributionExtractor(model, words, "input_x_gradient", classes=["joy"])
    some = facts(extractor, texts, "other")
    assert some["classes"] == ["joy"]


@pytest.mark.parametrize("method", FOR_ALL)
def test_map_gives_the_columns_of_extract(method):
    model, words = build("bert"), tokenizer("wordpiece")
    options = FEW.get(method)
    extractor = AttributionExtractor(model, words, method, options=options)
    mapped = dataset([*TEXTS, ""]).map(extractor, batched=True, batch_size=2)
    fast = extract(dataset([*TEXTS, ""]), model, words, method=method, options=options)
    assert mapped.column_names == fast.column_names
    for one, other in zip(mapped, fast, strict=True):
        assert one["words"] == other["words"]
        for a, b in zip(numbers(one), numbers(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_half_precision_is_summed_in_single():
    model = build("bert").to(torch.bfloat16)
    for method in FOR_ALL:
        columns = extract(dataset(), model, tokenizer("wordpiece"), method=method)
        assert all(np.isfinite(values).all() for row in columns for values in numbers(row))


@pytest.mark.parametrize("name", [*ENCODERS, "gpt2"])
def test_texts_without_a_token_are_answered_alone_as_beside_others(name):
    """As of tokenizers that put no special tokens around a text."""
    words = tokenizer(TOKENIZER_OF[name])
    backend = Tokenizer.from_str(words.backend_tokenizer.to_str())
    backend.post_processor = processors.Sequence([])
    bare = PreTrainedTokenizerFast(tokenizer_object=backend, **words.special_tokens_map)
    assert bare("")["input_ids"] == []
    for method in FOR_ALL:
        if (name, method) == ("modernbert", "input_x_gradient"):
            continue
        options = {"options": FEW.get(method)}
        (alone,) = extract(dataset([""]), build(name), bare, method=method, **options)
        beside, _ = extract(dataset(["", "fine film"]), build(name), bare, method=method, **options)
        assert alone["words"] == beside["words"] == []
        for found, wanted in zip(numbers(alone), numbers(beside), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["bert", "ours"])
def test_a_token_that_the_model_does_not_know_is_named(name):
    words = tokenizer(TOKENIZER_OF[name])
    model = build(name)
    rows = model.get_input_embeddings().num_embeddings
    bigger = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(words.backend_tokenizer.to_str()),
        **words.special_tokens_map,
    )
    bigger.add_tokens(["zyzzyva"])
    told = f"token id {rows}, but the model has embeddings for {rows} tokens only"
    with pytest.raises(IncompatibleError, match=told):
        extract(dataset(["fine film", "zyzzyva"]), model, bigger, method="auto")
    assert len(extract(dataset(["fine film"]), model, bigger, method="auto")) == 1


def test_a_tokenizer_without_a_limit_is_no_obstacle():
    words = tokenizer("wordpiece")
    words.model_max_length = int(1e30)
    model = build("bert")
    model.config.max_position_embeddings = -1  # how some configs say it
    assert encode(words, ["a fine film"], longest_text(model, words))[0].truncated == 0


def test_columns_without_attributions_say_attention_even_without_provenance():
    columns = extract(dataset(), build("bert"), tokenizer("wordpiece"), method="attention")
    assert fold(columns).manifest["method"] == "attention"
