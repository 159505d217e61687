"""The gold labels of a dataset's texts, as a table of texts and classes."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hf_attn_attr.errors import InvalidInputError

from .exact import IntArray


class Gold(NamedTuple):
    """Gold labels of a batch of texts.

    Attributes:
        has: 1 where the text has the class, 0 elsewhere, int64 (texts, classes).
        known: Whether the text is labelled at all, (texts,).
    """

    has: IntArray
    known: NDArray[np.bool_]


def class_names(features: Any, column: str) -> tuple[str, ...]:
    """Names of the classes that a label column tells apart.

    Raises:
        InvalidInputError: If the column is missing or its type does not name classes.
    """
    if column not in (features or {}):
        raise InvalidInputError(
            f"The dataset has no label column {column!r}; it has {list(features or {})}. Gold "
            "labels come with the texts: name their column (label_column=)."
        )
    feature = features[column]
    names = feature_names(feature)
    if not names:
        raise InvalidInputError(
            f"The label column {column!r} is {feature}; wanted ClassLabel or List(ClassLabel), "
            "which name the classes. Read the texts with `load_labelled`, or cast the column."
        )
    return names


def feature_names(feature: Any) -> tuple[str, ...]:
    """Names of the classes of a ClassLabel or List(ClassLabel); none of any other feature."""
    return tuple(getattr(getattr(feature, "feature", feature), "names", None) or ())


def read_gold(values: pa.ChunkedArray | pa.Array, n_classes: int, first_row: int) -> Gold:
    """Class numbers, or lists of them, as a table; null and -1 are unlabelled.

    Raises:
        InvalidInputError: If a number is no class.
    """
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if pa.types.is_integer(array.type):
        numbers = pc.fill_null(array, -1).to_numpy(zero_copy_only=False)
        known = numbers != -1
        texts = np.flatnonzero(known)
        numbers = numbers[known]
    else:
        known = array.is_valid().to_numpy(zero_copy_only=False)
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        texts = np.repeat(np.arange(len(lengths)), lengths)
        numbers = pc.fill_null(array.flatten(), -1).to_numpy(zero_copy_only=False)
    wrong = (numbers < 0) | (numbers >= n_classes)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise InvalidInputError(
            f"Row {first_row + texts[at]} has the gold label {numbers[at]}, but the column names "
            f"{n_classes} classes, from 0. Repair the label, or write null for none."
        )
    has = np.zeros((len(known), n_classes), np.int64)
    has[texts, numbers] = 1
    return Gold(has, known)
