"""What the data say beside what the model says: where do they part?"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hf_attn_attr.errors import IncompatibleError, InvalidInputError

from . import statistics
from .association_table import AssociationTable
from .exact import FloatArray

if TYPE_CHECKING:
    from .matrix import InfluenceMatrix


def with_association(matrix: "InfluenceMatrix", table: AssociationTable) -> "InfluenceMatrix":
    """The matrix with the data's log-odds and q-values of `table`, matched by word and label."""
    for name, here, there in (
        ("labels", set(matrix.labels), set(table.labels)),
        ("word rule", matrix.manifest["word_rule"], table.description["word_rule"]),
    ):
        if here != there:
            raise IncompatibleError(
                f"The matrix has the {name} {here}, the association table {there}. Use gold labels "
                "with the model's class names, and one word rule for `fold` and `association`."
            )
    place = {word: row for row, word in enumerate(table.words)}
    shared = [(row, place[word]) for row, word in enumerate(matrix.words) if word in place]
    rows, rows_there = np.array(shared, np.int64).reshape(-1, 2).T
    columns_there = np.array([table.labels.index(label) for label in matrix.labels])

    def aligned(values: FloatArray) -> FloatArray:
        cells = np.full((len(matrix.words), len(matrix.labels)), np.nan)
        cells[rows] = values[np.ix_(rows_there, columns_there)]
        return cells

    checks = {**matrix.manifest["checks"], "association": table.description}
    return dataclasses.replace(
        matrix,
        log_odds=aligned(table.log_odds),
        log_odds_standard_error=aligned(table.log_odds_standard_error),
        association_q_value=aligned(table.q_value),
        manifest={**matrix.manifest, "checks": checks},
    )


def disagreements(
    matrix: "InfluenceMatrix", label: str, k: int, min_documents: int
) -> pd.DataFrame:
    """Words of which model and data say different things; see `InfluenceMatrix.disagreements`."""
    column = matrix.label_index(label)
    model, model_error = matrix.mean[:, column], matrix.standard_error[:, column]
    data, data_error = matrix.log_odds[:, column], matrix.log_odds_standard_error[:, column]
    if np.isnan(data).all():
        raise InvalidInputError(
            f"This matrix does not know what the data say of {label!r}. Fill it with "
            "`matrix.with_association(association(dataset))`, from texts that have gold labels."
        )
    defined = ~np.isnan(model + model_error + data + data_error)
    rows = np.flatnonzero(defined & (matrix.document_count >= min_documents))
    model_scale, data_scale = (
        spread_beyond_noise(values[rows], errors[rows])
        for values, errors in ((model, model_error), (data, data_error))
    )
    model, model_error = model[rows] / model_scale, model_error[rows] / model_scale
    data, data_error = data[rows] / data_scale, data_error[rows] / data_scale
    difference, error = model - data, np.hypot(model_error, data_error)
    bound = np.abs(statistics.lower_bound(difference, error))
    frame = pd.DataFrame(
        {
            "word": [matrix.words[row] for row in rows],
            "documents": matrix.document_count[rows],
            "stronger_in": np.where(np.abs(model) >= np.abs(data), "model", "data"),
            "model": model,
            "data": data,
            "difference": difference,
            "bound": bound,
            "influence": matrix.influence[rows, column],
            "evidence": matrix.evidence[rows, column],
            "log_odds": matrix.log_odds[rows, column],
            "association_q_value": matrix.association_q_value[rows, column],
        }
    )
    listed = frame[frame["bound"] > 0].sort_values("bound", ascending=False, kind="stable")
    parts = [listed[listed["stronger_in"] == side].head(max(k, 0)) for side in ("model", "data")]
    return pd.concat(parts, ignore_index=True)


def spread_beyond_noise(values: FloatArray, errors: FloatArray) -> float:
    """Standard deviation around 0 of the true values, of which `values` are noisy estimates.

    The tau at which sum of x^2 / (se^2 + tau^2) is the number of values. Where the noise explains
    the spread, the root mean square of the values.

    Source: Paule & Mandel 1982, "Consensus values and weighting factors".
    """
    squares, noise = values**2, errors**2

    def excess(variance: float) -> float:
        return float(np.sum(squares / np.maximum(noise + variance, 1e-300))) - len(values)

    highest = float(squares.max(initial=0.0)) + 1e-300
    if excess(0.0) <= 0:
        return float(np.sqrt(squares.mean())) if squares.any() else 1.0
    from scipy.optimize import brentq

    # At the largest square no term exceeds 1.
    return float(np.sqrt(brentq(excess, 0.0, highest)))
