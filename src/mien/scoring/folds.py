"""All folds of a benchmark, pooled and averaged, in two columns.

**paper**: trained on the whole training list, and the epoch taken that the publication took. **strict**: the best epoch on
held-out training subjects (the official validation part where there is one that is not reported on), and the test list touched
once, by those weights. Where there is such a validation part both columns come from one run.

    OUT/fold_1/paper             the run whose model is scored, or strict/last
    OUT/fold_1/paper-evaluation  its score
    OUT/protocol.json            `summary`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien import __version__
from mien.config import to_json
from mien.corpora.record import read_record
from mien.data.select import in_split
from mien.data.shards import Shards
from mien.errors import require
from mien.models import Model
from mien.scoring.evaluation import evaluate
from mien.scoring.label_map import LabelMap
from mien.scoring.options import Scoring
from mien.scoring.predictions import pooled
from mien.scoring.protocols import Protocol
from mien.scoring.scores import number_of
from mien.scoring.table import KINDS

COLUMNS = ("paper", "strict")
KEPT = {
    "num_videos", "num_failed", "num_filled", "num_values", "resampled", "recall", "f1", "confusion", "names", "per_target"
}  # fmt: skip


def check_test_part(protocol: Protocol, shards: Shards, fold: str) -> None:
    """Raises UserError where the part that is scored has no numbers: some challenges keep those of their test part."""
    rows, part = in_split(shards.manifest, protocol.test, fold), f"{fold}={protocol.test}"
    bare = ", ".join(KINDS[protocol.kind].bare_in(shards, rows, protocol.targets, protocol.per))
    without = "train on the rest with mien finetune and score another part (mien evaluate --split val)"
    require(not bare, f"{shards.root}: {part} has no {bare}, so protocol {protocol.name} cannot score it; {without}")


def has_validation(protocol: Protocol, shards: Shards, fold: str) -> bool:
    """Whether there is an official validation part beside the reported one."""
    if protocol.test == "val" or protocol.published_select == "test":
        return False
    return fold in shards.manifest.table.column_names and "val" in shards.manifest.column(fold)


def evaluation_of(out: Path, protocol: Protocol, fold: str, column: str) -> Path:
    """Folder of the score of one fold in one column."""
    return out / protocol.fold_name(fold) / f"{column}-evaluation"


def score_once(
    model: Model,
    shards: Shards,
    out: Path,
    scoring: Scoring,
    device: torch.device | None = None,
    label_map: LabelMap | None = None,
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
        "columns": {column: _column(out, protocol, shards, column) for column in COLUMNS},
    }  # fmt: skip


def _column(out: Path, protocol: Protocol, shards: Shards, column: str) -> dict[str, Any]:
    places = {fold: evaluation_of(out, protocol, fold, column) for fold in protocol.folds}
    places = {fold: place for fold, place in places.items() if (place / "evaluation.json").is_file()}
    result: dict[str, Any] = {
        "selection": selection(out, protocol, shards, column),
        "missing_folds": [fold for fold in protocol.folds if fold not in places],
        "chosen_on_test": column == "paper" and protocol.published_select == "test",
    }
    if not places:
        return result
    results = {fold: json.loads((place / "evaluation.json").read_text()) for fold, place in places.items()}
    together = _pooled(list(places.values()), list(results.values()))
    names = _metric_names(protocol, together)
    result["pooled"] = {k: v for k, v in together.items() if k in KEPT or k.removesuffix("_95") in names}
    result["mean_of_folds"] = {m: _mean([float(number_of(r, m) or 0.0) for r in results.values()]) for m in names}
    result["folds"] = [{"fold": fold, **_fold(r, names)} for fold, r in results.items()]
    return result


def _fold(result: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    facts = result["provenance"]
    return {
        **{m: number_of(result, m) for m in names}, "num_videos": result["num_videos"], "num_failed": result["num_failed"],
        "views": facts["views"], "model": facts["checkpoint_hash"], "audit": result["audit"],
        "contract_mismatch": result["contract_mismatch"],
    }  # fmt: skip


def _mean(values: list[float]) -> dict[str, float | None]:
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def _pooled(places: list[Path], results: list[dict[str, Any]]) -> dict[str, Any]:
    """The score of all folds' predictions together, as the papers pool them."""
    names = tuple(results[0]["names"])
    same = all(tuple(r["names"]) == names for r in results)
    require(same, "the folds' models have different classes: they cannot be pooled")
    kind = KINDS[results[0]["kind"]]
    together = pooled([kind.read(place / "predictions.parquet", names) for place in places])
    return kind.score(together, kind.spec_of(results[0]))


def _metric_names(protocol: Protocol, result: Mapping[str, Any]) -> list[str]:
    """Every metric of a score, per target ones as "ccc:arousal"."""
    targets = result.get("per_target", ())
    return [m for name in KINDS[protocol.kind].metrics for m in (name, *(f"{name}:{t}" for t in targets))]


def selection(out: Path, protocol: Protocol, shards: Shards, column: str) -> str:
    """In words: which weights were taken, and what they were trained on."""
    official = {fold: has_validation(protocol, shards, fold) for fold in protocol.folds}
    if column == "strict":
        people = "subjects" if any(shards.manifest.column("subject")) else "clips, for nobody is named,"
        held_out = f"held-out training {people} (15 %, not trained on)"
        chosen = "the official validation part" if any(official.values()) else held_out
        return f"best epoch on {chosen}; the test list was touched once"
    if protocol.published_select == "test":
        return f"CHOSEN ON TEST DATA, as the publication did: {protocol.selection}"
    halved = any((out / protocol.fold_name(f) / "strict" / "last").is_dir() and not own for f, own in official.items())
    return protocol.selection + ("; trained without the held-out subjects (--single-run)" if halved else "")
