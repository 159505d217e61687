"""Attention matrices of a Transformer, and the position its head reads."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..errors import IncompatibleError
from .token_batch import TokenBatch

# Attention weights of all layers and heads held at once: 256 MB in float32.
_MAX_WEIGHTS = 2**26


def encoder_passes(
    model: PreTrainedModel, batch: TokenBatch
) -> Iterator[tuple[Tensor, list[Tensor], Tensor]]:
    """Logits and attention of some texts after the other.

    Yields:
        For b texts: logits (b, C); for each layer the mean over heads, float (b, T, T), row i what
        token i attends to; and where the head reads, (b, T), summing to 1 over tokens.

    Raises:
        IncompatibleError: If the model gives no attention matrices over its tokens.
    """
    texts, length = batch.owner.shape
    config = model.config
    heads = getattr(config, "num_attention_heads", None) or 12
    layers = getattr(config, "num_hidden_layers", None) or 12
    rows = max(1, _MAX_WEIGHTS // max(1, heads * layers * length**2))
    with _eager(model):
        for start in range(0, texts, rows):
            part = {name: value[start : start + rows] for name, value in batch.inputs.items()}
            output = model(**part, output_attentions=True)
            real = part["attention_mask"].bool()
            # What padding attends to is of no use, and NaN where a window holds nothing else.
            attention = [
                layer.masked_fill(~real.unsqueeze(-1), 0.0)
                for layer in _matrices(model, getattr(output, "attentions", None), length)
            ]
            yield output.logits, attention, _reading(model, attention, real)


def _matrices(
    model: PreTrainedModel, attentions: Sequence[Tensor] | None, length: int
) -> list[Tensor]:
    found = [layer for layer in attentions or () if layer is not None]
    if not found or any(layer.ndim != 4 or layer.shape[-2:] != (length, length) for layer in found):
        shapes = [tuple(layer.shape) for layer in found]
        raise IncompatibleError(
            f"A {model.config.model_type!r} model returned attentions of shapes {shapes} for "
            f"{length} tokens; wanted (texts, heads, {length}, {length}) of each layer. Choose "
            "the method 'occlusion', 'integrated_gradients' or 'input_x_gradient'."
        )
    return [layer.mean(1) for layer in found]


def _reading(model: PreTrainedModel, attention: Sequence[Tensor], real: Tensor) -> Tensor:
    """Where the classification head reads, float (b, T), summing to 1.

    The first token that is no padding ([CLS], <s>) of an encoder; the last one where attention is
    causal, because there only the last token has seen the text, and such heads read it; all tokens
    alike where the config says that the head averages them (ModernBERT).
    """
    weights = attention[-1]
    if getattr(model.config, "classifier_pooling", None) == "mean":
        return real.to(weights.dtype) / real.sum(1, keepdim=True).clamp(min=1)
    order = torch.arange(real.shape[1], device=real.device)
    causal = all(not layer.triu(1).any() for layer in attention) and real.shape[1] > 1
    last = torch.where(real, order, -1).amax(1).clamp(min=0)
    position = last if causal else real.long().argmax(1)
    return torch.nn.functional.one_hot(position, real.shape[1]).to(weights.dtype)


@contextmanager
def _eager(model: PreTrainedModel) -> Iterator[None]:
    """Attention computed step by step: fused kernels (sdpa, flash) do not return the weights."""
    before = getattr(model.config, "_attn_implementation", None)
    if before in (None, "eager"):
        yield
        return
    try:
        model.set_attn_implementation("eager")
    except ValueError as error:
        raise IncompatibleError(
            f"A {model.config.model_type!r} model with attention {before!r} cannot be switched to "
            f"'eager' ({error}), so its attention weights are out of reach. Choose the method "
            "'occlusion', or load the model with attn_implementation='eager'."
        ) from error
    try:
        yield
    finally:
        model.set_attn_implementation(before)
