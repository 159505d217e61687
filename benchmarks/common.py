"""What the benchmarks share: where the data lie, and a table and JSON for every result."""

import argparse
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options that every benchmark on real data has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--work", type=Path, default=Path("runs"), help="folder for models")
    options.add_argument("--only", nargs="*", help="run these alone")
    return options


def spread(values: Sequence[float], form: str = ".4f") -> str:
    """Mean and standard deviation over seeds."""
    if len(values) < 2:
        return format(values[0], form)
    return f"{mean(values):{form}} ± {stdev(values):{form}}"


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(width=150).print(table)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def load(name: str) -> Any:
    """A saved result, or None where the benchmark has not been run."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())["result"] if path.is_file() else None


def save(name: str, result: Any) -> None:
    """Write a result as JSON under `results/`."""
    RESULTS.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    text = json.dumps({"machine": machine, "result": result}, indent=1, allow_nan=False)
    (RESULTS / f"{name}.json").write_text(text + "\n")
