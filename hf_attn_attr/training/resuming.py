"""An interrupted training, taken up where it stopped, and never by another training."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from safetensors.torch import load_file
from transformers import Trainer, TrainerState

from ..errors import (
    CorruptArtifactError,
    IncompatibleError,
    IncompleteCheckpointError,
    InvalidInputError,
)
from ..files import canonical_json, read_json, write_bytes
from .checkpoints import is_complete, newest_complete

CHECKPOINTS = "checkpoints"
RUN = "run.json"
FINISHED = "finished"
# What a training leaves in its folder of checkpoints, and what it may delete there: a folder per
# seed, and files, which may have died while they were written.
_SEED = re.compile(r"seed_\d+")
_NAME = rf"(?:{re.escape(RUN)}|teacher-[0-9a-f]{{16}}\.npy)"
_FILE = re.compile(rf"{_NAME}|\.{_NAME}\.[0-9a-f]{{8}}-\d+\.\w*\.tmp")


def check_own(checkpoints: Path, *, resume: bool) -> None:
    """Make sure that nothing but what a training left is in its folder of checkpoints.

    Raises:
        InvalidInputError: If there is something else, which training would have to delete.
    """
    if checkpoints.is_symlink():
        raise InvalidInputError(
            f"{checkpoints} is a link, and training deletes what is in there. Remove the link, or "
            "give another output folder."
        )
    names = sorted(path.name for path in checkpoints.glob("*"))
    strange = [name for name in names if not (_SEED.fullmatch(name) or _FILE.fullmatch(name))]
    if not (strange or resume or RUN in names):
        strange = [name for name in names if _SEED.fullmatch(name)]
    if strange:
        raise InvalidInputError(
            f"{checkpoints} holds {strange[0]!r}, which no training of this package left, and "
            "training deletes what is in there. Move it away, or give another output folder."
        )


def drop(checkpoints: Path) -> None:
    """Delete what a training left in its folder of checkpoints, and the folder if it is empty."""
    for path in checkpoints.glob("*"):
        if _SEED.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)
        elif _FILE.fullmatch(path.name):
            path.unlink(missing_ok=True)
    if checkpoints.is_dir() and not any(checkpoints.iterdir()):
        checkpoints.rmdir()


def begin(checkpoints: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
    """Clear what an earlier run left in `checkpoints`, or make sure that it is this run's.

    Args:
        checkpoints: Folder of this run's checkpoints.
        identity: What makes it this run, as JSON values.
        resume: Whether to go on with what is there.

    Raises:
        IncompleteCheckpointError: If there is nothing to resume, or no checkpoint is complete.
        IncompatibleError: If it is of a run with other texts or settings.
    """
    path = checkpoints / RUN
    if not resume:
        for folder in checkpoints.glob("seed_*"):
            if _SEED.fullmatch(folder.name):
                shutil.rmtree(folder)
        write_bytes(path, canonical_json(dict(identity)))
        return
    if not path.is_file():
        raise IncompleteCheckpointError(
            f"{checkpoints} holds no checkpoint to resume from. Train without resume to start anew."
        )
    earlier = read_json(path)
    for name, value in identity.items():
        if earlier.get(name) != value:
            raise IncompatibleError(
                f"{checkpoints} is of a training with another {name}: {_short(earlier.get(name))}, "
                f"now {_short(value)}. Resume with the same, or train without resume to start anew."
            )
    for seed in checkpoints.glob("seed_*"):
        if is_complete(seed / FINISHED) or newest_complete(seed):
            return
    raise IncompleteCheckpointError(
        f"{checkpoints} holds no complete checkpoint: training was interrupted before the first "
        "was written. Train without resume to start anew."
    )


def train_on(trainer: Trainer, folder: Path, patience: int, *, resume: bool) -> None:
    """Train to the end, from the last checkpoint in `folder` where there is one to resume."""
    last = newest_complete(folder) if resume else None
    if last is None:
        trainer.train()
        return
    state = TrainerState.load_from_json(str(last / "trainer_state.json"))
    if _waited(state) < patience:
        try:
            trainer.train(resume_from_checkpoint=str(last))
        except UnpicklingError as error:  # torch's, of what is no plain data
            raise CorruptArtifactError(
                f"{last} holds a pickle that is no plain data, which is not loaded. Train without "
                "resume to start anew."
            ) from error
        return
    # It had stopped early already, and only what comes after training was cut off.
    trainer.state = state
    best = folder / Path(str(state.best_model_checkpoint)).name
    if not is_complete(best):
        raise IncompleteCheckpointError(
            f"{best} is incomplete, so training cannot resume. Train without resume to start anew."
        )
    trainer.model.load_state_dict(load_file(best / "model.safetensors"))


def _waited(state: TrainerState) -> int:
    """Epochs without a better metric so far."""
    stopping = state.stateful_callbacks.get("EarlyStoppingCallback", {})
    return stopping.get("attributes", {}).get("early_stopping_patience_counter", 0)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
