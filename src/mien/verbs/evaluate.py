"""`mien evaluate MODEL --data SHARDS`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

if TYPE_CHECKING:
    from rich.table import Table

    from mien.scoring.kind import Kind
    from mien.scoring.scores import Scores


@dataclass(frozen=True)
class Evaluate:
    """Score a model: every metric with its 95 % interval, what could not be predicted by name, what the split shares."""

    model: tyro.conf.Positional[str]
    """Model folder, run folder or hub id."""
    data: Path
    """Shards written by `mien prepare`, with labels or of a corpus."""
    out: Path | None = None
    """Where evaluation.json, the predictions and a picture go; MODEL/evaluation by default."""
    protocol: str | None = None
    """Benchmark whose columns, grouping and metrics are used (docs/protocols.md); it sets the three options below."""
    fold: str = "1"
    """With --protocol: which fold."""
    split: str | None = None
    """Value of the split column to score, or all; test by default."""
    split_column: str | None = None
    """Manifest column with the splits; the one the model was trained with by default."""
    group_by: str | None = None
    """Manifest column whose clips are averaged to one prediction."""
    target: str | None = None
    """Label column; the one the model was trained on by default."""
    label_map: Path | None = None
    """Table of class names (JSON or CSV), for data of another corpus than the model's (docs/evaluate.md)."""
    fill: bool = True
    """Classes of frames: an annotated frame without a face gets the prediction before it; with --no-fill it is left out."""
    smooth_s: float = 0.0
    """Classes of frames: average the probabilities over this many seconds; 0 smooths nothing."""
    batch_size: int = 32
    seed: int = 0
    """Of the bootstrap."""
    allow_contract_mismatch: bool = False
    """Score although the crops were made in another way; it is printed beside every number."""
    device: Literal["auto", "cpu", "cuda"] = "auto"


def main(argv: list[str]) -> int:
    args = tyro.cli(Evaluate, args=argv, prog="mien evaluate")
    from mien.data.shards import Shards
    from mien.errors import UserError, require
    from mien.models import load
    from mien.scoring.evaluation import evaluate
    from mien.scoring.label_map import read_label_map
    from mien.scoring.options import Scoring
    from mien.scoring.protocols import chosen_folds, find_protocol
    from mien.train.distributed import pick_device

    require(args.batch_size >= 1, f"--batch-size {args.batch_size}: give 1 or more")
    require(0 <= args.smooth_s <= 60, f"--smooth-s {args.smooth_s:g}: give 0 (off) to 60 seconds")
    split, column, group_by, metrics, kind = args.split, args.split_column, args.group_by, (), None
    if args.protocol:
        require(
            not (split or column or group_by), "--protocol sets --split, --split-column and --group-by: leave them out"
        )
        protocol = find_protocol(args.protocol)
        columns = chosen_folds(protocol, args.fold)
        require(
            len(columns) == 1, f"--fold {args.fold}: a model is of one fold; mien finetune --protocol runs all of them"
        )
        split, column, group_by = protocol.test, columns[0], protocol.group_by
        metrics, kind = protocol.metrics, protocol.kind
    table = read_label_map(args.label_map) if args.label_map else None
    folder = load(args.model)
    spec: Any = getattr(folder.module, "spec", None)
    if kind and spec and kind != spec.kind:
        raise UserError(f"protocol {args.protocol} is {kind}, the model {spec.kind}")
    scoring = Scoring(
        split or "test", column, args.target, group_by, args.fill, args.smooth_s, args.batch_size,
        args.allow_contract_mismatch, args.seed,
    )  # fmt: skip
    out = args.out or folder.path / "evaluation"
    show(evaluate(folder, Shards(args.data), out, scoring, pick_device(args.device), table), metrics)
    print(f"{out / 'evaluation.json'} and predictions beside it")
    return 0


def show(scores: Scores, metrics: tuple[str, ...] = ()) -> None:
    """Prints the numbers as a table, `metrics` first."""
    from mien.console import console
    from mien.scoring.table import KINDS

    result, kind = scores.record, KINDS[scores.record["kind"]]
    console().print(_numbers(result, kind, metrics))
    if "confusion" in result:
        console().print(_confusion(result))
    if filled := result.get("num_filled"):
        print(f"{filled} annotated frames have no face and got the prediction before them")
    for name, count in result["left_out"].items():
        print(f"left out by the label map: {count} clips of {name}")
    if failed := result["failed"]:
        counted = kind.missed["filled" if filled else result["per"]]
        shown = ", ".join(f["item"] for f in failed[:5]) + (", ..." if len(failed) > 5 else "")
        print(f"{len(failed)} could not be predicted, counted {counted}: {shown}")
    print(f"audit: {result['audit']}")


def _numbers(result: dict[str, Any], kind: Kind, metrics: tuple[str, ...]) -> Table:
    from rich.table import Table

    note = f" (CONTRACT MISMATCH: {result['contract_mismatch']})" if result["contract_mismatch"] else ""
    unit = kind.units[result["per"]]
    table = Table(title=f"{result['target']}, {result['split']}, {result['num_videos']} {unit}{note}")
    for column in ("metric", "value", f"95 % interval over {result['resampled']}"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    first = [m.partition(":")[0] for m in metrics]
    for name in dict.fromkeys([*(m for m in first if m in kind.metrics), *kind.metrics]):
        table.add_row(name, *_cells(result[name], result[f"{name}_95"], kind.percent))
        for target, values in result.get("per_target", {}).items():
            table.add_row(f"  {target}", *_cells(values[name], values[f"{name}_95"], kind.percent))
    for target, value in result.get("per_video", {}).get("ccc", {}).items():
        table.add_row(f"  {target}: ccc, mean of videos", "none" if value is None else f"{value:.4f}", "")
    for name, recall in result.get("recall", {}).items():
        table.add_row(f"recall {name}", "none in split" if recall is None else f"{100 * recall:.2f} %", "")
    return table


def _cells(value: float, interval: list[float | None], percent: bool) -> tuple[str, str]:
    low, high = interval
    if low is None or high is None:
        return f"{100 * value:.2f} %" if percent else f"{value:.4f}", "one unit: none"
    if percent:
        return f"{100 * value:.2f} %", f"{100 * low:.2f} to {100 * high:.2f}"
    return f"{value:.4f}", f"{low:.4f} to {high:.4f}"


def _confusion(result: dict[str, Any]) -> Table:
    from rich.table import Table

    matrix = Table(title="confusion (rows: annotated)")
    matrix.add_column("")
    for name in result["names"]:
        matrix.add_column(name, justify="right")
    for name, row in zip(result["names"], result["confusion"], strict=True):
        matrix.add_row(name, *map(str, row))
    return matrix
