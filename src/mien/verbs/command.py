"""What the verbs share: a class of options, the work, and what the command line prints of its result."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

from mien.options import Arg, callable_of, parse
from mien.verbs.main import guarded

if TYPE_CHECKING:
    from mien.data.shards import Shards
    from mien.models import Model

Result = TypeVar("Result")
Work = Callable[[Any], Result]
"""Does what the options say. It may print to `console()`, which is silent for Python."""


@dataclass(frozen=True, kw_only=True)
class OfModel:
    """Of a verb about one model."""

    model: Annotated[Model | str, Arg(positional=True)]
    """Model folder, run folder or hub id."""


@dataclass(frozen=True, kw_only=True)
class OfShards(OfModel):
    """Of a verb about one model and what it makes of shards."""

    data: Annotated[Shards | Path, Arg(metavar="SHARDS")]
    """Folder written by mien prepare."""


def command(options: type, work: Work[Result], show: Callable[[Result, Any], int | None]) -> Callable[[list[str]], int]:
    """The verb's ``main``: words to options, work, and `show`, which prints its result and may say the exit code."""

    def main(argv: list[str]) -> int:
        given = parse(options, argv, f"mien {options.__name__.lower()}")
        return show(work(given), given) or 0

    return main


def function(options: type, work: Work[Result]) -> Callable[..., Result]:
    """The same work from Python, with the options as keywords; it prints nothing. Its help ends with the text of `work`."""

    def quietly(given: Any) -> Result:
        from mien.console import silence

        with silence():
            return work(given)

    call = callable_of(options, quietly, options.__name__.lower())
    call.__doc__ = f"{call.__doc__}\n\n{inspect.getdoc(work) or ''}".strip()
    return call


def script(options: type, work: Callable[[Any], int | None]) -> NoReturn:
    """Runs a script as if it were a verb, with the words after its name; `work` may say the exit code."""
    where = f"python {sys.argv[0]}"
    sys.exit(guarded(where, lambda: work(parse(options, sys.argv[1:], where)) or 0))
