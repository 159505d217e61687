"""Derivatives of logits with respect to the vectors of the input tokens."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..errors import IncompatibleError
from ..models.precision import without_cudnn

# From the tokens' vectors (b, T, E): the vectors to use instead, and what to multiply their
# gradients by, both of the same shape.
Change = Callable[[Tensor], tuple[Tensor, Tensor]]


def gradient_terms(
    model: PreTrainedModel, inputs: Mapping[str, Tensor], change: Change, targets: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits at changed embeddings, and factor times gradient summed over embedding dimensions.

    Args:
        model: A sequence classifier in eval mode.
        inputs: What it is called with, (b, T) each.
        change: What to do to the embeddings.
        targets: float (b, K, C): for each of K outputs of a text the weights of the logits in it.

    Returns:
        Logits (b, C), and for each token and output sum_e factor_e * d output / d vector_e,
        float (b, T, K); and the same sum over absolute values, of the same shape. Rows are
        independent, so one backward pass per output serves all texts.

    Raises:
        IncompatibleError: If the model does not look its tokens up exactly once.
    """
    length = inputs["input_ids"].shape[1]
    if length == 0:
        logits = model(**inputs).logits.detach()
        nothing = logits.new_zeros(len(logits), 0, targets.shape[1])
        return logits, nothing, nothing
    kept: list[tuple[Tensor, Tensor]] = []

    def replace(vectors: Tensor) -> Tensor:
        moved, factor = change(vectors.detach())
        kept.append((moved.detach().requires_grad_(), factor))
        return kept[-1][0]

    # cuDNN keeps what an RNN's backward pass needs in training mode only.
    with torch.enable_grad(), without_cudnn(model.device), replaced_embeddings(model, replace):
        logits = model(**inputs).logits
        if len(kept) != 1:
            raise IncompatibleError(
                f"A {model.config.model_type!r} model looked up the embeddings of its input "
                f"{len(kept)} times, wanted once, so gradients do not say what a token did. Choose "
                "the method 'occlusion'."
            )
        ((moved, factor),) = kept
        outputs = weighted(logits, targets)
        last = outputs.shape[1] - 1
        terms, sizes = [], []
        for k in range(outputs.shape[1]):
            (slope,) = torch.autograd.grad(outputs[:, k].sum(), moved, retain_graph=k < last)
            product = (slope * factor).detach()
            terms.append(product.sum(-1))
            sizes.append(product.abs().sum(-1))
    # Some models pad the text further on the right before they look it up (Longformer).
    terms_and_sizes = (torch.stack(parts, -1)[:, :length] for parts in (terms, sizes))
    return logits.detach(), *terms_and_sizes


def weighted(logits: Tensor, targets: Tensor) -> Tensor:
    """The outputs (b, K) that targets (b, K, C) make of logits (b, C)."""
    return (targets @ logits.unsqueeze(-1)).squeeze(-1)


@contextmanager
def replaced_embeddings(
    model: PreTrainedModel, replace: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    """The model's token embeddings go through `replace`.

    The ids still go in: passing `inputs_embeds` in their place would change position ids (RoBERTa
    counts padding there) and the position that a decoder's head reads.
    """

    def hook(_module: nn.Module, _arguments: Any, vectors: Tensor) -> Tensor:
        return replace(vectors)

    handle = embedding_module(model).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def embedding_module(model: PreTrainedModel) -> nn.Module:
    """The module from token ids (b, T) to vectors (b, T, E)."""
    # Ours may add up several tables; others have one.
    if model.config.model_type == "self_attentive":
        return model.self_attentive.embeddings
    return model.get_input_embeddings()


def embed(model: PreTrainedModel, token_ids: Tensor) -> Tensor:
    """Vectors of token ids (b, T) as the model looks them up, without hooks, float (b, T, E)."""
    module = embedding_module(model)
    more = (None,) if model.config.model_type == "self_attentive" else ()
    return module.forward(token_ids, *more)
