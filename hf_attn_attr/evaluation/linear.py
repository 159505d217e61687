"""Bag of words + logistic regression: the peer every classifier has to beat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from ..data import LabelledTexts, label_indicators
from ..metrics import multi_label_metrics, single_label_metrics, tune_thresholds
from ..tokenization import words_of

REGULARISATION = (0.3, 1.0, 3.0, 10.0)  # values of C tried, the best on the validation texts kept


@dataclass(frozen=True)
class LinearModel:
    """A fitted bag-of-words model.

    Attributes:
        metrics: On the validation texts.
        words: The features, in the order of the coefficients.
        coefficients: float64 (C, features); for two classes centred, so that row 1 is half the
            log-odds of the second class.
        regularisation: The C that was kept.
    """

    metrics: dict[str, float]
    words: tuple[str, ...]
    coefficients: NDArray[np.float64]
    regularisation: float


def fit_linear(
    train: LabelledTexts,
    validation: LabelledTexts,
    *,
    weighting: Literal["tfidf", "count"] = "tfidf",
    longest_ngram: int = 2,
    regularisation: Sequence[float] = REGULARISATION,
    words: Callable[[str], list[str]] = words_of,
) -> LinearModel:
    """Fit logistic regression on word n-grams, choosing C on the validation texts.

    Args:
        train: Labelled texts, single-label or multi-label.
        validation: Likewise; multi-label thresholds are tuned on them, one for all labels.
        weighting: "tfidf" or word "count".
        longest_ngram: Longest word n-gram.
        regularisation: Values of C to try.
        words: Cuts a text into words.
    """
    vectorizer = {"tfidf": TfidfVectorizer, "count": CountVectorizer}[weighting](
        tokenizer=words, token_pattern=None, lowercase=False, ngram_range=(1, longest_ngram)
    )
    features = vectorizer.fit_transform(train.dataset["text"][:])
    held_out = vectorizer.transform(validation.dataset["text"][:])
    fits = [_fit(features, held_out, train, validation, c) for c in regularisation]
    metrics, coefficients, kept = max(fits, key=lambda fit: next(iter(fit[0].values())))
    return LinearModel(metrics, tuple(vectorizer.get_feature_names_out()), coefficients, kept)


def _fit(
    features: Any, held_out: Any, train: LabelledTexts, validation: LabelledTexts, c: float
) -> tuple[dict[str, float], NDArray[np.float64], float]:
    model: Any = LogisticRegression(C=c, max_iter=2000)
    if train.problem_type == "multi_label_classification":
        model = OneVsRestClassifier(LogisticRegression(C=c, max_iter=2000, solver="liblinear"))
        model.fit(features, label_indicators(train))
        probabilities, gold = model.predict_proba(held_out), label_indicators(validation)
        thresholds = tune_thresholds(probabilities, gold, per_label=False)
        coefficients = np.concatenate([one.coef_ for one in model.estimators_])
        return multi_label_metrics(probabilities, gold, thresholds), coefficients, c
    model.fit(features, np.array(train.dataset["label"][:]))
    scores = model.predict_log_proba(held_out)
    gold = np.array(validation.dataset["label"][:])
    coefficients = model.coef_
    if len(coefficients) == 1:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
    return single_label_metrics(scores, gold), coefficients, c
