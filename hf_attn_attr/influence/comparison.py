"""What changed between two matrices, beyond what their errors explain."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hf_attn_attr.errors import IncompatibleError

from . import statistics
from .exact import FloatArray, IntArray

if TYPE_CHECKING:
    from .matrix import InfluenceMatrix

CHANGES = ("flipped", "gained", "lost", "stronger", "weaker", "none shown")
LEVEL = 0.05  # false discoveries among the changes shown


class _Side(NamedTuple):
    """One matrix laid out over the words of both: W words, C labels; NaN where a word is absent."""

    documents: IntArray  # (W, 1)
    influence: FloatArray  # (W, C), as all that follow
    mean: FloatArray
    error: FloatArray
    degrees: FloatArray
    evidence: NDArray[np.str_]


def compare(left: "InfluenceMatrix", right: "InfluenceMatrix", min_documents: int) -> pd.DataFrame:
    """See `InfluenceMatrix.compare`.

    Source: Welch 1947, "The generalization of 'Student's' problem", for the test; Benjamini &
    Hochberg 1995 for the q-values.
    """
    check_comparable(left, right)
    least = max(min_documents, statistics.MIN_DOCUMENTS)
    words = sorted({*left.words, *right.words})
    here, there = (_laid_out(matrix, words, left.labels) for matrix in (left, right))
    enough = [side.documents >= least for side in (here, there)]
    tested = enough[0] & enough[1]

    difference = np.where(tested, there.mean - here.mean, np.nan)
    error = np.hypot(here.error, there.error)
    low, high, q_value = _tests(difference, error, _welch_degrees(here, there))
    change = _changes(here, there, enough, q_value <= LEVEL)

    shown = np.isfinite(difference) | (change == "gained") | (change == "lost")
    rows, columns = np.nonzero(shown)
    cells = {
        "word": np.array(words, object)[rows],
        "label": np.array(left.labels, object)[columns],
        "change": change[shown],
        "documents": here.documents[rows, 0],
        "documents_other": there.documents[rows, 0],
        "influence": here.influence[shown],
        "influence_other": there.influence[shown],
        "difference": difference[shown],
        "difference_low": low[shown],
        "difference_high": high[shown],
        "q_value": q_value[shown],
        "evidence": here.evidence[shown],
        "evidence_other": there.evidence[shown],
    }
    return pd.DataFrame(cells)


def ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a comparison, the largest changes first, then those without a difference."""
    size = rows["difference"].abs()
    known = rows["influence"].combine_first(rows["influence_other"]).abs()
    order = np.lexsort((-known, -size.fillna(-1.0)))
    return rows.iloc[order]


def _laid_out(matrix: "InfluenceMatrix", words: list[str], labels: tuple[str, ...]) -> _Side:
    columns = [matrix.labels.index(label) for label in labels]
    place = {word: row for row, word in enumerate(matrix.words)}
    rows = np.array([place.get(word, -1) for word in words], np.int64)
    known = rows >= 0

    def laid(values: FloatArray) -> FloatArray:
        grid = np.full((len(words), len(labels)), np.nan)
        grid[known] = values[rows[known]][:, columns]
        return grid

    documents = np.zeros((len(words), 1), np.int64)
    documents[known, 0] = matrix.document_count[rows[known]]
    degrees = np.broadcast_to(matrix.degrees_of_freedom[:, None], matrix.mean.shape)
    return _Side(
        documents,
        laid(matrix.influence),
        laid(matrix.mean),
        laid(matrix.standard_error),
        laid(degrees),
        statistics.evidence(laid(matrix.low), laid(matrix.high)),
    )


def _welch_degrees(here: _Side, there: _Side) -> FloatArray:
    """Degrees of freedom of a difference, by Welch and Satterthwaite."""
    a, b = here.error**2, there.error**2
    return statistics.ratio((a + b) ** 2, a**2 / here.degrees + b**2 / there.degrees)


def _tests(
    difference: FloatArray, error: FloatArray, degrees: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """95% interval of each difference and its q-value among all of them; NaN where untested."""
    from scipy.special import stdtr, stdtrit
    from scipy.stats import false_discovery_control

    margin = stdtrit(degrees, (1 + statistics.LEVEL) / 2) * error
    p_value = 2 * stdtr(degrees, -np.abs(statistics.ratio(difference, error)))
    q_value = np.full(p_value.shape, np.nan)
    finite = np.isfinite(p_value)
    if finite.any():
        q_value[finite] = false_discovery_control(p_value[finite])
    return difference - margin, difference + margin, q_value


def _changes(
    here: _Side, there: _Side, enough: list[NDArray[np.bool_]], differs: NDArray[np.bool_]
) -> NDArray[np.str_]:
    attested, attested_there = (
        texts & (side.evidence == "consistent")
        for side, texts in zip((here, there), enough, strict=True)
    )
    both = attested & attested_there & differs
    opposite = here.mean * there.mean < 0
    grown = np.abs(there.mean) > np.abs(here.mean)
    return np.select(
        [
            both & opposite,
            attested_there & ~attested & (differs | ~enough[0]),
            attested & ~attested_there & (differs | ~enough[1]),
            both & grown,
            both,
        ],
        CHANGES[:-1],
        CHANGES[-1],
    )


def check_comparable(left: "InfluenceMatrix", right: "InfluenceMatrix") -> None:
    """Raise IncompatibleError unless both have influences, of the same classes and words.

    Methods may differ: all that have a sign give logits per occurrence.
    """
    if set(left.labels) != set(right.labels):
        raise IncompatibleError(
            f"This matrix has the labels {list(left.labels)}, the other {list(right.labels)}. "
            "Compare matrices of models with the same classes."
        )
    for name, what in (
        ("word_rule", "takes words as one by"),
        ("problem_type", "is of a model for"),
    ):
        one, other = left.manifest.get(name), right.manifest.get(name)
        if one != other:
            raise IncompatibleError(
                f"This matrix {what} {one}, the other {other}: their numbers mean different "
                "things. Extract and fold both in one way."
            )
    for matrix in (left, right):
        if len(matrix.words) and np.isnan(matrix.mean).all():
            raise IncompatibleError(
                f"The method {matrix.manifest.get('method')} gives attention alone, which has no "
                "influence to compare. Extract with another method."
            )
