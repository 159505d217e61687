"""What a label column means: classes with names and an order, or numbers to predict."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pyarrow as pa

from ..errors import InvalidInputError, NonFiniteError
from .columns import companions
from .sources import INTEGER, Source, is_list, is_string

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]


@dataclass(frozen=True)
class Labels:
    """The labels of a source in names, before they are numbered.

    Attributes:
        problem_type: What kind of labels they are.
        values: Per row of the source its labels (names; one number for regression), or None where
            the source has none.
        names: Class names in order; the target's name for regression.
        ranked: Whether that order comes from the source; else names are sorted.
        declared: Whether classes that no text has are kept.
        numbers: The number a name stood for in the source, as a string.
    """

    problem_type: ProblemType
    values: list[list[Any] | None]
    names: tuple[str, ...]
    ranked: bool = False
    declared: bool = False
    numbers: Mapping[str, str] = field(default_factory=dict)


def read_labels(
    source: Source, columns: tuple[str, ...], problem_type: ProblemType | None
) -> Labels:
    """The labels in `columns`, one column or several of 0 and 1; see `load_labelled`.

    Raises:
        InvalidInputError: If the cells are no labels, or not those of `problem_type`.
        NonFiniteError: If a number is NaN or infinite.
    """
    if len(columns) == 1:
        found = _read_column(source, columns[0], problem_type)
    else:
        found = _read_indicators(source, columns)
    if problem_type not in (None, found.problem_type):
        raise InvalidInputError(
            f"The labels of {source.name} ({', '.join(columns)}) are those of "
            f"{found.problem_type}, not of {problem_type}. Choose another label column or problem "
            "type."
        )
    return found


def renamed(found: Labels, label_map: Mapping[str, str], *, warn: bool) -> Labels:
    """The labels under their new names; what is mapped to "" is gone.

    Raises:
        InvalidInputError: If there are no classes to rename.
    """
    if found.problem_type == "regression":
        raise InvalidInputError(
            "label_map renames classes, but the labels are regression targets. Leave it out, or "
            "choose a column of classes."
        )
    unused = sorted(set(label_map) - set(found.names) - set(found.numbers.values()))
    if warn and unused:
        warnings.warn(
            f"label_map names {unused}, which do not occur among the labels {list(found.names)}.",
            stacklevel=3,
        )
    by_number = {name: label_map.get(number, name) for name, number in found.numbers.items()}
    new = {name: label_map.get(name, by_number.get(name, name)) for name in found.names}
    names = tuple(dict.fromkeys(name for name in new.values() if name))
    return replace(
        found,
        values=[
            None if row is None else [new[name] for name in row if new[name]]
            for row in found.values
        ],
        names=names if found.ranked else _sorted_names(names),
        numbers={},
    )


def choose_classes(
    found: Labels, kept: Sequence[int], labels: Sequence[str] | None, source: str
) -> tuple[str, ...]:
    """The class names in order: `labels` where given, else those of the rows `kept`.

    Raises:
        InvalidInputError: If a row has a label outside `labels`.
    """
    if found.problem_type == "regression":
        if labels is not None and len(labels) != 1:
            raise InvalidInputError(
                f"{source} holds regression targets, labels names {len(labels)}. Give one name."
            )
        return tuple(labels or found.names)
    first_row: dict[str, int] = {}
    for row in kept:
        for name in found.values[row] or ():
            first_row.setdefault(name, row)
    if labels is None:
        return tuple(name for name in found.names if found.declared or name in first_row)
    for name, row in first_row.items():
        if name not in labels:
            raise InvalidInputError(
                f"Row {row} of {source} has the label {name!r}, expected one of {list(labels)}. "
                "Rename it with label_map, or drop it by mapping it to ''."
            )
    return tuple(labels)


def check_contrast(found: Labels, kept: Sequence[int], source: str) -> None:
    """Check that there is something to tell apart: two classes, or for multi-label any label.

    Raises:
        InvalidInputError: If not.
    """
    seen = {name for row in kept for name in found.values[row] or ()}
    if found.problem_type == "single_label_classification" and len(seen) < 2:
        raise InvalidInputError(
            f"{source} has one class only, {sorted(seen)}; a classifier needs at least two. Choose "
            "another label column, or data with more classes."
        )
    if not seen:
        raise InvalidInputError(f"No row of {source} has any label. Choose another label column.")


def encode(found: Labels, kept: Sequence[int], classes: tuple[str, ...]) -> list[Any]:
    """Per row kept: its class number, its sorted class numbers, or its target."""
    values = [found.values[row] or [] for row in kept]
    if found.problem_type == "regression":
        return [target for (target,) in values]
    number = {name: i for i, name in enumerate(classes)}
    if found.problem_type == "single_label_classification":
        return [number[name] for (name,) in values]
    return [sorted({number[name] for name in names}) for names in values]


def _read_column(source: Source, name: str, problem_type: ProblemType | None) -> Labels:
    column = source.typed(name)
    kind, cells = column.type, column.to_pylist()
    if is_list(kind):
        return _read_lists(source, name, kind.value_type, cells)
    numbered = pa.types.is_integer(kind)
    if pa.types.is_floating(kind):
        _check_finite(cells, name)
        # Whole numbers with nulls reach us as floats from pandas; floats skip some beyond 2^53.
        numbered = all(x is None or (x.is_integer() and abs(x) <= 2**53) for x in cells)
        if not numbered or problem_type == "regression":
            return _targets(cells, name)
        cells = [None if x is None else int(x) for x in cells]
    elif numbered and problem_type == "regression":
        return _targets(cells, name)
    elif pa.types.is_boolean(kind):
        cells = [None if x is None else str(x).lower() for x in cells]
    elif not (numbered or is_string(kind) or pa.types.is_null(kind)):
        raise InvalidInputError(
            f"The label column {name!r} of {source.name} holds {kind}. Wanted are text, whole "
            "numbers, bools, floats (regression), or lists of text or of whole numbers. Convert "
            "it, or name another with --label-column (label_column=)."
        )
    # Where classes have names, datasets writes -1 for a missing label; "" is no name.
    missing = -1 if name in source.class_names else ""
    rows = [None if x is None or x == missing else [x] for x in cells]
    return _named(source, name, rows, numbered, "single_label_classification")


def _check_finite(cells: Sequence[float | None], name: str) -> None:
    for row, x in enumerate(cells):
        if x is not None and not math.isfinite(x):
            raise NonFiniteError(
                f"Row {row} of the label column {name!r} is {x}. Labels must be finite; remove the "
                "row or write a null."
            )


def _targets(cells: Sequence[float | None], name: str) -> Labels:
    values: list[list[Any] | None] = [None if x is None else [float(x)] for x in cells]
    return Labels("regression", values, (name,), ranked=True, declared=True)


def _read_indicators(source: Source, names: tuple[str, ...]) -> Labels:
    """One class per column; 1 or true where the text has it."""
    columns = [source.typed(name).to_pylist() for name in names]
    for name, column in zip(names, columns, strict=True):
        for row, x in enumerate(column):
            if x not in (0, 1, None):
                raise InvalidInputError(
                    f"Row {row} of the label column {name!r} is {x!r}, not 0 or 1. Of several "
                    "label columns each must say whether the text has that label."
                )
    values: list[list[Any] | None] = [
        None if None in row else [name for name, x in zip(names, row, strict=True) if x]
        for row in zip(*columns, strict=True)
    ]
    return Labels("multi_label_classification", values, names, ranked=True, declared=True)


def _read_lists(
    source: Source, name: str, element: pa.DataType, rows: list[list[Any] | None]
) -> Labels:
    advice = "For 0/1 marks give one column per class and name them: --label-column a,b,c."
    numbered = pa.types.is_integer(element)
    if not (numbered or is_string(element) or pa.types.is_null(element)):
        raise InvalidInputError(
            f"The label column {name!r} of {source.name} holds lists of {element}. Wanted are "
            f"lists of class names or of class numbers. {advice}"
        )
    for row, labels in enumerate(rows):
        if labels and (None in labels or "" in labels):
            raise InvalidInputError(
                f"Row {row} of the label column {name!r} has a null or an empty name in its list "
                f"{labels}. Leave it out of the list."
            )
        # 0/1 vectors would pass as lists of the classes 0 and 1, but repeat them.
        if labels and numbered and len(set(labels)) < len(labels):
            raise InvalidInputError(
                f"Row {row} of the label column {name!r} has a class number twice: {labels}. Lists "
                f"name the classes a text has. {advice}"
            )
    return _named(source, name, rows, numbered, "multi_label_classification")


def _named(
    source: Source,
    name: str,
    rows: list[list[Any] | None],
    numbered: bool,
    problem_type: ProblemType,
) -> Labels:
    """Labels from rows of names, or of numbers that get their names here."""
    if not numbered:
        names = {label for row in rows if row for label in row}
        return Labels(problem_type, rows, _sorted_names(names))
    declared = source.class_names.get(name)
    name_of = (
        _names_of_numbers(source, name, rows) if declared is None else dict(enumerate(declared))
    )
    for row, numbers in enumerate(rows):
        for number in numbers or ():
            if number not in name_of:
                raise InvalidInputError(
                    f"Row {row} of the label column {name!r} is class {number}, but the dataset "
                    f"declares {len(name_of)} classes, from 0. Repair the label or the ClassLabel."
                )
    return Labels(
        problem_type,
        [None if row is None else [name_of[number] for number in row] for row in rows],
        tuple(name_of[number] for number in sorted(name_of)),
        ranked=True,
        declared=declared is not None,
        numbers={class_name: str(number) for number, class_name in name_of.items()},
    )


def _names_of_numbers(source: Source, name: str, rows: list[list[int] | None]) -> dict[int, str]:
    """Names from a companion column that pairs one to one; else the numbers themselves."""
    seen = {number for row in rows if row for number in row}
    for companion in companions(name):
        if not isinstance(source.columns.get(companion, ""), str):
            cells = source.typed(companion).to_pylist()
            name_of = _paired(rows, [[c] if isinstance(c, str) else c for c in cells])
            if name_of is not None and set(name_of) == seen:
                return name_of
    return {number: str(number) for number in seen}


def _paired(rows: list[list[int] | None], names: list[Any]) -> dict[int, str] | None:
    """Name of each number, or None if the columns do not pair one to one."""
    name_of: dict[int, str] = {}
    for row, row_names in zip(rows, names, strict=True):
        if row is None or row_names is None:
            continue
        if not isinstance(row_names, list) or len(row) != len(row_names):
            return None
        for number, class_name in zip(row, row_names, strict=True):
            if not isinstance(class_name, str) or not class_name:
                return None
            if name_of.setdefault(number, class_name) != class_name:
                return None
    return name_of if len(set(name_of.values())) == len(name_of) else None


def _sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Sorted by code point; by number where all are whole numbers, as csv cannot tell which."""
    names = list(names)
    return tuple(sorted(names, key=int if all(map(INTEGER.fullmatch, names)) else None))
