"""A column that holds a list per text, as flat arrays; what else it holds is refused by row.

A batch is a pyarrow.Table, a RecordBatch, or a mapping of column names to Arrow arrays, numpy
arrays or lists. Arrow data are not copied where that can be avoided. Every error names the row,
counted from `first_row`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hf_attn_attr.errors import InvalidInputError, NonFiniteError

from .exact import IntArray

Batch: TypeAlias = Mapping[str, Any] | pa.Table | pa.RecordBatch

_LOOKED_AT = 2**16  # numbers at a time, few enough to be looked at twice in the processor's cache
_UNREADABLE = (pa.ArrowException, TypeError, ValueError)


class Numbers(NamedTuple):
    """A column of finite numbers: the numbers, and the largest size of one."""

    values: NDArray[Any]
    largest: float


@dataclass(frozen=True, slots=True)
class Ragged:
    """The lists of a column.

    Attributes:
        name: The column's, for messages.
        first_row: Number of the first text, for messages.
        values: All lists, one behind the other, without nulls.
        offsets: Text i owns the values offsets[i] to offsets[i + 1] - 1, int64 (texts + 1,).
        filled: False where the row is null, (texts,).
    """

    name: str
    first_row: int
    values: pa.Array
    offsets: IntArray
    filled: NDArray[np.bool_]

    def row_of(self, position: int) -> int:
        """Number of the text that owns the value at `position`."""
        return self.first_row + int(np.searchsorted(self.offsets, position, side="right")) - 1

    def require_filled(self) -> None:
        """Refuse a null row."""
        if not self.filled.all():
            row = self.first_row + int(np.argmin(self.filled))
            raise InvalidInputError(
                f"Row {row} of {self.name} is null; wanted a list (an empty one for a text without "
                "words). Extract this row again or drop it."
            )

    def require_values(self, kind: pa.DataType) -> None:
        """Refuse a null within a list."""
        if self.values.null_count:
            position = int(np.argmin(self.values.is_valid().to_numpy(zero_copy_only=False)))
            raise InvalidInputError(
                f"Row {self.row_of(position)} of {self.name} holds a null; wanted {kind}."
            )

    def require_rows(self, texts: int) -> None:
        """Refuse a column of another length than that of the words."""
        if len(self.filled) != texts:
            raise InvalidInputError(
                f"The batch has {texts} rows of words but {len(self.filled)} of {self.name}. Pass "
                "columns of one length."
            )

    def require_lengths(self, words: IntArray, expected: NDArray[Any], wanted: str) -> None:
        """Refuse lists of other lengths than `expected`; `words` are the words of each text."""
        self.require_rows(len(expected))
        found = np.diff(self.offsets)
        if not np.array_equal(found, expected):
            row = int(np.argmax(found != expected))
            raise InvalidInputError(
                f"Row {self.first_row + row} has {words[row]} words and {found[row]} numbers "
                f"in {self.name}; wanted {expected[row]}, {wanted}. Extract this row again."
            )

    def finite(self) -> Numbers:
        """The values as numbers.

        Raises:
            NonFiniteError: If one is NaN or infinite.
        """
        values = self.values.to_numpy(zero_copy_only=False)
        largest = 0.0
        for start in range(0, len(values), _LOOKED_AT):
            part = values[start : start + _LOOKED_AT]
            # Whatever is not finite shows in one of the two, and neither takes memory.
            most, least = float(part.max()), float(part.min())
            if not (isfinite(most) and isfinite(least)):
                position = start + int(np.argmin(np.isfinite(part)))
                raise NonFiniteError(
                    f"Row {self.row_of(position)} of {self.name} holds {values[position]}; wanted "
                    "finite numbers. Look for overflow in the model (half precision?) and extract "
                    "again."
                )
            largest = max(largest, most, -least)
        return Numbers(values, largest)


def column_names(batch: Batch) -> list[str]:
    """Names of the columns of a batch."""
    return list(batch) if isinstance(batch, Mapping) else list(batch.schema.names)


def read_ragged(
    batch: Batch,
    name: str,
    first_row: int,
    accepts: Callable[[pa.DataType], bool],
    kind: pa.DataType,
) -> Ragged:
    """The column `name`.

    Args:
        batch: What has it.
        name: Its name.
        first_row: Number of the batch's first row.
        accepts: Whether its lists may hold a type.
        kind: The type wanted, for messages and for lists that are all empty.

    Raises:
        InvalidInputError: If it is missing or does not hold lists of such values.
    """
    if name not in column_names(batch):
        raise InvalidInputError(
            f"The batch has the columns {column_names(batch)} but no {name!r}. "
            "`extract` writes all columns the fold reads."
        )
    array = _arrow(batch[name], name, first_row)
    if pa.types.is_null(array.type):
        array = array.cast(pa.list_(kind))
    if not _is_list(array.type):
        raise InvalidInputError(
            f"The column {name} holds {array.type} from row {first_row} on; wanted a list per text."
        )
    item = array.type.value_type
    if pa.types.is_null(item):
        array, item = array.cast(pa.list_(kind)), kind
    if not accepts(item):
        raise InvalidInputError(
            f"The column {name} holds {array.type} from row {first_row} on; wanted lists of {kind}."
        )
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    filled = array.is_valid().to_numpy(zero_copy_only=False)
    # Unlike .values, .flatten honours slices and null rows.
    ragged = Ragged(name, first_row, array.flatten(), offsets, filled)
    ragged.require_values(kind)
    return ragged


def is_text(kind: pa.DataType) -> bool:
    """Whether values of an Arrow type are strings, written out or numbered."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether values of an Arrow type are numbers."""
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _arrow(column: Any, name: str, first_row: int) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(column, pa.Array):
        return column
    rows = list(column)
    try:
        return pa.array(rows)
    except _UNREADABLE as error:
        row = first_row + _first_unreadable(rows)
        raise InvalidInputError(
            f"Row {row} of {name} cannot be read ({error}). Wanted a list of one kind of value."
        ) from error


def _first_unreadable(rows: list[Any]) -> int:
    readable, unreadable = 0, len(rows)  # lengths of prefixes that can and cannot be read
    while unreadable - readable > 1:
        middle = (readable + unreadable) // 2
        try:
            pa.array(rows[:middle])
            readable = middle
        except _UNREADABLE:
            unreadable = middle
    return readable


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
