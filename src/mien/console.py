"""The console of every command. File names, labels and people's words reach it: none of them is read as rich's markup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console

_silent = ContextVar("silent", default=False)


def console(errors: bool = False) -> Console:
    """Standard output, or standard error. What is printed is shown as it is; colour comes as `rich.text.Text`."""
    return Console(stderr=errors, quiet=_silent.get(), markup=False, highlight=False)


@contextmanager
def silence() -> Iterator[None]:
    """Consoles that are made meanwhile show nothing, neither text nor progress: a function called from Python returns."""
    before = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(before)
