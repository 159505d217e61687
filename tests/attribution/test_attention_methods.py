"""Attention and rollout against the models' own matrices, worked out by hand."""

import numpy as np
import pytest
import torch
from datasets import Dataset

from hf_attn_attr import AttributionExtractor, IncompatibleError, extract
from hf_attn_attr.encoding import encode

from .zoo import ENCODERS, TEXTS, TOKENIZER_OF, build, tokenizer

MODELS = [*ENCODERS, "gpt2"]


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return request.param, build(request.param), tokenizer(TOKENIZER_OF[request.param])


def matrices(model, ids):
    """The layers' attention of one text, mean over heads, (layers, T, T)."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    with torch.no_grad():
        layers = model(input_ids=torch.tensor([ids]), output_attentions=True).attentions
    model.set_attn_implementation(before)
    return np.stack([layer[0].mean(0).numpy() for layer in layers])


def rolled_out(layers):
    """Abnar & Zuidema 2020, written as the loops of the paper."""
    result = np.eye(layers.shape[1])
    for layer in layers:
        mixed = np.zeros_like(layer)
        for i in range(len(layer)):
            for j in range(len(layer)):
                mixed[i, j] = 0.5 * layer[i, j] + 0.5 * (i == j)
            mixed[i] /= mixed[i].sum()
        result = mixed @ result
    return result


@pytest.mark.parametrize("method", ["attention", "attention_rollout"])
def test_words_get_their_share_of_what_the_classification_token_reads(model, method):
    name, model, words = model
    before = model.config._attn_implementation
    columns = extract(Dataset.from_dict({"text": TEXTS}), model, words, method=method)
    assert model.config._attn_implementation == before
    for text, row in zip(TEXTS, columns, strict=True):
        (encoded,) = encode(words, [text], 128)
        layers = matrices(model, encoded.ids)
        full = layers[-1] if method == "attention" else rolled_out(layers)
        weights = full[-1 if name == "gpt2" else 0]
        owner = np.array(encoded.owner)
        special = weights[owner < 0].sum()
        wanted = [weights[owner == word].sum() for word in range(len(encoded.spans))]
        assert row["attention_special"] == pytest.approx(special, abs=1e-6)
        np.testing.assert_allclose(row["attention"], np.array(wanted) / (1 - special), atol=1e-6)
        assert sum(row["attention"]) == pytest.approx(1, abs=1e-5)
        assert row["attribution"] is None


def test_a_head_that_averages_all_tokens_reads_all_of_them():
    model, words = build("modernbert", classifier_pooling="mean"), tokenizer("bytes")
    (row,) = extract(Dataset.from_dict({"text": TEXTS[:1]}), model, words, method="attention")
    (encoded,) = encode(words, TEXTS[:1], 128)
    weights = matrices(model, encoded.ids)[-1].mean(0)
    special = weights[np.array(encoded.owner) < 0].sum()
    assert row["attention_special"] == pytest.approx(special, abs=1e-6)


def test_what_has_no_attention_matrices_is_named(monkeypatch):
    model, words = build("bert"), tokenizer("wordpiece")
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda **given: _without_attentions(forward(**given)))
    with pytest.raises(IncompatibleError, match="'bert' model returned attentions of shapes"):
        AttributionExtractor(model, words, "attention").table(TEXTS)


def _without_attentions(output):
    output.attentions = None
    return output


def test_one_layer_of_attention_is_not_rolled_out():
    extractor = AttributionExtractor(build("ours"), tokenizer("words"), "attention_rollout")
    with pytest.raises(IncompatibleError, match="one layer of attention"):
        extractor.table(TEXTS)
