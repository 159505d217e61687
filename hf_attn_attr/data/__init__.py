"""Labelled texts from anywhere in one shape."""

from .classes import ProblemType
from .labelled import (
    LabelledTexts,
    concatenate,
    hold_out,
    label_counts,
    label_indicators,
    load_labelled,
)
from .rationales import coverage

__all__ = [
    "LabelledTexts",
    "ProblemType",
    "concatenate",
    "coverage",
    "hold_out",
    "label_counts",
    "label_indicators",
    "load_labelled",
]
