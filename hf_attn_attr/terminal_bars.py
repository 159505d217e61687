"""Influences as bars of letters, for terminals that are wide enough."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from rich.text import Text

WIDTH = 18
_OWN, _CONTEXT, _INTERVAL, _ZERO = "█", "▒", "─", "│"


class Bars:
    """Bars of some rows of the long form, on one scale."""

    def __init__(self, rows: pd.DataFrame, width: int = WIDTH):
        stretches = [end for row in rows.to_dict("records") for end in _ends(row)]
        self.low, self.high = min(0.0, 0.0, *stretches), max(0.0, 0.0, *stretches)
        self.width = width
        parts = f"{_OWN} word part, {_CONTEXT} context part"
        whole = rows["word_part"].isna().all()
        self.legend = f"{f'{_OWN} influence' if whole else parts}, {_INTERVAL} interval of the mean"

    def bar(self, row: Mapping[Any, Any]) -> Text:
        """The bar of a row: red for the class, blue against it."""
        cells: list[tuple[str, str]] = [(" ", "")] * self.width
        if self.high > self.low and not np.isnan(row["influence"]):
            if not np.isnan(row["low"]):
                self._draw(cells, row["low"], row["high"], _INTERVAL, "")
            start = {1: 0.0, -1: 0.0}
            for letter, part in _parts(row):
                side = 1 if part > 0 else -1
                end = start[side] + part
                if self._cell(end) != self._cell(start[side]):
                    self._draw(cells, start[side], end, letter, "red" if part > 0 else "blue")
                start[side] = end
            if self.low < 0:
                cells[self._cell(0.0)] = (_ZERO, "dim")
        text = Text(no_wrap=True)
        for letter, style in cells:
            text.append(letter, style)
        return text

    def _cell(self, value: float) -> int:
        share = (value - self.low) / (self.high - self.low)
        return min(int(share * self.width), self.width - 1)

    def _draw(
        self, cells: list[tuple[str, str]], start: float, end: float, letter: str, style: str
    ) -> None:
        first, last = sorted((self._cell(start), self._cell(end)))
        for cell in range(first, last + 1):
            cells[cell] = (letter, style)


def _parts(row: Mapping[Any, Any]) -> list[tuple[str, float]]:
    """Letter and size of the parts of the influence, or of the whole where there are none."""
    if np.isnan(row["word_part"]):
        return [(_OWN, row["influence"])]
    return [(_OWN, row["word_part"]), (_CONTEXT, row["context_part"])]


def _ends(row: Mapping[Any, Any]) -> list[float]:
    parts = [part for _, part in _parts(row)]
    ends = [sum(p for p in parts if p > 0), sum(p for p in parts if p < 0), row["low"], row["high"]]
    return [float(end) for end in ends if not np.isnan(end)]
