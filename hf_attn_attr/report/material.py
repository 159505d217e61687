"""What a report is made from: the files of a model folder, checked."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CorruptArtifactError, IncompatibleError, InvalidInputError
from ..files import read_json, sha256_of_file
from ..influence import InfluenceMatrix, storage
from ..influence.locating import fetched_folder
from ..layout import EVALUATION, TRAINING

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Material:
    """What is known about a model.

    Attributes:
        name: Name of its folder or repository.
        matrix: Influence of every word on every class.
        training: What `training.json` says, {} without one.
        checks: What has been checked: `name`, `question`, `verdict` and `reasons` of each.
        outdated: Whether there were checks, but of an earlier matrix: they vouch for nothing here.
        columns: The extracted texts, if they are there.
    """

    name: str
    matrix: InfluenceMatrix
    training: dict[str, Any]
    checks: list[dict[str, Any]]
    columns: "Dataset | None"
    outdated: bool = False


def find_folder(name_or_folder: str | Path, also: Sequence[str] = ()) -> Path:
    """A folder here, or what is fetched of a repository of the Hub: its matrix and other files.

    Args:
        name_or_folder: A folder, or "user/name".
        also: Other files to fetch, where the repository has them.

    Raises:
        InvalidInputError: If there is neither such a folder nor can a repository have the name.
        HubError: If the Hub lacks it or cannot be reached.
    """
    folder = Path(name_or_folder)
    return folder if folder.is_dir() else fetched_folder(str(name_or_folder), also=also)


def display_name(name_or_folder: str | Path) -> str:
    """What people call it: the name of the folder, or of the repository."""
    folder = Path(name_or_folder)
    return folder.resolve().name if folder.is_dir() else str(name_or_folder)


def output_beside(name_or_folder: str | Path, name: str) -> Path:
    """Where a file goes if nothing else is said: into the folder.

    Raises:
        InvalidInputError: If it is a repository, so that there is no folder.
    """
    folder = Path(name_or_folder)
    if not folder.is_dir():
        raise InvalidInputError(
            f"{name_or_folder} is no folder here. Say where to write {name}: --output, or output=."
        )
    return folder / name


def read_material(name_or_folder: str | Path, columns: str | Path | None = None) -> Material:
    """Everything a report is made from.

    Args:
        name_or_folder: Folder with `influence/` and perhaps `training.json`, `evaluation.json`
            and `columns.parquet`; or "user/name" on the Hub, where texts are never published.
        columns: Folder of the extracted texts, where that is another one.

    Raises:
        InvalidInputError: If there is no such folder or matrix, or no columns in `columns`.
        HubError: If the Hub lacks it or cannot be reached.
        IncompatibleError: If the columns are of another model than the matrix.
        CorruptArtifactError: If a file is damaged or has changed.
    """
    folder = find_folder(name_or_folder, (TRAINING, EVALUATION))
    matrix = InfluenceMatrix.from_pretrained(folder)
    training = read_json(folder / TRAINING) if (folder / TRAINING).is_file() else {}
    evaluation = _evaluation(folder / EVALUATION)
    outdated = isinstance(evaluation, dict) and _is_outdated(evaluation, folder)
    return Material(
        name=display_name(name_or_folder),
        matrix=matrix,
        training=training,
        checks=[] if outdated else _findings(evaluation),
        outdated=outdated,
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
    for name in ("weights_sha256", "config_sha256", "method"):
        if name in made_with and name in folded and made_with[name] != folded[name]:
            raise IncompatibleError(
                f"The texts in {folder} were extracted with {name} {made_with[name]}, the matrix "
                f"was folded with {folded[name]}. Extract and fold with one model and method."
            )
    return dataset


def _evaluation(path: Path) -> Any:
    if not path.is_file():
        return []
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CorruptArtifactError(
            f"{path} is not valid JSON ({error}). Evaluate again, or fetch it again."
        ) from error


def _is_outdated(evaluation: dict[str, Any], folder: Path) -> bool:
    """Whether the checks were made of another table than the one in the folder."""
    wanted = evaluation.get("influence_sha256")
    places = (folder / storage.FOLDER / storage.TABLE, folder / storage.TABLE)
    return wanted is not None and wanted != sha256_of_file(next(filter(Path.is_file, places)))


def _findings(evaluation: Any) -> list[dict[str, Any]]:
    """Checks by name or in a list, each in one shape."""
    found = evaluation.get("checks") if isinstance(evaluation, dict) else evaluation
    if isinstance(found, dict):
        named = [(name, check) for name, check in found.items() if isinstance(check, dict)]
        found = [{"name": name, **check} for name, check in named]
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
