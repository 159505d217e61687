"""The command line: a thin shell over the package."""

from .app import app, main

# They add their commands, which --help lists in this order.
# isort: off
from . import training  # noqa: F401
from . import evaluation  # noqa: F401
from . import extracting  # noqa: F401
from . import asking  # noqa: F401
from . import export  # noqa: F401
from . import hub  # noqa: F401
from . import report  # noqa: F401

# isort: on

__all__ = ["app", "main"]
