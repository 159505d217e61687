"""The command `evaluate`: checks with their progress, and verdicts for people."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .any_classifier import load
from .app import app
from .options import (
    Folder,
    Json,
    LabelColumn,
    LabelMap,
    RationaleColumn,
    TextColumn,
    name_pairs,
)
from .printing import print_json, print_parts, working

if TYPE_CHECKING:
    from ..evaluation.checks import Check

_STYLES = {"supported": "green", "partly supported": "yellow", "not supported": "red"}


@app.command()
def evaluate(
    folder: Folder,
    data: Annotated[
        str | None,
        typer.Option(
            help="Texts new to the model: a file or a Hub dataset. Default: its validation texts, "
            "where they can be found again."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Classifier of the matrix in FOLDER. Default: that in FOLDER."),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Texts whose words are erased one text at a time; over the corpus and for halves, "
            "three times as many. Default: 300, or 100 (halves: 900) where the model is not "
            "self-attentive.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sample and of draws.")] = 0,
    seeds: Annotated[
        int,
        typer.Option(min=0, help="Train the model with so many other seeds, and compare. Slow."),
    ] = 0,
    train: Annotated[
        list[str] | None,
        typer.Option(
            help="For --seeds: the model's training texts, then its extra ones, each with --train. "
            "Default: as recorded, in the current folder."
        ),
    ] = None,
    rationale_column: RationaleColumn = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_map: LabelMap = None,
    split: Annotated[str, typer.Option(help="Split of a Hub dataset.")] = "test",
    json_: Json = False,
) -> None:
    """How good is the model, and which of its numbers may be believed?

    Reads a folder and texts; prints a verdict for each check, writes evaluation.json and the
    verdicts in influence/manifest.json. Predictions of multi-label models use their thresholds.
    --seeds keeps finished refits in FOLDER/refits, so that an interrupted run goes on.
    Example: `hf-attn-attr evaluate model --data test.csv`
    """
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
                train=train or [],
                rationale_column=rationale_column,
                read_options={
                    "text_column": text_column,
                    "label_column": label_column,
                    "label_map": name_pairs(label_map),
                    "split": split,
                },
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
