"""An extracted dataset as a folder: `columns.parquet` and the manifest that vouches for it."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datasets import Dataset
from datasets.table import InMemoryTable

from .errors import CorruptArtifactError, InvalidInputError
from .files import (
    read_manifest,
    read_settled,
    read_verified,
    replacing_together,
    sealed_json,
    sha256_of_file,
    sound,
)
from .remote import fetch, is_repo_id, resolve

COLUMNS, MANIFEST = "columns.parquet", "columns.json"
FORMAT_VERSION = 2
_SEALED_SINCE = 2


def save_columns(dataset: Dataset, folder: Path, provenance: dict[str, Any]) -> None:
    """Write an extracted dataset and what it was computed with into `folder`, both or neither."""
    with replacing_together(folder) as temporary:
        dataset.to_parquet(str(temporary / COLUMNS))
        manifest = {
            "format_version": FORMAT_VERSION,
            "rows": len(dataset),
            "sha256": sha256_of_file(temporary / COLUMNS),
            "provenance": provenance,
        }
        (temporary / MANIFEST).write_bytes(sealed_json(manifest))


def load_columns(
    name_or_folder: str | Path, *, revision: str | None = None, token: str | bool | None = None
) -> tuple[Dataset, dict[str, Any]]:
    """The dataset that `save_columns` wrote or `push_columns` published, and its provenance.

    Args:
        name_or_folder: A folder, or "user/name" of a data set on the Hub.
        revision: Branch, tag or commit of the repository.
        token: As for huggingface_hub.

    Raises:
        InvalidInputError: If there is no such folder, nor can a repository have the name.
        HubError: If the Hub lacks it or cannot be reached.
        CorruptArtifactError: If a file is missing, damaged, or has changed.
        IncompatibleError: If another format version wrote it.
    """
    folder, repo_id = Path(name_or_folder), str(name_or_folder)
    if not folder.is_dir():
        if not is_repo_id(repo_id):
            raise InvalidInputError(
                f"{repo_id} is no folder, and no data set of the Hub can have that name. Give a "
                "folder that `extract` wrote, or 'user/name'."
            )
        where: dict[str, Any] = {"repo_type": "dataset", "token": token}
        commit, files = resolve(repo_id, revision, **where), (COLUMNS, MANIFEST)
        folder = fetch(repo_id, commit, files, required=files, **where)
    return read_settled(folder, MANIFEST, lambda: _load(folder))


def _load(folder: Path) -> tuple[Dataset, dict[str, Any]]:
    advice = "Extract again, or use the release that wrote it."
    manifest = read_manifest(folder / MANIFEST, FORMAT_VERSION, _SEALED_SINCE, advice)
    with sound(f"{folder} holds no sound columns", "Extract again."):
        table = read_verified(folder / COLUMNS, str(manifest.get("sha256")), pq.read_table)
        table.validate(full=True)  # that texts are UTF-8, which nothing else looks at before use
        dataset = Dataset(InMemoryTable(table))
    if len(dataset) != manifest.get("rows"):
        raise CorruptArtifactError(
            f"{folder / COLUMNS} holds {len(dataset):,} of {manifest.get('rows')!r} rows that "
            "its manifest names. Extract again."
        )
    provenance = manifest.get("provenance")
    if not isinstance(provenance, dict):
        raise CorruptArtifactError(
            f"{folder / MANIFEST} does not say what the columns were computed with. Extract again."
        )
    return dataset, provenance
