"""Pictures of a matrix and of single texts, with matplotlib (extra `plots`).

Red speaks for a class and blue against it. Strong colour is the word part, pale the context part.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from ..colours import AGAINST, FOR
from ..errors import InvalidInputError, MissingDependencyError
from ..influence import InfluenceMatrix
from ..markup import printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNCERTAIN = "#a4adb6"
_PALE = 0.4
_LONGEST = 28
"""Characters of a word that are shown."""
_LINE = 64
"""Characters of a line of text."""


def plot_top_words(
    matrix: InfluenceMatrix,
    label: str,
    k: int = 15,
    *,
    min_documents: int = 3,
    negative: bool = False,
    ax: "Axes | None" = None,
) -> "Axes":
    """Bars of the words that influence a class most, with their intervals (question 1).

    Args:
        matrix: The matrix.
        label: Name of the class.
        k: At most this many words, ranked by lower bound.
        min_documents: Leave out words of fewer texts.
        negative: What speaks against the class instead.
        ax: Where to draw; a new figure by default.

    Raises:
        InvalidInputError: If the label is unknown or the matrix has no influences.
        MissingDependencyError: If matplotlib is not installed.
    """
    rows = matrix.top_words(label, k, min_documents=min_documents, negative=negative)
    ax = _axes(ax, (6, 1 + 0.28 * max(len(rows), 3)))
    _bars(ax, rows, rows["word"].tolist())
    _title(ax, f"What speaks {'against' if negative else 'for'} {_short(label)}?")
    return ax


def plot_word(matrix: InfluenceMatrix, word: str, *, ax: "Axes | None" = None) -> "Axes":
    """Bars of a word's influence on each class, with intervals (question 2).

    Args:
        matrix: The matrix.
        word: The word, looked up by the matrix's own word rule.
        ax: Where to draw; a new figure by default.

    Raises:
        InvalidInputError: If the word is not in the matrix.
        MissingDependencyError: If matplotlib is not installed.
    """
    rows = matrix.word(word)
    rows = rows.sort_values("influence", ascending=False, kind="stable")
    ax = _axes(ax, (6, 1 + 0.28 * max(len(rows), 3)))
    _bars(ax, rows, rows["label"].tolist())
    texts = int(rows["documents"].iloc[0])
    _title(ax, f"What does {_short(word)} do? ({texts:,} {'text' if texts == 1 else 'texts'})")
    return ax


def plot_heatmap(
    matrix: InfluenceMatrix,
    words: Sequence[str] | None = None,
    k: int = 4,
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Influence of words (rows) on classes (columns); a dot where the evidence is not consistent.

    Args:
        matrix: The matrix.
        words: The words; by default the `k` top words of each class.
        k: See `words`.
        ax: Where to draw; a new figure by default.

    Raises:
        InvalidInputError: If a word is not in the matrix, there is none to show, or the matrix has
            no influences.
        MissingDependencyError: If matplotlib is not installed.
    """
    classes = matrix.manifest.get("classes", matrix.labels)
    if words is None:
        top = [word for label in classes for word in matrix.top_words(label, k)["word"]]
        words = list(dict.fromkeys(top))
    if not words:
        raise InvalidInputError("There are no words to show. Name some, or fold more texts.")
    profiles = [matrix.word(word) for word in words]
    influence = np.array([rows["influence"] for rows in profiles])
    if np.isnan(influence).all():
        raise InvalidInputError(
            f"The matrix has no influences (method {matrix.manifest.get('method')!r}). Fold "
            "attributions that have a sign."
        )
    ax = _axes(ax, (2.2 + 0.7 * len(matrix.labels), 1.2 + 0.26 * len(words)))
    largest = float(np.nanmax(np.abs(influence))) or 1.0
    image = ax.imshow(influence, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
    unsure = np.array([rows["evidence"] != "consistent" for rows in profiles])
    y, x = np.nonzero(unsure & ~np.isnan(influence))
    ax.plot(x, y, ".", color="#555555", markersize=3)
    plain = {"parse_math": False}
    names = [_short(label) for label in matrix.labels]
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", **plain)
    ax.set_yticks(range(len(words)), [_short(word) for word in words], **plain)
    bar = ax.figure.colorbar(image, ax=ax)
    bar.set_label("influence; dots: not consistent" if len(x) else "influence")
    return ax


def plot_model_vs_data(
    matrix: InfluenceMatrix,
    label: str,
    k: int = 25,
    *,
    min_documents: int = 3,
    ax: "Axes | None" = None,
) -> "Axes":
    """Influence on a class against the data's own log-odds.

    Named are words of which the two say different things (`InfluenceMatrix.disagreements`): habits
    of the model that the labels do not bear out, and cues that it does not use.

    Args:
        matrix: The matrix, with what the data say (`InfluenceMatrix.with_association`).
        label: Name of the class.
        k: Name at most this many words.
        min_documents: Leave out words of fewer texts.
        ax: Where to draw; a new figure by default.

    Raises:
        InvalidInputError: If the label is unknown or the matrix has no log-odds.
        MissingDependencyError: If matplotlib is not installed.
    """
    rows = matrix.top_words(label, len(matrix.words), "documents", min_documents)
    rows = rows.dropna(subset=["log_odds", "influence"])
    if rows.empty:
        raise InvalidInputError(
            f"No word of {label!r} has both influence and log-odds. The data's own association "
            "must be measured first, on labelled texts."
        )
    ax = _axes(ax, (6, 5))
    x, y = rows["log_odds"].to_numpy(), rows["influence"].to_numpy()
    sure = (rows["evidence"] == "consistent").to_numpy()
    colours = np.where(~sure, UNCERTAIN, np.where(y > 0, FOR, AGAINST))
    ax.scatter(x, y, s=8, c=colours, alpha=0.7, linewidths=0)
    ax.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    ax.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    ax.set_xlabel("data's log-odds")
    ax.set_ylabel("influence")
    _title(ax, f"Model against data: {_short(label)}")
    apart = matrix.disagreements(label, k, min_documents)
    apart = apart.sort_values("bound", ascending=False, kind="stable")
    _names(ax, apart["log_odds"].tolist(), apart["influence"].tolist(), apart["word"].tolist(), k)
    return ax


def plot_attention(answer: Mapping[str, Any], *, ax: "Axes | None" = None) -> "Axes":
    """One text, its words coloured by attribution and underlined by attention.

    Args:
        answer: What `pipeline("attention-attribution")` says of one text.
        ax: Where to draw; a new figure by default.

    Raises:
        InvalidInputError: If it is no such answer, or the text has no words.
        MissingDependencyError: If matplotlib is not installed.
    """
    words = answer.get("words") if isinstance(answer, Mapping) else None
    if not words:
        raise InvalidInputError(
            "There are no words to show. Give what pipeline('attention-attribution') says of one "
            "text with words."
        )
    places, lines = _lines([_short(entry["word"], _LINE) for entry in words])
    ax = _axes(ax, (7, 0.8 + 0.42 * lines))
    ax.set(xlim=(0, _LINE), ylim=(lines - 0.2, -0.9))
    ax.axis("off")
    score = f"{_short(str(answer['label']))}  {answer['score']:.3f}"
    # A monospaced letter is 0.6 of its size wide, in 1/72 inch.
    _lay_out(ax)
    size = ax.get_window_extent().width / ax.figure.dpi * 72 / _LINE / 0.6
    largest = max((abs(entry["attribution"] or 0.0) for entry in words), default=0.0)
    most = max((entry["attention"] or 0.0) for entry in words)
    for entry, (x, y, text) in zip(words, places, strict=True):
        share = (entry["attribution"] or 0.0) / largest if largest else 0.0
        attention = (entry["attention"] or 0.0) / most if most else 0.0
        _box(ax, x, y - 0.42, len(text), 0.72, FOR if share > 0 else AGAINST, 0.6 * abs(share))
        _box(ax, x, y + 0.34, len(text) * attention, 0.1, "0.3", 1.0)
        ax.text(x, y, text, family="monospace", size=size, va="center", parse_math=False)
    _title(ax, score + ("; underlined: attention" if most else ""))
    return ax


def new_figure(size: tuple[float, float]) -> "Figure":
    """A figure that no window shows.

    Args:
        size: Width and height in inches.

    Raises:
        MissingDependencyError: If matplotlib is not installed.
    """
    _require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def _axes(ax: "Axes | None", size: tuple[float, float]) -> "Axes":
    if ax is not None:
        return ax
    _require_matplotlib()
    from matplotlib import pyplot

    return pyplot.subplots(figsize=size, layout="constrained")[1]


def _require_matplotlib() -> None:
    if find_spec("matplotlib") is None:
        raise MissingDependencyError(
            "Pictures need matplotlib, which is not installed. Install it: "
            "pip install 'hf-attn-attr[plots]'."
        )


def _bars(ax: "Axes", rows: "pd.DataFrame", names: Sequence[str]) -> None:
    """Parts stacked, the influence as a tick, the interval of the mean as a line."""
    y = np.arange(len(rows))
    whole = rows["influence"].to_numpy()
    parts = [rows[name].to_numpy() for name in ("word_part", "context_part")]
    if any(np.isnan(part).all() for part in parts):
        parts = [whole]
    ends = {1: np.zeros(len(rows)), -1: np.zeros(len(rows))}
    for part, alpha in zip(parts, (1.0, _PALE), strict=False):
        part = np.nan_to_num(part)
        start = np.where(part < 0, ends[-1], ends[1])
        colours = np.where(part < 0, AGAINST, FOR).tolist()
        ax.barh(y, part, left=start, height=0.6, color=colours, alpha=alpha, linewidth=0)
        ends[1] += np.maximum(part, 0)
        ends[-1] += np.minimum(part, 0)
    low, high = rows["low"].to_numpy(), rows["high"].to_numpy()
    ax.hlines(y, low, high, color="0.15", linewidth=1)
    ax.plot(rows["mean"], y, "o", color="0.15", markersize=3)
    ax.plot(whole, y, "|", color="0.15", markersize=10, markeredgewidth=2)
    ax.axvline(0, color="0.5", linewidth=0.8)
    ax.set_yticks(y, [_short(name) for name in names], parse_math=False)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlabel("influence ( | ), mean and its 95% interval (•)")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _names(
    ax: "Axes",
    x: Sequence[float],
    y: Sequence[float],
    words: Sequence[str],
    most: int,
) -> None:
    """Names beside points, in this order, each where it covers no other one."""
    _lay_out(ax)
    taken: list[Any] = []
    frame = ax.get_window_extent()
    for word, place in zip(words, zip(x, y, strict=True), strict=True):
        if len(taken) >= most:
            break
        text = ax.annotate(
            _short(word), place, xytext=(3, 2),
            textcoords="offset points", size=8, parse_math=False,
        )  # fmt: skip
        box = text.get_window_extent()
        outside = box.x1 > frame.x1 or box.y1 > frame.y1
        if outside or any(box.overlaps(other) for other in taken):
            text.remove()
        else:
            taken.append(box)


def _lines(words: Sequence[str]) -> tuple[list[tuple[int, int, str]], int]:
    """Where each word begins (character, line), and the number of lines."""
    places, x, y = [], 0, 0
    for word in words:
        if x and x + len(word) > _LINE:
            x, y = 0, y + 1
        places.append((x, y, word))
        x += len(word) + 1
    return places, y + 1


def _box(
    ax: "Axes", x: float, y: float, width: float, height: float, colour: str, alpha: float
) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y), width, height, color=colour, alpha=alpha, linewidth=0))


def _lay_out(ax: "Axes") -> None:
    """Give the axes the place they will have, so that texts can be measured."""
    figure = ax.get_figure(root=True)
    if figure is not None:
        figure.draw_without_rendering()


def _title(ax: "Axes", text: str) -> None:
    ax.set_title(text, loc="left", parse_math=False)


def _short(text: str, longest: int = _LONGEST) -> str:
    shown = printable(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
