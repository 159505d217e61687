"""Which outputs of a classifier are attributed."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..errors import InvalidInputError
from .token_batch import TokenBatch


def class_indices(
    model: PreTrainedModel, classes: str | Sequence[str]
) -> list[int] | Literal["predicted"] | None:
    """Positions of the classes asked for among the logits, in model order.

    None for "all"; "predicted" stays what it is.

    Raises:
        InvalidInputError: If a name is none of the model's labels, or none is given.
    """
    if classes == "all":
        return None
    config = model.config
    labels = [config.id2label[index] for index in range(config.num_labels)]
    if classes == "predicted" and classes not in labels:
        return "predicted"
    names = [classes] if isinstance(classes, str) else list(classes)
    unknown = [name for name in names if name not in labels]
    if unknown or not names:
        raise InvalidInputError(
            f"classes are {classes!r}; give 'all', 'predicted' or a list of some of the labels "
            f"{labels}."
        )
    return sorted({labels.index(name) for name in names})


def class_targets(
    model: PreTrainedModel, batch: TokenBatch, indices: Sequence[int] | None
) -> Tensor:
    """The weights of the logits in each attributed output of each text, float (B, K, C).

    All classes: the logits themselves. Some classes (or, of each text, the one that the batch
    names) of a single-label model: those logits minus the mean over all, because a shift of all
    logits means nothing there, and what is needed to centre later would be gone.
    """
    config = model.config
    identity = torch.eye(config.num_labels, dtype=model.dtype, device=model.device)
    single = config.num_labels > 1 and config.problem_type in (None, "single_label_classification")
    shift = 1 / config.num_labels if single else 0.0
    if batch.classes is not None:
        return (identity[batch.classes] - shift).unsqueeze(1)
    chosen = identity if indices is None else identity[list(indices)] - shift
    return chosen.expand(len(batch.owner), *chosen.shape)
