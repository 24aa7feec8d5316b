"""All folds of a benchmark: fine-tuned one after the other, scored, pooled, in two columns.

**paper**: trained on the whole training list, and the epoch taken that the publication took. **strict**: the best epoch on
held-out training subjects (the official validation part where there is one that is not reported on), and the test list touched
once, by those weights. Where there is such a validation part both columns come from one run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien import __version__
from mien.config import to_json
from mien.corpora.record import read_record
from mien.data.dataset import ClipSet
from mien.data.manifest import Manifest
from mien.data.segments import frame_values
from mien.data.select import clip_values
from mien.data.shards import Shards
from mien.errors import require
from mien.models import Model, load
from mien.scoring import classification, regression
from mien.scoring.evaluation import evaluate
from mien.scoring.label_map import LabelMap
from mien.scoring.metrics import CLASS_METRICS
from mien.scoring.options import Scoring
from mien.scoring.protocols import Protocol, number_of
from mien.scoring.values import VALUE_METRICS

COLUMNS = ("paper", "strict")
KEPT = (
    "num_videos",
    "num_failed",
    "num_filled",
    "num_values",
    "resampled",
    "recall",
    "f1",
    "confusion",
    "names",
    "per_target",
)


def check_annotated(rows: Manifest, shards: Shards, protocol: Protocol, part: str) -> None:
    """Raises UserError where the part that is scored has no numbers: some challenges keep those of their test part."""
    if protocol.kind == "categorical":
        return
    if protocol.per == "frame":
        values = frame_values(ClipSet(shards, rows.ok()), protocol.targets)
    else:
        values = clip_values(rows, protocol.targets)
    few = [n for n, count in zip(protocol.targets, np.isfinite(values).sum(0), strict=True) if count < 2]
    require(
        not few,
        f"{shards.root}: {part} has no {', '.join(few)}, so protocol {protocol.name} cannot score it: "
        "train on the rest with mien finetune and score another part (mien evaluate --split val)",
    )


def has_validation(shards: Shards, protocol: Protocol, column: str) -> bool:
    """Whether there is an official validation part beside the reported one."""
    if protocol.test == "val" or protocol.published_select == "test":
        return False
    return column in shards.manifest.table.column_names and "val" in shards.manifest.column(column)


def score_once(
    model: Model, shards: Shards, out: Path, scoring: Scoring, device: torch.device, label_map: LabelMap | None = None
) -> None:
    """Scores a model; a second call with the same weights, data and settings does nothing."""
    path = out / "evaluation.json"
    if path.is_file():
        made = json.loads(path.read_text())
        now = (model.hash, shards.hash, to_json(scoring), label_map and asdict(label_map))
        facts = made["provenance"]
        if (facts["checkpoint_hash"], facts["data_hash"], made.get("scoring"), made.get("label_map")) == now:
            return
    evaluate(model, shards, out, scoring, device, label_map)


def summary(out: Path, protocol: Protocol, shards: Shards) -> dict[str, Any]:
    """What ``protocol.json`` holds: for both columns the folds that are done, pooled, and their mean."""
    return {
        "protocol": protocol.name, "title": protocol.title, "mien": __version__, "data": str(shards.root),
        "data_hash": shards.hash, "corpus_checked": read_record(shards.root) is not None,
        "metrics": list(protocol.metrics), "published_selection": protocol.selection,
        "columns": {kind: _column(out, protocol, shards, kind) for kind in COLUMNS},
    }  # fmt: skip


def _column(out: Path, protocol: Protocol, shards: Shards, kind: str) -> dict[str, Any]:
    folds: dict[str, dict[str, Any]] = {}
    for column in protocol.folds:
        path = out / protocol.fold_name(column) / f"{kind}-evaluation" / "evaluation.json"
        if path.is_file():
            folds[column] = json.loads(path.read_text())
    missing = [c for c in protocol.folds if c not in folds]
    result: dict[str, Any] = {"selection": selection(out, protocol, shards, kind), "missing_folds": missing}
    result["chosen_on_test"] = kind == "paper" and protocol.published_select == "test"
    if not folds:
        return result
    places = [out / protocol.fold_name(c) / f"{kind}-evaluation" for c in folds]
    together = _pooled(places, list(folds.values()))
    names = metric_names(together)
    numbers = {m: [float(number_of(f, m) or 0.0) for f in folds.values()] for m in names}
    result["pooled"] = {k: v for k, v in together.items() if k in KEPT or k.removesuffix("_95") in names}
    result["mean_of_folds"] = {
        m: {"mean": float(np.mean(v)), "std": float(np.std(v, ddof=1)) if len(v) > 1 else None}
        for m, v in numbers.items()
    }
    result["folds"] = [
        {"fold": c, **{m: number_of(f, m) for m in names}, "num_videos": f["num_videos"], "num_failed": f["num_failed"],
         "views": f["provenance"]["views"], "model": f["provenance"]["checkpoint_hash"], "audit": f["audit"],
         "contract_mismatch": f["contract_mismatch"]}
        for c, f in folds.items()
    ]  # fmt: skip
    return result


def selection(out: Path, protocol: Protocol, shards: Shards, kind: str) -> str:
    """In words: which weights were taken, and what they were trained on."""
    if kind == "strict":
        part = any(has_validation(shards, protocol, c) for c in protocol.folds)
        people = "subjects" if any(shards.manifest.column("subject")) else "clips, for nobody is named,"
        chosen = "the official validation part" if part else f"held-out training {people} (15 %, not trained on)"
        return f"best epoch on {chosen}; the test list was touched once"
    if protocol.published_select == "test":
        return f"CHOSEN ON TEST DATA, as the publication did: {protocol.selection}"
    halved = any(
        (out / protocol.fold_name(c) / "strict" / "last").is_dir() and not has_validation(shards, protocol, c)
        for c in protocol.folds
    )
    return protocol.selection + ("; trained without the held-out subjects (--single-run)" if halved else "")


def _pooled(places: Sequence[Path], results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The score of all folds' predictions together, as the papers pool them."""
    names = tuple(results[0]["names"])
    require(
        all(tuple(r["names"]) == names for r in results),
        "the folds' models have different classes: they cannot be pooled",
    )
    files = [p / "predictions.parquet" for p in places]
    if results[0]["kind"] == "categorical":
        return classification.score(
            classification.pooled([classification.read_predictions(f, names) for f in files]), names
        )
    together = regression.pooled([regression.read_values(f, names) for f in files])
    return regression.score(together, load(results[0]["provenance"]["model"]).config.spec)


def metric_names(result: dict[str, Any]) -> list[str]:
    """Every metric of a score, per target ones as "ccc:arousal"."""
    if "per_target" not in result:
        return list(CLASS_METRICS)
    return [m for name in VALUE_METRICS for m in (name, *(f"{name}:{t}" for t in result["names"]))]
