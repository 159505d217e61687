"""Configs that ask for far more numbers than their weight files hold."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from .errors import CorruptArtifactError
from .files import read_json

INDEX = "model.safetensors.index.json"
_COUNTS = re.compile(r"(layers?|blocks|experts|stages)$")
_LAYERS = 1000
# Packed weights hold several numbers in one; what follows from a small file stays small.
_RATIO, _SMALL = 16, 10_000_000


def check_sizes(
    config: dict[str, Any], folder: Path, build: Callable[[], torch.nn.Module], what: str
) -> None:
    """Refuse a config whose model would be far larger than its weights, before memory is taken.

    Args:
        config: The config as a dictionary.
        folder: Where its safetensors files are, by their usual names or as the index names them;
            without any, nothing is checked.
        build: Builds the model; called where tensors take no memory.
        what: Name of the model for the message.

    Raises:
        CorruptArtifactError: If it is.
    """
    sizes = [size for path in _weight_files(folder) for size in _sizes(path)]
    if not sizes:
        return
    most = max(_LAYERS, len(sizes))
    for name, value in _counts(config):
        if value > most:
            raise CorruptArtifactError(
                f"The config of {what} has {name} = {value:,}, its weights are {len(sizes)} "
                "tensors. Train or fetch it again."
            )
    with torch.device("meta"):
        wanted = sum(parameter.numel() for parameter in build().parameters())
    if wanted > _RATIO * sum(sizes) + _SMALL:
        raise CorruptArtifactError(
            f"The config of {what} asks for {wanted:,} weights, its files hold {sum(sizes):,}. "
            "Train or fetch it again."
        )


def _weight_files(folder: Path) -> list[Path]:
    found = set(folder.glob("model*.safetensors"))
    if (index := folder / INDEX).is_file():
        named = read_json(index).get("weight_map")
        names = set(named.values()) if isinstance(named, dict) else set()
        found |= {folder / name for name in names if (folder / str(name)).is_file()}
    return sorted(found)


def _sizes(path: Path) -> Iterator[int]:
    with safe_open(path, "pt") as file:
        for name in file.keys():  # noqa: SIM118
            size = 1
            for side in file.get_slice(name).get_shape():
                size *= side
            yield size


def _counts(config: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _counts({str(key): entry for key, entry in value.items()})
        elif isinstance(value, int) and _COUNTS.search(name):
            yield name, value
