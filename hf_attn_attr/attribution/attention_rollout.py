"""Attention followed through all layers of a Transformer."""

import torch
from transformers import PreTrainedModel

from ..errors import IncompatibleError
from .encoder_attention import encoder_passes
from .token_attributions import TokenAttributions
from .token_batch import TokenBatch


def attention_rollout(model: PreTrainedModel, batch: TokenBatch) -> TokenAttributions:
    """Attention rollout from the token that the head reads (see `attention`).

    With A_l the mean over heads in layer l, rollout is the product over layers, last first, of
    0.5 A_l + 0.5 I with rows scaled to sum to 1; half stands for the residual connection.

    Raises:
        IncompatibleError: If the model gives no attention matrices.

    Source: Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers", section 3.
    """
    if model.config.model_type == "self_attentive":
        raise IncompatibleError(
            "A 'self_attentive' model has one layer of attention, so there is nothing to roll "
            "out. Choose the method 'attention' or 'contribution'."
        )
    logits, weights = [], []
    for part, layers, flow in encoder_passes(model, batch):
        # Only one row of the product is wanted: a vector through the layers, not matrices.
        for layer in reversed(layers):
            mixed = 0.5 * layer + 0.5 * torch.eye(
                layer.shape[-1], dtype=layer.dtype, device=layer.device
            )
            mixed = mixed / mixed.sum(-1, keepdim=True)
            flow = (flow.unsqueeze(1) @ mixed).squeeze(1)
        logits.append(part)
        weights.append(flow)
    found = torch.cat(weights).masked_fill(~batch.real, 0.0)
    return TokenAttributions(logits=torch.cat(logits), attention=found)
