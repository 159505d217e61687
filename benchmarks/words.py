"""Agreement of influence with human labels of single words (Stanford Sentiment Treebank)."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr

from hf_attn_attr import InfluenceMatrix
from hf_attn_attr.evaluation.linear import LinearModel


def human_labels(data: Path) -> dict[str, float]:
    """Mean human sentiment of single words, -1 to 1."""
    names = ("train", "validation_only")
    tables = [
        pd.read_csv(data / f"sst_word_sentiment_{name}.csv", keep_default_na=False)
        for name in names
    ]
    table = pd.concat(tables)
    return dict(zip(table["word"], table["mean_label"].astype(float), strict=True))


def word_agreement(
    matrix: InfluenceMatrix, humans: dict[str, float], linear: LinearModel, least: int = 3
) -> dict[str, Any]:
    """Spearman with human labels of words that occur `least` times or more in the folded texts.

    Only words that the bag-of-words model knows, so that all measures answer for the same words.
    """
    row_of = {word: row for row, word in enumerate(matrix.words)}
    column_of = {word: column for column, word in enumerate(linear.words)}
    words = [
        word
        for word, row in row_of.items()
        if matrix.count[row] >= least and word in humans and word in column_of
    ]
    rows = [row_of[word] for word in words]
    positive, negative = (matrix.labels.index(label) for label in ("positive", "negative"))

    def difference(values: np.ndarray) -> np.ndarray:
        return values[rows, positive] - values[rows, negative]

    human = np.array([humans[word] for word in words])
    scores = {
        "influence": difference(matrix.influence),
        "lower_bound": difference(matrix.lower_bound),
        "word_part": difference(matrix.word_part),
        "p_class_given_word": difference(matrix.p_class_given_word),
        "joint": difference(matrix.joint),
        "logistic_regression": np.array([linear.coefficients[1, column_of[w]] for w in words]),
    }
    found = {name: float(spearmanr(score, human).statistic) for name, score in scores.items()}
    found["words"] = len(words)
    for other in ("logistic_regression", "p_class_given_word"):
        low, high = bootstrap_difference(scores["influence"], scores[other], human)
        found[f"minus_{other}"] = found["influence"] - found[other]
        found[f"minus_{other}_low"], found[f"minus_{other}_high"] = low, high
    return found


def bootstrap_difference(
    a: np.ndarray, b: np.ndarray, truth: np.ndarray, replicates: int = 2000
) -> tuple[float, float]:
    """95% percentile interval of Spearman(a, truth) - Spearman(b, truth), resampling words."""
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(replicates):
        chosen = rng.integers(len(truth), size=len(truth))
        ranks = [rankdata(values[chosen]) for values in (a, b, truth)]
        differences.append(
            np.corrcoef(ranks[0], ranks[2])[0, 1] - np.corrcoef(ranks[1], ranks[2])[0, 1]
        )
    low, high = np.quantile(differences, [0.025, 0.975])
    return float(low), float(high)
