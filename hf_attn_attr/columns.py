"""An extracted dataset as a folder: `columns.parquet` and the manifest that vouches for it."""

from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, DatasetInfo, Features, Value
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
from .files.parquet import require_proportion
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
        table = read_verified(folder / COLUMNS, str(manifest.get("sha256")), _table)
        table.validate(full=True)  # that texts are UTF-8, which nothing else looks at before use
        dataset = _plain(table)
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


def _table(file: BinaryIO) -> pa.Table:
    with pq.ParquetFile(file) as table:
        require_proportion(table.metadata, file.seek(0, 2))
        return table.read()


def _plain(table: pa.Table) -> Dataset:
    """The rows, with the classes that the file names, but nothing that reading a row would fetch.

    A feature that decodes (an image, a sound) may name an address, and reading asks there.
    """
    named = Features.from_arrow_schema(table.schema)
    bare = table.replace_schema_metadata(None)
    values = Features.from_arrow_schema(bare.schema)
    kept = {name: named[name] if _is_value(named[name]) else values[name] for name in values}
    return Dataset(InMemoryTable(bare), info=DatasetInfo(features=Features(kept)))


def _is_value(feature: Any) -> bool:
    inner = getattr(feature, "feature", None)
    return isinstance(feature, Value | ClassLabel) or (inner is not None and _is_value(inner))
