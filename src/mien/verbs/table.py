"""`mien table PROTOCOL RESULTS...`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from mien.errors import require
from mien.options import Arg
from mien.verbs.command import command, function

if TYPE_CHECKING:
    from mien.scoring.render import Table as Rendered


@dataclass(frozen=True, kw_only=True)
class Table:
    """Our rows inside a paper's table, or, with `cross` for the protocol, a matrix: trained on against tested on."""

    HELP: ClassVar = {"options": ("PROTOCOL", "RESULTS", "--format", "--out", "--metric")}

    protocol: Annotated[str, Arg(positional=True)]
    """Name of the protocol (docs/protocols.md), or cross."""
    results: Annotated[tuple[Path, ...], Arg(positional=True)] = ()
    """Folders of mien benchmark or of mien evaluate; without any, the published rows alone."""
    format: Literal["markdown", "csv", "latex"] = "markdown"
    """What is printed."""
    out: Annotated[Path | None, Arg(metavar="DIR")] = None
    """Folder for table.md, table.csv and table.tex; nothing is written by default."""
    metric: str | None = None
    """With cross: the metric of the cells; uar, or ccc of numbers, by default."""


def work(options: Table) -> Rendered:
    table = rendered(options)
    if options.out:
        table.write(options.out, "table")
    return table


def rendered(options: Table) -> Rendered:
    """Raises UserError for options that do not go together."""
    from mien.scoring.protocols import find_protocol
    from mien.scoring.render import TITLES, matrix, protocol_table

    metric = options.metric
    if options.protocol != "cross":
        require(metric is None, "--metric belongs to cross: a protocol has its own")
        return protocol_table(find_protocol(options.protocol), options.results)
    known = metric is None or metric.partition(":")[0] in TITLES
    require(known, f"--metric {metric}: there are {', '.join(TITLES)}")
    require(bool(options.results), "received no results: mien table cross RESULTS...")
    return matrix(options.results, metric)


def show(found: Rendered, options: Table) -> None:
    print(getattr(found, options.format)(), end="")


table = function(Table, work)
main = command(Table, work, show)
