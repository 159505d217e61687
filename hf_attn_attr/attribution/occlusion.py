"""Occlusion: what each logit loses when one word is taken away."""

from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..errors import IncompatibleError
from .token_attributions import TokenAttributions
from .token_batch import Replacements, TokenBatch

Occlude = Literal["mask", "delete"]


@torch.no_grad()
def occlusion(
    model: PreTrainedModel, batch: TokenBatch, *, by: Occlude = "mask"
) -> TokenAttributions:
    """logit(text) - logit(text without the word), for each word; all classes in one pass.

    All tokens of a word go at once and its difference is written at the first of them, so that a
    sum over tokens is the word's. Special tokens stay and have no term.

    Args:
        model: A sequence classifier in eval mode.
        batch: Its texts.
        by: "mask" puts the mask token in the place of each token of the word, or the unknown token
            where the tokenizer has no mask, or else the padding token. "delete" leaves them out.

    Raises:
        IncompatibleError: If only the padding token could take a word's place and the model finds
            the end of a text by it (causal models); delete there.

    Source: Zeiler & Fergus 2014, "Visualizing and Understanding Convolutional Networks", section
    4.2; for words Li et al. 2016, "Understanding Neural Networks through Representation Erasure".
    """
    replacement = None if by == "delete" else replacement_id(model, batch.replacements)
    owner = batch.owner
    logits = model(**batch.inputs).logits
    attribution = logits.new_zeros(*owner.shape, logits.shape[1])
    text, token = _first_tokens(owner).nonzero(as_tuple=True)
    for rows, inputs in batch.passes(text):
        of, at = text[rows], token[rows]
        gone = (owner[of] == owner[of, at].unsqueeze(1))[:, : inputs["input_ids"].shape[1]]
        if replacement is None:
            inputs = _deleted(inputs, gone, batch.replacements.pad)
        else:
            inputs["input_ids"] = inputs["input_ids"].masked_fill(gone, replacement)
        attribution[of, at] = logits[of] - model(**inputs).logits
    return TokenAttributions(logits=logits, attribution=attribution)


def replacement_id(model: PreTrainedModel, ids: Replacements) -> int:
    """The token that takes a word's place: mask, else unknown, else padding.

    Raises:
        IncompatibleError: If only the padding token could and the model finds the end of a text by
            it.
    """
    found = next(one for one in (ids.mask, ids.unknown, ids.pad) if one is not None)
    # Heads of causal models read the last token that is not padding.
    if found == ids.pad and hasattr(model, "score"):
        raise IncompatibleError(
            f"A {model.config.model_type!r} model finds the end of a text by its padding token, "
            "and the tokenizer has no other token to put in the place of a word. Give the option "
            "by='delete'."
        )
    return found


def _first_tokens(owner: Tensor) -> Tensor:
    """True at the first token of each word: bool (B, T)."""
    if not owner.numel():
        return owner.bool()
    before = torch.nn.functional.pad(owner, (1, 0), value=-1)[:, :-1].cummax(1).values
    return owner > before


def _deleted(inputs: dict[str, Tensor], gone: Tensor, pad: int) -> dict[str, Tensor]:
    """The inputs without the tokens `gone` (b, T), the others closed up to the left."""
    order = gone.long().argsort(dim=1, stable=True)
    moved = {name: value.gather(1, order) for name, value in inputs.items()}
    left_over = gone.gather(1, order)
    moved["input_ids"] = moved["input_ids"].masked_fill(left_over, pad)
    moved["attention_mask"] = moved["attention_mask"].masked_fill(left_over, 0)
    return moved
