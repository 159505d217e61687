"""Attention weights: unsigned, shared by all classes, and not by themselves an explanation."""

import torch
from transformers import PreTrainedModel

from .encoder_attention import encoder_passes
from .token_attributions import TokenAttributions
from .token_batch import TokenBatch


def attention(model: PreTrainedModel, batch: TokenBatch) -> TokenAttributions:
    """Attention of the token that the head reads, mean over heads or hops.

    A self-attentive model has one such distribution by design (Lin et al. 2017, eq. 6). Of a
    Transformer it is the last layer's attention from the classification token: the first token, the
    last one of a model with causal attention, or the mean over all tokens where the head averages
    them.

    Raises:
        IncompatibleError: If the model gives no attention matrices.
    """
    if model.config.model_type == "self_attentive":
        output = model(**batch.inputs, output_attentions=True)
        return TokenAttributions(logits=output.logits, attention=output.attentions[0].mean(1))
    logits, weights = [], []
    for part, layers, read in encoder_passes(model, batch):
        logits.append(part)
        weights.append((read.unsqueeze(1) @ layers[-1]).squeeze(1))
    found = torch.cat(weights).masked_fill(~batch.real, 0.0)
    return TokenAttributions(logits=torch.cat(logits), attention=found)
