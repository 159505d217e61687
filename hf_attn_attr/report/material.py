"""What a report is made from: the files of a model folder, checked."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CorruptArtifactError, IncompatibleError, InvalidInputError
from ..files import read_json
from ..influence import InfluenceMatrix

if TYPE_CHECKING:
    from datasets import Dataset

TRAINING, EVALUATION = "training.json", "evaluation.json"


@dataclass(frozen=True)
class Material:
    """What is known about a model.

    Attributes:
        name: Name of its folder.
        matrix: Influence of every word on every class.
        training: What `training.json` says, {} without one.
        checks: What has been checked: `name`, `question`, `verdict` and `reasons` of each.
        columns: The extracted texts, if they are there.
    """

    name: str
    matrix: InfluenceMatrix
    training: dict[str, Any]
    checks: list[dict[str, Any]]
    columns: "Dataset | None"


def find_folder(name_or_folder: str | Path) -> Path:
    """The folder of that name.

    Raises:
        InvalidInputError: If there is none.
    """
    folder = Path(name_or_folder)
    if not folder.is_dir():
        raise InvalidInputError(
            f"{name_or_folder} is not a folder. Give one with influence/ in it; download a "
            "published one first."
        )
    return folder


def read_material(name_or_folder: str | Path, columns: str | Path | None = None) -> Material:
    """Everything a report is made from.

    Args:
        name_or_folder: Folder with `influence/` and perhaps `training.json`, `evaluation.json`
            and `columns.parquet`.
        columns: Folder of the extracted texts, where that is another one.

    Raises:
        InvalidInputError: If there is no such folder or matrix, or no columns in `columns`.
        IncompatibleError: If the columns are of another model than the matrix.
        CorruptArtifactError: If a file is damaged or has changed.
    """
    folder = find_folder(name_or_folder)
    matrix = InfluenceMatrix.from_pretrained(folder)
    training = read_json(folder / TRAINING) if (folder / TRAINING).is_file() else {}
    return Material(
        name=folder.resolve().name,
        matrix=matrix,
        training=training,
        checks=_checks(folder / EVALUATION),
        columns=_columns(folder if columns is None else find_folder(columns), matrix, columns),
    )


def _columns(folder: Path, matrix: InfluenceMatrix, asked: str | Path | None) -> "Dataset | None":
    from ..columns import MANIFEST, load_columns

    if not (folder / MANIFEST).is_file():
        if asked is None:
            return None
        raise InvalidInputError(
            f"{folder} holds no extracted texts. Write them with `hf-attn-attr extract`, or "
            "`hf-attn-attr run --columns`."
        )
    dataset, made_with = load_columns(folder)
    folded = matrix.manifest.get("provenance", {})
    for name in ("weights_sha256", "method"):
        if name in made_with and name in folded and made_with[name] != folded[name]:
            raise IncompatibleError(
                f"The texts in {folder} were extracted with {name} {made_with[name]}, the matrix "
                f"was folded with {folded[name]}. Extract and fold with one model and method."
            )
    return dataset


def _checks(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CorruptArtifactError(
            f"{path} is not valid JSON ({error}). Evaluate again, or fetch it again."
        ) from error
    if isinstance(found, dict):
        found = found.get("checks", {})
    return _findings(found)


def _findings(found: Any) -> list[dict[str, Any]]:
    """Checks by name or in a list, each in one shape."""
    if isinstance(found, dict):
        found = [
            {"name": name, **check} for name, check in found.items() if isinstance(check, dict)
        ]
    if not isinstance(found, list):
        return []
    findings = []
    for check in found:
        if not isinstance(check, dict):
            continue
        reasons = check.get("reasons", check.get("text", []))
        reasons = [reasons] if isinstance(reasons, str) else reasons
        findings.append(
            {
                "name": str(check.get("name", "unnamed")),
                "question": str(check.get("question", "")),
                "verdict": str(check.get("verdict", "not said")),
                "reasons": [str(reason) for reason in reasons] if isinstance(reasons, list) else [],
            }
        )
    return findings
