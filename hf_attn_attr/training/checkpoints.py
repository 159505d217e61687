"""Checkpoints that are whole: a list of digests, written last, vouches for every file.

Trainer writes a checkpoint file by file into its final folder and, asked to resume, takes the
newest folder. What lacks a file of the optimizer, the schedule or the random numbers it would
resume all the same, on another course.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.utils import logging

from ..errors import CorruptArtifactError, IncompleteCheckpointError
from ..files import read_manifest, sealed_json, sha256_of_file, write_bytes

logger = logging.get_logger(__name__)

COMPLETE = "complete.json"
FORMAT_VERSION = 1
_ANEW = "Train without resume to start anew."


class CompleteCheckpoints(TrainerCallback):
    """Vouches for each checkpoint when all of it is written, then drops those no longer needed.

    Kept are the newest and the best. It goes behind all callbacks that write into a checkpoint.
    """

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Vouch for the checkpoint just written."""
        folder = checkpoint_folder(args.output_dir, state.global_step)
        vouch(folder)
        kept = {folder.name, Path(str(state.best_model_checkpoint)).name}
        for other in _newest_first(Path(args.output_dir)):
            if other.name not in kept:
                (other / COMPLETE).unlink(missing_ok=True)  # first, so that no part looks whole
                shutil.rmtree(other)


def checkpoint_folder(folder: str | Path, step: int) -> Path:
    """Where Trainer writes the checkpoint of a step."""
    return Path(folder) / f"checkpoint-{step}"


def vouch(folder: Path) -> None:
    """Write the digests of all files in `folder`, once they are on the disk."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != COMPLETE:
            with path.open("rb") as file:
                os.fsync(file.fileno())
            files[path.name] = sha256_of_file(path)
    manifest = {"format_version": FORMAT_VERSION, "files": files}
    write_bytes(folder / COMPLETE, sealed_json(manifest))


def is_complete(folder: Path) -> bool:
    """Whether all of `folder` was written; a part of it is no part of a run.

    Raises:
        IncompleteCheckpointError: If all was written and a file has gone since.
        CorruptArtifactError: If a file has changed since.
        IncompatibleError: If another format version wrote it.
    """
    if not (folder / COMPLETE).is_file():
        return False
    advice = f"Resume with the release that wrote it. {_ANEW}"
    files = read_manifest(folder / COMPLETE, FORMAT_VERSION, 1, advice)["files"]
    for name, digest in files.items():
        if not (folder / name).is_file():
            raise IncompleteCheckpointError(
                f"{folder / name} is missing, so training cannot resume from there. {_ANEW}"
            )
        if sha256_of_file(folder / name) != digest:
            raise CorruptArtifactError(
                f"{folder / name} was damaged or exchanged, so training cannot resume from there. "
                f"{_ANEW}"
            )
    return True


def newest_complete(folder: Path) -> Path | None:
    """The newest complete checkpoint in `folder`; warns of those that are not and are left out.

    Raises:
        IncompleteCheckpointError: As `is_complete`.
        CorruptArtifactError: As `is_complete`.
        IncompatibleError: As `is_complete`.
    """
    for checkpoint in _newest_first(folder):
        if is_complete(checkpoint):
            return checkpoint
        logger.warning("%s was not written to its end; it is left out.", checkpoint)
    return None


def _newest_first(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("checkpoint-*") if path.name[11:].isdecimal()]
    return sorted(found, key=lambda path: int(path.name[11:]), reverse=True)
