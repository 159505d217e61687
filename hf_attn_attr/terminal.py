"""Answers as terminal tables. Words come from anybody's texts, so they are shown, never obeyed."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

_EVIDENCE = {
    "consistent": ("consistent", "green"),
    "uncertain": ("uncertain", "yellow"),
    "insufficient": ("too few texts", "dim"),
}


def printable(text: str) -> str:
    """`text` with control and direction-changing characters written as escapes."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and character != "\u200d"  # joins emoji
        else character
        for character in text
    )


def influence_table(rows: pd.DataFrame, key: str, title: str) -> Table:
    """Rows of `top_words` (key "word") or `word` (key "label") as a table."""
    table = Table(title=Text(printable(title)), title_justify="left")
    table.add_column(key)
    for name in ("influence", "95% interval", "lower bound", "word part", "context part", "texts"):
        table.add_column(name, justify="right")
    table.add_column("evidence")
    for row in rows.to_dict("records"):
        evidence, style = _EVIDENCE[str(row["evidence"])]
        table.add_row(
            Text(printable(str(row[key]))),
            _signed(row["influence"]),
            _interval(row["low"], row["high"]),
            _signed(row["lower_bound"]),
            _signed(row["word_part"]),
            _signed(row["context_part"]),
            str(row["documents"]),
            Text(evidence, style=style),
        )
    return table


def joint_table(rows: pd.DataFrame, key: str, title: str) -> Table:
    """The attention view: joint mass and what follows from it."""
    table = Table(title=Text(printable(title)), title_justify="left")
    table.add_column(key)
    for name in ("joint", "P(word|class)", "P(class|word)", "lift", "NPMI", "texts"):
        table.add_column(name, justify="right")
    for row in rows.to_dict("records"):
        table.add_row(
            Text(printable(str(row[key]))),
            f"{row['joint']:.2e}",
            f"{row['p_word_given_class']:.2e}",
            f"{row['p_class_given_word']:.3f}",
            f"{row['lift']:.2f}",
            f"{row['npmi']:+.3f}",
            str(row["documents"]),
        )
    return table


def provenance_line(manifest: dict[str, Any]) -> str:
    """One line that says what a matrix was folded from, and warns where that matters."""
    facts = manifest.get("provenance", {})
    corpus = facts.get("corpus", {})
    line = (
        f"{manifest['texts']:,} texts of {corpus.get('source', 'an unnamed corpus')}, method "
        f"{manifest['method']}; influence in logits per occurrence."
    )
    if facts.get("folded_on") == "train":
        line += " Folded on the texts the model was trained on."
    return printable(line)


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> Table:
    """A table of finished texts; all columns but the first are right-aligned."""
    table = Table(title=Text(printable(title)), title_justify="left")
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def explanation(answer: dict[str, Any], text: str, console: Console) -> None:
    """Print one pipeline answer: label, score, the text coloured by sign, and a table."""
    console.print(Text(f"{printable(answer['label'])}  {answer['score']:.3f}", style="bold"))
    words = answer["words"]
    largest = max((abs(word["attribution"] or 0.0) for word in words), default=0.0)
    line, position = Text(), 0
    for word in words:
        line.append(printable(text[position : word["start"]]))
        line.append(printable(word["word"]), style=_shade(word["attribution"], largest))
        position = word["end"]
    line.append(printable(text[position:]))
    console.print(line)
    rows = [
        (
            word["word"],
            "-" if word["attribution"] is None else f"{word['attribution']:+.3f}",
            f"{word['attention']:.3f}",
        )
        for word in sorted(words, key=lambda word: -abs(word["attribution"] or word["attention"]))
    ]
    console.print(plain_table(("word", "attribution", "attention"), rows, ""))


def _shade(attribution: float | None, largest: float) -> str:
    if not attribution or abs(attribution) < 0.15 * largest:
        return ""
    strong = "bold " if abs(attribution) > 0.5 * largest else ""
    return strong + ("red" if attribution > 0 else "blue")


def _signed(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:+.3f}"


def _interval(low: float, high: float) -> str:
    return "-" if pd.isna(low) else f"{low:+.2f} … {high:+.2f}"
