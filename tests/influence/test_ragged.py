"""Columns of lists: every Arrow form of them, and where what cannot be is said to be."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_attn_attr.errors import InvalidInputError, NonFiniteError
from hf_attn_attr.influence.ragged import (
    _LOOKED_AT,
    Ragged,
    column_names,
    is_number,
    is_text,
    read_ragged,
)


def numbers(column, first_row=10):
    return read_ragged({"x": column}, "x", first_row, is_number, pa.float64())


def ragged_of(values):
    """All values in rows of 1,000."""
    offsets = np.append(np.arange(0, len(values), 1000), len(values))
    filled = np.ones(len(offsets) - 1, bool)
    return Ragged("x", 10, pa.array(values), offsets, filled)


@given(st.integers(0, 3 * _LOOKED_AT - 1), st.floats(1.5, 1e300), st.booleans())
def test_the_largest_number_is_found_wherever_it_stands(place, size, negative):
    values = np.zeros(3 * _LOOKED_AT)
    values[place] = -size if negative else size
    found = ragged_of(values).finite()
    assert found.largest == size
    assert found.values[place] == values[place]
    assert ragged_of(np.zeros(5)).finite().largest == 0
    assert ragged_of(np.full(5, 0.25)).finite().largest == 0.25


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, _LOOKED_AT - 1, _LOOKED_AT, 2 * _LOOKED_AT, -1])
def test_a_number_that_is_not_finite_is_named_wherever_it_stands(place, wrong):
    values = np.zeros(2 * _LOOKED_AT + 7)
    values[place] = wrong
    row = 10 + np.arange(len(values))[place] // 1000
    with pytest.raises(NonFiniteError, match=rf"Row {row} of x holds {wrong};"):
        ragged_of(values).finite()


ROWS = [[1.0, 2.0], None, [], [3.0]]
LISTS = pa.list_(pa.float64())


@pytest.mark.parametrize(
    "column",
    [
        ROWS,
        pa.array(ROWS),
        pa.array(ROWS, pa.large_list(pa.float32())),
        pa.array([[7.0], *ROWS, [8.0]]).slice(1, 4),
        pa.chunked_array([pa.array(ROWS)]),
        pa.chunked_array([pa.array(part, LISTS) for part in (ROWS[:1], ROWS[1:3], ROWS[3:])]),
        pa.array([[1, 2], None, [], [3]]),
    ],
    ids=["lists", "array", "large", "slice", "chunk", "chunks", "integers"],
)
def test_every_form_of_a_column_reads_alike(column):
    ragged = numbers(column)
    assert ragged.offsets.tolist() == [0, 2, 2, 2, 3]
    assert ragged.offsets.dtype == np.int64
    assert ragged.filled.tolist() == [True, False, True, True]
    assert ragged.values.to_pylist() == [1, 2, 3]
    assert [ragged.row_of(position) for position in range(3)] == [10, 10, 13]
    with pytest.raises(InvalidInputError, match="Row 11 of x is null"):
        ragged.require_filled()
    with pytest.raises(InvalidInputError, match=r"5 rows of words but 4 of x.*one length"):
        ragged.require_rows(5)
    words = np.array([2, 0, 0, 4])
    with pytest.raises(
        InvalidInputError, match="Row 13 has 4 words and 1 numbers in x; wanted 4, x"
    ):
        ragged.require_lengths(words, words, "x")
    ragged.require_lengths(words, np.array([2, 0, 0, 1]), "x")


def test_lists_of_one_length_and_columns_without_a_value():
    fixed = numbers(pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float64(), 2)))
    assert fixed.offsets.tolist() == [0, 2, 4]
    for column in (
        [None, None],
        [[], None],
        pa.nulls(2),
        pa.array([[], None], pa.list_(pa.null())),
    ):
        empty = numbers(column)
        assert empty.offsets.tolist() == [0, 0, 0]
        assert empty.values.type == pa.float64()
        assert empty.finite().largest == 0
    with pytest.raises(InvalidInputError, match=r"Row 11 of x holds a null; wanted double"):
        numbers([[1.0], [None], [2.0]])
    with pytest.raises(InvalidInputError, match=r"Row 11 of x holds a null; wanted double"):
        numbers([[], [None]])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([1.0]), "holds double from row 10 on; wanted a list per text"),
        (pa.array([["a"]]), r"holds list<.*string> from row 10 on; wanted lists of double"),
        ([[1.0], [2.0], "a", [3.0]], "Row 12 of x cannot be read"),
        (["a", [1.0]], "Row 11 of x cannot be read"),
        ([[1.0]] * 7 + [7], "Row 17 of x cannot be read"),
    ],
)
def test_what_is_no_list_of_numbers_is_named(column, message):
    with pytest.raises(InvalidInputError, match=message):
        numbers(column)


def test_a_missing_column_is_named_with_what_there_is():
    with pytest.raises(InvalidInputError, match=r"columns \['a'\] but no 'x'.*`extract` writes"):
        read_ragged({"a": []}, "x", 0, is_number, pa.float64())
    table = pa.table({"a": [1], "b": [2]})
    assert column_names(table) == column_names({"a": [1], "b": [2]}) == ["a", "b"]
    assert column_names(table.to_batches()[0]) == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [
        (pa.string(), True, False),
        (pa.large_string(), True, False),
        (pa.dictionary(pa.int32(), pa.string()), True, False),
        (pa.dictionary(pa.int32(), pa.int64()), False, False),
        (pa.binary(), False, False),
        (pa.int8(), False, True),
        (pa.float16(), False, True),
        (pa.bool_(), False, False),
    ],
    ids=str,
)
def test_kinds_of_values(kind, text, number):
    assert is_text(kind) is text
    assert is_number(kind) is number
