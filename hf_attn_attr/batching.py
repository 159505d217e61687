"""Texts of like length side by side: less padding, the same results."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

# Tokens of a padded batch. Larger ones no longer pay on two cores and cost memory on long texts.
BATCH_TOKENS = 4096


def length_batches(lengths: Sequence[int], batch_tokens: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Indices of texts, shortest first, in batches of at most `batch_tokens` padded tokens.

    A single text longer than that is a batch of its own. Texts of no tokens share none with others:
    what most models answer to them would depend on the padding.
    """
    batch: list[int] = []
    for index in np.argsort(np.asarray(lengths), kind="stable").tolist():
        full = (len(batch) + 1) * max(1, lengths[index]) > batch_tokens
        if batch and (full or lengths[batch[-1]] == 0 < lengths[index]):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def padded(ids: Sequence[Sequence[int]], pad_token_id: int) -> dict[str, Tensor]:
    """Model inputs of token ids, padded on the right to the longest: int64 (B, T) each.

    T is at least 1: most models cannot read a batch without any position.
    """
    longest = max(map(len, ids), default=0) or 1
    input_ids = np.full((len(ids), longest), pad_token_id, dtype=np.int64)
    attention_mask = np.zeros((len(ids), longest), dtype=np.int64)
    for row, tokens in enumerate(ids):
        input_ids[row, : len(tokens)] = tokens
        attention_mask[row, : len(tokens)] = 1
    return {
        "input_ids": torch.from_numpy(input_ids),
        "attention_mask": torch.from_numpy(attention_mask),
    }
