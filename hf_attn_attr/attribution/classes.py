"""Which outputs of a classifier are attributed."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..errors import InvalidInputError


def class_indices(model: PreTrainedModel, classes: str | Sequence[str]) -> list[int] | None:
    """Positions of the classes asked for among the logits, in model order; None for "all".

    Raises:
        InvalidInputError: If a name is none of the model's labels, or none is given.
    """
    if classes == "all":
        return None
    config = model.config
    labels = [config.id2label[index] for index in range(config.num_labels)]
    names = [classes] if isinstance(classes, str) else list(classes)
    unknown = [name for name in names if name not in labels]
    if unknown or not names:
        raise InvalidInputError(
            f"classes are {classes!r}; give 'all' or a list of some of the labels {labels}."
        )
    return sorted({labels.index(name) for name in names})


def class_targets(model: PreTrainedModel, indices: Sequence[int] | None) -> Tensor:
    """The weights of the logits in each attributed output, float (K, C).

    All classes: the logits themselves. Some classes of a single-label model: those logits minus the
    mean over all, because a shift of all logits means nothing there, and what is needed to centre
    later would be gone.
    """
    config = model.config
    identity = torch.eye(config.num_labels, dtype=model.dtype, device=model.device)
    if indices is None:
        return identity
    chosen = identity[list(indices)]
    single = config.num_labels > 1 and config.problem_type in (None, "single_label_classification")
    return chosen - 1 / config.num_labels if single else chosen
