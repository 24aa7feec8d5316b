"""`mien profile [ROW...]`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from mien.options import Arg
from mien.verbs.command import command, function

if TYPE_CHECKING:
    from mien.verbs.profile_rows import Profile as Measured


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Parameters, FLOPs and latency of every variant beside the numbers its paper prints.

    FLOPs count a multiply-add as one and attention's products too, as the papers do.
    """

    HELP: ClassVar = {"options": ("ROW", "--json", "--no-latency")}

    rows: Annotated[tuple[str, ...], Arg(positional=True, metavar="ROW")] = ()
    """Names of rows; all of them without one."""
    json: bool = False
    """Print a JSON list instead of a table."""
    latency: bool = True
    """Measure the forward pass of one clip."""


def work(options: Profile) -> list[Measured]:
    from rich.progress import track

    from mien.console import console
    from mien.verbs.profile_rows import chosen, profile

    rows = track(chosen(options.rows), "profiling", console=console(errors=True), transient=True)
    return [profile(row, options.latency) for row in rows]


def show(measured: list[Measured], options: Profile) -> None:
    from mien.console import console

    if options.json:
        print(json.dumps([asdict(row) for row in measured], indent=1))
    else:
        console().print(table(measured))


def table(measured: list[Measured]) -> Any:
    """Printed number, ours, difference, for each count."""
    from rich.table import Table

    from mien.verbs.profile_rows import BILLION, MILLION

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

    from mien.verbs.profile_rows import agrees

    if count is None:
        return ""
    ours = f"{count / unit:.3f}"
    if printed is None:
        return Text.assemble(("    -", "dim"), f" {ours}")
    colour = "green" if agrees(count, unit, printed) else "red"
    return Text.assemble(f"{printed:>5} ", (f"{ours} ({count / unit - printed:+.3f})", colour))


profile = function(Profile, work)
main = command(Profile, work, show)
