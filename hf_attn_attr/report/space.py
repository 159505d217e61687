"""A Gradio Space: a folder that a Hub Space, or `python app.py`, runs as it is."""

import json
import shutil
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from ..errors import InvalidInputError
from ..files import canonical_json, write_bytes
from ..influence import InfluenceMatrix
from .material import display_name, find_folder

# What a pipeline needs.
_MODEL = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
_CARD = """---
title: {title}
sdk: gradio
app_file: app.py
pinned: false
---

Type a text and see which words speak for which class; look up words and classes of the model's
influence matrix. Made by `hf-attn-attr space`.
"""


def write_space(
    folder: str | Path,
    output: str | Path,
    *,
    model: str | None = None,
    title: str | None = None,
) -> Path:
    """Write a Space that explains texts and looks up words.

    Args:
        folder: Folder with `influence/` and the model it is of, or a Hub repository "user/name".
        output: Folder to write: `app.py`, `requirements.txt`, `README.md` with the Space's
            metadata, `space.json` and `model/`. It must be new or empty.
        model: Hub name of the model, where `folder` holds none.
        title: Of the Space; the name of the folder by default.

    Returns:
        The folder written.

    Raises:
        InvalidInputError: If there is no such folder, matrix or model, or `output` holds files.
        CorruptArtifactError: If a file is damaged or has changed.
    """
    place, target = find_folder(folder, _MODEL), Path(output)
    matrix = InfluenceMatrix.from_pretrained(place)
    missing = [name for name in _MODEL if not (place / name).is_file()]
    if model is None and missing:
        raise InvalidInputError(
            f"{place} lacks {missing}, so it holds no model. Name one of the Hub with --model."
        )
    if target.exists() and any(target.iterdir()):
        raise InvalidInputError(f"{target} holds files already. Name a new folder.")
    matrix.save_pretrained(target / "model")
    for name in _MODEL if model is None else ():
        shutil.copyfile(place / name, target / "model" / name)
    method = matrix.manifest["method"]
    settings = {
        "title": title or display_name(folder),
        "model": model,
        "method": "auto" if method == "unnamed" else method,
        "classes": matrix.manifest.get("problem_type") != "regression",
    }
    written = {
        "app.py": (files(__package__) / "space_files" / "app.py").read_bytes(),
        "space.json": canonical_json(settings),
        "requirements.txt": f"hf-attn-attr>={version('hf-attn-attr')}\n".encode(),
        "README.md": _CARD.format(title=json.dumps(settings["title"])).encode(),
    }
    for name, content in written.items():
        write_bytes(target / name, content)
    return target
