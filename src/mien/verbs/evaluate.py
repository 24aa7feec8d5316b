"""`mien evaluate MODEL --data SHARDS --out DIR`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from mien.errors import require
from mien.options import FLAT, Arg
from mien.options.shared import OnDevice
from mien.scoring.options import Scoring
from mien.verbs.command import OfShards, command, function

if TYPE_CHECKING:
    from rich.table import Table

    from mien.scoring.kind import Kind
    from mien.scoring.protocols import Protocol
    from mien.scoring.scores import Scores


@dataclass(frozen=True, kw_only=True)
class Evaluate(OfShards, OnDevice):
    """Score a model: every metric with its 95 % interval, what could not be predicted by name, what the split shares."""

    HELP: ClassVar = {
        "what is scored": ("MODEL", "--data", "--split", "--target", "--group-by", "--allow-contract-mismatch"),
        "data of others": ("--protocol", "--fold", "--label-map"),
        "what comes out": ("--out",),
        "how it runs": ("--device", "--batch-size"),
    }

    out: Annotated[Path | None, Arg(metavar="DIR")] = None
    """Where evaluation.json, the predictions and a picture go; MODEL/evaluation by default."""
    protocol: str | None = None
    """Benchmark whose columns, grouping and metrics are used (docs/protocols.md); it sets --split, --split-column, --group-by."""
    fold: str = "1"
    """With --protocol: which fold."""
    label_map: Path | None = None
    """Table of class names (JSON or CSV), for data of another corpus than the model's (docs/evaluate.md)."""
    scoring: Annotated[Scoring, FLAT] = Scoring()


def work(options: Evaluate) -> Scores:
    from mien.console import console
    from mien.data.shards import Shards
    from mien.models import load
    from mien.scoring.evaluation import evaluate
    from mien.scoring.label_map import read_label_map
    from mien.train.distributed import pick_device

    protocol = protocol_of(options)
    scoring = options.scoring if protocol is None else of_protocol(options, protocol)
    table = read_label_map(options.label_map) if options.label_map else None
    folder, shards = load(options.model), Shards.of(options.data)
    if protocol is not None and folder.spec is not None:
        kind = folder.spec.kind
        require(protocol.kind == kind, f"protocol {options.protocol} is {protocol.kind}, the model {kind}")
    out = options.out or folder.path / "evaluation"
    result = evaluate(folder, shards, out, scoring, pick_device(options.device), table)
    console().print(f"{out / 'evaluation.json'} and predictions beside it", soft_wrap=True)
    return result


def protocol_of(options: Evaluate) -> Protocol | None:
    from mien.scoring.protocols import find_protocol

    return find_protocol(options.protocol) if options.protocol else None


def of_protocol(options: Evaluate, protocol: Protocol) -> Scoring:
    """What the protocol scores. Raises UserError for options that it sets itself, and for all folds at once."""
    from mien.scoring.protocols import chosen_folds

    given, plain = options.scoring, Scoring()
    free = (given.split, given.split_column, given.group_by) == (plain.split, plain.split_column, plain.group_by)
    require(free, "--protocol sets --split, --split-column and --group-by: leave them out")
    columns = chosen_folds(protocol, options.fold)
    single = len(columns) == 1
    require(single, f"--fold {options.fold}: a model is of one fold; mien benchmark runs all of them")
    return replace(given, split=protocol.test, split_column=columns[0], group_by=protocol.group_by)


def show_result(scores: Scores, options: Evaluate) -> None:
    protocol = protocol_of(options)
    show(scores, protocol.metrics if protocol else ())


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
    note += " (each person's own mean taken off)" if result.get("per_person") else ""
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


evaluate = function(Evaluate, work)
main = command(Evaluate, work, show_result)
