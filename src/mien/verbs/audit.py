"""`mien audit SHARDS [SHARDS...]`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro


@dataclass(frozen=True)
class Audit:
    """What makes a number on these shards mean less than it seems: clips or people in two parts; labels, lengths, crops."""

    shards: tyro.conf.Positional[list[Path]]
    """Shards of a data set, and those that were pre-trained on."""
    out: Path | None = None
    """JSON with everything; audit.json in the first folder by default."""
    near: bool = True
    """Look for near-duplicates, which decodes eight frames of every clip."""


def main(argv: list[str]) -> int:
    args = tyro.cli(Audit, args=argv, prog="mien audit")
    from mien.errors import UserError
    from mien.scoring.audit import audit, write_audit

    if not args.shards:
        raise UserError("received no shards: mien audit SHARDS [SHARDS...]")
    result = audit(args.shards, args.near)
    show(result)
    out = args.out or args.shards[0] / "audit.json"
    write_audit(result, out)
    print(out)
    return 0


def show(result: dict[str, Any]) -> None:
    from rich.table import Table

    from mien.console import console

    for folder in result["folders"]:
        table = Table(title=folder["shards"])
        for name in ("", "min", "5 %", "median", "95 %", "max"):
            table.add_column(name, justify="right" if name else "left")
        for name in ("frames", "seconds"):
            _spread(table, name, folder[name])
        for name, spread in folder["quality"].items():
            _spread(table, name, spread)
        console().print(table)
        counts = f"{folder['rows']} rows, {folder['failed']} without a face, {folder['subjects']} people"
        copies = f"{folder['exact_copies']} exact copies"
        if "near_duplicates" in folder:
            copies += f", {folder['near_duplicates']} pairs of near-duplicates"
        print(f"{counts}; {copies} within the folder")
        for column, parts in folder["labels"].items():
            for part, labels in parts.items():
                text = ", ".join(f"{k} {v}" for k, v in labels.items())
                print(f"  {column}={part}: {text}")
    for leak in result["leaks"]:
        shown = ", ".join(leak["names"][:3]) + (", ..." if leak["count"] > 3 else "")
        print(f"{leak['what']}, {' and '.join(leak['parts'])}: {leak['count']} ({shown})")
    print(f"verdict: {result['verdict']}")


def _spread(table: Any, name: str, spread: dict[str, float] | None) -> None:
    cells = ["", "", "unknown", "", ""] if spread is None else [f"{v:g}" for v in spread.values()]
    table.add_row(name, *cells)
