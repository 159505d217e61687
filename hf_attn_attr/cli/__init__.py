"""The command line: a thin shell over the package."""

from . import report  # noqa: F401 - adds its commands
from .commands import app, main

__all__ = ["app", "main"]
