"""Names of a package that are imported when they are asked for: torch takes over a second, `mien prepare --help` needs none."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy(package: str, **names: str) -> Callable[[str], Any]:
    """The package's ``__getattr__``: `names` has, by module of the package, what it gives."""
    where = {name: module for module, given in names.items() for name in given.split()}

    def find(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{where[name]}"), name)

    return find
