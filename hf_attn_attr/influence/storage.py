"""The published form: `influence.parquet`, one row per word and label, and `manifest.json`.

Rows are ordered by word (code point), then by label (model order). Undefined numbers are null.
Equal matrices give equal bytes. The two files are replaced together, and the manifest names the
digest of the table and its own.
"""

from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hf_attn_attr.files import (
    read_manifest,
    read_settled,
    read_verified,
    replacing_together,
    sealed_json,
    sha256_of_file,
    sound,
)
from hf_attn_attr.files.parquet import require_proportion

from . import statistics

FORMAT_VERSION = 3
TABLE = "influence.parquet"
MANIFEST = "manifest.json"
FOLDER = "influence"

_TEXT = pa.dictionary(pa.int32(), pa.string())
_COUNTS = ("count", "documents")
_NAMES = ("word", "label", "evidence")
COLUMNS = (
    *("word", "label", "count", "documents", "influence", "low", "high", "lower_bound"),
    *("word_part", "context_part", "joint", "p_word_given_class", "p_class_given_word", "lift"),
    *("npmi", "log_odds", "association_q_value", "evidence", "mean", "standard_error"),
    *("degrees_of_freedom", "attention_ratio", "log_odds_standard_error"),
)
# Columns that older versions lack; they are read as undefined.
_SINCE = {"log_odds_standard_error": 2}
_SEALED_SINCE = 3
_NOT_NEGATIVE = (
    *("joint", "p_word_given_class", "p_class_given_word", "lift", "standard_error"),
    *("association_q_value", "attention_ratio", "log_odds_standard_error"),
)
# One number per word; all other numbers are per word and label.
PER_WORD = ("count", "documents", "degrees_of_freedom", "attention_ratio")
NUMBERS = tuple(name for name in COLUMNS if name not in _NAMES)

SCHEMA = pa.schema(
    (name, _TEXT if name in _NAMES else pa.int64() if name in _COUNTS else pa.float64())
    for name in COLUMNS
)


class Content(NamedTuple):
    """A matrix as plain values.

    Attributes:
        words: Sorted by code point, no two alike.
        labels: In model order.
        numbers: For each of `NUMBERS`, (words,) if in `PER_WORD`, else (words, labels); int64
            counts, float64 otherwise.
        manifest: What the matrix is of, plain JSON values.
    """

    words: tuple[str, ...]
    labels: tuple[str, ...]
    numbers: dict[str, NDArray[Any]]
    manifest: dict[str, Any]


def write(folder: Path, content: Content) -> None:
    """Write table and manifest into `folder`, both or neither."""
    with replacing_together(folder) as temporary:
        table = temporary / TABLE
        pq.write_table(_table(content), table, compression="zstd", use_dictionary=list(_NAMES))
        manifest = {
            **content.manifest,
            "format_version": FORMAT_VERSION,
            "labels": list(content.labels),
            "rows": len(content.words) * len(content.labels),
            "files": {TABLE: {"sha256": sha256_of_file(table), "bytes": table.stat().st_size}},
        }
        (temporary / MANIFEST).write_bytes(sealed_json(manifest))


def read(folder: Path) -> Content:
    """The matrix in `folder`.

    Raises:
        CorruptArtifactError: If a file is missing, changed, or not what its manifest says.
        IncompatibleError: If another format version wrote it.
    """
    return read_settled(folder, MANIFEST, lambda: _read(folder))


def _read(folder: Path) -> Content:
    advice = "Use the release that wrote it, or fold again."
    manifest = read_manifest(folder / MANIFEST, FORMAT_VERSION, _SEALED_SINCE, advice)
    version = manifest.pop("format_version")
    with sound(f"{folder} holds no sound influence matrix", "Fetch or write it again."):
        digest = str(manifest.pop("files")[TABLE]["sha256"])
        labels = tuple(manifest["labels"])
        rows = manifest.pop("rows")

        def content(file: BinaryIO) -> Content:
            # Threads of pyarrow's that have just begun when Python ends abort it now and then: it
            # buffers in threads, and it reads in threads.
            with pq.ParquetFile(file, pre_buffer=False) as table:
                require_proportion(table.metadata, file.seek(0, 2))
                return _content(table, version, labels, rows, manifest)

        return read_verified(folder / TABLE, digest, content)


