"""Gradient methods and occlusion against captum's independent implementations, in float64."""

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, InputXGradient, LayerIntegratedGradients

from hf_attn_attr import IncompatibleError
from hf_attn_attr.attribution import Replacements, TokenBatch, attribution_method
from hf_attn_attr.attribution.embedding_gradients import embed, embedding_module
from hf_attn_attr.encoding import encode

from .zoo import TEXTS, TOKENIZER_OF, build, tokenizer

STEPS = 20


@pytest.fixture(scope="module", params=TOKENIZER_OF)
def model(request):
    return build(request.param), tokenizer(TOKENIZER_OF[request.param])


def single(words, text):
    """A batch of one text without padding."""
    (encoded,) = encode(words, [text], 128)
    ids = torch.tensor([encoded.ids])
    return TokenBatch(
        {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        torch.tensor([encoded.owner]),
        Replacements(words.pad_token_id, words.mask_token_id, words.unk_token_id),
    )


def forward(model):
    return lambda ids, mask: model(input_ids=ids, attention_mask=mask).logits


def agree(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("baseline", ["pad", "mask"])
@pytest.mark.parametrize("text", TEXTS)
def test_integrated_gradients(model, text, baseline):
    model, words = model
    if baseline == "mask" and words.mask_token_id is None:
        return
    batch = single(words, text)
    options = {"steps": STEPS, "baseline": baseline, "max_error": float("inf")}
    found = attribution_method("integrated_gradients", model, options)(model, batch)
    start = {"pad": words.pad_token_id, "mask": words.mask_token_id}[baseline]
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
    captum = LayerIntegratedGradients(forward(model), embedding_module(model))
    baselines = ids.masked_fill(batch.owner >= 0, start)
    for label in range(model.config.num_labels):
        wanted = captum.attribute(
            ids, baselines, target=label, additional_forward_args=(mask,), n_steps=STEPS,
            method="gausslegendre",
        )  # fmt: skip
        agree(found.attribution[0, :, label], wanted[0].sum(-1).detach())
    assert found.logits[0].tolist() == pytest.approx(forward(model)(ids, mask)[0].tolist())


@pytest.mark.parametrize("text", TEXTS)
def test_input_x_gradient(model, text):
    model, words = model
    batch = single(words, text)
    if model.config.model_type == "modernbert":
        batch = single(words, text * 5)
        with pytest.raises(IncompatibleError, match="says nothing about this 'modernbert' model"):
            attribution_method("input_x_gradient", model)(model, batch)
        return
    found = attribution_method("input_x_gradient", model)(model, batch).attribution[0]
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]

    def from_vectors(vectors):
        # Put in where ids are looked up, because RoBERTa and GPT-2 find positions by the ids.
        hook = embedding_module(model).register_forward_hook(lambda *_: vectors)
        try:
            return forward(model)(ids, mask)
        finally:
            hook.remove()

    vectors = embed(model, ids).detach().requires_grad_()
    for label in range(model.config.num_labels):
        wanted = InputXGradient(from_vectors).attribute(vectors, target=label)[0].sum(-1)
        agree(found[:, label], wanted.detach())


@pytest.mark.parametrize("text", TEXTS)
def test_occlusion(model, text):
    model, words = model
    batch = single(words, text)
    found = attribution_method("occlusion", model)(model, batch)
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
    stand_in = words.unk_token_id if words.mask_token_id is None else words.mask_token_id
    # Feature 0 is what no word owns; word w is feature w + 1.
    features = batch.owner + 1
    for label in range(model.config.num_labels):
        wanted = FeatureAblation(forward(model)).attribute(
            ids, baselines=stand_in, target=label, additional_forward_args=(mask,),
            feature_mask=features,
        )[0].detach().numpy()  # fmt: skip
        for word in range(int(features.max())):
            tokens = (batch.owner[0] == word).numpy()
            merged = found.attribution[0, tokens, label].sum().item()
            # captum gives each token of a feature the feature's whole difference
            np.testing.assert_allclose(merged, wanted[tokens][0], rtol=1e-4, atol=1e-9)
    assert not found.attribution[0, batch.owner[0] < 0].any()
