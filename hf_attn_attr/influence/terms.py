"""What the texts of a batch add to the sums of `totals.Totals`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from hf_attn_attr.errors import InvalidInputError

from .columns import (
    ProblemType,
    Words,
    read_attention,
    read_attribution,
    read_probabilities,
)
from .exact import FloatArray, IntArray, Limbs, sum_groups
from .grouping import Block, Pairs, ones
from .ragged import Batch, Numbers
from .totals import BITS

# Sums of rounded numbers may pass a bound on the numbers by a few roundings.
_SLACK = 1.001


@dataclass(frozen=True, slots=True)
class Columns:
    """The numbers of a batch, checked; None where the batch has none.

    Attributes:
        attention: Float64 (positions,).
        attribution: (positions, attributed classes).
        context: Likewise.
        probabilities: Float64 (texts, labels).
    """

    attention: FloatArray | None
    attribution: Numbers | None
    context: Numbers | None
    probabilities: FloatArray | None

    def names(self) -> set[str]:
        """Which sums the columns add to."""
        names: set[str] = set()
        if self.attention is not None:
            names |= {"attention", "relative_attention"}
            names |= set() if self.probabilities is None else {"joint"}
        if self.attribution is not None:
            names |= {"attribution", "attribution_squared", "attribution_times_count"}
        return names if self.context is None else names | {"attribution_context"}


def read_columns(
    batch: Batch, words: Words, n_labels: int, n_classes: int, problem_type: ProblemType
) -> Columns:
    """The columns of numbers.

    Raises:
        NonFiniteError: If a number is NaN or infinite.
        InvalidInputError: If they do not fit the words or each other.
    """
    columns = Columns(
        attention=read_attention(batch, words),
        attribution=read_attribution(batch, "attribution", words, n_classes),
        context=read_attribution(batch, "attribution_context", words, n_classes),
        probabilities=read_probabilities(batch, words, n_labels, problem_type),
    )
    if columns.context is not None and columns.attribution is None:
        raise InvalidInputError(
            "The batch has attribution_context but no attribution. Pass both or neither."
        )
    if columns.attention is None and columns.attribution is None and len(words.codes):
        raise InvalidInputError(
            f"The batch from row {words.first_row} on has neither attention nor attribution. "
            "Extract it with any method."
        )
    return columns


class Terms:
    """One number per pair and column of each sum, made a block at a time.

    Args:
        columns: The numbers of the batch.
        pairs: Its pairs, not none.
        lengths: Words of each text, int64 (texts,).
        n_labels: Columns of a sum per class.
        classes: Where the attributed classes stand among the labels, if not all are attributed.
        centred: Whether attributions are centred over the classes.

    Attributes:
        pairs: The pairs.
        bounds: A number for each sum that none of its terms is larger than in size.
    """

    def __init__(
        self,
        columns: Columns,
        pairs: Pairs,
        lengths: IntArray,
        n_labels: int,
        classes: Sequence[int] | None,
        centred: bool,
    ) -> None:
        self._columns = columns
        self.pairs = pairs
        self._n_labels = n_labels
        self._classes = None if classes is None else list(classes)
        self._centred = centred
        self._occurrences = pairs.occurrences
        if columns.attention is not None:
            self._mass = pairs.positions @ columns.attention
            # All sums of attention are of the mass times something of the text: one product.
            per_text = [np.ones((len(lengths), 1)), lengths[:, None].astype(np.float64)]
            per_text += [] if columns.probabilities is None else [columns.probabilities]
            self._per_text = np.hstack(per_text)
        self.bounds = self._bounds()

    def widths(self) -> dict[str, int]:
        """Columns of each sum."""
        per_word = ("attention", "relative_attention")
        names = self._columns.names()
        return {name: 1 if name in per_word else self._n_labels for name in BITS if name in names}

    def _bounds(self) -> dict[str, float]:
        bounds: dict[str, float] = {}
        if self._columns.attention is not None:
            bound = self._mass.max() * max(self._per_text.max(), 1.0)
            bounds |= dict.fromkeys(("attention", "relative_attention", "joint"), float(bound))
        most = int(self._occurrences.max())
        per_total = most * (2 if self._centred else 1)
        if self._columns.attribution is not None:
            total = self._columns.attribution.largest * per_total
            bounds |= {
                "attribution": total,
                "attribution_squared": total * total,
                "attribution_times_count": total * most,
            }
        if self._columns.context is not None:
            bounds["attribution_context"] = self._columns.context.largest * per_total
        return {name: bounds[name] * _SLACK for name in self.widths()}

    def add_to(self, sums: dict[str, Limbs], rows: IntArray) -> None:
        """Add the sums over the pairs of word i to row rows[i] of `sums`, lower limbs not carried.

        Raises:
            InvalidInputError: If a sum could leave the range of the grid. It cannot if the bound
                times the pairs of a word is within it.
        """
        for block in self.pairs.blocks(self._n_labels):
            add = partial(self._add, sums, block, rows[block.words])
            if self._columns.attention is not None:
                self._add_attention(sums, block, rows[block.words])
            if self._columns.attribution is not None:
                totals = self._totals(self._columns.attribution, block.pairs)
                add("attribution", totals)
                add("attribution_times_count", totals * self._occurrences[block.pairs, None])
                with np.errstate(over="ignore"):  # what is infinite is refused with other sums
                    add("attribution_squared", np.multiply(totals, totals, out=totals))
            if self._columns.context is not None:
                add("attribution_context", self._totals(self._columns.context, block.pairs))

    def _add(
        self, sums: dict[str, Limbs], block: Block, rows: IntArray, name: str, values: FloatArray
    ) -> None:
        _add_rows(sums[name], rows, sum_groups(values, block.groups, BITS[name], self.bounds[name]))

    def _add_attention(self, sums: dict[str, Limbs], block: Block, rows: IntArray) -> None:
        values = self._per_text.take(self.pairs.text[block.pairs], axis=0)
        values *= self._mass[block.pairs, None]
        total = sum_groups(values, block.groups, BITS["joint"], self.bounds["attention"])
        places = {
            "attention": slice(1),
            "relative_attention": slice(1, 2),
            "joint": slice(2, None),
        }
        for name, which in places.items():
            if name in sums:
                _add_rows(sums[name], rows, Limbs(*(limb[:, which] for limb in total)))

    def _totals(self, numbers: Numbers, pairs: slice) -> FloatArray:
        """Totals of each pair over its occurrences, (pairs, labels); 0 if not attributed."""
        bounds = self.pairs.boundaries[pairs.start : pairs.stop + 1]
        order = self.pairs.order[bounds[0] : bounds[-1]]
        totals = numbers.values.take(order, axis=0).astype(np.float64)
        if len(order) > len(bounds) - 1:
            places = np.arange(len(order), dtype=order.dtype)
            totals = ones(places, bounds - bounds[0], len(order)) @ totals
        if self._classes is not None:
            every = np.zeros((len(totals), self._n_labels))
            every[:, self._classes] = totals
            return every
        if self._centred:
            totals -= (_sum_rows(totals) / totals.shape[1])[:, None]
        return totals


def _sum_rows(values: FloatArray) -> FloatArray:
    """Sums of rows, from left to right: the order in which numpy sums them depends on the batch."""
    full = csr_array((values.ravel(), *_all_places(*values.shape)), shape=values.shape)
    sums: FloatArray = np.asarray(full @ np.ones(values.shape[1]))
    return sums


@lru_cache(4)
def _all_places(rows: int, columns: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Column of each number and start of each row in a matrix of which all places are filled."""
    starts = np.arange(0, rows * columns + 1, columns, dtype=np.int32)
    return np.tile(np.arange(columns, dtype=np.int32), rows), starts


def _add_rows(sums: Limbs, rows: IntArray, more: Limbs) -> None:
    for held, added in zip(sums, more, strict=True):
        held[rows] = held.take(rows, axis=0) + added
