"""Which words each text has, and where: the step from word positions to word totals."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from .columns import Words
from .exact import IntArray
from .words import WordRule


@dataclass(frozen=True, slots=True)
class TextWords:
    """The *pairs* of a batch: one for each text and each different word in it.

    Pairs are ordered by word, then by text.

    Attributes:
        words: Keys of the different words, each used at least once.
        text: Text of each pair, int64 (pairs,).
        occurrences: How often the word stands in the text, int64 (pairs,).
        positions: Float ones (pairs, word positions): `positions @ x` adds up x over the
            occurrences of each pair, from 0 on and in the order of the text.
        groups: Float ones (words, pairs): `groups @ y` adds up y over the pairs of each word.
    """

    words: list[str]
    text: IntArray
    occurrences: IntArray
    positions: csr_array
    groups: csr_array

    @property
    def word(self) -> IntArray:
        """Word of each pair, int64 (pairs,)."""
        return np.repeat(np.arange(len(self.words)), np.diff(self.groups.indptr))


def group_words(words: Words, rule: WordRule) -> TextWords:
    """The pairs of a batch, words taken as one when `rule` gives them one key."""
    ids: dict[str, int] = {}
    id_of = [ids.setdefault(rule.key(word), len(ids)) for word in words.distinct]
    codes = np.array(id_of, np.int64)[words.codes]

    n_positions, n_texts = len(codes), len(words.lengths)
    # Transposing a sparse matrix is a stable sort by word in linear time.
    table = csr_array(
        (np.arange(n_positions), codes, words.offsets), shape=(n_texts, len(ids))
    ).tocsc()
    order = table.data.astype(np.int64)
    text = table.indices.astype(np.int64)
    word = np.repeat(np.arange(len(ids)), np.diff(table.indptr))

    first = np.ones(n_positions, bool)
    first[1:] = (text[1:] != text[:-1]) | (word[1:] != word[:-1])
    boundaries = np.append(np.flatnonzero(first), n_positions)
    starts = np.searchsorted(boundaries, table.indptr)
    return TextWords(
        words=list(ids),
        text=text[first],
        occurrences=np.diff(boundaries),
        positions=_ones(order, boundaries, n_positions),
        groups=_ones(np.arange(len(boundaries) - 1), starts, len(boundaries) - 1),
    )


def _ones(columns: IntArray, starts: IntArray, width: int) -> csr_array:
    return csr_array((np.ones(len(columns)), columns, starts), shape=(len(starts) - 1, width))
