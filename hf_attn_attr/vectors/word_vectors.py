"""Vectors of words, and the table of a vocabulary made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError, NonFiniteError

# Relative to the largest entry, what rounding to float32 may leave of a zero.
_ROUNDING = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Words and their vectors.

    Attributes:
        words: N different words.
        vectors: float32 (N, D), finite; N and D are at least 1.
        source: Where they are from, for a manifest: "distilled from NAME", "read from FILE".

    Raises:
        InvalidInputError: If the words are not unique or do not fit the vectors.
        NonFiniteError: If a vector holds NaN or infinity.
    """

    words: tuple[str, ...]
    vectors: NDArray[np.float32]
    source: str

    def __post_init__(self) -> None:
        vectors = self.vectors
        if vectors.ndim != 2 or vectors.dtype != np.float32 or 0 in vectors.shape:
            raise InvalidInputError(
                f"Vectors {self.source} are {vectors.dtype} {vectors.shape}. Give float32 (words, "
                "dimensions), at least one of each."
            )
        if len(set(self.words)) != len(self.words) or len(self.words) != len(vectors):
            raise InvalidInputError(
                f"Vectors {self.source}: {len(vectors)} vectors for {len(self.words)} words, "
                f"{len(set(self.words))} of them different. Give each word once, with one vector."
            )
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            word = self.words[int(np.argmin(finite))]
            raise NonFiniteError(
                f"Vectors {self.source}: NaN or infinity in that of {word!r}. Repair the source or "
                "leave the word out."
            )

    def reduced(self, size: int) -> "WordVectors":
        """The vectors centred, turned to their principal axes and scaled alike.

        Principal components are taken over the words as they stand, each counted once. The sign of
        a component is such that its largest loading is positive.

        Args:
            size: Dimensions kept, those of largest variance first. D where that is smaller.

        Returns:
            Vectors whose entries have root mean square 1; one that equals the mean is zero.

        Raises:
            InvalidInputError: If `size` is below 1.

        Source: Jolliffe 2002, "Principal Component Analysis", chapter 1.
        """
        if size < 1:
            raise InvalidInputError(f"Vectors of {size} dimensions. Ask for at least 1.")
        centred = self.vectors.astype(np.float64)
        largest = np.abs(centred).max()
        centred -= centred.mean(axis=0)
        components = np.linalg.svd(centred.T @ centred, hermitian=True)[2][:size]
        loadings = np.take_along_axis(
            components, np.abs(components).argmax(axis=1, keepdims=True), axis=1
        )
        projected = centred @ (components * np.sign(loadings)).T
        rms = np.sqrt((projected**2).mean(axis=1, keepdims=True))
        nonzero = rms > _ROUNDING * largest
        scaled = np.where(nonzero, projected / np.where(nonzero, rms, 1.0), 0.0)
        return WordVectors(self.words, scaled.astype(np.float32), self.source)

    def table(self, words: Sequence[str | None]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Vectors of a vocabulary in its order.

        A word is looked up as it is, then in lower case, then in title case.

        Args:
            words: V words; None where a token is no word.

        Returns:
            Vectors, float32 (V, D), zero where there is none; and which were found, bool (V,).
        """
        rows = {word: row for row, word in enumerate(self.words)}
        chosen = np.array(
            [
                next((rows[spelling] for spelling in spellings(word) if spelling in rows), -1)
                for word in words
            ],
            dtype=np.int64,
        )
        found = chosen >= 0
        table = np.zeros((len(words), self.vectors.shape[1]), dtype=np.float32)
        table[found] = self.vectors[chosen[found]]
        return table, found


def spellings(word: str | None) -> tuple[str, ...]:
    """The forms under which a word is looked up, the first wanted most; none for None."""
    return () if word is None else (word, word.lower(), word.title())


def source_name(source: str | Path) -> str:
    """What to call a source: a Hub name, or the last part of a local path."""
    path = Path(source)
    return path.resolve().name if path.exists() else str(source)
