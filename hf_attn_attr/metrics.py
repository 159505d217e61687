"""Quality of predictions, and the multi-label thresholds that go with it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Thresholds = NDArray[np.float64]
GRID: Thresholds = np.round(np.arange(0.05, 0.96, 0.01), 2)


def f1_per_label(predicted: NDArray[np.bool_], gold: NDArray[np.bool_]) -> NDArray[np.float64]:
    """F1 of each label, float64 (C,), for indicators (N, C); 0 for a label never right."""
    hits = (predicted & gold).sum(0)
    made = predicted.sum(0) + gold.sum(0)
    return np.divide(2.0 * hits, made, out=np.zeros(gold.shape[1]), where=made > 0)


def single_label_metrics(logits: NDArray[Any], gold: NDArray[Any]) -> dict[str, float]:
    """Accuracy and macro-F1 of the arg max of logits (N, C) against label indices (N,)."""
    predicted = logits.argmax(1)
    every = np.arange(logits.shape[1])
    f1 = f1_per_label(predicted[:, None] == every, gold[:, None] == every)
    return {"accuracy": float((predicted == gold).mean()), "macro_f1": float(f1.mean())}


def multi_label_metrics(
    probabilities: NDArray[Any], gold: NDArray[Any], thresholds: NDArray[Any] | float
) -> dict[str, float]:
    """Macro-F1, micro-F1 and exact matches of probabilities and 0/1 indicators, both (N, C)."""
    wanted = gold.astype(bool)
    predicted = probabilities >= thresholds
    hits = (predicted & wanted).sum()
    made = predicted.sum() + wanted.sum()
    return {
        "macro_f1": float(f1_per_label(predicted, wanted).mean()),
        "micro_f1": float(2 * hits / made) if made else 0.0,
        "exact_match": float((predicted == wanted).all(1).mean()),
    }


def regression_metrics(predicted: NDArray[Any], gold: NDArray[Any]) -> dict[str, float]:
    """Mean squared error, and R^2 where the targets vary."""
    error = float(np.square(predicted - gold).mean())
    variance = float(gold.var())
    return {"mse": error, **({"r2": 1 - error / variance} if variance else {})}


def tune_thresholds(
    probabilities: NDArray[Any], gold: NDArray[Any], *, per_label: bool
) -> Thresholds:
    """Thresholds that maximise macro-F1 on the given texts, float64 (C,).

    Args:
        probabilities: float (N, C).
        gold: 0/1 indicators (N, C).
        per_label: One threshold for each label; else one for all.
    """
    wanted = gold.astype(bool)
    f1 = np.stack([f1_per_label(probabilities >= threshold, wanted) for threshold in GRID])
    if per_label:
        return GRID[f1.argmax(0)]
    return np.full(gold.shape[1], GRID[f1.mean(1).argmax()])
