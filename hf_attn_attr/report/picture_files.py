"""The pictures of a folder, as files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInputError
from ..files import replacing
from ..influence import InfluenceMatrix
from .material import find_folder, output_beside
from .pictures import new_figure, plot_heatmap, plot_model_vs_data, plot_top_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOLDER = "pictures"
MOST_CLASSES = 12
"""Classes that have a picture of their own, those of the largest share first."""
_COLUMNS = 3


def write_pictures(folder: str | Path, output: str | Path | None = None) -> list[Path]:
    """Draw the matrix in a folder.

    Args:
        folder: Folder with `influence/`, or a Hub repository "user/name".
        output: Folder to write to; `pictures` in `folder` by default.

    Returns:
        The files: `top_words.png` and `heatmap.png` where there are influences, and
        `model_vs_data.png` where the data's log-odds are known too.

    Raises:
        InvalidInputError: If there is no such folder or matrix.
        CorruptArtifactError: If a file is damaged or has changed.
        MissingDependencyError: If matplotlib is not installed.
    """
    place = find_folder(folder)
    matrix = InfluenceMatrix.from_pretrained(place)
    target = output_beside(folder, FOLDER) if output is None else Path(output)
    written = []
    for name, figure in _figures(matrix).items():
        _save(figure, target / f"{name}.png")
        written.append(target / f"{name}.png")
    return written


def save_picture(matrix: InfluenceMatrix, path: str | Path, k: int = 8) -> None:
    """Write one PNG of the words that influence each class most, for a card.

    Args:
        matrix: The matrix.
        path: The file.
        k: Words per class.

    Raises:
        InvalidInputError: If no word speaks for any class, or the matrix holds attention alone.
        MissingDependencyError: If matplotlib is not installed.
    """
    labels = _labels(matrix)
    if not labels:
        raise InvalidInputError(
            "There is nothing to draw: no word of this matrix speaks for any class. Fold more "
            "texts, with a method that has signs."
        )
    _save(_grid(labels, lambda label, ax: plot_top_words(matrix, label, k, ax=ax)), Path(path))


def _save(figure: "Figure", path: Path) -> None:
    with replacing(path) as temporary:
        # Without the version of the library in it, equal pictures are equal bytes.
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def _figures(matrix: InfluenceMatrix) -> dict[str, "Figure"]:
    labels = _labels(matrix)
    if not labels:
        return {}
    heat = new_figure((2.2 + 0.7 * len(matrix.labels), 1.2 + 0.9 * len(labels)))
    plot_heatmap(matrix, ax=heat.add_subplot())
    figures = {
        "top_words": _grid(labels, lambda label, ax: plot_top_words(matrix, label, 10, ax=ax)),
        "heatmap": heat,
    }
    if not np.isnan(matrix.log_odds).all():
        figures["model_vs_data"] = _grid(
            labels, lambda label, ax: plot_model_vs_data(matrix, label, 15, ax=ax)
        )
    return figures


def _grid(labels: Sequence[str], draw: Callable[[str, "Axes"], object]) -> "Figure":
    """A drawing for each class, in rows."""
    across = min(_COLUMNS, len(labels))
    down = -(-len(labels) // across)
    figure = new_figure((4.8 * across, 3.6 * down))
    for number, label in enumerate(labels):
        draw(label, figure.add_subplot(down, across, number + 1))
    return figure


def _labels(matrix: InfluenceMatrix) -> list[str]:
    """Classes that some word speaks for, the largest first."""
    driven = [
        column
        for column in range(len(matrix.labels))
        if (np.nan_to_num(matrix.lower_bound[:, column]) > 0).any()
    ]
    share = np.nan_to_num(matrix.joint).sum(axis=0)
    driven.sort(key=lambda column: -share[column])
    return [matrix.labels[column] for column in driven[:MOST_CLASSES]]
