"""What is asked of any sequence classifier: its task, its probabilities, its identity."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel


def problem_type(model: PreTrainedModel) -> str:
    """The model's problem type, as transformers would infer it where the config names none."""
    config = model.config
    inferred = "regression" if config.num_labels == 1 else "single_label_classification"
    return config.problem_type or inferred


def label_names(model: PreTrainedModel) -> list[str]:
    """Label names in the order of the logits."""
    return [model.config.id2label[index] for index in range(model.config.num_labels)]


def label_thresholds(model: PreTrainedModel) -> NDArray[np.float64]:
    """The probability from which a multi-label model predicts each label, (C,); 0.5 by default."""
    config = model.config
    return np.array(getattr(config, "thresholds", None) or [0.5] * config.num_labels)


def class_probabilities(logits: NDArray[Any], kind: str) -> NDArray[np.float64]:
    """Softmax over labels, or one sigmoid per label for multi-label: float64 (B, C)."""
    logits = logits.astype(np.float64)
    if kind == "multi_label_classification":
        return np.exp(-np.logaddexp(0.0, -logits))
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def weights_digest(model: PreTrainedModel) -> str:
    """SHA-256 over names, types, shapes and contents of all weights, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Eval mode without gradients; the model's mode is restored."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)
