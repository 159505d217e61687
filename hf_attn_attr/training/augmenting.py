"""Pieces of the training texts, for a teacher to label: short ones tell it what words mean."""

from collections.abc import Sequence

import numpy as np

from ..tokenization import spans_of

LONGEST = 5  # words; Tang et al. draw lengths from 1 to 5


def random_ngrams(texts: Sequence[str], per_text: int, seed: int) -> list[str]:
    """Random word n-grams of 1 to 5 words, slices of the texts, each once.

    Args:
        texts: Texts to cut from. What is a whole text already is left out.
        per_text: N-grams drawn from each text, repetitions counted.
        seed: Of the draw.

    Source: Tang et al. 2019, "Distilling Task-Specific Knowledge from BERT into Simple Neural
    Networks", section 3.3 ("n-gram sampling").
    """
    rng = np.random.default_rng(seed)
    found: dict[str, None] = {}
    for text in texts:
        spans = spans_of(text)
        for _ in range(per_text if spans else 0):
            length = min(int(rng.integers(1, LONGEST + 1)), len(spans))
            first = int(rng.integers(len(spans) - length + 1))
            found[text[spans[first][0] : spans[first + length - 1][1]]] = None
    for text in texts:
        found.pop(text, None)
    return list(found)
