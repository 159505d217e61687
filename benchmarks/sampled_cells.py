"""Some cells of a large fold once more, in rational arithmetic."""

from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
from corpus import Corpus

from hf_attn_attr import InfluenceMatrix

STEP = 2**60  # numbers are rounded once, to a multiple of 1 / STEP, ties to even
LEAST = 1000  # cells


class SampledCells:
    """Means and joint probabilities of sampled words, whose sums are kept as integers.

    Args:
        texts: Texts to draw the words from: most at random among their different words, whatever
            their frequency, and ten common ones.
    """

    def __init__(self, texts: Corpus) -> None:
        found = np.unique(texts.ids)
        n_words = -(-LEAST // texts.n_classes)
        common = np.geomspace(30, 10_000, 10).astype(int)
        rare = np.random.default_rng(0).choice(found, n_words, replace=False)[: n_words - 10]
        self._sampled = np.zeros(len(texts.dictionary), bool)
        self._sampled[[*common, *rare]] = True
        self._sums: Counter[tuple[str, int, int]] = Counter()
        self._occurrences: Counter[int] = Counter()
        self._texts = 0

    def add(self, texts: Corpus) -> None:
        """Add the terms of a batch, each rounded by itself."""
        places = np.flatnonzero(self._sampled[texts.ids])
        of = texts.text_of_word()[places]
        pairs, group = np.unique(np.stack([of, texts.ids[places]]), axis=1, return_inverse=True)
        totals = np.zeros((pairs.shape[1], texts.n_classes))
        mass = np.zeros(pairs.shape[1])
        np.add.at(totals, group.ravel(), texts.attribution[places].astype(np.float64))
        np.add.at(mass, group.ravel(), texts.attention[places].astype(np.float64))
        sums = np.zeros(len(totals))
        for column in totals.T:
            sums += column  # from left to right
        self._add("attribution", pairs[1], totals - (sums / texts.n_classes)[:, None])
        self._add("joint", pairs[1], mass[:, None] * texts.probabilities[pairs[0]])
        self._occurrences.update(texts.ids[places].tolist())
        self._texts += len(texts.probabilities)

    def _add(self, name: str, words: Any, terms: Any) -> None:
        for word, row in zip(words.tolist(), terms.tolist(), strict=True):
            for column, term in enumerate(row):
                self._sums[name, word, column] += round(Fraction(term) * STEP)

    def compared(self, matrix: InfluenceMatrix) -> dict[str, int]:
        """How many cells there are, and how many of the matrix's have the very same bits."""
        rows = {word: row for row, word in enumerate(matrix.words)}
        equal = Counter({"mean": 0, "joint": 0})
        cells = 0
        for word in sorted(self._occurrences):
            row = rows[f"w{word}"]
            for column in range(len(matrix.labels)):
                mean = float(Fraction(self._sums["attribution", word, column], STEP))
                joint = float(Fraction(self._sums["joint", word, column], STEP))
                cells += 1
                equal["mean"] += matrix.mean[row, column] == mean / self._occurrences[word]
                equal["joint"] += matrix.joint[row, column] == joint / self._texts
        return {
            "cells": cells,
            "occurrences": self._occurrences.total(),
            **{f"equal_{name}": int(count) for name, count in equal.items()},
        }
