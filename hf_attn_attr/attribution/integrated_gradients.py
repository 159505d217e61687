"""Integrated gradients: the gradient averaged on the way from an empty text to the text."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..errors import IncompatibleError
from .embedding_gradients import (
    Change,
    embed,
    gradient_terms,
    replaced_embeddings,
    weighted,
)
from .token_attributions import TokenAttributions
from .token_batch import TokenBatch

Baseline = Literal["pad", "mask", "zero", "mean"]


@torch.no_grad()
def integrated_gradients(
    model: PreTrainedModel,
    batch: TokenBatch,
    *,
    targets: Tensor,
    steps: int = 50,
    baseline: Baseline = "pad",
    max_error: float = 0.01,
) -> TokenAttributions:
    """Integrated gradients on the straight line from a baseline, by Gauss-Legendre quadrature.

    The tokens of words start at the baseline's vector; special tokens stay as they are, so the
    terms of the words sum to logit(text) - logit(text with every word at the baseline).

    Args:
        model: A sequence classifier in eval mode.
        batch: Its texts.
        targets: float (B, K, C): for each of K outputs of a text the weights of the logits in it.
        steps: Points on the line: a forward pass each, and a backward pass per output.
        baseline: The vector of the padding token, of the mask token, zero, or the mean over the
            vocabulary.
        max_error: Texts whose sum is off by more than this share are done again with twice the
            steps, three times at most; what remains is in `completeness_error`. ReLU heads need it.

    Raises:
        IncompatibleError: If the tokenizer has no mask token and `baseline` is "mask", or the model
            does not look its tokens up exactly once.

    Source: Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks", eq. 1.
    """
    start = _baseline_vector(model, batch, baseline)
    moves = batch.owner >= 0
    logits = model(**batch.inputs).logits
    empty = _toward(start, moves, start.new_zeros(len(moves)))
    with replaced_embeddings(model, lambda vectors: empty(vectors)[0]):
        difference = weighted(logits - model(**batch.inputs).logits, targets)
    tiny = torch.finfo(logits.dtype).eps * logits.abs().amax(1).clamp(min=1)
    scale = torch.maximum(difference.abs().amax(1), tiny)

    terms = start.new_zeros(*moves.shape, targets.shape[1])
    error = torch.full_like(scale, float("inf"))
    wrong = torch.arange(len(moves), device=moves.device)
    for doubling in range(4):
        part = _integral(model, batch, wrong, targets, start, steps * 2**doubling)
        terms[wrong] = part
        error[wrong] = (part.sum(1) - difference[wrong]).abs().amax(1) / scale[wrong]
        wrong = (error > max_error).nonzero().squeeze(1)
        if not len(wrong):
            break
    return TokenAttributions(logits=logits, attribution=terms, completeness_error=error)


def _integral(
    model: PreTrainedModel,
    batch: TokenBatch,
    texts: Tensor,
    targets: Tensor,
    start: Tensor,
    steps: int,
) -> Tensor:
    """Terms (b, T, K) of the texts (b,) of the batch, by `steps` points from `start` (E,) on."""
    points, weights = (
        torch.as_tensor(values, dtype=start.dtype, device=start.device)
        for values in np.polynomial.legendre.leggauss(steps)
    )
    # Every text at every point; a pass has rows of any text and point.
    place = torch.arange(len(texts), device=texts.device).repeat_interleave(steps)
    point = ((1 + points) / 2).repeat(len(texts))
    weight = (weights / 2).repeat(len(texts))
    total = start.new_zeros(len(texts), batch.owner.shape[1], targets.shape[1])
    for rows, inputs in batch.passes(texts[place]):
        chosen = texts[place[rows]]
        length = inputs["input_ids"].shape[1]
        change = _toward(start, batch.owner[chosen, :length] >= 0, point[rows])
        _, terms, _ = gradient_terms(model, inputs, change, targets[chosen])
        total[:, :length].index_add_(0, place[rows], terms * weight[rows, None, None])
    return total


def _toward(start: Tensor, moves: Tensor, point: Tensor) -> Change:
    """Tokens where `moves` (b, T) at `point` (b,) on the way from `start` (E,) to their vectors."""

    def change(vectors: Tensor) -> tuple[Tensor, Tensor]:
        extra = vectors.shape[1] - moves.shape[1]  # padding of the model's own
        mask = torch.nn.functional.pad(moves, (0, extra)).unsqueeze(-1)
        way = torch.where(mask, vectors - start, 0.0)
        return vectors - (1 - point)[:, None, None] * way, way

    return change


def _baseline_vector(model: PreTrainedModel, batch: TokenBatch, baseline: Baseline) -> Tensor:
    """The vector (E,) where every word starts."""
    one = torch.zeros(1, 1, dtype=torch.int64, device=batch.owner.device)
    if baseline == "mask":
        if batch.replacements.mask is None:
            raise IncompatibleError(
                "The tokenizer has no mask token. Choose the baseline 'pad', 'zero' or 'mean'."
            )
        return embed(model, one + batch.replacements.mask)[0, 0]
    if baseline == "mean":
        rows = len(model.get_input_embeddings().weight)
        every = torch.arange(rows, device=one.device).unsqueeze(0)
        return embed(model, every)[0].mean(0)
    pad = embed(model, one + batch.replacements.pad)[0, 0]
    return pad if baseline == "pad" else torch.zeros_like(pad)
