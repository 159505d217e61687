"""The report page and pictures of a model and its influence matrix.

`material` reads a folder, `overview` says it in plain words, `numbers` and `examples` choose what a
page holds, `packing` makes it small, `page` puts the files of `page/` around it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .page import write_report

_HOME = {"write_report": ".page"}

__all__ = ["write_report"]


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
