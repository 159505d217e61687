"""Word vectors from files with one word per row: GloVe, word2vec and fastText.

Such files have millions of rows, so they are streamed and only the rows of wanted words are kept.
"""

import gzip
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError, NonFiniteError
from .word_vectors import WordVectors, spellings

VECTOR_SUFFIXES = (".txt", ".vec", ".bin")
_BLOCK = 1 << 20
# What is larger is some other kind of file.
_LONGEST_WORD, _LONGEST_LINE, _MOST_DIMENSIONS = 1 << 16, 1 << 21, 1 << 16

# Number of the line (text) or row (binary) from 1, word, vector (D,).
_Row: TypeAlias = tuple[int, bytes, NDArray[np.float32]]


def vector_suffix(path: Path) -> str:
    """The suffix that tells the format: that before .gz, if the file is compressed."""
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def read_vector_file(path: Path, words: Sequence[str]) -> WordVectors:
    """The vectors of `words` in a file of word vectors.

    Args:
        path: GloVe text, word2vec or fastText text with its header "N D", or (.bin) word2vec
            binary; with .gz at the end of its name, compressed.
        words: Rows of other words are dropped. A row is also kept if it is a wanted word in lower
            or title case. The first row of a word counts.

    Raises:
        InvalidInputError: If the file is missing, is of another kind, is cut off, has a row of the
            wrong width or none of the words.
        NonFiniteError: If the vector of a wanted word holds NaN or infinity.

    Source: Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their
    Compositionality"; Pennington et al. 2014, "GloVe"; Bojanowski et al. 2017, "Enriching Word
    Vectors with Subword Information".
    """
    wanted = {form.encode(): form for word in words for form in spellings(word)}
    read = _binary_rows if vector_suffix(path) == ".bin" else _text_rows
    found: dict[str, NDArray[np.float32]] = {}
    try:
        with _opened(path) as file:
            for number, word, vector in read(file, path.name, wanted):
                if not np.isfinite(vector).all():
                    raise NonFiniteError(
                        f"{path.name}: NaN or infinity in the vector of {wanted[word]!r}, number "
                        f"{number} in the file. Repair the file or fetch it again."
                    )
                found.setdefault(wanted[word], vector)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInputError(
            f"{path} cannot be read ({error}). Give a file of word vectors that is whole."
        ) from error
    if not found:
        raise InvalidInputError(
            f"{path.name} has none of the {len(words)} wanted words. Give a file of word vectors "
            "in the language of the texts."
        )
    return WordVectors(tuple(found), np.stack(list(found.values())), f"read from {path.name}")


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _text_rows(file: BinaryIO, name: str, wanted: Collection[bytes]) -> Iterator[_Row]:
    first = _line(file, name).split(b" ")
    header = _header(first)
    rows, size = header or (None, len(first) - 1)
    if size < 1 or size > _MOST_DIMENSIONS or not (header or all(map(_is_number, first[1:]))):
        raise _not_vectors(name)
    if header is None:
        file.seek(0)
    heads = {word.partition(b" ")[0] for word in wanted}
    number = offset = 1 if header else 0
    for number, line in enumerate(file, start=offset + 1):
        line = line.rstrip()
        if line.count(b" ") < size:
            raise _wrong_width(name, number, line.count(b" "), size)
        if line[: line.find(b" ")] not in heads:
            continue
        fields = line.split(b" ")
        extra = fields[1:-size]
        # A word may hold spaces, as ". . ." does, yet what is all numbers is too wide a row.
        if extra and all(map(_is_number, extra)):
            raise _wrong_width(name, number, len(fields) - 1, size)
        word = b" ".join(fields[:-size])
        if word in wanted:
            yield number, word, _vector(fields[-size:], name, number)
    if rows is not None and number - offset < rows:
        raise _cut_off(name, number - offset, rows)


def _binary_rows(file: BinaryIO, name: str, wanted: Collection[bytes]) -> Iterator[_Row]:
    header = _header(_line(file, name).split(b" "))
    if header is None or not 1 <= header[1] <= _MOST_DIMENSIONS:
        raise _not_vectors(name)
    rows, size = header
    block, start = b"", 0
    for number in range(1, rows + 1):
        while (space := block.find(b" ", start)) < 0 or len(block) <= space + 4 * size:
            more = file.read(_BLOCK)
            if space < 0 and len(block) - start > _LONGEST_WORD:
                raise _not_vectors(name)
            if not more:
                raise _cut_off(name, number - 1, rows)
            block, start = block[start:] + more, 0
        # Some writers end a row with a newline, others do not.
        word = block[start:space].lstrip(b"\n")
        start = space + 1 + 4 * size
        if word in wanted:
            yield number, word, np.frombuffer(block, "<f4", size, space + 1).astype(np.float32)


def _line(file: BinaryIO, name: str) -> bytes:
    """The first line; a file of another kind may have none for gigabytes."""
    line = file.readline(_LONGEST_LINE)
    if len(line) == _LONGEST_LINE:
        raise _not_vectors(name)
    return line.rstrip()


def _header(fields: list[bytes]) -> tuple[int, int] | None:
    """Rows and dimensions of a first line "N D"."""
    if len(fields) == 2 and all(map(bytes.isdigit, fields)):
        return int(fields[0]), int(fields[1])
    return None


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _vector(fields: list[bytes], name: str, number: int) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # becomes infinity, which is refused
            return np.array([float(field) for field in fields], dtype=np.float32)
    except ValueError as error:
        raise InvalidInputError(
            f"{name}, line {number}: {error}. Give a file whose rows are a word and "
            f"{len(fields)} numbers."
        ) from None


def _not_vectors(name: str) -> InvalidInputError:
    return InvalidInputError(
        f"{name} is not a file of word vectors. Give GloVe, word2vec or fastText text, with a word "
        'and its numbers in each line, or (.bin) word2vec binary, which begins with "N D"; of '
        "fastText, give the .vec, not the .bin."
    )


def _wrong_width(name: str, number: int, seen: int, size: int) -> InvalidInputError:
    return InvalidInputError(
        f"{name}, line {number}: {seen} numbers, not {size} as in the first line. The file is "
        "damaged or not a file of word vectors; fetch it again."
    )


def _cut_off(name: str, seen: int, rows: int) -> InvalidInputError:
    return InvalidInputError(
        f"{name} ends after {seen} rows, its header says {rows}. Fetch it again."
    )
