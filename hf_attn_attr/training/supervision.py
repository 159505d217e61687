"""Human rationales as the attention that a model's tokens should get.

Source: Mathew et al. 2021, "HateXplain: A Benchmark Dataset for Explainable Hate Speech Detection"
(attention supervision).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from ..data import LabelledTexts, coverage
from ..encoding import CHUNK, Encoded, encode

Floats = NDArray[np.float32]


def attention_targets(
    texts: LabelledTexts, tokenizer: PreTrainedTokenizerFast, max_length: int
) -> list[Floats | None]:
    """For each text the attention of its tokens (T,), summing to 1; None without a rationale.

    A word gets as much as its characters are marked, and its tokens share that evenly. A text whose
    rationale lies wholly in what was cut off, or between words, has none either.
    """
    targets: list[Floats | None] = [None] * len(texts.dataset)
    marked = [(row, spans) for row, spans in enumerate(texts.rationales) if spans]
    for start in range(0, len(marked), CHUNK):
        chunk = marked[start : start + CHUNK]
        encoded = encode(tokenizer, texts.dataset[[row for row, _ in chunk]]["text"], max_length)
        for (row, spans), text in zip(chunk, encoded, strict=True):
            targets[row] = _over_tokens(text, spans)
    return targets


def _over_tokens(text: Encoded, spans: Sequence[dict[str, Any]]) -> Floats | None:
    marks = coverage(spans, text.spans)
    if not marks.any():
        return None
    owner = np.array(text.owner)
    inside = owner >= 0
    tokens = np.bincount(owner[inside], minlength=len(marks))  # of each word; none has no token
    wanted = np.zeros(len(owner))
    wanted[inside] = (marks / tokens)[owner[inside]]
    return (wanted / marks.sum()).astype(np.float32)
