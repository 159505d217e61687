"""What `Trainer` draws its batches from, and how it makes one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from ..batching import padded
from ..data import LabelledTexts
from ..encoding import token_ids
from .supervision import Floats
from .targets import label_tensor

# A plain list: Trainer reads the lengths it groups by from it, and rows cost nothing.
Examples = list[dict[str, Any]]


def examples(
    texts: Sequence[str],
    targets: Sequence[Any],
    tokenizer: PreTrainedTokenizerFast,
    max_length: int,
    attention: Sequence[Floats | None] = (),
) -> Examples:
    """Texts as token ids with their targets, the first of them with the attention they should get.

    Args:
        texts: N texts.
        targets: A label or a soft target for each.
        tokenizer: The tokenizer.
        max_length: Tokens beyond this many are cut off.
        attention: For each of the first texts the attention of its tokens (T,), or None.
    """
    ids = token_ids(tokenizer, texts, max_length)
    rows: Examples = [
        {"input_ids": tokens, "label": target} for tokens, target in zip(ids, targets, strict=True)
    ]
    for row, wanted in zip(rows, attention, strict=False):
        if wanted is not None:
            row["attention_targets"] = wanted
    return rows


class Collator:
    """Pads token ids, makes the labels a tensor, and the attention wanted where there is any."""

    def __init__(self, texts: LabelledTexts, pad_token_id: int):
        self.texts = texts
        self.pad_token_id = pad_token_id

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """The batch: int64 (B, T) ids and mask, labels, and float (B, T) attention labels."""
        batch = padded([row["input_ids"] for row in rows], self.pad_token_id)
        batch["labels"] = label_tensor([row["label"] for row in rows], self.texts)
        if any("attention_targets" in row for row in rows):
            wanted = np.zeros(batch["input_ids"].shape, dtype=np.float32)
            for index, row in enumerate(rows):
                marks = row.get("attention_targets", ())
                wanted[index, : len(marks)] = marks
            batch["attention_targets"] = torch.from_numpy(wanted)
        return batch