def _table(content: Content) -> pa.Table:
    n_words, n_labels = len(content.words), len(content.labels)
    evidence = statistics.evidence_codes(content.numbers["low"], content.numbers["high"])
    levels, codes = np.unique(evidence, return_inverse=True)
    columns: dict[str, Any] = {
        "word": _texts(np.repeat(np.arange(n_words), n_labels), content.words),
        "label": _texts(np.tile(np.arange(n_labels), n_words), content.labels),
        "evidence": _texts(codes.reshape(-1), [statistics.EVIDENCE[level] for level in levels]),
    }
    for name, values in content.numbers.items():
        flat = np.repeat(values, n_labels) if name in PER_WORD else values.reshape(-1)
        columns[name] = pa.array(flat, SCHEMA.field(name).type, from_pandas=True)
    return pa.table([columns[name] for name in COLUMNS], schema=SCHEMA)


def _texts(codes: NDArray[Any], names: Any) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.string()))


def _content(
    table: pq.ParquetFile,
    version: int,
    labels: tuple[str, ...],
    rows: int,
    manifest: dict[str, Any],
) -> Content:
    """The content of a table. Raises ValueError where its shape is not as `_table` makes it.

    Columns are read one after the other: the whole table would take as much memory as the content.
    """
    missing = [name for name, since in _SINCE.items() if version < since]
    if table.schema_arrow != pa.schema(field for field in SCHEMA if field.name not in missing):
        raise ValueError(f"its columns are {table.schema_arrow.to_string()}")
    if not labels:
        raise ValueError("it has no labels")
    found = table.metadata.num_rows
    if not found == rows or rows % len(labels):
        raise ValueError(f"it has {found} rows, its manifest says {rows}")

    shape = (rows // len(labels), len(labels))
    words = _outer_names(_codes_and_names(table, "word"), shape)
    codes, names = _codes_and_names(table, "label")
    grid = codes.reshape(shape)
    if rows and (tuple(names[code] for code in grid[0]) != labels or (grid != grid[0]).any()):
        raise ValueError("its label column does not repeat the labels of the manifest")
    numbers = {
        name: np.full(shape, np.nan) if name in missing else _numbers(table, name, shape)
        for name in NUMBERS
    }
    _require_possible(numbers)
    return Content(words, labels, numbers, manifest)


def _column(table: pq.ParquetFile, name: str) -> pa.ChunkedArray:
    return table.read(columns=[name], use_threads=False).column(name)


def _codes_and_names(table: pq.ParquetFile, column: str) -> tuple[NDArray[Any], list[str]]:
    array = _column(table, column).unify_dictionaries().combine_chunks()
    if array.null_count:
        raise ValueError(f"its column {column} has nulls")
    return array.indices.to_numpy(), array.dictionary.to_pylist()


def _outer_names(coded: tuple[NDArray[Any], list[str]], shape: tuple[int, int]) -> tuple[str, ...]:
    codes, names = coded
    grid = codes.reshape(shape)
    if (grid != grid[:, :1]).any():
        raise ValueError("its word column does not give each word one row per label")
    return tuple(names[code] for code in grid[:, 0])


def _numbers(table: pq.ParquetFile, name: str, shape: tuple[int, int]) -> NDArray[Any]:
    column = _column(table, name)
    if name in _COUNTS and column.null_count:
        raise ValueError(f"its column {name} has nulls")
    # A copy of its own: what pyarrow gives is a view of memory that the matrix would copy later.
    values = np.array(column.to_numpy().reshape(shape))
    if name in PER_WORD:
        first = values[:, 0].copy()
        if not np.array_equal(values, np.broadcast_to(first[:, None], shape), equal_nan=True):
            raise ValueError(f"its column {name} differs within a word")
        values = first
    values.setflags(write=False)
    return values


def _require_possible(numbers: dict[str, NDArray[Any]]) -> None:
    for name, values in numbers.items():
        if np.isinf(values).any() or (name in _NOT_NEGATIVE and (values < 0).any()):
            raise ValueError(f"its column {name} holds numbers that cannot be")
    count, documents = numbers["count"], numbers["documents"]
    if ((documents < 1) | (documents > count)).any():
        raise ValueError("its counts cannot be")
    if (numbers["association_q_value"] > 1).any():
        raise ValueError("its column association_q_value holds numbers that cannot be")
