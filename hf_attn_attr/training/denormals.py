"""Keeps the optimizer's state out of the range where a processor is slow."""

from typing import Any

import torch
from transformers import TrainerCallback

STRIDE = 64  # steps between looks; the mean of past gradients falls by 0.9 ^ 64 = 1e-3 meanwhile
NOTHING = 1e-30  # far above the denormals (1e-38), also when multiplied by a learning rate


class NoDenormals(TrainerCallback):
    """Drops what is left of old gradients once it is next to nothing.

    AdamW's mean of past gradients decays geometrically in the rows of words that a batch does not
    hold. After some hundred steps it is denormal, and then a step takes ten times as long.
    """

    @torch.no_grad()
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Set tiny means to zero."""
        if state.global_step % STRIDE == 0:
            for moments in kwargs["optimizer"].state.values():
                mean = moments["exp_avg"]
                mean.masked_fill_(mean.abs() < NOTHING, 0.0)
