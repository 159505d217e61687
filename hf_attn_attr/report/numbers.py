"""A matrix as the numbers a page needs; the rest the page works out for itself.

Words come in order of their texts, most first. Those of at least 3 texts have numbers; of the
others the page knows the name and the counts.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..influence import InfluenceMatrix
from ..influence.comparison import check_comparable
from ..influence.statistics import BOUND, MIN_DOCUMENTS, Q_LEVEL, SHRINKAGE_DOCUMENTS
from .packing import MISSING, round_step, signed, signed_steps, to_steps

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST_WORDS = 100_000
"""Words on the page, with or without numbers."""
LEVELS = (0.001, 0.002, 0.005, 0.01, 0.02, Q_LEVEL, 0.1, 0.2, 0.5, 1.0)
"""q-values are packed as the smallest of these that is not below them."""
SAME_SIGN = 0x10
"""Mark of a q-value whose cell has the same sign in the model and in the data."""
MOST_DISAGREEMENTS = 20
"""Words of each class that are stronger in the model than in the data, and as many others."""
OCTAVE = 1 / 16
"""Step of base-2 logarithms: what is kept is within 2.2% of the number."""
MARGIN_OCTAVE = 1 / 8
"""The same for half an interval: within 4.4%."""
T_STEP = 0.001


class Numbers(NamedTuple):
    """What the page is told.

    Attributes:
        header: Plain JSON values.
        arrays: For `pack`. Arrays per word and class hold one class after the other.
    """

    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def page_words(matrix: InfluenceMatrix) -> list[str]:
    """The words on the page, in its order."""
    return [matrix.words[row] for row in _order(matrix)]


def numbers_of(
    matrix: InfluenceMatrix, other: InfluenceMatrix | None = None, most: int = MOST_WORDS
) -> Numbers:
    """The numbers of a matrix, and of another one to compare it with.

    Args:
        matrix: The matrix.
        other: Another one of the same labels and word rule.
        most: At most so many words have numbers, those of most texts.

    Raises:
        IncompatibleError: If the two cannot be compared.
    """
    order = _order(matrix)
    enough = int((matrix.document_count[order] >= MIN_DOCUMENTS).sum())
    rows = order[: min(enough, most)]
    influence = _influence(matrix, rows)
    attention = _attention(matrix, rows)
    association = _association(matrix, rows)
    words = [matrix.words[row] for row in order]
    counts = {
        "count": matrix.count[order].astype(np.uint32),
        "documents": matrix.document_count[order].astype(np.uint32),
    }
    header = {
        "labels": list(matrix.labels),
        "words": words,
        "numbered": len(rows),
        "enough": int((matrix.document_count >= MIN_DOCUMENTS).sum()),
        "distinct": len(matrix.words),
        "p_class": None if np.isnan(matrix.joint).any() else matrix.joint.sum(axis=0).tolist(),
        "constants": {"shrinkage": SHRINKAGE_DOCUMENTS, "bound": BOUND, "least": MIN_DOCUMENTS},
        "steps": {
            "t": T_STEP,
            "octave": OCTAVE,
            "margin_octave": MARGIN_OCTAVE,
            **influence.steps,
            **association.steps,
        },
        "levels": LEVELS,
        "q": {"level": LEVELS.index(Q_LEVEL), "same_sign": SAME_SIGN, "least": Q_LEVEL},
        "disagreements": _disagreements(matrix, words),
    }
    arrays = {**counts, **influence.arrays, **attention, **association.arrays}
    if other is not None:
        arrays |= _compared(matrix, other, rows, influence.steps)
    return Numbers(header, arrays)


def _order(matrix: InfluenceMatrix) -> IntArray:
    """Rows of the words: most texts first, then by word."""
    return np.lexsort((np.arange(len(matrix.words)), -matrix.document_count))[:MOST_WORDS]


class _Part(NamedTuple):
    arrays: dict[str, NDArray[Any]]
    steps: dict[str, float]


def _influence(matrix: InfluenceMatrix, rows: IntArray) -> _Part:
    """Mean, half of its interval, context part; nothing where the method has no sign."""
    mean = matrix.mean[rows].T
    if np.isnan(mean).all():
        return _Part({}, {})
    context = matrix.context_part[rows].T
    step = round_step(np.concatenate([mean, context]).reshape(-1))
    arrays = {**_mean_and_margin(matrix, rows, step), "t": _t(matrix, rows)}
    if not np.isnan(context).all():
        arrays["context"] = signed_steps(context, step)
    return _Part(arrays, {"influence": step})


def _mean_and_margin(
    matrix: InfluenceMatrix, rows: IntArray, step: float
) -> dict[str, NDArray[Any]]:
    """Means in steps; logarithms of half the interval, with a bit for whether it leaves out 0."""
    mean, margin = matrix.mean[rows].T, _margin(matrix, rows)
    with np.errstate(divide="ignore"):
        level = to_steps(np.log2(margin), MARGIN_OCTAVE)
    return {
        "mean": signed_steps(mean, step),
        "margin": signed(2 * level + (np.abs(mean) > margin), np.isnan(margin)),
    }


def _margin(matrix: InfluenceMatrix, rows: IntArray) -> FloatArray:
    return (matrix.high[rows] - matrix.low[rows]).T / 2


def _t(matrix: InfluenceMatrix, rows: IntArray) -> NDArray[np.uint16]:
    """How many standard errors half an interval is, per word."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = _margin(matrix, rows) / matrix.standard_error[rows].T
    # Classes that are not attributed have none; an error of exactly 0 says nothing of the ratio.
    ratio[~np.isfinite(ratio)] = 0
    return signed_steps(ratio.max(axis=0, initial=0), T_STEP)


