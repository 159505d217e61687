"""Architectures with ways of their own: what works is exact, what does not says so."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    BartConfig,
    BartForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    LongformerConfig,
    LongformerForSequenceClassification,
    XLNetConfig,
    XLNetForSequenceClassification,
)

from hf_attn_attr import AttributionExtractor, IncompatibleError, extract

from .zoo import TEXTS, build, tokenizer

WIDE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "num_labels": 3,
}
NAMES = ["electra", "albert", "longformer", "llama", "bart"]


def make(name):
    kind = "wordpiece" if name in ("electra", "albert") else "bytes"
    words = tokenizer(kind)
    common = {"vocab_size": len(words), "pad_token_id": words.pad_token_id}
    special = {"bos_token_id": 0, "eos_token_id": 2}
    torch.manual_seed(0)
    if name == "electra":
        model = ElectraForSequenceClassification(ElectraConfig(**common, **WIDE, embedding_size=8))
    elif name == "albert":
        model = AlbertForSequenceClassification(AlbertConfig(**common, **WIDE, embedding_size=8))
    elif name == "longformer":
        model = LongformerForSequenceClassification(
            LongformerConfig(**common, **special, **WIDE, sep_token_id=2, attention_window=8)
        )
    elif name == "llama":
        model = LlamaForSequenceClassification(
            LlamaConfig(**common, **special, **WIDE, num_key_value_heads=2)
        )
    elif name == "bart":
        sides = {
            f"{side}_{what}": value
            for side in ("encoder", "decoder")
            for what, value in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 16))
        }
        model = BartForSequenceClassification(
            BartConfig(
                **common, **special, **sides, d_model=16, num_labels=3,
                max_position_embeddings=64, decoder_start_token_id=2,
            )
        )  # fmt: skip
    else:
        model = XLNetForSequenceClassification(
            XLNetConfig(**common, **special, d_model=16, n_layer=1, n_head=2, d_inner=16)
        )
    return model.double().eval(), words


@pytest.mark.parametrize("name", NAMES)
def test_batches_do_not_matter_and_integrated_gradients_are_complete(name):
    model, words = make(name)
    dataset = Dataset.from_dict({"text": TEXTS})
    for method in ("occlusion", "integrated_gradients"):
        if name == "bart" and method == "integrated_gradients":
            continue
        together = extract(dataset, model, words, method=method)
        alone = extract(dataset, model, words, method=method, batch_tokens=1)
        for one, other in zip(together, alone, strict=True):
            # Longformer chunks by the length of the batch, in other orders of addition.
            np.testing.assert_allclose(one["attribution"], other["attribution"], atol=1e-6)
    if name != "bart":
        assert max(together["completeness_error"]) <= 0.01


@pytest.mark.parametrize("method", ["input_x_gradient", "integrated_gradients"])
def test_embeddings_out_of_reach_are_named(method):
    model, words = make("bart")
    with pytest.raises(IncompatibleError, match=r"0 times, wanted once.*'occlusion'"):
        AttributionExtractor(model, words, method).table(TEXTS)


@pytest.mark.parametrize("method", ["attention", "attention_rollout"])
@pytest.mark.parametrize("name", ["bart", "longformer"])
def test_attention_of_another_form_is_named(name, method):
    model, words = make(name)
    with pytest.raises(IncompatibleError, match=f"'{name}' model returned attentions of shapes"):
        AttributionExtractor(model, words, method).table(TEXTS)


def test_input_x_gradient_is_refused_where_a_norm_follows_the_embeddings():
    # DeBERTa v3: positions come in relative form alone, so the norm follows the bare vectors.
    model = build("deberta", position_biased_input=False, type_vocab_size=0, layer_norm_eps=1e-12)
    words = tokenizer("unigram")
    with pytest.raises(IncompatibleError, match="a norm follows its embeddings"):
        AttributionExtractor(model, words, "input_x_gradient").table(TEXTS)
    columns = AttributionExtractor(model, words, "integrated_gradients").table(TEXTS)
    assert max(columns["completeness_error"].to_pylist()) <= 0.01


def test_a_head_that_reads_padding_is_refused():
    with pytest.raises(IncompatibleError, match="reads the last position of a batch"):
        AttributionExtractor(*make("xlnet"), "occlusion")
