"""Matrices and their answers as HTML, for notebooks. Numbers are in the text, bars beside them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hf_attn_attr.colours import AGAINST, FOR, tint
from hf_attn_attr.markup import html

if TYPE_CHECKING:
    from .matrix import InfluenceMatrix

_TOP = 5
_MOST_ROWS = 60
_WIDTH = 160
"""Of a bar, in pixels."""
_CELL = "text-align:right;padding:1px 8px"


class InfluenceRows(pd.DataFrame):
    """Rows of the long form, with bars in notebooks; what is made from them is a DataFrame."""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def _repr_html_(self) -> str:
        return rows_html(self)


def matrix_html(matrix: "InfluenceMatrix") -> str:
    """What the matrix is of, and the top words of each class."""
    manifest = matrix.manifest
    classes = manifest.get("classes", matrix.labels)
    about = (
        f"{len(matrix.words):,} words x {len(matrix.labels)} classes, "
        f"{manifest.get('texts', 0):,} texts, method {html(str(manifest.get('method')))}"
    )
    rows = []
    if not np.isnan(matrix.mean).all():
        for label in classes:
            top = matrix.top_words(label, _TOP)
            words = ", ".join(
                f"<bdi>{html(word)}</bdi> {value:+.2f}"
                for word, value in zip(top["word"], top["influence"], strict=True)
            )
            rows.append(f"<tr><th><bdi>{html(label)}</bdi></th><td>{words or '–'}</td></tr>")
    table = f"<table><tr><th>class</th><th>driven by</th></tr>{''.join(rows)}</table>"
    return f"<div><b>InfluenceMatrix</b> {about}{table if rows else ''}</div>"


def rows_html(rows: pd.DataFrame) -> str:
    """Rows of `top_words` or `word` as a table with bars."""
    shown = rows.head(_MOST_ROWS)
    ends = shown[["influence", "low", "high"]].to_numpy(dtype=float)
    low, high = min(np.nanmin(ends, initial=0.0), 0.0), max(np.nanmax(ends, initial=0.0), 0.0)
    head = "".join(
        f"<th>{name}</th>"
        for name in ("word", "label", "", "influence", "95% interval", "lower bound", "texts")
    )
    body = "".join(_row(row, low, high) for row in shown.to_dict("records"))
    left = len(rows) - len(shown)
    more = f"<p>{left:,} more rows</p>" if left else ""
    return f"<table><tr>{head}<th>evidence</th></tr>{body}</table>{more}"


def _row(row: Mapping[Any, Any], low: float, high: float) -> str:
    interval = "–" if np.isnan(row["low"]) else f"{row['low']:+.3f} … {row['high']:+.3f}"
    cells = [_number(row["influence"]), interval, _number(row["lower_bound"])]
    numbers = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)
    names = "".join(f"<td><bdi>{html(str(row[name]))}</bdi></td>" for name in ("word", "label"))
    return (
        f"<tr>{names}<td>{_bar(row, low, high)}</td>{numbers}"
        f'<td style="{_CELL}">{row["documents"]:,}</td><td>{row["evidence"]}</td></tr>'
    )


def _bar(row: Mapping[Any, Any], low: float, high: float) -> str:
    """The influence as a bar from 0, the interval of the mean as a line."""
    value = row["influence"]
    if np.isnan(value) or high <= low:
        return ""

    def at(number: float) -> float:
        return _WIDTH * (number - low) / (high - low)

    def block(start: float, end: float, style: str) -> str:
        left, right = sorted((at(start), at(end)))
        place = f"left:{left:.0f}px;width:{max(right - left, 1):.0f}px"
        return f'<div style="position:absolute;{place};{style}"></div>'

    colour = tint(FOR if value > 0 else AGAINST, 0.8)
    blocks = block(0, value, f"top:3px;height:10px;background:{colour}")
    if not np.isnan(row["low"]):
        blocks += block(row["low"], row["high"], "top:7px;height:1px;background:currentColor")
    return f'<div style="position:relative;width:{_WIDTH}px;height:16px">{blocks}</div>'


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:+.3f}"
