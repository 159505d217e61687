"""Erasure over a whole corpus: do the top words of a class drive it?

The words are taken out of every text that holds them, and the change of the mean probability of the
class is held against words that are as frequent and otherwise any.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from ..influence import WordRule
from .erasure import Eraser, Mask, Way
from .rankings import matched_words

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Effect:
    """What taking some words out of a corpus does to the output for one class.

    Attributes:
        drop: Mean over all texts of p(text) - p(text without the words).
        drop_touched: Mean over the texts that hold one of the words; 0 if none does.
        touched: Share of the texts that do.
    """

    drop: float
    drop_touched: float
    touched: float


class CorpusErasure:
    """A corpus from which sets of words can be erased.

    Args:
        eraser: Model and texts.
        texts: The same texts.
        rule: When two spellings are one word.

    Attributes:
        words: Keys of the words of the texts, sorted by code point.
        frequency: Texts that hold each, int64 (V,).
    """

    def __init__(self, eraser: Eraser, texts: Sequence[str], rule: WordRule):
        self.eraser = eraser
        keys = [
            rule.key(text[start:end])
            for text, found in zip(texts, eraser.encoded, strict=True)
            for start, end in found.spans
        ]
        self.words: tuple[str, ...] = tuple(sorted(set(keys)))
        place = {word: index for index, word in enumerate(self.words)}
        self._codes: Ints = np.array([place[key] for key in keys], dtype=np.int64)
        self._ends = np.concatenate([[0], np.cumsum(eraser.word_counts)])
        self._text_of: Ints = np.repeat(np.arange(len(texts)), eraser.word_counts)
        pairs = np.unique(self._codes * max(1, len(texts)) + self._text_of)
        self.frequency: Ints = np.bincount(pairs // max(1, len(texts)), minlength=len(place))

    def codes(self, text: int) -> Ints:
        """The words of one text, indices into `words`, (n,)."""
        return self._codes[self._ends[text] : self._ends[text + 1]]

    @property
    def counts(self) -> csr_array:
        """How often each text holds each word, float64 (N, V)."""
        shape = (len(self.eraser.encoded), len(self.words))
        ones = np.ones(len(self._codes))
        return coo_array((ones, (self._text_of, self._codes)), shape=shape).tocsr()

    def effects(self, sets: Sequence[Ints], label: int, way: Way) -> list[Effect]:
        """The effect of each set of words, indices into `words`, on the class `label`."""
        texts: list[int] = []
        gone: list[Mask] = []
        counts = []
        for words in sets:
            removed = np.zeros(len(self.words), dtype=bool)
            removed[words] = True
            at = removed[self._codes]
            touched = np.unique(self._text_of[at])
            counts.append(len(touched))
            texts += touched.tolist()
            gone += [at[self._ends[text] : self._ends[text + 1]] for text in touched]
        whole = self.eraser.full[np.array(texts, dtype=np.int64), label]
        losses = whole - self.eraser.outputs(texts, gone, way)[:, label]
        n_texts = len(self.eraser.encoded)
        return [
            Effect(
                float(one.sum()) / n_texts,
                float(one.mean()) if len(one) else 0.0,
                len(one) / n_texts,
            )
            for one in np.split(losses, np.cumsum(counts)[:-1])
        ]

    def top(self, values: Floats, k: int) -> Ints:
        """The k words of the corpus with the highest values (V,); those with NaN are not listed."""
        listed = np.flatnonzero(~np.isnan(values))
        return listed[np.argsort(-values[listed], kind="stable")[:k]]

    def aligned(self, words: Sequence[str], values: Floats) -> Floats:
        """Values (W, ...) of some words as values (V, ...) of the corpus's, NaN for others."""
        place = {word: row for row, word in enumerate(words)}
        rows = [place.get(word, len(words)) for word in self.words]
        nothing = np.full((1, *values.shape[1:]), np.nan)
        return np.concatenate([values, nothing])[rows]


@dataclass(frozen=True)
class Removal:
    """The top k words of one class by several measures, and what erasing them does.

    Attributes:
        k: Words asked for.
        words: Words there were, at most k, by measure.
        effects: By measure.
        matched: For measures with a control: the effects of several draws of words as frequent.
    """

    k: int
    words: Mapping[str, int]
    effects: Mapping[str, Effect]
    matched: Mapping[str, Sequence[Effect]]


def removals(
    corpus: CorpusErasure,
    measures: Mapping[str, Floats],
    label: int,
    way: Way,
    sizes: Sequence[int],
    *,
    controls: Sequence[str],
    draws: int,
    rng: np.random.Generator,
) -> list[Removal]:
    """Erase the top words of one class by every measure, and words matched in frequency.

    Args:
        corpus: Texts and model.
        measures: By name, the value of each of the corpus's words for the class, (V,), NaN for
            words that are not to be listed.
        label: The class.
        way: How words go.
        sizes: Numbers of top words.
        controls: Measures whose top words are held against matched words.
        draws: How often those are drawn.
        rng: Source of chance.

    Returns:
        One for each of `sizes`.
    """
    largest = {name: corpus.top(values, max(sizes)) for name, values in measures.items()}
    drawn: dict[str, list[Ints]] = {}
    for name in controls:
        allowed = np.ones(len(corpus.words), dtype=bool)
        allowed[largest[name]] = False
        drawn[name] = [
            matched_words(largest[name], corpus.frequency, allowed, rng) for _ in range(draws)
        ]
    keys = [(k, name, -1) for k in sizes for name in measures]
    keys += [(k, name, draw) for k in sizes for name in controls for draw in range(draws)]
    sets = [(largest[name] if draw < 0 else drawn[name][draw])[:k] for k, name, draw in keys]
    found = dict(zip(keys, corpus.effects(sets, label, way), strict=True))
    return [
        Removal(
            k,
            {name: len(top[:k]) for name, top in largest.items()},
            {name: found[k, name, -1] for name in measures},
            {name: [found[k, name, draw] for draw in range(draws)] for name in controls},
        )
        for k in sizes
    ]
