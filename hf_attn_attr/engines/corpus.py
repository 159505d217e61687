"""A corpus in parquet files, anywhere fsspec reads, as shards of texts in the order of the rows."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import has_magic, url_to_fs

from ..data.columns import choose_text_column
from ..data.digest import CorpusDigest, json_lines
from ..data.sources import folder_files, from_table, read_texts
from ..encoding import CHUNK
from ..errors import CorruptArtifactError, InvalidInputError, MissingDependencyError


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows `start` to `stop` - 1 of a row group."""

    path: str
    row_group: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive texts of a corpus.

    Attributes:
        number: Its place in the corpus, from 0.
        first_text: Number of its first text; null texts do not count.
        texts: How many there are.
        sha256: Digest of the texts.
        text_column: The column they are in.
        pieces: The rows they are in, null ones included.
    """

    number: int
    first_text: int
    texts: int
    sha256: str
    text_column: str
    pieces: tuple[Piece, ...]

    def __str__(self) -> str:
        first, last = self.pieces[0], self.pieces[-1]
        where = f"{first.path}, row group {first.row_group}, row {first.start}"
        until = f"row group {last.row_group}, row {last.stop - 1}"
        if last.path != first.path:
            until = f"{last.path}, {until}"
        last_text = self.first_text + self.texts - 1
        return f"Shard {self.number} (texts {self.first_text} to {last_text}: {where} to {until})"


class Corpus:
    """The texts of parquet files, row after row and file after file.

    Args:
        files: Paths or URLs, as fsspec takes them.
        text_column: Default: found, as `load_labelled` finds it.
        shard_texts: Texts of a shard; a multiple of 2,048, because so many are put into batches
            together, so that shards have the batches, and the bits, that one machine has.

    Attributes:
        rows_read: Rows read so far, null ones included.
        texts: Texts read so far.

    Raises:
        InvalidInputError: If a file is named twice or is no parquet file, the first has no such
            text column, or `shard_texts` is no such multiple.
    """

    def __init__(self, files: Sequence[str], text_column: str | None, shard_texts: int) -> None:
        if not isinstance(shard_texts, int) or shard_texts < 1 or shard_texts % CHUNK:
            raise InvalidInputError(
                f"shard_texts is {shard_texts!r}; give a multiple of {CHUNK}, so that every text "
                "stands in the batch that one machine would put it in."
            )
        if repeated := {file for file in files if files.count(file) > 1}:
            raise InvalidInputError(
                f"Named twice: {sorted(repeated)}. Their texts would count twice; name each once."
            )
        self.files = tuple(files)
        self.shard_texts = shard_texts
        with opened(self.files[0]) as file:
            source = from_table(file.schema_arrow.empty_table(), _name(self.files[0]))
            self.text_column = choose_text_column(source, text_column, ())
        self.rows_read = self.texts = 0
        self._digest = CorpusDigest()

    @property
    def digest(self) -> str:
        """Digest of the texts read so far, that of `LabelledTexts` once all shards were."""
        return self._digest.hexdigest()

    def shards(self) -> Iterator[Shard]:
        """Read all texts once, in order, and yield each shard as soon as its last text is read.

        Raises:
            InvalidInputError: If a file cannot be read, holds no such column or no valid text, or
                no text is left.
        """
        self.rows_read = self.texts = 0
        self._digest = CorpusDigest()
        pieces: list[Piece] = []
        number = texts = 0
        digest = hashlib.sha256()
        for piece, values in self._pieces():
            start = 0
            while start < len(values):
                stop = _end(values, start, self.shard_texts - texts)
                found = [text for text in values[start:stop] if text is not None]
                lines = json_lines(found)
                digest.update(lines)
                self._digest.update(lines)
                pieces.append(
                    Piece(piece.path, piece.row_group, piece.start + start, piece.start + stop)
                )
                texts += len(found)
                start = stop
                if texts == self.shard_texts:
                    yield self._shard(number, texts, digest.hexdigest(), pieces)
                    number, texts, pieces, digest = number + 1, 0, [], hashlib.sha256()
            self.rows_read += len(values)
        if texts:
            yield self._shard(number, texts, digest.hexdigest(), pieces)
        if not self.texts:
            raise InvalidInputError(
                f"None of the {self.rows_read} rows of {len(self.files)} files has a text in the "
                f"column {self.text_column!r}. Choose other files or another column."
            )

    def _shard(self, number: int, texts: int, sha256: str, pieces: list[Piece]) -> Shard:
        first = self.texts
        self.texts += texts
        joined = tuple(_joined(pieces))
        return Shard(number, first, texts, sha256, self.text_column, joined)

    def _pieces(self) -> Iterator[tuple[Piece, list[str | None]]]:
        """Rows in order, a few thousand at a time."""
        for path in self.files:
            first_row = 0
            with opened(path) as file:
                if self.text_column not in file.schema_arrow.names:
                    raise InvalidInputError(
                        f"{path} has no column {self.text_column!r}; it has "
                        f"{file.schema_arrow.names}. Give all files the same text column."
                    )
                for group in range(file.num_row_groups):
                    start = 0
                    for batch in file.iter_batches(CHUNK, [group], [self.text_column]):
                        values = _cells(batch, path, self.text_column, first_row)
                        yield Piece(path, group, start, start + len(values)), values
                        start += len(values)
                        first_row += len(values)


def read_shard(shard: Shard) -> list[str]:
    """The texts of a shard.

    Raises:
        CorruptArtifactError: If they are not those that the shard was cut from.
        InvalidInputError: If a file cannot be read.
    """
    texts: list[str] = []
    for path, pieces in groupby(shard.pieces, lambda piece: piece.path):
        with opened(path) as file:
            for piece in pieces:
                table = file.read_row_group(piece.row_group, [shard.text_column])
                part = table.slice(piece.start, piece.stop - piece.start)
                cells = _cells(part, path, shard.text_column, piece.start)
                texts += [text for text in cells if text is not None]
    if hashlib.sha256(json_lines(texts)).hexdigest() != shard.sha256:
        raise CorruptArtifactError(
            f"The texts of {shard} have changed since the corpus was read. Run again when nobody "
            "writes to its files."
        )
    return texts


def parquet_files(
    given: str | Path | Sequence[str | Path], split: str | None
) -> tuple[str, list[str]]:
    """What a corpus is called, and its files in order.

    Args:
        given: A file, a folder, a pattern with `*`, or several files; local, or URLs of any file
            system that fsspec knows (s3://, hf://datasets/...).
        split: Of a local folder whose file names tell splits; default the only one, or "train".

    Raises:
        InvalidInputError: If there are none, or not all are parquet files.
        MissingDependencyError: If the library of a file system is not installed.
    """
    if not isinstance(given, str | Path):
        files = [_absolute(str(file)) for file in given]
    elif Path(given).is_dir():
        name, paths = folder_files(Path(given), split)
        return name, _all_parquet([str(path.resolve()) for path in paths])
    else:
        files = _listed(str(given))
    if not files:
        raise InvalidInputError(f"There is no parquet file {given}. Check the path.")
    _all_parquet(files)
    if len(files) == 1:
        return _name(files[0]), files
    return f"{_name(files[0])} to {_name(files[-1])} ({len(files)} files)", files


@contextmanager
def opened(path: str) -> Iterator[pq.ParquetFile]:
    """A parquet file anywhere.

    Raises:
        InvalidInputError: If it does not exist or is no parquet file.
    """
    system, place = file_system(path)
    try:
        with system.open(place, "rb") as raw, pq.ParquetFile(raw) as file:
            yield file
    except (FileNotFoundError, pa.ArrowException) as error:
        raise InvalidInputError(f"{path} cannot be read as parquet: {error}.") from error


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a path or URL, and the path within it.

    Raises:
        InvalidInputError: If there is no such file system.
        MissingDependencyError: If its library is not installed.
    """
    try:
        return url_to_fs(url)
    except ImportError as error:
        raise MissingDependencyError(f"{url} cannot be opened: {error}.") from error
    except ValueError as error:
        raise InvalidInputError(f"{url} cannot be opened: {error}.") from error


def _listed(url: str) -> list[str]:
    system, path = file_system(url)
    if not has_magic(path):
        if not system.isdir(path):
            return [_absolute(url)]
        path = f"{path.rstrip('/')}/**/*.parquet"
    return [system.unstrip_protocol(found) for found in sorted(system.glob(path))]


def _absolute(file: str) -> str:
    """As other machines find it that share the folders of this one."""
    return file if "://" in file or "::" in file else str(Path(file).resolve())


def _all_parquet(files: list[str]) -> list[str]:
    if other := [file for file in files if not file.endswith((".parquet", ".pq"))]:
        raise InvalidInputError(
            f"{other[0]} is no parquet file. Shards are cut from parquet files, whose rows can be "
            "read from the middle; convert the texts, or fold them on one machine."
        )
    return files


def _name(file: str) -> str:
    return PurePosixPath(Path(file).as_posix()).name


def _cells(
    table: pa.Table | pa.RecordBatch, path: str, column: str, first_row: int
) -> list[str | None]:
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    return read_texts(from_table(table, path), column, first_row=first_row)


def _end(values: Sequence[str | None], start: int, texts: int) -> int:
    """Where the rows from `start` on that hold `texts` texts, or fewer, end."""
    filled = np.flatnonzero([value is not None for value in values[start:]])
    return start + int(filled[texts - 1]) + 1 if len(filled) >= texts else len(values)


def _joined(pieces: list[Piece]) -> Iterator[Piece]:
    """Pieces that follow each other in a row group as one."""
    for (path, group), parts in groupby(pieces, lambda piece: (piece.path, piece.row_group)):
        rows = list(parts)
        yield Piece(path, group, rows[0].start, rows[-1].stop)
