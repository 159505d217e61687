"""The commands that show."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Source
from .printing import print_parts, working


@app.command()
def report(
    source: Source,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write. Default: in the folder."),
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="Folder or Hub name of a second matrix, same labels.")
    ] = None,
    columns: Annotated[
        Path | None,
        typer.Option(help="Folder written by `extract`, for the texts. Default: the same folder."),
    ] = None,
    png: Annotated[
        bool, typer.Option("--png", help="Also draw pictures, for a card or a talk.")
    ] = False,
    title: Annotated[str | None, typer.Option(help="Default: the name of the folder.")] = None,
) -> None:
    """Make one page of HTML that shows it all, and opens by double click.

    Reads influence/ in a folder or on the Hub, and columns.parquet, training.json and
    evaluation.json where they are there; writes report.html, and pictures/ beside it with --png.
    Example: `hf-attn-attr report model`
    """
    with working():
        from ..report import write_pictures, write_report

        page = write_report(source, output, compare=compare, columns=columns, title=title)
        pictures = write_pictures(source, page.parent / "pictures") if png else []
    for path in (page, *pictures):
        print_parts(f"Written: {path} ({path.stat().st_size / 1e6:.1f} MB)")


@app.command()
def space(
    source: Source,
    output: Annotated[Path, typer.Argument(help="Folder to write; new or empty.")],
    model: Annotated[
        str | None, typer.Option(help="Hub name of the model, where SOURCE holds none.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Default: the name of the folder.")] = None,
) -> None:
    """Write a Gradio Space: type a text and see its words, look up words and classes.

    Reads model and influence/ in a folder; writes app.py, requirements.txt, README.md and model/.
    Example: `hf-attn-attr space model my-space`
    """
    with working():
        from ..report import write_space

        written = write_space(source, output, model=model, title=title)
    print_parts(
        f"Written: {written}. Try it: pip install gradio; python {written / 'app.py'}",
        f"Publish it: hf upload --repo-type space USER/NAME {written}",
    )
