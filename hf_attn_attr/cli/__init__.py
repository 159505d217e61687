"""The command line: a thin shell over the package."""

from .commands import app, main

__all__ = ["app", "main"]
