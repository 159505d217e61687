"""The application that the commands belong to, and what happens when one of them fails."""

import io
import sys
import warnings

import typer

from ..errors import AttnAttrError
from .printing import complain

app = typer.Typer(
    name="hf-attn-attr",
    help="Which words drive which class, for Hugging Face text classifiers.",
    epilog="Exit status: 0 done; 1 something is wrong with input or files, said on standard error; "
    "2 wrong usage; 130 interrupted. NO_COLOR=1 switches colours off; they are off where output is "
    "no terminal.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def main() -> None:
    """Entry point; errors that we raise on purpose end with status 1 and their message alone."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What the terminal's encoding lacks is shown as an escape.
        sys.stdout.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: complain(f"Warning: {message}")
        try:
            app()
        except (AttnAttrError, OSError) as error:
            complain(f"Error: {error}")
            sys.exit(1)
