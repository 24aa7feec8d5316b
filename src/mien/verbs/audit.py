"""`mien audit SHARDS [SHARDS...]`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from mien.errors import require
from mien.options import Arg
from mien.verbs.command import command, function

if TYPE_CHECKING:
    from mien.data.shards import Shards


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What makes a number on these shards mean less than it seems: clips or people in two parts; labels, lengths, crops."""

    HELP: ClassVar = {"options": ("SHARDS", "--out", "--no-near")}

    data: Annotated[tuple[Shards | Path, ...], Arg(positional=True, metavar="SHARDS")]
    """Shards of a data set, and those that were pre-trained on."""
    out: Path | None = None
    """JSON with everything; audit.json in the first folder by default."""
    near: bool = True
    """Look for near-duplicates, which decodes eight frames of every clip."""


def work(options: Audit) -> dict[str, Any]:
    from mien.scoring.audit import audit, write_audit

    require(bool(options.data), "received no shards: give at least one folder")
    result = audit(folders(options), options.near)
    write_audit(result, place(options))
    return result


def place(options: Audit) -> Path:
    """The JSON file."""
    return options.out or folders(options)[0] / "audit.json"


def folders(options: Audit) -> list[Path]:
    return [place if isinstance(place, Path) else place.root for place in options.data]


def show(result: dict[str, Any], options: Audit) -> None:
    for folder in result["folders"]:
        _show_folder(folder)
    for leak in result["leaks"]:
        shown = ", ".join(leak["names"][:3]) + (", ..." if leak["count"] > 3 else "")
        print(f"{leak['what']}, {' and '.join(leak['parts'])}: {leak['count']} ({shown})")
    print(f"verdict: {result['verdict']}", place(options), sep="\n")


def _show_folder(folder: dict[str, Any]) -> None:
    from rich.table import Table

    from mien.console import console

    table = Table(title=folder["shards"])
    for name in ("", "min", "5 %", "median", "95 %", "max"):
        table.add_column(name, justify="right" if name else "left")
    for name, spread in [*((k, folder[k]) for k in ("frames", "seconds")), *folder["quality"].items()]:
        table.add_row(name, *(["", "", "unknown", "", ""] if spread is None else [f"{v:g}" for v in spread.values()]))
    console().print(table)
    counts = f"{folder['rows']} rows, {folder['failed']} without a face, {folder['subjects']} people"
    copies = f"{folder['exact_copies']} exact copies"
    if "near_duplicates" in folder:
        copies += f", {folder['near_duplicates']} pairs of near-duplicates"
    print(f"{counts}; {copies} within the folder")
    for column, parts in folder["labels"].items():
        for part, labels in parts.items():
            print(f"  {column}={part}: {', '.join(f'{k} {v}' for k, v in labels.items())}")


audit = function(Audit, work)
main = command(Audit, work, show)
