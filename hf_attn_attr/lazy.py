"""Public names that are imported when they are first used, so that a package opens light."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, home: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package (PEP 562) for the names in `home`.

    Args:
        package: Its `__name__`.
        home: For each public name its module, relative to the package.
    """

    def imported(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(home[name], package), name)

    return imported
