"""Do the data agree with the matrix, and would other texts have told the same?"""

from typing import Any

import numpy as np
from scipy.stats import binomtest

from ..errors import InvalidInputError
from ..extraction import extract_with
from .stability import half_matrices, seed_agreement, selection_frequency
from .subject import Subject

Figures = dict[str, Any]
TOP = 20
"""Words of each class that are looked at."""
SIGNIFICANT = 0.05
"""Greatest q-value that is called a finding."""
SPLITS = 5
"""Times that the texts are halved."""
_MEASURES = ("influence", "joint")


def association_figures(subject: Subject) -> Figures:
    """How many of the top words of each class go with it in the gold labels that were folded.

    For each class: `words` whose log-odds are known, those `positive`, the chance that as many are
    if half of all words are (`p_value`), and those `found` to go with the class (q-value).

    Raises:
        InvalidInputError: If there is no matrix, or it does not know what the data say.
    """
    matrix = subject.matrix
    if matrix is None or np.isnan(matrix.log_odds).all():
        raise InvalidInputError(
            "There is no influence matrix that knows what the data say. Fold texts with gold "
            "labels, and evaluate again."
        )
    classes: Figures = {}
    for label in matrix.labels:
        if np.isnan(matrix.lower_bound[:, matrix.labels.index(label)]).all():
            continue  # not attributed
        top = matrix.top_words(label, TOP).dropna(subset=["log_odds"])
        positive = int((top["log_odds"] > 0).sum())
        chance = binomtest(positive, len(top), alternative="greater").pvalue if len(top) else 1.0
        found = (top["log_odds"] > 0) & (top["association_q_value"] <= SIGNIFICANT)
        classes[label] = {
            "words": len(top),
            "positive": positive,
            "p_value": float(chance),
            "found": int(found.sum()),
        }
    if not classes:
        raise InvalidInputError(
            f"The matrix has no signed influence (method {matrix.manifest['method']!r})."
        )
    return {"classes": classes}


def stability_figures(subject: Subject) -> Figures:
    """How alike the matrices of random halves of the texts rank words, mean over splits and labels.

    `spearman` by measure, `same_sign` of influence, and `listed`: of the words that any list of
    `TOP` names, the share that an average list names. `folded` is the number of texts of the
    matrix, if there is one.

    Raises:
        InvalidInputError: If the halves have too few words in common, or no signed influence.
    """
    extractor = subject.extractor
    columns = extract_with(extractor, subject.halved_texts)
    rule = subject.word_rule.describe()
    matrices = half_matrices(columns, splits=SPLITS, seed=subject.seed, **rule)
    found: dict[str, list[float]] = {measure: [] for measure in _MEASURES}
    listed, same = [], []
    for at in range(0, len(matrices), 2):
        table = seed_agreement(matrices[at : at + 2], measures=_MEASURES)
        for measure, value in table.groupby("measure")["spearman"].mean().items():
            found[str(measure)].append(float(value))
        same.append(float(table[table["measure"] == "influence"]["same_sign"].mean()))
        if not np.isnan(matrices[at].influence).all():
            frequency = selection_frequency(matrices[at : at + 2], TOP)["frequency"]
            listed.append(float(frequency.mean()))
    if np.isnan(found["influence"]).any():
        raise InvalidInputError(
            f"Halves of {len(columns)} texts have too few words in common that have an influence "
            f"(method {extractor.method!r}). Give more texts."
        )
    spearman = {
        measure: float(np.mean(values))
        for measure, values in found.items()
        if not np.isnan(values).any()  # not every method has attention
    }
    return {
        "texts": len(columns),
        "folded": None if subject.matrix is None else subject.matrix.manifest["texts"],
        "spearman": spearman,
        "same_sign": float(np.mean(same)),
        "listed": float(np.mean(listed)),
    }
