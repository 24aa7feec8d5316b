"""`mien table PROTOCOL RESULTS...`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Table:
    """Our rows inside a paper's table, or, with `cross` for the protocol, a matrix: trained on against tested on."""

    protocol: tyro.conf.Positional[str]
    """Name of the protocol (docs/protocols.md), or cross."""
    results: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Folders of `mien finetune --protocol` or of `mien evaluate`; without any, the published rows alone."""
    format: Literal["markdown", "csv", "latex"] = "markdown"
    out: Path | None = None
    """Folder for table.md, table.csv and table.tex."""
    metric: str | None = None
    """With cross: the metric of the cells."""


def main(argv: list[str]) -> int:
    args = tyro.cli(Table, args=argv, prog="mien table")
    from mien.errors import require
    from mien.scoring.protocols import find_protocol
    from mien.scoring.render import TITLES, matrix, protocol_table

    if args.protocol == "cross":
        known = args.metric is None or args.metric.partition(":")[0] in TITLES
        require(known, f"--metric {args.metric}: there are {', '.join(TITLES)}")
        require(bool(args.results), "received no results: mien table cross RESULTS...")
        table = matrix(args.results, args.metric)
    else:
        require(args.metric is None, "--metric belongs to cross: a protocol has its own")
        table = protocol_table(find_protocol(args.protocol), args.results)
    print(getattr(table, args.format)(), end="")
    if args.out:
        table.write(args.out, "table")
    return 0
