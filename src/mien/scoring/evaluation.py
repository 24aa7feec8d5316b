"""Scoring a model folder of any kind on a part of shards: classifiers, regressors and traits, per clip and per frame."""

from __future__ import annotations

import csv
import json
import platform
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from mien import __version__
from mien.config import to_json, write_json
from mien.corpora.record import read_record
from mien.data.contract import check_contract
from mien.data.manifest import Manifest
from mien.data.select import in_split, label_name
from mien.data.shards import Shards
from mien.errors import require
from mien.models import Model
from mien.scoring.audit import leaks, verdict
from mien.scoring.inference import Inference
from mien.scoring.kind import Scored
from mien.scoring.label_map import LabelMap
from mien.scoring.options import Scoring
from mien.scoring.predictions import Predictions
from mien.scoring.scores import Scores
from mien.scoring.table import KINDS
from mien.tasks.movements import MovementsConfig

LIBRARIES = ("torch", "numpy", "pyarrow", "simplejpeg", "scikit-learn", "scipy")


def evaluate(
    folder: Model,
    shards: Shards,
    out: Path,
    scoring: Scoring | None = None,
    device: torch.device | None = None,
    label_map: LabelMap | None = None,
) -> Scores:
    """Scores a model on one split and writes ``evaluation.json``, ``predictions.parquet`` (and ``.csv`` per clip) and a
    picture to `out`.

    Videos of the split that gave no face or cannot be decoded stay in every number, as errors (classifier) or with the middle of
    the range (regressor per clip; the annotation of frames without a face is not in the shards), and are listed in ``failed``.

    Raises:
        UserError: no such model, another crop geometry, no such split or column, labels the model does not know.
    """
    scoring, how = scoring or Scoring(), Inference(device=device or torch.device("cpu"))
    how, column = replace(how, batch_size=scoring.batch_size), scoring.split_column or folder.provenance.split
    part = f"{column} {scoring.split!r}"
    scored, left_out, warning = _scored(folder, shards, scoring, label_map, column, part)
    kind, spec = KINDS[scored.spec.kind], scored.spec
    predictions = kind.predict(scored, scoring, how)
    bare = kind.bare(predictions.truth, spec.names)
    require(not bare, f"{', '.join(bare)}: fewer than two annotated values in {part}")
    result = kind.score(predictions, spec, scoring.seed)
    own = adapted(folder, scored.ok)
    audit = own + seen_in_training(folder, shards, scored.ok) + verdict(leaks(shards, column))
    why = UNSEEN if isinstance(folder.config, MovementsConfig) else BROKEN
    result |= {
        "kind": spec.kind, "per": spec.per, "failed": failures(scored.failed, predictions, why), "left_out": left_out,
        "label_map": label_map and asdict(label_map), "smooth_s": scoring.smooth_s,
        "target": spec.column, "split": f"{column}={scoring.split}", "group_by": scoring.group_by,
        "contract_mismatch": warning, "audit": audit, "per_person": bool(own), "corpus": corpus_of(shards.root),
        "trained_on": trained_on(folder), "scoring": to_json(scoring),
        "provenance": provenance(folder, shards, scoring.seed),
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").unlink(missing_ok=True)  # of an earlier one; what follows is no longer its own
    write_table(out, kind.table(predictions, spec.names), spec.per)
    kind.draw(result, predictions, out, "\n(contract mismatch allowed)" if warning else "")
    write_json(out / "evaluation.json", result)  # last: where it is, all is
    return Scores(result)


def _scored(
    folder: Model, shards: Shards, scoring: Scoring, label_map: LabelMap | None, column: str, part: str
) -> tuple[Scored, dict[str, int], str | None]:
    """What is scored, how many rows of each label are left out, and how the crops differ where they may."""
    spec = folder.spec
    hint = f"fine-tune it first (mien finetune --init {folder.path})"
    require(spec is not None, f"{folder.path} is a pre-training model: {hint}")
    assert spec is not None
    warning, kind = check_contract(spec, shards.contract, scoring.allow_contract_mismatch), KINDS[spec.kind]
    spec = kind.asked(spec, scoring, label_map is not None)
    rows = shards.manifest if scoring.split == "all" else in_split(shards.manifest, scoring.split, column)
    rows, left_out = kind.labelled(rows, spec, part) if spec.per == "clip" else rows, {}
    if label_map:
        label_map.check({label_name(v) for v in rows.column(spec.column)}, spec.names)
        rows, left_out = label_map.labels(rows, spec.column)
        spec = replace(spec, names=label_map.classes)
    ok, failed = rows.ok(), rows.where(lambda r: r["status"] != "ok")
    require(len(ok) > 0, f"none of the {len(rows)} rows of {part} has a face; see manifest.parquet, column reason")
    return Scored(folder.module, spec, shards, ok, failed, label_map), left_out, warning


UNSEEN = "its face is seen on fewer than a third of its frames"
BROKEN = "its frames cannot be decoded"


def failures(failed: Manifest, predictions: Predictions, why: str) -> list[dict[str, str]]:
    """Name and reason of everything that could not be predicted; groups and unreadable clips have a prediction that is none."""
    reasons = {r["clip_id"]: r["reason"] or r["status"] for r in failed.rows()}
    for item, known in zip(predictions.items, predictions.known, strict=True):
        if not known:
            reasons.setdefault(item, why)
    return [{"item": item, "reason": reason} for item, reason in reasons.items()]


def corpus_of(root: Path) -> str:
    """Name of the corpus that shards hold; of their folder where they are of none."""
    record = read_record(root)
    return record.name if record else root.name or root.resolve().name


def seen_in_training(folder: Model, shards: Shards, rows: Manifest) -> str:
    """How many of the rows the model was trained on, as far as its folder tells: where it was trained on the same manifest."""
    column = folder.provenance.split
    if shards.hash not in folder.provenance.data or column not in rows.table.column_names:
        return ""
    count = rows.column(column).count("train")
    return f"{count} of {len(rows)} scored clips are of the part it was trained on ({column}=train); " if count else ""


def adapted(folder: Model, rows: Manifest) -> str:
    """What a model took of the scored clips themselves: their people's means, "" for nothing."""
    return adapted_rows(folder.config, rows)


def adapted_rows(config: Any, rows: Manifest) -> str:
    """The same of a config."""
    if not (isinstance(config, MovementsConfig) and config.per_person):
        return ""
    people = {p for p in rows.column("subject") if p}
    return f"each of {len(people)} people's own mean over their scored clips was taken off (--per-person; no labels); "


def trained_on(folder: Model) -> str:
    """Corpus (or folder) a model was fine-tuned on, from the run it lies in; "" for a model that was moved."""
    path = folder.path.parent / "experiment.json"
    if not path.is_file():
        return ""
    data = json.loads(path.read_text())["resolved"]["data"]
    return data.get("corpus") or Path(data.get("shards", "")).name


def provenance(folder: Model, shards: Shards, seed: int) -> dict[str, Any]:
    """What a number needs to be repeated."""
    return {
        "mien": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": str(folder.path),
        "checkpoint_hash": folder.hash,
        "training": to_json(folder.provenance),
        "views": folder.config.spec.views,
        "contract": to_json(shards.contract),
        "contract_hash": shards.contract.geometry.hash,
        "data": str(shards.root),
        "data_hash": shards.hash,
        "seed": seed,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
    }


def write_table(out: Path, table: pa.Table, per: str) -> None:
    """All of it exact; of clips also for reading."""
    pq.write_table(table, out / "predictions.parquet")
    if per == "frame":
        return
    with open(out / "predictions.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.column_names)
        writer.writerows([_cell(v) for v in row.values()] for row in table.to_pylist())


def _cell(value: Any) -> Any:
    if value is None or value != value:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else value
