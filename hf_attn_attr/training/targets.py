"""What a model learns from: labels, labels mixed with a teacher's probabilities, and their loss."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data import LabelledTexts, label_indicators
from ..errors import InvalidInputError

Floats = NDArray[np.float64]


def gold_labels(texts: LabelledTexts) -> NDArray[Any]:
    """Label indices (N,), indicators (N, C), or targets (N,)."""
    if texts.problem_type == "multi_label_classification":
        return label_indicators(texts)
    return np.array(texts.dataset["label"][:])


def hard_targets(texts: LabelledTexts) -> Floats:
    """One-hot rows, indicators (N, C), or targets (N, 1)."""
    gold = gold_labels(texts)
    if texts.problem_type == "single_label_classification":
        return np.eye(len(texts.labels))[gold]
    return gold.reshape(len(gold), -1).astype(float)


def soft_targets(
    texts: LabelledTexts, taught: Floats | None, teacher_weight: float, smoothing: float
) -> Floats:
    """Targets (N, C) of labelled texts from labels, a teacher's outputs and label smoothing.

    Args:
        texts: N labelled texts.
        taught: The teacher's probabilities (regression: predictions), (N, C).
        teacher_weight: Its share.
        smoothing: Share spread evenly over the classes (of each label's two sides in multi-label).

    Raises:
        InvalidInputError: For label smoothing in regression.
    """
    targets = hard_targets(texts)
    if taught is not None:
        targets = (1 - teacher_weight) * targets + teacher_weight * taught
    if smoothing and texts.problem_type == "regression":
        raise InvalidInputError("label_smoothing needs classes. Use 0 for regression.")
    classes = 2 if texts.problem_type == "multi_label_classification" else targets.shape[1]
    return (1 - smoothing) * targets + smoothing / classes if smoothing else targets


def prior_logits(texts: LabelledTexts) -> Floats:
    """Log-prior of the classes; logit of each label's share in multi-label; the mean target."""
    gold = gold_labels(texts)
    if texts.problem_type == "regression":
        return np.array([gold.mean()])
    if texts.problem_type == "multi_label_classification":
        share = (gold.sum(0) + 1) / (len(gold) + 2)
        return np.log(share / (1 - share))
    count = np.bincount(gold.astype(int), minlength=len(texts.labels)) + 1.0
    return np.log(count / count.sum())


def loss_function(texts: LabelledTexts, *, balanced: bool) -> Callable[..., Tensor]:
    """The loss of these texts' problem, for label indices as for soft targets.

    Args:
        texts: The training texts.
        balanced: Weigh each class by the inverse of its share.

    Raises:
        InvalidInputError: If regression is to be balanced.
    """
    if texts.problem_type == "regression":
        if balanced:
            raise InvalidInputError(
                "class_weights='balanced' needs classes. Use 'none' for regression."
            )
        return lambda labels, pooled_logits, **_: nn.functional.mse_loss(
            pooled_logits.squeeze(-1), labels.reshape(len(labels))
        )
    weight = _balance(texts) if balanced else None
    multi_label = texts.problem_type == "multi_label_classification"

    def loss(labels: Tensor, pooled_logits: Tensor, **_: Any) -> Tensor:
        scale = None if weight is None else weight.to(pooled_logits)
        if multi_label:
            return nn.functional.binary_cross_entropy_with_logits(
                pooled_logits, labels, pos_weight=scale
            )
        return nn.functional.cross_entropy(pooled_logits, labels, weight=scale)

    return loss


def _balance(texts: LabelledTexts) -> Tensor:
    gold = gold_labels(texts)
    if texts.problem_type == "multi_label_classification":
        positive = gold.sum(0) + 1.0
        return torch.from_numpy((len(gold) + 2 - positive) / positive)
    count = np.bincount(gold, minlength=len(texts.labels)) + 1.0
    return torch.from_numpy(count.sum() / (len(count) * count))


def label_tensor(labels: Sequence[Any], texts: LabelledTexts) -> Tensor:
    """The labels of a batch: int64 (B,), float indicators (B, C), or float targets (B,).

    Soft targets (B, C) come as arrays and stay float.
    """
    if isinstance(labels[0], np.ndarray):
        return torch.from_numpy(np.stack(labels)).float()
    if texts.problem_type == "multi_label_classification":
        indicators = torch.zeros(len(labels), len(texts.labels))
        for row, label in enumerate(labels):
            indicators[row, label] = 1.0
        return indicators
    dtype = torch.float32 if texts.problem_type == "regression" else torch.int64
    return torch.tensor(labels, dtype=dtype)
