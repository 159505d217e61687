"""Which row of the sums a word has."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import count

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .columns import Words
from .exact import IntArray
from .words import WordRule


@dataclass(frozen=True, slots=True)
class Found:
    """The words of a batch, looked up.

    Attributes:
        rows: Row of each different word; new words have the rows behind the last, int64 (words,).
        fresh: The new words, in the order of their rows.
        codes: Index into `rows` of each word of the texts, int32 (positions,).
        dictionary: What the batch had the words from, and their rows (-1: not used), if it is worth
            remembering.
    """

    rows: IntArray
    fresh: list[str]
    codes: NDArray[np.int32]
    dictionary: tuple[pa.Array, IntArray] | None = None


OTHER = "[other words]"
"""The word that all words beyond the cap are counted as."""


class Vocabulary:
    """Rows of words, given in the order of their discovery.

    Args:
        rule: When two spellings are one word.
        most: Words that get a row of their own; the words discovered later share that of `OTHER`.
    """

    def __init__(self, rule: WordRule, most: int | None = None) -> None:
        self._rule = rule
        self._most = most
        self._row_of: dict[str, int] = {}
        self._dictionary: tuple[pa.Array, IntArray] | None = None

    def __len__(self) -> int:
        return len(self._row_of)

    def agrees_with(self, other: "Vocabulary") -> bool:
        """Whether no word has a row in one of the two and is, or would be, counted as `OTHER`."""
        mine, theirs = self._row_of.keys() - {OTHER}, other._row_of.keys() - {OTHER}
        capped = OTHER in self._row_of or OTHER in other._row_of
        too_many = self._most is not None and len(mine | theirs) > self._most
        return mine == theirs or not (capped or too_many)

    def words(self) -> list[str]:
        """Keys of the words, in the order of their rows."""
        return list(self._row_of)

    def find(self, words: Words) -> Found:
        """Look up the words of texts; changes nothing."""
        row_of_code = self._remembered(words.dictionary)
        used = words.used()
        unknown = np.flatnonzero(used & (row_of_code < 0))
        rows, fresh = self._rows(self._rule.keys(words.dictionary.take(unknown)))
        row_of_code[unknown] = rows
        codes = np.zeros(len(used), np.int32)
        rows_used, codes[used] = np.unique(row_of_code[used], return_inverse=True)
        of_positions = codes.take(words.codes)
        return Found(rows_used, fresh, of_positions, (words.dictionary, row_of_code))

    def find_keys(self, keys: list[str]) -> Found:
        """Look up different words that are keys; changes nothing."""
        rows, fresh = self._rows(keys)
        return Found(rows, fresh, np.arange(len(keys), dtype=np.int32))

    def add(self, found: Found) -> None:
        """Add the new words of what was found last."""
        self._row_of.update(zip(found.fresh, count(len(self)), strict=False))
        if found.dictionary:
            self._dictionary = found.dictionary

    def _rows(self, keys: list[str]) -> tuple[IntArray, list[str]]:
        """Rows of keys, and which are new."""
        known = self._row_of.get
        rows = np.array([known(key, -1) for key in keys], np.int64)
        fresh: defaultdict[str, int] = defaultdict(count(len(self)).__next__)
        missing = np.flatnonzero(rows < 0)
        room = len(keys) if self._most is None else self._most - len(self) + (OTHER in self._row_of)
        for place in missing.tolist():
            key = keys[place]
            if key not in fresh and key != OTHER:
                key = key if room > 0 else OTHER
                room -= 1
            rows[place] = known(key, -1) if key in self._row_of else fresh[key]
        return rows, list(fresh)

    def _remembered(self, dictionary: pa.Array) -> IntArray:
        """Rows of the words of a dictionary, as far as known: batches often share theirs."""
        if self._dictionary is not None:
            known, rows = self._dictionary
            if known.equals(dictionary):
                return rows.copy()
        return np.full(len(dictionary), -1, np.int64)
