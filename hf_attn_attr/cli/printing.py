"""What commands print: answers on standard output, the rest on standard error."""

import json
import os
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from ..data import LabelledTexts
    from ..influence import InfluenceMatrix
    from ..training import TrainingResult


@contextmanager
def working() -> "Iterator[None]":
    """Standard output is for the answer: what libraries print meanwhile goes to standard error."""
    with redirect_stdout(sys.stderr):
        yield


def answer(
    matrix: "InfluenceMatrix",
    output: Path,
    k: int,
    facts: dict[str, Any],
    lines: list[str],
    *,
    json_: bool,
) -> None:
    """Answer both questions from a new matrix.

    Args:
        matrix: Where the answers are.
        output: Where it was saved.
        k: Words for each class.
        facts: What else machines are told.
        lines: What else people are told.
        json_: Whether to tell machines.
    """
    method = matrix.manifest["method"]
    signed = method not in ("attention", "attention_rollout")
    covered = matrix.manifest.get("classes", matrix.labels) if signed else []
    top_words = {label: matrix.top_words(label, k) for label in covered}
    if json_:
        answers = {label: records(rows) for label, rows in top_words.items()}
        print_json({**facts, "top_words": answers})
        return
    from ..terminal import influence_table, provenance_line

    print_parts(*lines)
    print_parts(provenance_line(matrix.manifest))
    if not signed:
        print_parts(
            f"The method {method} gives no exact attributions; the matrix holds attention only."
        )
    for label, rows in top_words.items():
        print_parts(influence_table(rows, "word", f"Most influential on {label}"))
    for word in [word for rows in top_words.values() for word in rows["word"]][:1]:
        print_parts(influence_table(matrix.word(word), "label", f"Influence of {word}"))
    print_parts(f"Saved in {output}. Ask on: hf-attn-attr word {output} WORD")


def summary(result: "TrainingResult", folder: Path) -> dict[str, Any]:
    """What training gave, for machines."""
    texts = {"training": result.train, "validation": result.validation}
    return {
        "folder": str(folder),
        "metrics": result.metrics,
        "seeds": result.seeds,
        "texts": {
            name: {"rows": len(part.dataset), "dropped": part.dropped}
            for name, part in texts.items()
        },
    }


def summary_lines(result: "TrainingResult") -> list[str]:
    """What training gave, for people."""
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
    lines = [
        f"Training: {count(result.train)}",
        f"Validation: {count(result.validation)}; {metrics}",
    ]
    if len(result.seeds) > 1:
        spread = ", ".join(
            f"{name} {mean(values):.4f} ± {stdev(values):.4f}"
            for name in result.metrics
            for values in [[one[name] for one in result.seeds]]
        )
        lines.append(f"{len(result.seeds)} seeds: {spread}; the best is kept, so it flatters.")
    return lines


def count(texts: "LabelledTexts") -> str:
    """How many texts there are, and how many were dropped."""
    dropped = "".join(f", {n:,} dropped ({why})" for why, n in texts.dropped.items())
    return f"{len(texts.dataset):,} texts{dropped}"


def records(rows: "pd.DataFrame") -> list[dict[str, Any]]:
    """Rows as JSON records; NaN is null."""
    records = rows.to_dict("records")
    return [
        {str(name): None if value != value else value for name, value in record.items()}
        for record in records
    ]


def print_json(value: Any) -> None:
    """Print an answer as JSON."""
    # ASCII: valid whatever the terminal's encoding, and nothing in it can drive a terminal.
    print(json.dumps(value, indent=1, allow_nan=False))  # noqa: T201


def print_csv(rows: "pd.DataFrame") -> None:
    """Print rows as CSV; what a spreadsheet would run as a formula gets an apostrophe in front."""
    from ..markup import csv, csv_quoting, printable

    def safe(cell: Any) -> Any:
        if not isinstance(cell, str):
            return cell
        # A terminal is spared what would drive it; a file gets every word as it is.
        return csv(printable(cell) if sys.stdout.isatty() else cell)

    rows = rows.map(safe)
    quoting = csv_quoting(cell for cell in rows.to_numpy().flat if isinstance(cell, str))
    print(rows.to_csv(index=False, lineterminator="\n", quoting=quoting), end="")  # noqa: T201


def print_parts(*parts: Any) -> None:
    """Print lines of text, made safe for a terminal, and tables."""
    from rich.text import Text

    from ..markup import printable

    out = console()
    for part in parts:
        if isinstance(part, str):
            out.print(Text(printable(part)), soft_wrap=True)
        else:
            out.print(part)


def console() -> Any:
    """The console of standard output."""
    from rich.console import Console

    # Without a terminal rich would assume 80 columns and break long words.
    return Console() if sys.stdout.isatty() or "COLUMNS" in os.environ else Console(width=120)


def complain(message: str) -> None:
    """Print a warning or an error."""
    from ..markup import printable

    print("\n".join(map(printable, message.split("\n"))), file=sys.stderr)  # noqa: T201
