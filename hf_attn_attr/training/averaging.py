"""An exponential moving average of the weights, which is what is evaluated and kept.

Source: Polyak & Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; as an
exponential average in Tarvainen & Valpola 2017, "Mean teachers are better role models".
"""

from collections.abc import Iterator
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor, nn
from transformers import TrainerCallback

from ..files import write_bytes
from .checkpoints import checkpoint_folder

AVERAGING = "averaging.safetensors"
STRIDE = 8  # steps between updates: each touches all weights, as costly as the optimizer's step


class WeightAveraging(TrainerCallback):
    """Steps go on with the raw weights; the average stands in for them at the end of each epoch.

    Trainer evaluates and saves at the end of an epoch, so a checkpoint holds the average. The raw
    weights lie in it too, in `averaging.safetensors`, for training to resume from.

    Args:
        decay: Weight of the past per step; less in the first steps, when there is little past.
    """

    def __init__(self, decay: float):
        self.decay = decay
        self.average: dict[str, Tensor] = {}
        self.raw: dict[str, Tensor] = {}
        self.moved_at = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Take up the weights of the checkpoint that training resumes from, if it does."""
        weights = _trained(kwargs["model"])
        self.moved_at = state.global_step  # a checkpoint is written at the end of an epoch
        if not state.global_step:
            self.average = {name: weight.clone() for name, weight in weights}
            return
        saved = load_file(checkpoint_folder(args.output_dir, state.global_step) / AVERAGING)
        for name, weight in weights:
            self.average[name] = saved[f"average.{name}"].to(weight.device)
            self.raw[name] = saved[f"raw.{name}"].to(weight.device)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Go on with the raw weights."""
        for name, weight in _trained(kwargs["model"]):
            if name in self.raw:
                weight.copy_(self.raw.pop(name))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Move the average towards the raw weights, in one go for several steps."""
        if state.global_step % STRIDE == 0:
            self._move(state.global_step, kwargs["model"])

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Put the average in the place of the raw weights."""
        self._move(state.global_step, kwargs["model"])
        for name, weight in _trained(kwargs["model"]):
            self.raw[name] = weight.clone()
            weight.copy_(self.average[name])

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Add both to the checkpoint."""
        tensors = {f"raw.{name}": weight for name, weight in self.raw.items()}
        tensors |= {f"average.{name}": weight for name, weight in self.average.items()}
        folder = checkpoint_folder(args.output_dir, state.global_step)
        write_bytes(folder / AVERAGING, save(tensors))

    def _move(self, step: int, model: nn.Module) -> None:
        decay = min(self.decay, (1 + step) / (10 + step)) ** (step - self.moved_at)
        self.moved_at = step
        for name, weight in _trained(model):
            self.average[name].lerp_(weight, 1 - decay)


def _trained(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weights that training changes, as plain tensors."""
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            yield name, weight.detach()
