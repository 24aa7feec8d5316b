"""`mien doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.verbs.command import command, function

if TYPE_CHECKING:
    from mien.recipes.doctor import Finding


@dataclass(frozen=True)
class Doctor:
    """Print versions, devices, codecs, detectors, what is missing and how to get it. Exit code 1 when something is missing."""


def work(options: Doctor) -> list[Finding]:
    from mien.recipes.doctor import guarded

    return guarded()


def show(found: list[Finding], options: Doctor) -> int:
    from rich.table import Table
    from rich.text import Text

    from mien.console import console

    table = Table(box=None, pad_edge=False)
    for column in ("", "", "found", "what to do"):
        table.add_column(column, overflow="fold")
    marks = {"ok": Text("ok", "green"), "missing": Text("missing", "red"), "optional": Text("none", "yellow")}
    for f in found:
        table.add_row(marks[f.state], f.subject, f.detail, f.remedy)
    console().print(table)
    return 1 if any(f.state == "missing" for f in found) else 0


doctor = function(Doctor, work)
main = command(Doctor, work, show)
