"""A table of texts read from wherever it is: the Hub, files, or memory."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from datasets import (
    ClassLabel,
    Dataset,
    DatasetDict,
    Features,
    LargeList,
    List,
    load_dataset_builder,
)

from ..errors import InvalidInputError


@dataclass(frozen=True)
class Source:
    """A table as read.

    Attributes:
        columns: Arrow data by name, or the reason why the column cannot be used.
        class_names: ClassLabel names, by column.
        rows: Number of rows.
        name: What to call the source.
        revision: Commit, for the Hub.
        untyped: Whether all cells are text because the format has no types (csv).
    """

    columns: dict[str, pa.ChunkedArray | str]
    class_names: dict[str, tuple[str, ...]]
    rows: int
    name: str
    revision: str | None = None
    untyped: bool = False

    def raw(self, name: str) -> pa.ChunkedArray:
        """The column as it stands."""
        column = self.columns[name]
        if isinstance(column, str):
            raise InvalidInputError(f"Column {name!r} of {self.name} {column}")
        return column

    def typed(self, name: str) -> pa.ChunkedArray:
        """The column with the type its cells have, where the format has no types."""
        return _infer(self.raw(name), name) if self.untyped else self.raw(name)

    def describe(self) -> str:
        """The columns with their types, for messages."""
        return ", ".join(
            name if isinstance(column, str) or self.untyped else f"{name} ({column.type})"
            for name, column in self.columns.items()
        )


def open_source(source: Any, split: str | None) -> Source:
    """The table behind a path, a Hub name or an object in memory; see `load_labelled`.

    Raises:
        InvalidInputError: If there is none, it cannot be read, or it has no rows.
    """
    if isinstance(source, pd.DataFrame):
        opened = _from_pandas(source)
    elif isinstance(source, DatasetDict):
        chosen = _choose_split(list(source), split, "The DatasetDict")
        opened = _from_dataset(source[chosen], f"in memory@{chosen}")
    elif isinstance(source, Dataset):
        opened = _from_dataset(source, "in memory")
    elif isinstance(source, Path) or (isinstance(source, str) and _looks_local(source)):
        opened = _from_path(Path(source).expanduser(), split)
    elif isinstance(source, str):
        opened = _from_hub(source, split)
    else:
        raise InvalidInputError(
            f"Cannot read texts from a {type(source).__name__}. Give a path, a Hub dataset name, a "
            "datasets.Dataset or DatasetDict, or a pandas.DataFrame."
        )
    if not opened.rows:
        raise InvalidInputError(f"{opened.name} is empty: it has no rows. Give at least one text.")
    return opened


def read_texts(source: Source, name: str, *, first_row: int = 0) -> list[str | None]:
    """The cells of a text column as they stand.

    Args:
        source: The table.
        name: The column.
        first_row: Number of the table's first row, for messages.

    Raises:
        InvalidInputError: If the column holds no text, or a cell is no valid text.
    """
    column = source.raw(name)
    if not is_string(column.type) and not pa.types.is_null(column.type):
        raise InvalidInputError(
            f"The text column {name!r} of {source.name} holds {column.type}, not text. Name "
            "another with --text-column (text_column=), or convert it to text."
        )
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        row = next(i for i, cell in enumerate(column) if not _is_utf8(cell))
        raise InvalidInputError(
            f"Row {first_row + row} of the text column {name!r} of {source.name} is not valid "
            "UTF-8. Write the texts again as UTF-8."
        ) from None


def is_string(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of the types of text."""
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in tests)


