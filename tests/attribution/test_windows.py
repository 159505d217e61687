"""Texts longer than a model reads, read whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_attn_attr import AttributionExtractor, InvalidInputError, extract, fold
from hf_attn_attr.cost import estimated_cost
from hf_attn_attr.encoding import encode
from hf_attn_attr.windows import windows

from .zoo import TOKENIZER_OF, build, tokenizer

LONG = (
    "I love this wonderful film, truly. What a dreadful mess!!! unbelievably dull 日本 cafe\u0301 "
)


def short_model(name, tokens=24):
    """A model and a tokenizer that cuts at so many tokens."""
    words = tokenizer(TOKENIZER_OF[name])
    model = build(name)
    model.config.max_position_embeddings = tokens + (2 if name == "roberta" else 0)
    if name == "ours":
        model.config.max_length = tokens
    return model, words


@given(
    text=st.lists(
        st.sampled_from(["love", "unbelievably", "  ", "日本", "film,", "[CLS]", "👍🏽", "\n"]),
        min_size=1,
        max_size=60,
    ).map(" ".join),
    kind=st.sampled_from(["wordpiece", "bytes", "unigram"]),
    room=st.integers(1, 12),
    data=st.data(),
)
@settings(max_examples=200)
def test_windows_cover_the_text_and_fit(text, kind, room, data):
    overlap = data.draw(st.integers(0, room - 1))
    words = tokenizer(kind)
    (found,) = encode(words, [text], 0, cut=False)
    last = len(found.ids) - 1
    assert found.edges == ((1, 1) if last > 1 else (2, 0))
    whole = replace(found, ids=list(range(last + 1)))  # so that a slice tells where it is from
    parts = windows(whole, room + 2, overlap)
    if len(whole.ids) <= room + 2:
        assert parts == [whole]
        return
    end = 1
    for part in parts:
        body = part.ids[1:-1]
        assert part.ids == [0, *range(body[0], body[-1] + 1), last]
        assert len(body) <= room
        assert body[0] <= end < body[-1] + 1
        end = body[-1] + 1
        owner = [own + part.first_word if own >= 0 else own for own in part.owner]
        assert owner == [whole.owner[token] for token in part.ids]
        assert set(part.owner) - {-1} == set(range(len(part.spans)))
        assert part.spans == whole.spans[part.first_word :][: len(part.spans)]
    assert end == last


def test_windows_begin_and_end_between_words_where_they_can():
    (whole,) = encode(tokenizer("wordpiece"), ["unbelievably dreadful " * 10], 0, cut=False)
    pieces = whole.owner.count(0)
    assert pieces > 2
    for part in windows(whole, 2 * pieces + 6, 4):
        for word in range(len(part.spans)):
            assert part.owner.count(word) == whole.owner.count(word + part.first_word)


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta", "ours", "gpt2"])
@pytest.mark.parametrize("method", ["occlusion", "integrated_gradients", "input_x_gradient"])
def test_terms_are_the_mean_over_windows(name, method):
    model, words = short_model(name)
    texts = [LONG * 2, "fine", "", LONG]
    extractor = AttributionExtractor(model, words, method, window_overlap=6)
    rows = extractor.table(texts).to_pylist()
    encoded = encode(words, texts, 0, cut=False)
    for text, row, whole in zip(texts, rows, encoded, strict=True):
        assert row["words"] == [text[a:b] for a, b in whole.spans]
        assert row["truncated"] == 0
        parts = windows(whole, extractor.max_length, 6)
        wanted = np.zeros((len(whole.spans), 3))
        logits = np.zeros(3)
        for part in parts:
            batch = extractor._batch([part])
            with torch.no_grad():
                tokens = extractor.attribute(model, batch)
            logits += tokens.logits[0].numpy() / len(parts)
            for token, own in enumerate(part.owner):
                if own >= 0:
                    wanted[own + part.first_word] += tokens.attribution[0, token].numpy() / len(
                        parts
                    )
        found = np.array(row["attribution"]).reshape(-1, 3)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
        shares = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(row["probabilities"], shares, atol=1e-6)


def test_contributions_of_windows_sum_to_the_logits_of_the_text():
    model, words = short_model("ours")
    texts = [LONG * 3, "fine", LONG]
    table = extract(Dataset.from_dict({"text": texts}), model, words, window_overlap=5)
    base = None
    for row in table:
        total = np.array(row["attribution"]).reshape(-1, 3).sum(0)
        # Softmax forgets a shift of all logits.
        logits = np.log(row["probabilities"])
        shift = logits - total
        if base is None:
            base = shift
        np.testing.assert_allclose(shift - shift.mean(), base - base.mean(), atol=1e-5)
        assert sum(row["attention"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("method", ["attention", "attention_rollout"])
def test_attention_over_windows_sums_to_one(method):
    model, words = short_model("bert")
    dataset = Dataset.from_dict({"text": [LONG * 3, " ", "fine"]})
    rows = list(extract(dataset, model, words, method=method, window_overlap=0))
    assert sum(rows[0]["attention"]) == pytest.approx(1, abs=1e-5)
    assert 0 < rows[0]["attention_special"] < 1
    assert rows[1]["attention"] == []


@pytest.mark.parametrize("method", ["integrated_gradients", "input_x_gradient"])
@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification"])
def test_the_predicted_class_alone(method, problem):
    model, words = build("bert", problem), tokenizer("wordpiece")
    model.config.max_position_embeddings = 24
    dataset = Dataset.from_dict({"text": [LONG * 2, "fine", "", "What a mess"]})
    given = {"method": method, "window_overlap": 3}
    every = extract(dataset, model, words, **given)
    alone = extract(dataset, model, words, classes="predicted", **given)
    chosen = set()
    for full, row in zip(every, alone, strict=True):
        terms = np.array(full["attribution"]).reshape(-1, 3)
        if problem == "single_label_classification":
            terms = terms - terms.mean(1, keepdims=True)
        best = int(np.argmax(full["probabilities"]))
        assert row["attributed_class"] == best
        chosen.add(best)
        np.testing.assert_allclose(row["attribution"], terms[:, best], rtol=1e-4, atol=1e-6)
    assert len(chosen) > 1
    with pytest.raises(InvalidInputError, match="predicted class alone"):
        fold(alone)


def test_a_document_of_two_thousand_words_and_a_model_of_64_tokens():
    model, words = short_model("bert", 64)
    text = LONG * 150
    assert len(text.split()) >= 2000
    dataset = Dataset.from_dict({"text": [text]})
    with pytest.warns(UserWarning, match="Give window_overlap to read them"):
        (cut,) = extract(dataset, model, words, method="input_x_gradient")
    assert cut["truncated"] > 0.9 * len(text)
    (whole,) = extract(dataset, model, words, method="input_x_gradient", window_overlap=16)
    assert whole["words"][: len(cut["words"]) - 1] == cut["words"][:-1]
    assert [text[a:b] for a, b in zip(whole["word_start"], whole["word_end"], strict=True)] == (
        whole["words"]
    )
    assert "".join(whole["words"]) == "".join(text.split())
    extractor = AttributionExtractor(model, words, "occlusion", window_overlap=16)
    assert estimated_cost(extractor, [text]).forward_passes > 2000


@pytest.mark.parametrize("overlap", [-1, 22, 1.5, True, "8"])
def test_an_overlap_that_cannot_be_is_named(overlap):
    model, words = short_model("bert")
    with pytest.raises(InvalidInputError, match="reads 22 tokens beside the special ones"):
        AttributionExtractor(model, words, "occlusion", window_overlap=overlap)


def test_windows_are_part_of_provenance_and_so_of_the_cache():
    model, words = short_model("bert")
    extractor = AttributionExtractor(model, words, "occlusion", window_overlap=4)
    assert extractor.provenance["window"] == {"tokens": 24, "overlap": 4}
    assert "window" not in AttributionExtractor(model, words, "occlusion").provenance