def _attention(matrix: InfluenceMatrix, rows: IntArray) -> dict[str, NDArray[Any]]:
    """Logarithms of lift and of P(word); joint and conditionals follow from them and P(class)."""
    arrays = {"attention_ratio": _octaves(matrix.attention_ratio[rows])}
    lift = matrix.lift[rows]
    if not np.isnan(lift).all():
        joint, given_word = matrix.joint[rows], matrix.p_class_given_word[rows]
        # Every class tells P(word); the likeliest one most exactly.
        best = np.nanargmax(np.nan_to_num(given_word), axis=1)
        cell = np.arange(len(rows)), best
        with np.errstate(invalid="ignore", divide="ignore"):
            p_word = joint[cell] / given_word[cell]
        arrays |= {"lift": _octaves(lift.T), "p_word": _octaves(p_word)}
    return {name: array for name, array in arrays.items() if not (array == MISSING).all()}


def _association(matrix: InfluenceMatrix, rows: IntArray) -> _Part:
    """What the labelled data say of word and class, where that has been measured."""
    arrays: dict[str, NDArray[Any]] = {}
    steps = {}
    log_odds, q_value = matrix.log_odds[rows].T, matrix.association_q_value[rows].T
    if not np.isnan(log_odds).all():
        steps["log_odds"] = round_step(log_odds.reshape(-1))
        arrays["log_odds"] = signed_steps(log_odds, steps["log_odds"])
    if not np.isnan(q_value).all():
        level = np.searchsorted(LEVELS, np.nan_to_num(q_value, nan=1.0))
        agrees = matrix.influence[rows].T * log_odds > 0
        code = np.where(np.isnan(q_value), 0xFF, level + SAME_SIGN * agrees)
        arrays["q_value"] = code.astype(np.uint8)
    return _Part(arrays, steps)


def _disagreements(matrix: InfluenceMatrix, words: list[str]) -> list[list[dict[str, Any]]] | None:
    """For each class, words of which model and data say different things."""
    if np.isnan(matrix.log_odds).all() or np.isnan(matrix.mean).all():
        return None
    place = {word: number for number, word in enumerate(words)}
    found: list[list[dict[str, Any]]] = []
    for column, label in enumerate(matrix.labels):
        known = ~np.isnan(matrix.log_odds[:, column] + matrix.mean[:, column])
        if not known.any():
            found.append([])
            continue
        rows = matrix.disagreements(label, MOST_DISAGREEMENTS).to_dict("records")
        found.append(
            [
                {
                    "word": place[row["word"]],
                    "stronger_in": row["stronger_in"],
                    **{name: round(row[name], 2) for name in ("model", "data", "bound")},
                }
                for row in rows
                if row["word"] in place
            ]
        )
    return found


def _compared(
    matrix: InfluenceMatrix, other: InfluenceMatrix, rows: IntArray, steps: dict[str, float]
) -> dict[str, NDArray[Any]]:
    """The other matrix's counts, means and intervals of the same words; missing where it has none.

    Raises:
        IncompatibleError: If labels or word rules differ.
    """
    check_comparable(matrix, other)
    place = {word: row for row, word in enumerate(other.words)}
    there = np.array([place.get(matrix.words[row], -1) for row in rows], np.int64)
    known = there >= 0
    found: dict[str, NDArray[Any]] = {}
    if steps and not np.isnan(other.mean).all():
        columns = [other.labels.index(label) for label in matrix.labels]
        found = _mean_and_margin(other, there[known], steps["influence"])
        found = {name: array[columns] for name, array in found.items()}
        found["t"] = _t(other, there[known])
    found["documents"] = other.document_count[there[known]].astype(np.uint32)
    arrays = {}
    for name, array in found.items():
        absent = 0 if name == "documents" else MISSING
        arrays[f"other_{name}"] = np.full((*array.shape[:-1], len(rows)), absent, array.dtype)
        arrays[f"other_{name}"][..., known] = array
    return arrays


def _octaves(values: FloatArray) -> NDArray[np.uint16]:
    """Base-2 logarithms in steps; zero is as small as it gets."""
    with np.errstate(divide="ignore"):
        return signed_steps(np.log2(values), OCTAVE)
