"""Would the model, trained with other seeds, name the same words?"""

from typing import Any

import numpy as np
import pandas as pd

from ..errors import InvalidInputError
from ..influence import InfluenceMatrix
from .matrix_checks import TOP
from .stability import seed_agreement, selection_frequency
from .subject import Subject

Figures = dict[str, Any]


def seed_figures(subject: Subject) -> Figures:
    """How the matrices of models of other seeds compare with each other and with the subject's.

    For each class, means over pairs of Spearman correlations of influence: `refits` (between them)
    and `matrix` (each with the subject's), over `compared` words; of those the share of `same_sign`
    between refits; `listed`, the share of the refits whose list of `TOP` names a top word of the
    matrix, mean over these; and `words`, all that any list names: whether `published` in that of
    the matrix, the number of refits it is `selected` by, the share in which its influence is
    `positive`, and the `mean`, `low`est and `high`est influence over refits.

    Raises:
        InvalidInputError: If no refits are asked for, or the matrix has no signed influence.
    """
    matrix = subject.matrix
    if subject.refits is None or matrix is None:
        raise InvalidInputError("Not asked for. --seeds 5 trains the model with 5 other seeds.")
    attributed = [
        label
        for label in matrix.labels
        if not np.isnan(matrix.lower_bound[:, matrix.label_index(label)]).all()
    ]
    if not attributed:
        raise InvalidInputError(
            f"The matrix has no signed influence (method {matrix.manifest['method']!r})."
        )
    refits = subject.refits.matrices()
    table = seed_agreement([matrix, *refits], measures=["influence"])
    frequency = selection_frequency(refits, TOP)
    return {
        "texts": len(subject.refits.folded.dataset),
        "refits": [
            {name: one.manifest["provenance"][name] for name in ("seed", "metrics")}
            for one in refits
        ],
        "classes": {
            label: _of_class(
                label,
                matrix,
                refits,
                table[table["label"] == label],
                frequency[frequency["label"] == label],
            )
            for label in attributed
        },
    }


def _of_class(
    label: str,
    matrix: InfluenceMatrix,
    refits: list[InfluenceMatrix],
    agreement: pd.DataFrame,
    frequency: pd.DataFrame,
) -> Figures:
    """The figures of one class, from the rows of both tables that are about it."""
    published = matrix.top_words(label, TOP)["word"].tolist()
    selected = dict(zip(frequency["word"], frequency["frequency"], strict=True))
    influence = [
        dict(zip(one.words, one.influence[:, one.label_index(label)], strict=True))
        for one in refits
    ]
    others = [word for word in selected if word not in published]
    words = []
    for word in published + others:
        values = np.array([one[word] for one in influence])
        words.append(
            {
                "word": word,
                "published": word in published,
                "selected": round(selected.get(word, 0.0) * len(refits)),
                "positive": float((values > 0).mean()),
                "mean": float(values.mean()),
                "low": float(values.min()),
                "high": float(values.max()),
            }
        )
    with_matrix = agreement["first"] == 0
    return {
        "refits": _mean(agreement[~with_matrix]["spearman"]),
        "matrix": _mean(agreement[with_matrix]["spearman"]),
        "same_sign": _mean(agreement[~with_matrix]["same_sign"]),
        "compared": int(agreement["words"].min()),
        "listed": _mean(pd.Series([selected.get(word, 0.0) for word in published], dtype=float)),
        "words": words,
    }


def _mean(values: pd.Series) -> float | None:
    """Mean, None where a value is undefined or there is none."""
    return None if values.empty or values.isna().any() else float(values.mean())
