"""The command `evaluate`: checks with their progress, and verdicts for people."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .any_classifier import load
from .printing import print_json, print_parts, working

if TYPE_CHECKING:
    from ..evaluation.checks import Check

_STYLES = {"supported": "green", "partly supported": "yellow", "not supported": "red"}


def evaluate_and_tell(
    folder: Path,
    data: str | None,
    model: str | None,
    *,
    sample: int | None,
    seed: int,
    seeds: int,
    train: list[str],
    rationale_column: str | None,
    json_: bool,
    **read_options: Any,
) -> None:
    """Evaluate a folder and print the verdicts; `read_options` are those of `load_labelled`."""
    with working():
        from ..evaluation.folder import evaluate_folder, matching_extractor

        extractor = matching_extractor(folder, *load(model or str(folder)))
        with _progress() as (started, advance, refitting):
            record = evaluate_folder(
                folder,
                extractor,
                data,
                sample=sample,
                seed=seed,
                seeds=seeds,
                train=train,
                rationale_column=rationale_column,
                read_options=read_options,
                started=started,
                progress=advance,
                refitting=refitting,
            )
    if json_:
        print_json(record)
        return
    print_parts(*_lines(record), f"Written to {folder}/evaluation.json.")


@contextmanager
def _progress() -> Iterator[tuple[Any, Any, Any]]:
    """On standard error: the check or refit under way, and how many texts the model has read."""
    from datasets import disable_progress_bars, enable_progress_bars
    from datasets.utils import are_progress_bars_disabled
    from rich.console import Console
    from rich.progress import (
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    others = not are_progress_bars_disabled()
    disable_progress_bars()  # two bars on one line hide each other
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f} texts read"),
        TaskProgressColumn(show_speed=True),  # how many there will be is not known
        TimeElapsedColumn(),
    )
    try:
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("Reading", total=None)

            def started(check: "Check") -> None:
                bar.update(task, description=check.name)
                if not console.is_terminal:
                    console.print(f"{check.name}: {check.question}", soft_wrap=True)

            def refitting(number: int, count: int) -> None:
                told = f"seeds: training refit {number} of {count}"
                bar.update(task, description=told)
                if not console.is_terminal:
                    console.print(told)

            yield started, lambda count: bar.advance(task, count), refitting
    finally:
        if others:
            enable_progress_bars()


def _lines(record: dict[str, Any]) -> list[Any]:
    """The verdicts, each with its reasons."""
    from rich.text import Text

    from ..markup import printable

    texts = record["texts"]
    lines: list[Any] = [
        f"{texts['source']}: {texts['rows']:,} texts; {texts['corpus_sample']:,} of them for "
        f"erasure over the corpus, {texts['text_sample']:,} for erasure text by text (seed "
        f"{record['seed']})."
        + (" --sample takes more." if texts["corpus_sample"] < texts["rows"] else "")
        + (" The matrix was folded on the same texts." if texts["folded_on"] else "")
    ]
    for check in record["checks"]:
        head = Text(f"\n{check['name']}: ", style="bold")
        head.append(check["verdict"], style=_STYLES.get(check["verdict"], "dim"))
        head.append(f"  {check['question']}", style="dim not bold")
        lines.append(head)
        lines += [Text(f"  {printable(reason)}") for reason in check["reasons"]]
    return lines
