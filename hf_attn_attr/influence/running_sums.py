"""The sums of words that grow as texts come, in memory that grows with the words."""

import numpy as np

from hf_attn_attr.errors import InvalidInputError

from .exact import LIMIT, IntArray, Limbs, add, carried, zeros
from .grouping import Pairs
from .terms import Terms
from .totals import BITS, Totals

_CARRIED_ROWS = 4096  # words at a time, so that carrying takes no memory worth speaking of


class RunningSums:
    """What `Totals` holds per word, a row each; adding changes all of it or, on error, nothing."""

    def __init__(self) -> None:
        self._rows = 0  # in use; there is room for more
        self._counts: IntArray = np.zeros((0, 3), np.int64)
        self._sums: dict[str, Limbs] = {}
        self._reach: dict[str, float] = {}  # no upper limb is larger, carried or not

    @property
    def counts(self) -> IntArray:
        """Sums of n and n^2 and number of texts of each word, int64 (words, 3)."""
        return self._counts[: self._rows]

    def names(self) -> set[str]:
        """Which sums there are; none before the first text with words."""
        return set(self._sums)

    def carried(self) -> dict[str, Limbs]:
        """All sums in their unique form."""
        self._carry()
        return {
            name: Limbs(limbs.high[: self._rows], limbs.low[: self._rows])
            for name, limbs in self._sums.items()
        }

    def add_terms(self, terms: Terms, rows: IntArray) -> None:
        """Add the sums of a batch.

        Args:
            terms: What the batch adds.
            rows: Row of each of its words; new words have the rows behind the last.

        Raises:
            InvalidInputError: If a sum leaves the range of the grid.
        """
        widths = terms.widths()
        most = int(np.diff(terms.pairs.starts).max())
        reach = {
            name: bound * most * 2.0 ** BITS[name] + most for name, bound in terms.bounds.items()
        }
        if not self._within(reach):
            self._carry()
        if self._within(reach):
            self._reserve(rows, widths)
            terms.add_to(self._sums, rows)
            for name, more in reach.items():
                self._reach[name] = self._reach.get(name, 0.0) + more
        else:  # it may still fit, which only the sums themselves tell
            fresh = {name: zeros((len(rows), width)) for name, width in widths.items()}
            terms.add_to(fresh, np.arange(len(rows)))
            sums = self._sums_with(rows, {name: carried(limbs) for name, limbs in fresh.items()})
            self._reserve(rows, widths)
            self._put(rows, sums)
        self._counts[rows] += _counts(terms.pairs)

    def add_totals(self, part: Totals, rows: IntArray) -> None:
        """Add checked totals, whose words have these rows.

        Raises:
            InvalidInputError: If a sum leaves the range of the grid.
        """
        self._carry()
        sums = self._sums_with(rows, part.sums)
        known = rows < self._rows
        counts = part.counts.copy()
        counts[known] += self._counts[rows[known]]
        words = sum(held[:, 0].sum(dtype=np.float64) for held in (self.counts, part.counts))
        if max(words, counts.max(initial=0)) >= LIMIT:
            raise InvalidInputError(
                "The two folds have more words than can be counted, or than any corpus has. Fold "
                "their texts again."
            )
        self._reserve(rows, {name: limbs.high.shape[1] for name, limbs in part.sums.items()})
        self._put(rows, sums)
        self._counts[rows] = counts

    def _within(self, reach: dict[str, float]) -> bool:
        """Whether no sum can leave the range of the grid by adding up to `reach` upper steps."""
        return all(self._reach.get(name, 0.0) + more < LIMIT for name, more in reach.items())

    def _sums_with(self, rows: IntArray, part: dict[str, Limbs]) -> dict[str, Limbs]:
        """The sums of `rows` with those of `part` added; rows that are not there yet are 0."""
        known = rows < self._rows
        total = {}
        for name, more in part.items():
            held = zeros(more.high.shape)
            if name in self._sums:
                for to, limb in zip(held, self._sums[name], strict=True):
                    to[known] = limb[rows[known]]
            total[name] = add(held, more)
        return total

    def _put(self, rows: IntArray, sums: dict[str, Limbs]) -> None:
        for name, total in sums.items():
            self._sums[name].high[rows] = total.high
            self._sums[name].low[rows] = total.low
        self._measure()

    def _carry(self) -> None:
        """Bring all sums into their unique form, and see how far they reach."""
        for limbs in self._sums.values():
            for start in range(0, len(limbs.high), _CARRIED_ROWS):
                rows = slice(start, start + _CARRIED_ROWS)
                limbs.high[rows], limbs.low[rows] = carried(
                    Limbs(limbs.high[rows], limbs.low[rows])
                )
        self._measure()

    def _measure(self) -> None:
        self._reach = {
            name: float(max(s.high.max(initial=0), -s.high.min(initial=0)))
            for name, s in self._sums.items()
        }

    def _reserve(self, rows: IntArray, widths: dict[str, int]) -> None:
        """Make room for these rows; what is not used is 0 and means nothing."""
        self._rows = max(self._rows, int(rows.max(initial=-1)) + 1)
        self._counts = _grown(self._counts, self._rows)
        for name, width in widths.items():
            held = self._sums.get(name, zeros((0, width)))
            self._sums[name] = Limbs(_grown(held.high, self._rows), _grown(held.low, self._rows))


def _counts(pairs: Pairs) -> IntArray:
    """Sums of n and n^2 and number of texts of each word, (words, 3)."""
    occurrences, starts = pairs.occurrences, pairs.starts
    return np.column_stack(
        [
            np.add.reduceat(occurrences, starts[:-1]),
            np.add.reduceat(occurrences * occurrences, starts[:-1]),
            np.diff(starts),
        ]
    )


def _grown(array: IntArray, rows: int) -> IntArray:
    if rows <= len(array):
        return array
    # Doubling keeps the copying linear in the final size.
    grown = np.zeros((max(rows, 2 * len(array)), array.shape[1]), np.int64)
    grown[: len(array)] = array
    return grown
