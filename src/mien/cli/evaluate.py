"""`mien evaluate MODEL --data SHARDS`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro


@dataclass(frozen=True)
class Evaluate:
    """Score a classifier: two clips per video, softmax averaged; UAR, WAR, recalls, confusion matrix, 95 % intervals."""

    model: tyro.conf.Positional[str]
    """Model folder, run folder or hub id."""
    data: Path
    """Shards written by `mien prepare --labels CSV`."""
    out: Path | None = None
    """Where evaluation.json, predictions.csv and confusion.png go; MODEL/evaluation by default."""
    split: str = "test"
    """Value of the split column to score."""
    split_column: str | None = None
    """Manifest column with the splits; the one the model was trained with by default."""
    target: str | None = None
    """Label column; the one the model was trained on by default."""
    batch_size: int = 32
    seed: int = 0
    """Of the bootstrap."""
    allow_contract_mismatch: bool = False
    """Score although the crops were made in another way; it is printed beside every number."""
    device: Literal["auto", "cpu", "cuda"] = "auto"


def main(argv: list[str]) -> int:
    args = tyro.cli(Evaluate, args=argv, prog="mien evaluate")
    from mien.data.shards import Shards
    from mien.models import load_folder
    from mien.protocols.classification import evaluate
    from mien.train.distributed import pick_device

    folder = load_folder(args.model)
    out = args.out or folder.path / "evaluation"
    result = evaluate(
        folder, Shards(args.data), out, args.split, args.split_column, args.target, args.batch_size,
        pick_device(args.device), args.allow_contract_mismatch, args.seed,
    )  # fmt: skip
    show(result)
    print(f"{out / 'evaluation.json'}, predictions.csv, confusion.png")
    return 0


def show(result: dict[str, Any]) -> None:
    """Prints the numbers as a table."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    note = f" (CONTRACT MISMATCH: {result['contract_mismatch']})" if result["contract_mismatch"] else ""
    table = Table(title=f"{result['target']}, {result['split']}, {result['num_videos']} videos{note}")
    for column in ("metric", "value", "95 % interval"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name in ("uar", "war"):
        low, high = result[f"{name}_95"]
        table.add_row(name.upper(), f"{100 * result[name]:.2f} %", f"{100 * low:.2f} to {100 * high:.2f}")
    for name, recall in result["recall"].items():
        table.add_row(f"recall {name}", "none in split" if recall is None else f"{100 * recall:.2f} %", "")
    console.print(table)
    if result["failed"]:
        console.print(
            f"{len(result['failed'])} videos without a face; counted as errors: WAR {100 * result['war_with_failures']:.2f} %"
        )
    matrix = Table(title="confusion (rows: annotated)")
    matrix.add_column("")
    for name in result["names"]:
        matrix.add_column(name, justify="right")
    for name, row in zip(result["names"], result["confusion"], strict=True):
        matrix.add_row(name, *map(str, row))
    console.print(matrix)
