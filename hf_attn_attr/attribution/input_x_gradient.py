"""Input times gradient: the first-order share of each token in a logit."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..errors import IncompatibleError
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
    rounding error. That is refused.

    Args:
        model: A sequence classifier in eval mode.
        batch: Its texts.
        targets: float (B, K, C): for each of K outputs of a text the weights of the logits in it.

    Raises:
        IncompatibleError: If the model does not look its tokens up exactly once, or its terms are
            rounding errors.

    Source: Shrikumar et al. 2016, "Not Just a Black Box", section 3.2.
    """
    logits, terms, sizes = gradient_terms(
        model, batch.inputs, lambda vectors: (vectors, vectors), targets
    )
    _require_meaning(model, terms[batch.real], sizes[batch.real])
    return TokenAttributions(
        logits=logits, attribution=torch.where(batch.real.unsqueeze(-1), terms, 0.0)
    )


def _require_meaning(model: PreTrainedModel, terms: Tensor, sizes: Tensor) -> None:
    """Refuse terms (tokens, K) that cancel to nothing, all of them, within `sizes`."""
    # A sum of E numbers of either sign is about 1/sqrt(E) of its size, a few percent; that all
    # tokens of a text, three at least, should be below a thousandth does not happen by chance.
    if len(terms) >= 3 and bool((terms.abs() < 1e-3 * sizes).all()):
        raise IncompatibleError(
            f"Input x gradient says nothing about this {model.config.model_type!r} model: a norm "
            "follows its embeddings, so the length of a token's vector has no effect and all terms "
            "are rounding errors. Choose the method 'integrated_gradients' or 'occlusion'."
        )
