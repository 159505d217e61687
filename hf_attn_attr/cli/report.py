"""The commands that show."""

from pathlib import Path
from typing import Annotated

import typer

from .commands import app
from .options import Folder
from .printing import print_parts, working


@app.command()
def report(
    folder: Folder,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write. Default: in the folder.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Folder of a second matrix with the same labels.")
    ] = None,
    columns: Annotated[
        Path | None,
        typer.Option(help="Folder written by `extract`, for the texts. Default: the same folder."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Default: the name of the folder.")] = None,
) -> None:
    """Make one page of HTML that shows it all, and opens by double click.

    Reads influence/ in a folder, and columns.parquet, training.json and evaluation.json where they
    are there; writes report.html.
    Example: `hf-attn-attr report model`
    """
    with working():
        from ..report import write_report

        page = write_report(folder, output, compare=compare, columns=columns, title=title)
    print_parts(f"Written: {page} ({page.stat().st_size / 1e6:.1f} MB)")
