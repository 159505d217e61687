"""The command line: a thin shell over the package."""

from . import export, hub, report  # noqa: F401 - they add their commands
from .commands import app, main

__all__ = ["app", "main"]
