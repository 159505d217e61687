"""Do the top words of a class drive it, over the whole corpus?"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from ..data import label_indicators
from ..errors import InvalidInputError
from ..influence import InfluenceMatrix
from .corpus_erasure import CorpusErasure, Effect, Removal, removals
from .statistics import draw_interval
from .subject import Subject

Floats = NDArray[np.float64]
Figures = dict[str, Any]
RANKED_BY = "lower_bound"  # as `top_words` does
SIZES = (5, 10, 20, 50)
"""Numbers of top words taken out."""
DRAWS = 20
"""Of words as frequent."""
MIN_DOCUMENTS = 3
"""Texts of the matrix that hold a word, for it to be a top word, as in `top_words`."""
_MEASURES = (RANKED_BY, "influence", "joint", "lift", "npmi", "log_odds")
_SIGNED = (RANKED_BY, "influence", "npmi", "log_odds")


def influence_figures(subject: Subject) -> Figures:
    """What taking the top words of each class out of all texts does, by several measures.

    For each class, way of erasing and number of words k (`SIZES`), and the mean over classes:
    `drop`, the mean over all texts of p(text) - p(text without the words); `drop_touched`, over the
    texts that held one, a share `touched`; and the same for `DRAWS` draws of words as frequent,
    with the range of 95% of them.

    Raises:
        InvalidInputError: If there is no matrix, or it has no signed influence.
    """
    if subject.matrix is None:
        raise InvalidInputError("There is no influence matrix. Fold one, and evaluate again.")
    corpus = subject.corpus
    measures = corpus_measures(subject)
    attributed = [
        index for index, values in enumerate(measures[RANKED_BY].T) if not np.isnan(values).all()
    ]
    if not attributed:
        raise InvalidInputError(
            f"The matrix has no word with positive influence (method "
            f"{subject.matrix.manifest['method']!r})."
        )
    rng = np.random.default_rng(subject.seed)
    regression = subject.problem_type == "regression"
    classes: dict[str, dict[str, list[Figures]]] = {}
    found: dict[str, list[list[Removal]]] = {way: [] for way in corpus.eraser.ways}
    for index in attributed:
        values = {name: value[:, index] for name, value in measures.items()}
        for way in corpus.eraser.ways:
            rows = removals(
                corpus, values, index, way, SIZES, controls=[RANKED_BY], draws=DRAWS, rng=rng
            )
            found[way].append(rows)
            label = classes.setdefault(subject.labels[index], {})
            label[way] = [figures_of([row]) for row in rows]
    return {
        "texts": len(subject.corpus_texts.dataset),
        "draws": DRAWS,
        "ranked_by": RANKED_BY,
        "folded_on": subject.folded_on,
        # What a probability of 1 is to a class; a target has its own unit.
        "scale": float(corpus.eraser.full.std()) if regression else 1.0,
        "output": "{}" if regression else "p({})",
        "overall": {
            way: [figures_of(rows) for rows in zip(*every, strict=True)]
            for way, every in found.items()
        },
        "classes": classes,
    }


def corpus_measures(subject: Subject) -> dict[str, Floats]:
    """Measures by which the words of the corpus are ranked for each class, float64 (V, C) each.

    Those of the matrix, for words in at least `MIN_DOCUMENTS` of its texts and, of measures with a
    sign, for the class; "influence_times_count", the sum of a word's influence over its
    occurrences; and, where the texts have labels, the coefficients of logistic regression on their
    word counts. NaN is not listed. Within a class P(w|c) ranks as joint does, and P(c|w) as lift.
    """
    assert subject.matrix is not None
    corpus = subject.corpus
    found = {name: _measure(subject.matrix, corpus, name) for name in _MEASURES}
    count = corpus.aligned(subject.matrix.words, subject.matrix.count.astype(np.float64))
    found["influence_times_count"] = found["influence"] * count[:, None]
    found = {
        name: values
        for name, values in found.items()
        if name == RANKED_BY or not np.isnan(values).all()
    }
    texts = subject.corpus_texts
    if texts.labelled and subject.problem_type != "regression":
        found["logistic_regression"] = _coefficients(corpus.counts, label_indicators(texts))
    return found


def _measure(matrix: InfluenceMatrix, corpus: CorpusErasure, name: str) -> Floats:
    values = np.where(
        matrix.document_count[:, None] >= MIN_DOCUMENTS, getattr(matrix, name), np.nan
    )
    if name in _SIGNED:
        values = np.where(values > 0, values, np.nan)
    return corpus.aligned(matrix.words, values)


def _coefficients(counts: csr_array, gold: NDArray[np.float32]) -> Floats:
    """Coefficients of each class against the rest, (V, C); NaN where all texts are of one side."""
    found = np.full((counts.shape[1], gold.shape[1]), np.nan)
    for label, indicator in enumerate(gold.T):
        if 0 < indicator.sum() < len(indicator):
            linear = LogisticRegression(max_iter=2000).fit(counts, indicator)
            found[:, label] = linear.coef_[0]
    return found


def figures_of(rows: Sequence[Removal], measure: str = RANKED_BY) -> Figures:
    """Plain figures of removals of the same k, the mean over classes.

    `measure` is the one with a control; the others are in `measures`.
    """
    first = rows[0]
    return {
        "k": first.k,
        "words": float(np.mean([row.words[measure] for row in rows])),
        **_mean([row.effects[measure] for row in rows]),
        "matched": {
            name: draw_interval(
                np.mean([[getattr(one, name) for one in row.matched[measure]] for row in rows], 0)
            )
            for name in ("drop", "drop_touched", "touched")
        },
        "measures": {
            name: _mean([row.effects[name] for row in rows])
            for name in first.effects
            if name != measure
        },
    }


def _mean(effects: Sequence[Effect]) -> dict[str, float]:
    every = [asdict(effect) for effect in effects]
    return {name: float(np.mean([one[name] for one in every])) for name in every[0]}
