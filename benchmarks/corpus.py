"""A corpus out of a random generator, as extracted columns: for timing, it means nothing."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

LENGTH = 20


@dataclass(frozen=True)
class Corpus:
    """Texts as flat arrays.

    Attributes:
        ids: Number of each word, int32 (words,).
        offsets: Text i has the words offsets[i] to offsets[i + 1] - 1, int32 (texts + 1,).
        attention: Float32 (words,), 1 in sum per text.
        attribution: Float32 (words, classes).
        probabilities: Float32 (texts, classes).
        dictionary: The words of the numbers.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int32]
    attention: NDArray[np.float32]
    attribution: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    dictionary: pa.Array

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.probabilities.shape[1]

    def text_of_word(self) -> NDArray[np.int32]:
        """Text of each word, int32 (words,)."""
        return np.repeat(np.arange(len(self.probabilities), dtype=np.int32), np.diff(self.offsets))

    def table(self, *, written: bool, attribution: bool) -> pa.Table:
        """The columns `update` reads; words written out, or as numbers with their dictionary."""
        words = pa.DictionaryArray.from_arrays(pa.array(self.ids), self.dictionary)
        n_texts, n_classes = self.probabilities.shape
        every = np.arange(n_texts + 1, dtype=np.int32) * n_classes
        columns = {
            "words": lists(words.dictionary_decode() if written else words, self.offsets),
            "attention": lists(pa.array(self.attention), self.offsets),
            "attribution": pa.nulls(n_texts, pa.list_(pa.float32())),
            "probabilities": lists(pa.array(self.probabilities.ravel()), every),
        }
        if attribution:
            flat = pa.array(self.attribution.ravel())
            columns["attribution"] = lists(flat, self.offsets * n_classes)
        return pa.table(columns)


def lists(values: pa.Array, offsets: NDArray[np.int32]) -> pa.Array:
    """A list per text."""
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def corpus(
    n_texts: int,
    vocabulary: int,
    n_classes: int,
    *,
    seed: int = 0,
    frequencies: NDArray[np.float64] | None = None,
    dictionary: pa.Array | None = None,
) -> Corpus:
    """Texts of Poisson length around 20, words by Zipf's law or by `frequencies`."""
    rng = np.random.default_rng(seed)
    lengths = rng.poisson(LENGTH - 1, n_texts) + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    if frequencies is None:
        frequencies = 1 / np.arange(1, vocabulary + 1)
    cumulative = np.cumsum(frequencies / frequencies.sum())
    n_words = offsets[-1]
    ids = np.searchsorted(cumulative, rng.random(n_words, np.float32)).astype(np.int32)
    weights = rng.gamma(0.3, size=n_words) + 1e-6
    attention = weights / np.repeat(np.add.reduceat(weights, offsets[:-1]), lengths)
    logits = 3 * rng.standard_normal((n_texts, n_classes), np.float32)
    probabilities = np.exp(logits.astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    if dictionary is None:
        dictionary = pa.array([f"w{i}" for i in range(vocabulary)])
    return Corpus(
        ids=np.minimum(ids, vocabulary - 1),
        offsets=offsets,
        attention=attention.astype(np.float32),
        attribution=rng.standard_normal((n_words, n_classes), np.float32),
        probabilities=probabilities.astype(np.float32),
        dictionary=dictionary,
    )