def is_list(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of the types of lists."""
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def _is_utf8(cell: pa.Scalar) -> bool:
    try:
        cell.as_py()
    except UnicodeDecodeError:
        return False
    return True


def _looks_local(source: str) -> bool:
    path = Path(source).expanduser()
    return path.suffix.lower() in _READERS or source[:1] in tuple("./~") or path.exists()


def _choose_split(available: Sequence[str], wanted: str | None, what: str) -> str:
    if wanted is None:
        wanted = available[0] if len(available) == 1 else "train"
    if wanted not in available:
        raise InvalidInputError(
            f"{what} has the splits {sorted(available)}, not {wanted!r}. Name one of them with "
            "--split (split=)."
        )
    return wanted


def _from_hub(source: str, split: str | None) -> Source:
    name, _, configuration = source.partition(":")
    try:
        builder = load_dataset_builder(name, configuration or None)
        builder.download_and_prepare()
        # A slice such as "train[:100]" is legal too, so a split that is given is not looked up.
        chosen = split or _choose_split(list(builder.info.splits or ()), None, source)
        dataset = builder.as_dataset(split=chosen)
    except InvalidInputError:
        raise
    except (FileNotFoundError, ConnectionError, ValueError) as error:
        raise InvalidInputError(
            f"No file or folder {source!r} exists here, and as a Hub dataset it cannot be loaded: "
            f"{error} Check the path, or the name, configuration and split."
        ) from error
    # The builder's hash is the commit the files were taken from, from the cache or the network.
    return _from_dataset(dataset, f"{source}@{chosen}", builder.hash)


def _from_dataset(dataset: Dataset, name: str, revision: str | None = None) -> Source:
    # Through the format, because it honours select, shuffle and filter; `.data` does not.
    return from_table(dataset.with_format("arrow")[:], name, revision, dataset.features)


def from_table(
    table: pa.Table, name: str, revision: str | None = None, features: Features | None = None
) -> Source:
    """A table in memory; without `features`, class names are those its schema knows."""
    if len(set(table.column_names)) < table.num_columns:
        raise InvalidInputError(
            f"{name} has two columns of one name: {table.column_names}. Rename one of them."
        )
    if features is None:
        # Parquet files written by datasets carry their ClassLabel names in the schema; for others
        # there is nothing to find, and not every Arrow type is a feature.
        written_by_datasets = b"huggingface" in (table.schema.metadata or {})
        features = Features.from_arrow_schema(table.schema) if written_by_datasets else Features()
    class_names = {
        column: tuple(leaf.names)
        for column, feature in features.items()
        if isinstance(leaf := getattr(feature, "feature", feature), ClassLabel)
        and isinstance(feature, ClassLabel | List | LargeList)
    }
    columns = dict(zip(table.column_names, map(_decoded, table.columns), strict=True))
    return Source(columns, class_names, table.num_rows, name, revision)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column with a dictionary (a pandas Categorical) replaced by its values."""
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column


def _from_pandas(frame: pd.DataFrame) -> Source:
    if not frame.columns.is_unique:
        raise InvalidInputError(
            f"The DataFrame has two columns of one name: {list(frame.columns)}. Rename one."
        )
    columns = {
        str(name): _arrow(frame[name], lambda x: pa.array(x, from_pandas=True)) for name in frame
    }
    return Source(columns, {}, len(frame), "in memory")


def _from_records(records: list[dict[str, Any]], name: str) -> Source:
    keys = dict.fromkeys(key for record in records for key in record)
    columns = {key: _arrow([record.get(key) for record in records], pa.array) for key in keys}
    return Source(columns, {}, len(records), name)


def _arrow(values: Any, convert: Callable[[Any], Any]) -> pa.ChunkedArray | str:
    """Arrow data, or why there is none; that matters only if the column is asked for."""
    try:
        array = convert(values)
    except UnicodeEncodeError:
        row = next((i for i, value in enumerate(values) if _has_surrogate(value)), "?")
        return (
            f"has a lone surrogate, which is no character, in row {row}. Repair or remove it, e.g. "
            "with text.encode('utf-8', 'replace').decode()."
        )
    except (pa.ArrowException, OverflowError):
        kinds = sorted({type(value).__name__ for value in values})
        return f"holds values that do not go together ({', '.join(kinds)}). Give it one type."
    return _decoded(array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array]))


def _has_surrogate(value: Any) -> bool:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return any("\ud800" <= character <= "\udfff" for character in text)


def _from_path(path: Path, split: str | None) -> Source:
    if path.is_dir():
        return _from_folder(path, split)
    if not path.is_file():
        raise InvalidInputError(f"There is no file or folder {path}. Check the path.")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidInputError(
            f"Cannot read {path.name}: its suffix is none of {', '.join(_READERS)}. Convert it."
        )
    if not path.stat().st_size:
        raise InvalidInputError(f"{path.name} is empty: it has no bytes. Write the file again.")
    try:
        return reader(path)
    except (pa.ArrowException, csv.Error, UnicodeDecodeError, OSError) as error:
        raise InvalidInputError(
            f"{path.name} cannot be read as {path.suffix[1:]}: {error}. Write it again, texts in "
            "UTF-8."
        ) from error


def _from_folder(folder: Path, split: str | None) -> Source:
    name, files = folder_files(folder, split)
    parts = [_from_path(file, None) for file in files]
    return parts[0] if len(parts) == 1 else _stacked(parts, name)


def folder_files(folder: Path, split: str | None) -> tuple[str, list[Path]]:
    """What the texts in a folder are called, and the files of one split, sorted.

    Raises:
        InvalidInputError: If there are none.
    """
    name = folder.resolve().name
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in _READERS and f.is_file())
    if not files:
        raise InvalidInputError(
            f"The folder {name} has no file with a suffix among {', '.join(_READERS)}. Name the "
            "folder that holds the data files."
        )
    splits: dict[str, list[Path]] = {}
    for file in files:
        if split_in_name := _split_in_name(file):
            splits.setdefault(split_in_name, []).append(file)
    splits = splits or {"train": files}
    chosen = _choose_split(list(splits), split, f"The folder {name}")
    found = splits[chosen]
    return found[0].name if len(found) == 1 else f"{name}@{chosen}", found


