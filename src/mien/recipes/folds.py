"""All folds of a benchmark: fine-tuned one after the other, scored, pooled, in two columns.

**paper**: trained on the whole training list, and the epoch taken that the publication took. **strict**: the best epoch on
held-out training subjects (the official validation part where there is one that is not reported on), and the test list touched
once, by those weights. Where there is such a validation part both columns come from one run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mien import __version__
from mien.config import to_json, write_json
from mien.corpora.record import read_record
from mien.data.dataset import ClipSet
from mien.data.manifest import Manifest
from mien.data.segments import frame_values
from mien.data.select import clip_values, in_split
from mien.data.shards import Shards
from mien.encoders.table import EncoderConfig
from mien.errors import UserError, require
from mien.models import load
from mien.models.folder import model_hash
from mien.recipes.finetune import Validation, finetune
from mien.recipes.sequence import SequenceRecipe
from mien.recipes.supervised import ClassifyRecipe, FinetuneData, TaskRecipe
from mien.scoring import classification, regression
from mien.scoring.evaluation import evaluate
from mien.scoring.label_map import LabelMap
from mien.scoring.metrics import CLASS_METRICS
from mien.scoring.options import Scoring
from mien.scoring.protocols import Protocol, chosen_folds, number_of
from mien.scoring.values import VALUE_METRICS
from mien.train.distributed import is_main, pick_device

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


@dataclass(frozen=True)
class Init:
    """What every fold starts from, and what it is called."""

    init: str | None = None
    encoder: EncoderConfig | None = None
    size: int = 96
    device: str = "auto"
    name: str = "classify"


def check(recipe: TaskRecipe, data: FinetuneData, protocol: Protocol) -> TaskRecipe:
    """The recipe as the protocol needs it.

    Raises:
        UserError: options that the protocol sets, a recipe of another kind, shards of another corpus.
    """
    plain = FinetuneData(data.data)
    for name in ("target", "split", "select"):
        same = getattr(data, name) == getattr(plain, name)
        require(same, f"--protocol {protocol.name} sets --{name}: leave it out")
    classifies = isinstance(recipe, ClassifyRecipe)
    wanted = "a classifier" if protocol.kind == "categorical" else "a regression"
    require(classifies == (protocol.kind == "categorical"), f"protocol {protocol.name} is {wanted}: take such a recipe")
    single = isinstance(recipe, ClassifyRecipe) and recipe.frames is not None
    require(protocol.per == "frame" or not single, f"protocol {protocol.name} is of clips: take a recipe of clips")
    record = read_record(data.data)
    if record and record.name != protocol.corpus:
        raise UserError(f"{data.data} holds {record.name}, the protocol is of {protocol.corpus}")
    if isinstance(recipe, SequenceRecipe):
        require(protocol.per == "frame", f"protocol {protocol.name} is of clips: take a recipe of clips")
        return recipe
    return replace(recipe, per=protocol.per)


def finetune_folds(
    recipe: TaskRecipe,
    data: FinetuneData,
    out: Path,
    protocol: Protocol,
    fold: str = "all",
    start: Init | None = None,
    single_run: bool = False,
) -> Path:
    """Runs the folds that are not finished, scores them, and writes ``OUT/protocol.json``.

    Args:
        fold: "all", or a number from 1.
        single_run: one run per fold for both columns: halves the cost, and the paper column is then trained without the
            held-out subjects, which it says.

    Raises:
        UserError: as `check` and `finetune`.
    """
    recipe, start = check(recipe, data, protocol), start or Init()
    shards, columns = Shards(data.data), chosen_folds(protocol, fold)
    for column in columns:  # all of them before the first is trained
        _check_annotated(
            in_split(shards.manifest, protocol.test, column), shards, protocol, f"{column}={protocol.test}"
        )
    for column in columns:
        place = out / protocol.fold_name(column)
        one = single_run or _has_validation(shards, protocol, column)
        for kind in COLUMNS:
            model = _run(recipe, data, place, protocol, column, kind, start, one)
            if is_main():
                scoring = Scoring(
                    protocol.test, column, group_by=protocol.group_by, batch_size=recipe.train.batch_size,
                    fill=kind == "strict",  # the paper column leaves frames without a face out, as the publication did
                )  # fmt: skip
                score_once(model, shards, place / f"{kind}-evaluation", scoring, start.device)
    path = out / "protocol.json"
    if is_main():
        write_json(path, summary(out, protocol, shards))
    return path


def _check_annotated(rows: Manifest, shards: Shards, protocol: Protocol, part: str) -> None:
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
        f"{shards.root}: {part} has no {', '.join(few)}, so protocol {protocol.name} cannot score it; without --protocol, "
        "train on the rest and score another part (mien evaluate --split val)",
    )


def _has_validation(shards: Shards, protocol: Protocol, column: str) -> bool:
    """Whether there is an official validation part beside the reported one."""
    if protocol.test == "val" or protocol.published_select == "test":
        return False
    return column in shards.manifest.table.column_names and "val" in shards.manifest.column(column)


def _run(
    recipe: TaskRecipe,
    data: FinetuneData,
    place: Path,
    protocol: Protocol,
    column: str,
    kind: str,
    start: Init,
    one: bool,
) -> Path:
    """The model folder of one fold and column."""
    rows = replace(data, target=protocol.targets, split=column)
    held = Validation("auto" if protocol.test != "val" else "held out", protocol.test, keep_last=one)
    if kind == "strict" or one:
        model = finetune(recipe, replace(rows, select="best"), place / "strict", start.init, start.encoder, start.size,
                         start.device, start.name, held)  # fmt: skip
        return model if kind == "strict" else place / "strict" / "last"
    reported = Validation("test", protocol.test) if protocol.published_select == "test" else None
    rows = replace(rows, select="best" if reported else "last")
    return finetune(
        recipe, rows, place / "paper", start.init, start.encoder, start.size, start.device, start.name, reported
    )


def score_once(
    model: Path, shards: Shards, out: Path, scoring: Scoring, device: str, label_map: LabelMap | None = None
) -> None:
    """Scores a model; a second call with the same weights, data and settings does nothing."""
    path = out / "evaluation.json"
    if path.is_file():
        made = json.loads(path.read_text())
        now = (model_hash(model), shards.hash, to_json(scoring), label_map and asdict(label_map))
        facts = made["provenance"]
        if (facts["checkpoint_hash"], facts["data_hash"], made.get("scoring"), made.get("label_map")) == now:
            return
    evaluate(load(model), shards, out, scoring, pick_device(device), label_map)


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
        part = any(_has_validation(shards, protocol, c) for c in protocol.folds)
        people = "subjects" if any(shards.manifest.column("subject")) else "clips, for nobody is named,"
        chosen = "the official validation part" if part else f"held-out training {people} (15 %, not trained on)"
        return f"best epoch on {chosen}; the test list was touched once"
    if protocol.published_select == "test":
        return f"CHOSEN ON TEST DATA, as the publication did: {protocol.selection}"
    halved = any(
        (out / protocol.fold_name(c) / "strict" / "last").is_dir() and not _has_validation(shards, protocol, c)
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
