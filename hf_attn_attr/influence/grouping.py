"""Which words each text has, and where: the step from word positions to word totals."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .columns import Words
from .exact import IntArray
from .words import WordRule

# Numbers of a block: few enough to stay in the processor's cache, many enough that the steps taken
# once per block do not show.
_BLOCK = 2**16


class Block(NamedTuple):
    """Successive pairs.

    Attributes:
        pairs: Which.
        words: Those of the pairs, as a range; the first and last may have more pairs.
        groups: Float ones (words, pairs): `groups @ y` adds up y over the pairs of each word.
    """

    pairs: slice
    words: slice
    groups: csr_array


@dataclass(frozen=True, slots=True)
class Pairs:
    """The *pairs* of a batch: one for each text and each different word in it.

    Pairs are ordered by word, then by text.

    Attributes:
        order: Word positions, ordered by pair, then by place in the text; int32 (positions,).
        boundaries: Pair i has order[boundaries[i]:boundaries[i + 1]]; int64 (pairs + 1,).
        starts: Word j has the pairs starts[j] to starts[j + 1] - 1, at least one; int64
            (words + 1,).
        text: Text of each pair, int32 (pairs,).
    """

    order: NDArray[np.int32]
    boundaries: IntArray
    starts: IntArray
    text: NDArray[np.int32]

    @property
    def occurrences(self) -> IntArray:
        """How often the word stands in the text, int64 (pairs,)."""
        return np.diff(self.boundaries)

    @property
    def word(self) -> IntArray:
        """Word of each pair, int64 (pairs,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @property
    def positions(self) -> csr_array:
        """Float ones (pairs, word positions).

        `positions @ x` adds up x over the occurrences of each pair, from 0 on and in the order of
        the text.
        """
        return ones(self.order, self.boundaries, len(self.order))

    @property
    def groups(self) -> csr_array:
        """Float ones (words, pairs): `groups @ y` adds up y over the pairs of each word."""
        return ones(np.arange(len(self.text), dtype=np.int32), self.starts, len(self.text))

    def blocks(self, width: int) -> Iterator[Block]:
        """All pairs, a block at a time, for `width` numbers per pair."""
        size = max(256, _BLOCK // width)
        n_pairs = len(self.text)
        places = np.arange(size, dtype=np.int32)
        for start in range(0, n_pairs, size):
            stop = min(start + size, n_pairs)
            first = int(np.searchsorted(self.starts, start, side="right")) - 1
            last = int(np.searchsorted(self.starts, stop, side="left"))
            starts = np.clip(self.starts[first : last + 1], start, stop) - start
            groups = ones(places[: stop - start], starts, stop - start)
            yield Block(slice(start, stop), slice(first, last), groups)


def group_words(words: Words, rule: WordRule) -> tuple[list[str], Pairs]:
    """The different words, by `rule`, and the pairs of a batch."""
    ids: dict[str, int] = {}
    used = np.flatnonzero(words.used())
    id_of = np.zeros(len(words.dictionary), np.int32)
    id_of[used] = [ids.setdefault(key, len(ids)) for key in rule.keys(words.dictionary.take(used))]
    return list(ids), pairs_of(id_of[words.codes], words.offsets)


def pairs_of(codes: NDArray[np.int32], offsets: IntArray) -> Pairs:
    """The pairs of texts whose words are numbers.

    Args:
        codes: Word of each position; every number from 0 to the largest is used. int32
            (positions,).
        offsets: Text i owns the positions offsets[i] to offsets[i + 1] - 1, int64 (texts + 1,).
    """
    n_positions, n_words = len(codes), int(codes.max(initial=-1)) + 1
    # Transposing a sparse matrix is a stable sort by word in linear time.
    places = np.arange(n_positions, dtype=np.int32)
    shape = (len(offsets) - 1, n_words)
    table = csr_array((places, codes, offsets.astype(np.int32)), shape=shape).tocsc()
    text = table.indices
    first = np.empty(n_positions, bool)
    np.not_equal(text[1:], text[:-1], out=first[1:])
    first[table.indptr[:-1]] = True
    boundaries = np.flatnonzero(first)
    starts = np.zeros(n_words + 1, np.int64)
    starts[1:] = np.cumsum(first)[table.indptr[1:] - 1]
    return Pairs(
        order=table.data,
        boundaries=np.append(boundaries, n_positions),
        starts=starts,
        text=text.take(boundaries),
    )


def ones(columns: NDArray[np.int32], starts: IntArray, width: int) -> csr_array:
    """Float ones in row i at columns[starts[i]:starts[i + 1]], (rows, width)."""
    indptr = starts.astype(np.int32)
    return csr_array((np.ones(len(columns)), columns, indptr), shape=(len(starts) - 1, width))
