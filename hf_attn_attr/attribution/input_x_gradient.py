"""Input times gradient: the first-order share of each token in a logit."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from .embedding_gradients import gradient_terms
from .token_attributions import TokenAttributions
from .token_batch import TokenBatch


def input_x_gradient(
    model: PreTrainedModel, batch: TokenBatch, *, targets: Tensor
) -> TokenAttributions:
    """Sum over embedding dimensions of embedding times d logit / d embedding.

    One forward pass and one backward pass per class. Special tokens have terms too.

    Where a norm follows the embeddings before positions are added (ModernBERT, DeBERTa v3), scaling
    a token's vector changes nothing, so its gradient is at right angles to it and every term is
    rounding error: use integrated gradients or occlusion there.

    Args:
        model: A sequence classifier in eval mode.
        batch: Its texts.
        targets: float (K, C): for each of K outputs the weights of the logits in it.

    Raises:
        IncompatibleError: If the model does not look its tokens up exactly once.

    Source: Shrikumar et al. 2016, "Not Just a Black Box", section 3.2.
    """
    logits, terms = gradient_terms(model, batch.inputs, lambda vectors: (vectors, vectors), targets)
    return TokenAttributions(
        logits=logits, attribution=torch.where(batch.real.unsqueeze(-1), terms, 0.0)
    )
