"""Which words are taken away: rankings of a text's words, and what would rank them by chance."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Masks = NDArray[np.bool_]
MOST_STEPS = 25
"""Longest sequence of removals of one text; longer texts lose several words at a step."""


def most_important_first(scores: ArrayLike) -> Ints:
    """Positions of a text's words by falling score; equal scores in the order of the text."""
    return np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")


def share_sizes(words: int, shares: Sequence[float]) -> Ints:
    """How many of `words` words each share is, rounded up, so at least one."""
    # 0.07 * 100 is a little more than 7.
    return np.array([math.ceil(round(share * words, 9)) for share in shares], dtype=np.int64)


def step_sizes(words: int, most: int = MOST_STEPS) -> Ints:
    """Growing numbers of words to remove, always leaving one; one by one in texts up to `most`."""
    steps = min(most, words)
    sizes = -(-np.arange(1, steps + 1) * words // max(steps, 1))
    return sizes[sizes < words]


def leading(order: Ints, sizes: Ints) -> Masks:
    """True at the first `sizes` (K,) positions of `order` (n,): bool (K, n)."""
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place < sizes[:, None]


def random_scores(lengths: ArrayLike, rng: np.random.Generator) -> list[Floats]:
    """Scores that know nothing: for each text of n words a random order."""
    return [rng.permutation(int(length)).astype(np.float64) for length in np.asarray(lengths)]


def frequency_matched_scores(
    scores: Sequence[Floats], frequency: Sequence[ArrayLike], rng: np.random.Generator
) -> list[Floats]:
    """Scores that know of each word nothing but its frequency.

    Every occurrence gets the relative rank (0 last, 1 first in its text) that `scores` gave to a
    random occurrence, in any text, of a word that is about as frequent (`frequency_class`). So the
    words removed are as frequent as those that `scores` would remove, and otherwise any words.

    Args:
        scores: For each text, float (n_i,).
        frequency: For each text, how frequent each of its words is in the corpus, (n_i,) >= 1.
        rng: Source of chance.
    """
    lengths = [len(score) for score in scores]
    ranks = np.concatenate([_relative_rank(score) for score in scores])
    classes = frequency_class(np.concatenate([np.asarray(one) for one in frequency]))
    for one in np.unique(classes):
        members = np.flatnonzero(classes == one)
        ranks[members] = ranks[rng.permutation(members)]
    ends = np.cumsum(lengths)[:-1]
    # Ranks of different texts can be equal: a little noise orders them, by chance.
    return np.split(ranks + rng.uniform(0, 1e-9, len(ranks)), ends)


def frequency_class(frequency: ArrayLike) -> Ints:
    """Two classes per doubling of the frequency, int64 of the same shape."""
    return np.floor(2 * np.log2(np.asarray(frequency, dtype=np.float64))).astype(np.int64)


def matched_words(chosen: Ints, frequency: Ints, allowed: Masks, rng: np.random.Generator) -> Ints:
    """For each of some words another one that is about as frequent, drawn without replacement.

    Args:
        chosen: Indices of the words to match, (k,).
        frequency: Of every word, (W,), at least 1 where `allowed` or chosen.
        allowed: The words that may be drawn, bool (W,).
        rng: Source of chance.

    Returns:
        Indices, (k,) or fewer if there are fewer to draw: of the same `frequency_class` where one
        is left there, else of the nearest class that has any.
    """
    pool: dict[int, list[int]] = {}
    candidates = rng.permutation(np.flatnonzero(allowed))
    for word, one in zip(candidates, frequency_class(frequency[candidates]), strict=True):
        pool.setdefault(int(one), []).append(int(word))
    drawn: list[int] = []
    for wanted in frequency_class(frequency[chosen]):
        if not pool:
            break
        nearest = min(pool, key=lambda one: (abs(one - int(wanted)), one))
        drawn.append(pool[nearest].pop())
        if not pool[nearest]:
            del pool[nearest]
    return np.array(drawn, dtype=np.int64)


def _relative_rank(scores: Floats) -> Floats:
    """1 at the highest score, 0 at the lowest, evenly spaced."""
    rank = np.empty(len(scores))
    rank[most_important_first(scores)] = np.linspace(1, 0, len(scores))
    return rank
