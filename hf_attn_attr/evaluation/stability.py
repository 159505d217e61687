"""Stability: would other texts, or another seed, tell the same story?

Stable numbers may still be wrong: attention is as stable over seeds as attributions are. Unstable
ones cannot be right.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset
from numpy.typing import NDArray
from scipy.stats import rankdata

from ..errors import IncompatibleError, InvalidInputError
from ..influence import InfluenceMatrix, fold

MEASURES = ("influence", "lower_bound", "joint", "p_class_given_word")
MIN_DOCUMENTS = 3

Pair = tuple[InfluenceMatrix, InfluenceMatrix]


def split_half_agreement(
    dataset: Dataset,
    *,
    splits: int = 5,
    seed: int = 0,
    measures: Sequence[str] = MEASURES,
    min_documents: int = MIN_DOCUMENTS,
    **options: Any,
) -> pd.DataFrame:
    """How far two random halves of the texts rank the words alike.

    Args:
        dataset: Extracted columns.
        splits: How many times to split.
        seed: Decides the splits.
        measures: Attributes of a matrix to compare.
        min_documents: Words of fewer texts in either half are left out.
        options: Passed to `fold`.

    Returns:
        A row per split, measure and label: first and second (numbers of the matrices, two per
        split), measure, label, words (compared), spearman (NaN where fewer than 3 words have the
        measure, or all values are equal), same_sign (share of the words; NaN where there are none).

    Raises:
        InvalidInputError: If there are no two texts to split, or a measure is unknown.
    """
    matrices = half_matrices(dataset, splits=splits, seed=seed, **options)
    return _agreement(
        matrices, [(i, i + 1) for i in range(0, len(matrices), 2)], measures, min_documents
    )


def seed_agreement(
    matrices: Sequence[InfluenceMatrix],
    *,
    measures: Sequence[str] = MEASURES,
    min_documents: int = MIN_DOCUMENTS,
) -> pd.DataFrame:
    """How far matrices of models that differ by their seed rank the words alike, all pairs.

    Args:
        matrices: Two or more, folded on the same texts.
        measures: As for `split_half_agreement`.
        min_documents: As for `split_half_agreement`.

    Returns:
        As `split_half_agreement`, a row per pair, measure and label.

    Raises:
        InvalidInputError: If there are fewer than two matrices, or a measure is unknown.
        IncompatibleError: If the matrices differ in labels or word rule.
    """
    pairs = list(combinations(range(len(matrices)), 2))
    return _agreement(matrices, pairs, measures, min_documents)


def selection_frequency(
    matrices: Sequence[InfluenceMatrix],
    k: int = 20,
    *,
    by: str = "lower_bound",
    min_documents: int = MIN_DOCUMENTS,
) -> pd.DataFrame:
    """How often a word is among the `k` most influential of its label.

    Args:
        matrices: Of several seeds, or the `half_matrices` of several splits.
        k: Length of the lists.
        by: Measure they are ranked by.
        min_documents: Words of fewer texts are not listed.

    Returns:
        A row per label and word that is listed at all, the most frequent first: label, word,
        frequency (share of the matrices that list it).

    Raises:
        InvalidInputError: If there are no matrices, or the measure is unknown.
        IncompatibleError: If the matrices differ in labels or word rule.

    Source: Meinshausen & Buhlmann 2010, "Stability selection".
    """
    _check(matrices, 1)
    listed = pd.DataFrame(
        [
            (label, word)
            for label in matrices[0].labels
            for matrix in matrices
            for word in matrix.top_words(label, k, by=by, min_documents=min_documents)["word"]
        ],
        columns=["label", "word"],
    )
    counted = listed.groupby(["label", "word"]).size().rename("frequency").reset_index()
    counted["frequency"] /= len(matrices)
    order = {label: place for place, label in enumerate(matrices[0].labels)}
    counted["place"] = counted["label"].map(order)
    counted = counted.sort_values(["place", "frequency", "word"], ascending=[True, False, True])
    return counted[["label", "word", "frequency"]].reset_index(drop=True)


def half_matrices(
    dataset: Dataset, *, splits: int = 5, seed: int = 0, **options: Any
) -> list[InfluenceMatrix]:
    """Matrices of the two halves of each of several random splits, halves side by side.

    Raises:
        InvalidInputError: If there are no two texts to split.
    """
    if len(dataset) < 2 or splits < 1:
        raise InvalidInputError(
            f"{len(dataset)} texts cannot be halved {splits} times. Pass two texts or more, and at "
            "least one split."
        )
    rng = np.random.default_rng(seed)
    matrices = []
    for _ in range(splits):
        order = rng.permutation(len(dataset))
        for half in np.array_split(order, 2):
            matrices.append(fold(dataset.select(np.sort(half)), **options))
    return matrices


def _agreement(
    matrices: Sequence[InfluenceMatrix],
    pairs: Sequence[tuple[int, int]],
    measures: Sequence[str],
    min_documents: int,
) -> pd.DataFrame:
    _check(matrices, 2)
    rows = [
        (first, second, *row)
        for first, second in pairs
        for row in _compared((matrices[first], matrices[second]), measures, min_documents)
    ]
    names = ["first", "second", "measure", "label", "words", "spearman", "same_sign"]
    return pd.DataFrame(rows, columns=names)


def _compared(
    pair: Pair, measures: Sequence[str], min_documents: int
) -> Iterator[tuple[str, str, int, float, float]]:
    """Measure, label, words, Spearman correlation and share of like signs of two matrices."""
    first, second = pair
    place = {word: row for row, word in enumerate(second.words)}
    shared = [
        (row, place[word])
        for row, word in enumerate(first.words)
        if word in place
        and first.document_count[row] >= min_documents
        and second.document_count[place[word]] >= min_documents
    ]
    rows = np.array(shared, np.int64).reshape(-1, 2)
    for measure in measures:
        for column, label in enumerate(first.labels):
            left = _values(first, measure)[rows[:, 0], column]
            right = _values(second, measure)[rows[:, 1], column]
            defined = ~np.isnan(left + right)
            left, right = left[defined], right[defined]
            same = float(np.mean(np.sign(left) == np.sign(right))) if len(left) else float("nan")
            yield measure, label, len(left), _spearman(left, right), same


def _values(matrix: InfluenceMatrix, measure: str) -> NDArray[np.float64]:
    values = getattr(matrix, measure, None)
    if not isinstance(values, np.ndarray) or values.shape != matrix.influence.shape:
        raise InvalidInputError(
            f"A matrix has no measure {measure!r} of words and labels; pass some of {MEASURES}."
        )
    return values


def _spearman(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    if len(left) < 3 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(left), rankdata(right))[0, 1])


def _check(matrices: Sequence[InfluenceMatrix], least: int) -> None:
    if len(matrices) < least:
        raise InvalidInputError(f"{len(matrices)} matrices were given; pass {least} or more.")
    for matrix in matrices[1:]:
        for name in ("labels", "word_rule"):
            here, there = matrices[0].manifest[name], matrix.manifest[name]
            if here != there:
                raise IncompatibleError(
                    f"One matrix has the {name} {here}, another {there}. Compare matrices of one "
                    "kind of model, folded with one word rule."
                )
