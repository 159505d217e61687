"""Human rationales: which characters of a text people marked as the reason for its label."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import List, Value
from numpy.typing import NDArray

from ..errors import InvalidInputError
from .columns import existing_column
from .sources import Source, is_list

Span = dict[str, Any]
"""{"start": ..., "end": ..., "weight": ...}: characters of the text, end exclusive; weight 0..1."""

FEATURE = List({"start": Value("int32"), "end": Value("int32"), "weight": Value("float32")})
WORD_COLUMNS = ("words", "tokens")


def read_rationales(
    source: Source, name: str, texts: Sequence[str | None]
) -> list[list[Span] | None]:
    """The rationale of each text as spans, None where a text has none; see `load_labelled`.

    Raises:
        InvalidInputError: If the cells are no rationales, or one does not fit its text; the message
            names the row.
    """
    column = source.typed(existing_column(source, name, "rationale"))
    cells = column.to_pylist()
    where = f"of the rationale column {name!r}"
    kind = column.type.value_type if is_list(column.type) else None
    if kind is not None and is_list(kind):
        read = [
            cell and text and _spans(cell, text, f"Row {row} {where}")
            for row, (cell, text) in enumerate(zip(cells, texts, strict=True))
        ]
    elif kind is not None and _is_number(kind):
        words = _words(source, name)
        read = [
            cell and text and _marked(cell, own, text, f"Row {row} {where}")
            for row, (cell, own, text) in enumerate(zip(cells, words, texts, strict=True))
        ]
    else:
        raise InvalidInputError(
            f"The rationale column {name!r} of {source.name} holds {column.type}. Wanted are lists "
            "of character spans, [[start, end], ...], or one number from 0 to 1 per word, with the "
            f"words beside it in a column {' or '.join(map(repr, WORD_COLUMNS))}."
        )
    if not any(read):
        raise InvalidInputError(
            f"No row of {source.name} has a rationale in column {name!r}. Name another column."
        )
    return [spans or None for spans in read]


def coverage(spans: Sequence[Span], words: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """How much of each word (start, end) a rationale marks: its mean weight per character, (W,).

    Where spans overlap, the larger weight counts.
    """
    marks = np.zeros(max((end for _, end in words), default=0))
    for span in spans:
        part = marks[span["start"] : span["end"]]
        np.maximum(part, span["weight"], out=part)
    return np.array([marks[start:end].mean() for start, end in words])


def _spans(cell: Sequence[Any], text: str, where: str) -> list[Span]:
    spans = []
    for span in cell:
        pair = span is not None and len(span) == 2 and all(isinstance(x, int) for x in span)
        if not (pair and 0 <= span[0] < span[1] <= len(text)):
            raise InvalidInputError(
                f"{where} has the span {span}; wanted is [start, end] with 0 <= start < end <= "
                f"{len(text)}, the length of its text. Count characters from 0, end exclusive."
            )
        spans.append({"start": span[0], "end": span[1], "weight": 1.0})
    return spans


def _marked(weights: Sequence[Any], words: Any, text: str, where: str) -> list[Span]:
    """The words with a weight as spans; words are looked for in the text one after the other."""
    if words is None or len(words) != len(weights):
        count = "no words" if words is None else f"{len(words)} words"
        raise InvalidInputError(
            f"{where} has {len(weights)} numbers for {count}. Give one number per word."
        )
    spans = []
    position = 0
    for word, weight in zip(words, weights, strict=True):
        start = -1 if word is None else text.find(word, position)
        if start < 0:
            raise InvalidInputError(
                f"{where} is about the word {word!r}, which its text does not hold behind "
                f"character {position}. Give the words as they stand in the text, in order."
            )
        position = start + len(word)
        if weight is None or not math.isfinite(weight) or not 0 <= weight <= 1:
            raise InvalidInputError(f"{where} has the number {weight}; wanted is one from 0 to 1.")
        if weight and word:
            spans.append({"start": start, "end": position, "weight": float(weight)})
    return spans


def _words(source: Source, name: str) -> list[Any]:
    found = [column for column in WORD_COLUMNS if column in source.columns]
    if len(found) != 1 or not is_list(source.typed(found[0]).type):
        raise InvalidInputError(
            f"The rationale column {name!r} of {source.name} has a number per word, so the words "
            f"must lie beside it, as lists in one column {' or '.join(map(repr, WORD_COLUMNS))}. "
            f"It has {source.describe()}. Add them, or give character spans, [[start, end], ...]."
        )
    return source.typed(found[0]).to_pylist()


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return any(test(kind) for test in tests)