def _split_in_name(file: Path) -> str | None:
    """The split a file name speaks of: `train-00000-of-00002.parquet`, `emotion_dev.csv`."""
    for part in re.split(r"[^a-z0-9]+", file.stem.lower()):
        for split, spellings in _SPLITS.items():
            if part in spellings:
                return split
    return None


def _stacked(parts: list[Source], name: str) -> Source:
    """The rows of all parts, which must have the same columns and types."""
    first = parts[0]
    columns: dict[str, pa.ChunkedArray | str] = {}
    for part in parts:
        if set(part.columns) != set(first.columns) or part.class_names != first.class_names:
            raise InvalidInputError(
                f"{first.name} and {part.name} of {name} have different columns: "
                f"{first.describe()} / {part.describe()}. Give them one by one."
            )
    for column in first.columns:
        pieces = [part.raw(column) for part in parts]
        try:
            columns[column] = pa.chunked_array(
                [chunk for piece in pieces for chunk in piece.cast(_common_type(pieces)).chunks]
            )
        except pa.ArrowException:
            columns[column] = f"has types {', '.join(str(p.type) for p in pieces)}. Give it one."
    rows = sum(part.rows for part in parts)
    return Source(columns, first.class_names, rows, name, None, first.untyped)


def _common_type(pieces: list[pa.ChunkedArray]) -> pa.DataType:
    schemas = [pa.schema([("column", piece.type)]) for piece in pieces]
    return pa.unify_schemas(schemas, promote_options="permissive").field("column").type


def _read_parquet(path: Path) -> Source:
    return from_table(pq.read_table(path), path.name)


def _read_csv(path: Path, delimiter: str = ",") -> Source:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(filter(None, csv.reader(file, delimiter=delimiter)), [])
    table = pa_csv.read_csv(
        path,
        # Bytes; a row must fit into a block.
        read_options=pa_csv.ReadOptions(block_size=1 << 24),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return replace(from_table(table, path.name), untyped=True)


def _read_tsv(path: Path) -> Source:
    return _read_csv(path, "\t")


def _read_json(path: Path) -> Source:
    """A list of objects, or an object per line."""
    # Not Arrow's reader: it turns text that looks like a date into a timestamp.
    text = path.read_text(encoding="utf-8-sig")
    try:
        # Split at line feeds alone: str.splitlines() also cuts at U+2028, which JSON leaves as is.
        records = (
            json.loads(text)
            if text.lstrip().startswith("[")
            else [json.loads(line) for line in text.split("\n") if line.strip()]
        )
    except ValueError as error:
        raise InvalidInputError(
            f"{path.name} is neither a JSON list nor one JSON object per line: {error}. Write it "
            "again, e.g. with DataFrame.to_json(orient='records', lines=True)."
        ) from error
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            raise InvalidInputError(
                f"Row {row} of {path.name} is a {type(record).__name__}, not an object such as "
                '{"text": ..., "label": ...}. Write one object per row.'
            )
    return _from_records(records, path.name)


_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}

_READERS: dict[str, Callable[[Path], Source]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json,
    ".json": _read_json,
}

# A whole number as Arrow holds it, written the usual way.
INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
# Not "007": a code, whose zeros mean something.
_NUMBER = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?(nan|inf|infinity)", re.IGNORECASE)


def _infer(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Cells of a csv column as integers, floats, bools, lists, or else the text they are."""
    cells = column.to_pylist()
    convert = _conversion([cell for cell in cells if cell is not None])
    if convert is None:
        return column
    try:
        result = _arrow([None if c is None else convert(c) for c in cells], pa.array)
    except json.JSONDecodeError as error:
        raise InvalidInputError(
            f"The cells of column {name!r} look like lists but are not JSON ({error}). Write "
            'lists as ["joy", "love"], with json.dumps.'
        ) from error
    if isinstance(result, str):
        raise InvalidInputError(f"Column {name!r} {result}")
    return result


def _conversion(cells: list[str]) -> Callable[[str], Any] | None:
    """What reads all `cells`, or None where they are text."""
    if all(map(INTEGER.fullmatch, cells)):
        return int
    if any(map(_NUMBER.fullmatch, cells)) and all(
        _NUMBER.fullmatch(cell) or _NOT_FINITE.fullmatch(cell) for cell in cells
    ):
        return float
    if all(cell.lower() in ("true", "false") for cell in cells):
        return lambda cell: cell.lower() == "true"
    if all(cell.startswith("[") and cell.endswith("]") for cell in cells):
        return json.loads
    return None
