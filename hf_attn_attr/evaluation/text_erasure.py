"""Erasure tests of rankings of words within single texts."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from .erasure import Eraser, Mask, Way
from .faithfulness import (
    BINS,
    comprehensiveness,
    decision_flip,
    leave_one_out_tau,
    sufficiency,
)
from .rankings import MOST_STEPS, leading, most_important_first, share_sizes, step_sizes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FEWEST_WORDS = 2  # of one word there is nothing to rank
_ROUND = 5  # steps of removal that are run at a time


@dataclass(frozen=True)
class TextFaithfulness:
    """Erasure tests of one ranking, float64 (N,) each, a number per text.

    Attributes:
        comprehensiveness: Mean over `BINS`; more is better.
        sufficiency: Mean over `BINS`; less is better.
        flip_fraction: Share of the words removed when the decision changes, 1 where it never does;
            less is better. NaN for regression, which decides nothing.
        never_flips: 1 where the decision never changes, else 0.
        tau: Kendall's tau-b with leaving out each word; NaN where undefined.
    """

    comprehensiveness: Floats
    sufficiency: Floats
    flip_fraction: Floats
    never_flips: Floats
    tau: Floats

    def means(self) -> dict[str, float | None]:
        """Means over texts; None where there is nothing to average."""
        return {field.name: mean_or_none(getattr(self, field.name)) for field in fields(self)}


def mean_or_none(values: Floats) -> float | None:
    """Mean of the numbers that are not NaN."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None


class ErasureTest:
    """Tests any ranking of the words of some texts, each text for one class.

    The class is the predicted one (of a multi-label model the most probable of the predicted ones;
    texts without any are left out), or the value of a regression model. Texts of fewer than two
    words are left out.

    Args:
        eraser: Model and texts.
        problem_type: As in transformers' configurations.
        thresholds: Of a multi-label model, (C,).
        among: The texts to test, indices into those of the eraser; all if None.

    Attributes:
        texts: Those of them that are tested, int64 (N,).
        target: The class explained of each, int64 (N,).
    """

    def __init__(
        self,
        eraser: Eraser,
        problem_type: str,
        thresholds: Floats | None = None,
        among: Ints | None = None,
    ):
        self.eraser = eraser
        self.problem_type = problem_type
        self.thresholds = thresholds
        target = eraser.full.argmax(1)
        tested = eraser.word_counts >= FEWEST_WORDS
        if problem_type == "multi_label_classification":
            assert thresholds is not None
            target = np.where(eraser.full >= thresholds, eraser.full, -1.0).argmax(1)
            tested &= (eraser.full >= thresholds).any(1)
        every = np.arange(len(tested)) if among is None else among
        self.texts: Ints = every[tested[every]]
        self.target: Ints = target[self.texts].astype(np.int64)
        self._losses: dict[Way, list[Floats]] = {}

    def test(self, scores: Sequence[Floats], way: Way, *, signed: bool = True) -> TextFaithfulness:
        """The tests of one ranking.

        Args:
            scores: For each of `texts` a number per word, the more the more important.
            way: How words go.
            signed: Whether a negative score says that a word speaks against the class. If not, the
                scores are held against absolute losses.
        """
        orders = [most_important_first(one) for one in scores]
        explained = self._at_bins(orders, way)
        whole = self.eraser.full[self.texts, self.target]
        losses = self.losses(way)
        return TextFaithfulness(
            comprehensiveness(whole, explained[:, : len(BINS)]),
            sufficiency(whole, explained[:, len(BINS) :]),
            *self._flips(orders, way),
            leave_one_out_tau(scores, losses if signed else [np.abs(one) for one in losses]),
        )

    def losses(self, way: Way) -> list[Floats]:
        """p(text) - p(text without the word), for each word of each text; computed once."""
        if way not in self._losses:
            self._losses[way] = self._leave_one_out(way)
        return self._losses[way]

    def _leave_one_out(self, way: Way) -> list[Floats]:
        counts = self.eraser.word_counts[self.texts]
        texts = np.repeat(self.texts, counts).tolist()
        gone = [row for count in counts for row in np.eye(count, dtype=bool)]
        outputs = self.eraser.outputs(texts, gone, way)[
            np.arange(len(texts)), np.repeat(self.target, counts)
        ]
        whole = np.repeat(self.eraser.full[self.texts, self.target], counts)
        return np.split(whole - outputs, np.cumsum(counts)[:-1])

    def _at_bins(self, orders: list[Ints], way: Way) -> Floats:
        """Outputs for the class without the leading words, then with them alone, (N, 2 * BINS)."""
        gone: list[Mask] = []
        for order in orders:
            first = leading(order, share_sizes(len(order), BINS))
            gone += [*first, *~first]
        texts = np.repeat(self.texts, 2 * len(BINS)).tolist()
        outputs = self.eraser.outputs(texts, gone, way).reshape(len(orders), 2 * len(BINS), -1)
        return outputs[np.arange(len(orders)), :, self.target]

    def _flips(self, orders: list[Ints], way: Way) -> tuple[Floats, Floats]:
        """Share removed when the decision flips, 1 if never, and whether it never does."""
        if self.problem_type == "regression":
            undefined = np.full(len(orders), np.nan)
            return undefined, undefined
        sizes = [step_sizes(len(order)) for order in orders]
        kept: list[list[bool]] = [[] for _ in orders]
        # Some steps at a time: what comes after a flip need not be known.
        for first in range(0, MOST_STEPS, _ROUND):
            rows = [row for row, one in enumerate(kept) if all(one) and len(one) < len(sizes[row])]
            if not rows:
                break
            masks = [leading(orders[row], sizes[row][first : first + _ROUND]) for row in rows]
            counts = [len(some) for some in masks]
            texts = np.repeat(self.texts[rows], counts).tolist()
            outputs = self.eraser.outputs(texts, [one for some in masks for one in some], way)
            for row, part in zip(rows, np.split(outputs, np.cumsum(counts)[:-1]), strict=True):
                kept[row] += self._kept(part, int(self.target[row])).tolist()
        removed = [
            one[: len(still)] / len(order)
            for one, still, order in zip(sizes, kept, orders, strict=True)
        ]
        flips = decision_flip(kept, removed)
        return np.nan_to_num(flips, nan=1.0), np.isnan(flips).astype(np.float64)

    def _kept(self, outputs: Floats, target: int) -> Mask:
        if self.thresholds is not None:
            return outputs[:, target] >= self.thresholds[target]
        return outputs.argmax(1) == target


def attribution_scores(
    columns: Dataset, target: Ints, labels: int, *, centred: bool
) -> list[Floats]:
    """Signed scores of the words of extracted texts: the terms of one class's logit in each.

    Args:
        columns: As `extract` writes them, for all classes.
        target: The class of each text, (N,).
        labels: Number of classes.
        centred: Less the mean over classes, as for a softmax, where a shift of all means nothing.
    """
    found = []
    for flat, label in zip(columns["attribution"][:], target, strict=True):
        terms = np.array(flat, dtype=np.float64).reshape(-1, labels)
        found.append(terms[:, label] - (terms.mean(1) if centred else 0.0))
    return found


def attention_scores(columns: Dataset) -> list[Floats]:
    """Attention of the words of extracted texts: without sign, the same for every class."""
    return [np.array(weights, dtype=np.float64) for weights in columns["attention"][:]]
