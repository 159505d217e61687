"""What is asked of any sequence classifier: its task, its probabilities, its identity."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedConfig, PreTrainedModel

from .files import canonical_json, sha256_of_bytes
from .models.precision import without_cudnn

# Fields of a config that no answer in eval mode depends on. What starts with "_" is none either.
_NO_MATTER = {
    *("architectures", "auto_map", "custom_pipelines", "dtype", "torch_dtype", "label2id"),
    *("transformers_version", "use_cache", "return_dict", "output_attentions"),
    *("output_hidden_states", "initializer_range", "initializer_factor", "problem_type"),
    *("id2label", "thresholds", "attention_penalty", "attention_supervision"),
    *("word_vectors", "teacher", "gradient_checkpointing", "name_or_path", "embd_pdrop"),
    *("resid_pdrop", "attn_pdrop"),
}


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


def config_digest(model: PreTrainedModel) -> str:
    """SHA-256 over the fields of the config that an answer can depend on.

    Labels, problem type and thresholds count as they are understood. Dropout, initialisation, where
    things came from and fields that the class does not know do not count, nor those with the
    default of the class.
    """
    given = json.loads(model.config.to_json_string())
    fields = {
        name: given[name]
        for name in (given.keys() & _known_fields(model.config)) - _NO_MATTER
        if not (name.startswith("_") or "dropout" in name)
    }
    kind = problem_type(model)
    multi = kind == "multi_label_classification"
    understood = {
        "labels": label_names(model),
        "problem_type": kind,
        "thresholds": label_thresholds(model).tolist() if multi else None,
    }
    return sha256_of_bytes(canonical_json({"fields": fields, **understood}))


def _known_fields(config: PreTrainedConfig) -> set[str]:
    """Those that the class has a default for; of a class that needs arguments, all."""
    try:
        return set(type(config)().to_dict())
    except Exception:  # configs made of others raise what they like
        return set(config.to_dict())


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Eval mode without gradients, float32 in full; the model's mode is restored."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), without_cudnn(model.device):
            yield
    finally:
        model.train(was_training)
