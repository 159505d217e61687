"""Answers as terminal tables. Words come from anybody's texts, so they are shown, never obeyed."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from .influence.statistics import Q_LEVEL, supported
from .markup import printable

if TYPE_CHECKING:
    import pandas as pd

_EVIDENCE = {
    "consistent": ("consistent", "green"),
    "unsupported": ("model only", "yellow"),
    "uncertain": ("uncertain", "yellow"),
    "insufficient": ("too few", "dim"),
}
WIDE = 100
"""Columns from which tables have bars."""


class ByWidth:
    """A table with bars where the terminal is wide enough, and can show them."""

    def __init__(self, build: Callable[[bool], Table]):
        self.build = build

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= WIDE and options.encoding.lower().startswith("utf")
        yield self.build(wide)


def influence_table(rows: "pd.DataFrame", key: str, title: str) -> ByWidth:
    """Rows of `top_words` (key "word") or `word` (key "label") as a table.

    Where the matrix knows what the data say, log-odds and q-value take the place of the two parts.
    """
    return ByWidth(lambda wide: _influence_table(rows, key, title, with_bars=wide))


def _influence_table(rows: "pd.DataFrame", key: str, title: str, *, with_bars: bool) -> Table:
    with_data = rows["log_odds"].notna().any()
    last = ("data log-odds", "data q") if with_data else ("word part", "context part")
    table = _table(title, key, ("influence", "95% interval", "lower bound", *last, "texts"))
    table.add_column("evidence", no_wrap=True)
    if with_bars:
        from .terminal_bars import Bars

        bars = Bars(rows)
        table.add_column("", no_wrap=True)
        table.caption, table.caption_justify = Text(bars.legend, "dim"), "left"
    for row in rows.to_dict("records"):
        level = str(row["evidence"])
        if with_data and level == "consistent" and not supported(row):
            level = "unsupported"
        evidence, style = _EVIDENCE[level]
        data = (_number(row["log_odds"]), _number(row["association_q_value"], ".2g"))
        parts = (_number(row["word_part"]), _number(row["context_part"]))
        table.add_row(
            Text(printable(str(row[key]))),
            _number(row["influence"]),
            _interval(row["low"], row["high"]),
            _number(row["lower_bound"]),
            *(data if with_data else parts),
            str(row["documents"]),
            Text(evidence, style=style),
            *([bars.bar(row)] if with_bars else []),
        )
    return table


def joint_table(rows: "pd.DataFrame", key: str, title: str) -> Table:
    """The attention view: joint mass and what follows from it; attention over uniform attention.

    Joint mass favours words of short texts, attention over uniform does not.
    """
    names = ("joint", "P(word|class)", "P(class|word)", "lift", "NPMI", "x uniform", "texts")
    table = _table(title, key, names)
    for row in rows.to_dict("records"):
        table.add_row(
            Text(printable(str(row[key]))),
            _number(row["joint"], ".2e"),
            _number(row["p_word_given_class"], ".2e"),
            _number(row["p_class_given_word"], ".3f"),
            _number(row["lift"], ".2f"),
            _number(row["npmi"], "+.3f"),
            _number(row["attention_ratio"], ".2f"),
            str(row["documents"]),
        )
    return table


def change_table(rows: "pd.DataFrame", title: str) -> Table:
    """Rows of a comparison of two matrices."""
    names = ("influence before", "influence after", "difference", "95% interval", "texts before")
    table = _table(title, "word", (*names, "texts after"))
    table.add_column("label")
    for row in rows.to_dict("records"):
        table.add_row(
            Text(printable(str(row["word"]))),
            _number(row["influence"]),
            _number(row["influence_other"]),
            _number(row["difference"]),
            _interval(row["difference_low"], row["difference_high"]),
            str(row["documents"]),
            str(row["documents_other"]),
            Text(printable(str(row["label"]))),
        )
    return table


def provenance_line(manifest: dict[str, Any]) -> str:
    """One line that says what a matrix was folded from, and warns where that matters."""
    facts = manifest.get("provenance", {})
    corpus = facts.get("corpus")
    source = corpus.get("source") if isinstance(corpus, dict) else corpus
    line = (
        f"{manifest.get('texts', '?')} texts of {source or 'an unnamed corpus'}, "
        f"method {manifest.get('method')}. Influence in logits per occurrence, shrunk for words of "
        "few texts; interval and bound are those of the raw mean."
    )
    if facts.get("folded_on") == "train":
        line += " Folded on the texts the model was trained on."
    if vectors := facts.get("word_vectors"):
        line += f" Includes lexical knowledge imported with word vectors {vectors}."
    if teacher := facts.get("teacher"):
        line += f" Learned from the teacher {teacher} too."
    if weight := facts.get("attention_supervision"):
        line += f" Attention was trained to follow human rationales (weight {_short(weight)})."
    if data := manifest.get("checks", {}).get("association"):
        line += (
            f" Data: gold labels of {data.get('texts', '?')} texts; q is the expected share of "
            f'chance findings among cells up to that q. "model only": q is above {Q_LEVEL}, the '
            "word too rare to test, or the data's sign another."
        )
    if verdicts := manifest.get("checks", {}).get("verdicts"):
        told = ", ".join(f"{name} {verdict}" for name, verdict in verdicts.items())
        line += f" Checks (`evaluate`): {told}."
    return printable(line)


def _short(number: Any) -> str:
    return f"{number:g}" if isinstance(number, int | float) else str(number)


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> Table:
    """A table of finished texts; all columns but the first are right-aligned."""
    table = _table(title, columns[0], columns[1:])
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def explanation(answer: dict[str, Any], text: str, console: Console) -> None:
    """Print one pipeline answer: label, score, method, the text coloured by sign, and a table."""
    title = Text(f"{printable(answer['label'])}  {answer['score']:.3f}", style="bold")
    console.print(title.append(f"  {answer['method']}", style="not bold dim"))
    words = answer["words"]
    largest = max((abs(word["attribution"] or 0.0) for word in words), default=0.0)
    line, position = Text(), 0
    for word in words:
        line.append(printable(text[position : word["start"]]))
        line.append(printable(word["word"]), style=_shade(word["attribution"], largest))
        position = word["end"]
    line.append(printable(text[position:]))
    console.print(line)
    if answer["truncated"]:
        console.print(
            f"{answer['truncated']:,} of {len(text):,} characters were not read: the text is too "
            "long for the model."
        )
    if not words:
        console.print("The text has no words; this is what the model says of nothing.")
        return
    rows = [
        (word["word"], _number(word["attribution"]), _number(word["attention"], ".3f"))
        for word in sorted(words, key=lambda word: -_strength(word))
    ]
    console.print(plain_table(("word", "attribution", "attention"), rows, ""))


def _strength(word: dict[str, Any]) -> float:
    known = word["attention"] if word["attribution"] is None else word["attribution"]
    return abs(known)


def _shade(attribution: float | None, largest: float) -> str:
    if not attribution or abs(attribution) < 0.15 * largest:
        return ""
    strong = "bold " if abs(attribution) > 0.5 * largest else ""
    return strong + ("red" if attribution > 0 else "blue")


def _table(title: str, key: str, numbers: Sequence[str]) -> Table:
    """An empty table that fits into 80 columns; only its first column breaks long entries."""
    table = Table(
        title=Text(f"\n{printable(title)}"),
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    table.add_column(key, overflow="fold")
    for name in numbers:
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    return table


def _number(value: float | None, form: str = "+.3f") -> str:
    return "-" if value is None or math.isnan(value) else format(value, form)


def _interval(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"{low:+.3f}…{high:+.3f}"
