"""Pictures of an influence matrix. They need matplotlib, the extra `plots`."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InvalidInputError
from .files import replacing
from .influence import InfluenceMatrix
from .markup import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3
_BAR, _MEAN = "#9ecae1", "#08519c"


def plot_top_words(
    matrix: InfluenceMatrix, label: str, k: int = 10, ax: "Axes | None" = None
) -> "Axes":
    """The words that influence `label` most: bars of influence, points of the mean with interval.

    Args:
        matrix: The matrix.
        label: Name of the class.
        k: At most this many words.
        ax: Where to draw; None is the current axes of pyplot.

    Raises:
        InvalidInputError: If the label is unknown, the matrix holds attention alone, or matplotlib
            is not installed.
    """
    _require_matplotlib()
    rows = matrix.top_words(label, k)
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.gca()
    places = range(len(rows))
    ax.barh(places, rows["influence"], color=_BAR)
    reach = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
    ax.errorbar(rows["mean"], places, xerr=reach, fmt="o", color=_MEAN, markersize=3, linewidth=1)
    # Words are shown, never read as formulas.
    ax.set_yticks(places, labels=list(map(printable, rows["word"])), parse_math=False)
    ax.set_title(printable(label), parse_math=False)
    ax.set_xlabel("influence; mean with 95% interval")
    ax.set_xlim(left=0)
    ax.invert_yaxis()
    return ax


def save_picture(matrix: InfluenceMatrix, path: str | Path, k: int = 8) -> None:
    """Write a PNG of the words that influence each class most, a panel per class.

    Args:
        matrix: The matrix.
        path: The file.
        k: Words per class.

    Raises:
        InvalidInputError: As for `plot_top_words`.
    """
    _require_matplotlib()
    from matplotlib.figure import Figure

    labels = matrix.manifest.get("classes", matrix.labels)
    columns = min(_COLUMNS, len(labels))
    rows = math.ceil(len(labels) / columns)
    figure = Figure(figsize=(4 * columns, (0.25 * k + 1) * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, label in zip(panels, labels, strict=False):
        plot_top_words(matrix, label, k, panel)
    for panel in panels[len(labels) :]:
        panel.set_axis_off()
    with replacing(Path(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def _require_matplotlib() -> None:
    if find_spec("matplotlib") is None:
        raise InvalidInputError(
            "Pictures need matplotlib, which is not installed: pip install 'hf-attn-attr[plots]'."
        )
