"""`mien profile [ROW...]`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import tyro


@dataclass(frozen=True)
class ProfileTable:
    """Parameters, FLOPs and latency of every variant beside the numbers its paper prints.

    FLOPs count a multiply-add as one and attention's products too, as the papers do.
    """

    rows: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="ROW")]] = ()
    """Names of rows; all of them without one."""
    json: bool = False
    """Print a JSON list instead of a table."""
    latency: bool = True
    """Measure the forward pass of one clip."""


def main(argv: list[str]) -> int:
    args = tyro.cli(ProfileTable, args=argv, prog="mien profile")
    from rich.progress import track

    from mien.console import console
    from mien.recipes.profile import chosen, profile

    wanted = chosen(args.rows)
    measured = [
        profile(v, args.latency) for v in track(wanted, "profiling", console=console(errors=True), transient=True)
    ]
    if args.json:
        print(json.dumps([asdict(row) for row in measured], indent=1))
    else:
        console().print(table(measured))
    return 0


def table(measured: list[Any]) -> Any:
    """Printed number, ours, difference, for each count."""
    from rich.table import Table

    from mien.recipes.profile import BILLION, MILLION

    columns = ("params M", "FLOPs G", "pre-training FLOPs G")
    grid = Table("row", "paper", *(f"{c}\npaper, ours" for c in columns), "ms", box=None, pad_edge=False)
    for row in measured:
        counts = (
            (row.params, MILLION, row.paper_params_m),
            (row.flops, BILLION, row.paper_flops_g),
            (row.flops_pretrain, BILLION, row.paper_flops_pretrain_g),
        )
        latency = "" if row.latency_s is None else f"{1000 * row.latency_s:.0f}"
        grid.add_row(row.name, f"{row.paper} {row.table}" if row.paper else "", *(_cell(*c) for c in counts), latency)
    return grid


def _cell(count: int | None, unit: float, printed: float | None) -> Any:
    from rich.text import Text

    from mien.recipes.profile import agrees

    if count is None:
        return ""
    ours = f"{count / unit:.3f}"
    if printed is None:
        return Text.assemble(("    -", "dim"), f" {ours}")
    colour = "green" if agrees(count, unit, printed) else "red"
    return Text.assemble(f"{printed:>5} ", (f"{ours} ({count / unit - printed:+.3f})", colour))
