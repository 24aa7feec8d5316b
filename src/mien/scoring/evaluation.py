"""Scoring a model folder of any kind on a part of shards: classifiers, regressors and traits, per clip and per frame."""

from __future__ import annotations

import csv
import json
import platform
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from mien import __version__
from mien.config import to_json, write_json
from mien.corpora.record import read_record
from mien.data.contract import check_contract
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.select import class_indices, in_split, item_of, label_name, labelled, main_tracks
from mien.data.shards import Shards
from mien.errors import UserError, require
from mien.models import Model
from mien.scoring import classification, regression
from mien.scoring.audit import leaks, verdict
from mien.scoring.classification import FrameScoring, Predictions
from mien.scoring.figures import draw_confusion, draw_scatter
from mien.scoring.label_map import LabelMap
from mien.scoring.options import Scoring
from mien.scoring.regression import Values

LIBRARIES = ("torch", "numpy", "pyarrow", "simplejpeg", "scikit-learn", "scipy", "torchmetrics")


@dataclass(frozen=True)
class _Part:
    """The rows that are scored, and what is known of them."""

    spec: LabelSpec
    ok: Manifest
    failed: Manifest
    column: str
    left_out: dict[str, int]
    label_map: LabelMap | None


def evaluate(
    folder: Model,
    shards: Shards,
    out: Path,
    scoring: Scoring | None = None,
    device: torch.device | None = None,
    label_map: LabelMap | None = None,
) -> dict[str, Any]:
    """Scores a model on one split and writes ``evaluation.json``, ``predictions.parquet`` (and ``.csv`` per clip) and a
    picture to `out`.

    Videos of the split that gave no face or cannot be decoded stay in every number, as errors (classifier) or with the middle of
    the range (regressor per clip; the annotation of frames without a face is not in the shards), and are listed in ``failed``.

    Raises:
        UserError: no such model, another crop geometry, no such split or column, labels the model does not know.
    """
    scoring = scoring or Scoring()
    spec: LabelSpec | None = getattr(folder.module, "spec", None)
    if spec is None:
        raise UserError(
            f"{folder.path} is a pre-training model: fine-tune it first (mien finetune --init {folder.path})"
        )
    warning = check_contract(spec, shards.contract, scoring.allow_contract_mismatch)
    part = _part(folder, spec, shards, scoring, label_map)
    where = device or torch.device("cpu")
    if spec.kind == "categorical":
        predictions: Predictions | Values = _classes(folder, shards, part, scoring, where)
        names = label_map.classes if label_map else spec.names
        result = classification.score(predictions, names, scoring.seed)
        silent = [i for i, k in zip(predictions.items, predictions.predicted, strict=True) if k == len(names)]
    else:
        require(label_map is None, "--label-map is for classifiers; this model predicts numbers")
        predictions = _values(folder, shards, part, scoring, where)
        names = spec.names
        result = regression.score(predictions, spec, scoring.seed)
        silent = regression.unpredicted(predictions)
    audit = seen_in_training(folder, shards, part.ok) + verdict(leaks(shards, part.column))
    result |= {
        "kind": spec.kind, "per": spec.per, "failed": _failed(part.failed, silent), "left_out": part.left_out,
        "label_map": label_map and asdict(label_map), "smooth_s": scoring.smooth_s,
        "target": part.spec.column, "split": f"{part.column}={scoring.split}", "group_by": scoring.group_by,
        "contract_mismatch": warning, "audit": audit, "corpus": corpus_of(shards.root),
        "trained_on": trained_on(folder), "scoring": to_json(scoring),
        "provenance": provenance(folder, shards, scoring.seed),
    }  # fmt: skip
    _write(out, result, predictions, names)
    return result


def _part(folder: Model, spec: LabelSpec, shards: Shards, scoring: Scoring, label_map: LabelMap | None) -> _Part:
    """Rows of the split that have a label. Raises UserError where none has a face."""
    column = scoring.split_column or folder.provenance.split
    rows = shards.manifest if scoring.split == "all" else in_split(shards.manifest, scoring.split, column)
    left_out: dict[str, int] = {}
    if spec.kind == "categorical":
        spec = replace(spec, target=(scoring.target,) if scoring.target else spec.target)
        if spec.per == "clip":
            rows = labelled(rows, spec.column)
            if label_map:
                label_map.check({label_name(v) for v in rows.column(spec.column)}, spec.names)
                rows, left_out = label_map.labels(rows, spec.column)
        else:
            require(label_map is None, "--label-map is for models per clip")
    elif spec.per == "clip":
        columns = [rows.column(name) for name in spec.names]
        rows = rows.take([i for i in range(len(rows)) if any(c[i] is not None for c in columns)])
        require(len(rows) > 0, f"no row of {column} {scoring.split!r} has a number in {', '.join(spec.names)}")
    ok = rows.ok()
    if not len(ok):
        raise UserError(
            f"none of the {len(rows)} rows of {column} {scoring.split!r} has a face; see manifest.parquet, column reason"
        )
    return _Part(spec, ok, rows.where(lambda r: r["status"] != "ok"), column, left_out, label_map)


def _classes(folder: Model, shards: Shards, part: _Part, scoring: Scoring, device: torch.device) -> Predictions:
    model, spec, batch = folder.module, part.spec, scoring.batch_size
    if spec.per == "frame":
        record = read_record(shards.root)
        frames = FrameScoring(
            record.classes if record and record.classes else spec.names, scoring.fill, scoring.smooth_s
        )
        return classification.predict_annotated_frames(
            model, spec, frames, shards, part.ok, batch, device, faceless=part.failed
        )
    require(scoring.smooth_s == 0, "--smooth-s is for classes of frames")
    ok, failed = part.ok, part.failed
    if part.label_map:
        # the model's classes are not the common ones: predict first, then give the true classes
        per_item = _mapped(folder, spec, shards, ok, part.label_map, batch, device)
        spec = replace(spec, names=part.label_map.classes)
    else:
        per_item = classification.predict_items(model, spec, shards, ok, batch, device)
    found = classification.with_failures(per_item, failed, spec)
    if scoring.group_by is None:
        return found
    group = _groups([*ok.rows(), *failed.rows()], scoring.group_by)
    return classification.grouped(found, [group[i] for i in found.items])


def _mapped(
    folder: Model,
    spec: LabelSpec,
    shards: Shards,
    rows: Manifest,
    table: LabelMap,
    batch: int,
    device: torch.device,
) -> Predictions:
    """Predictions of the common classes."""
    first = spec.names[0]
    stand_in = Manifest.from_rows([{**row, spec.column: first} for row in rows.rows()])
    raw = classification.predict_items(folder.module, spec, shards, stand_in, batch, device)
    main = main_tracks(rows)
    truth = dict(
        zip(map(item_of, main.column("clip_id")), class_indices(main, spec.column, table.classes), strict=True)
    )
    return Predictions(
        raw.items,
        raw.subjects,
        np.array([truth[i] for i in raw.items], np.int64),
        table.fold(raw.probabilities, spec.names),
    )


def _groups(rows: list[dict[str, Any]], column: str) -> dict[str, str]:
    """Item name to its group. Raises UserError for a missing column or an empty cell."""
    require(column in rows[0], f"--group-by {column}: the manifest has no such column")
    empty = [r["clip_id"] for r in rows if r[column] in (None, "")]
    require(not empty, f"--group-by {column}: empty for {len(empty)} clips, such as {empty[0] if empty else ''}")
    return {r["clip_id"] if r["status"] != "ok" else item_of(r["clip_id"]): str(r[column]) for r in rows}


def _values(folder: Model, shards: Shards, part: _Part, scoring: Scoring, device: torch.device) -> Values:
    require(scoring.smooth_s == 0, "--smooth-s is for classes of frames")
    require(scoring.group_by is None, "--group-by is for classifiers: numbers of clips are not averaged")
    found = regression.predict_items(folder.module, shards, part.ok, scoring.batch_size, device)
    found = regression.with_failures(found, part.failed, part.spec)
    known = np.isfinite(np.concatenate(found.truth)).sum(axis=0)
    few = [name for name, count in zip(part.spec.names, known, strict=True) if count < 2]
    require(not few, f"{', '.join(few)}: fewer than two annotated values in {part.column} {scoring.split!r}")
    return found


def _failed(failed: Manifest, silent: list[str]) -> list[dict[str, str]]:
    """Name and reason of everything that could not be predicted; groups and unreadable clips are in `silent` only."""
    named = {r["clip_id"]: r["reason"] or r["status"] for r in failed.rows()}
    extra = {item: "its frames cannot be decoded" for item in dict.fromkeys(silent) if item not in named}
    return [{"item": item, "reason": reason} for item, reason in {**named, **extra}.items()]


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


def _write(out: Path, result: dict[str, Any], predictions: Predictions | Values, names: tuple[str, ...]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").unlink(missing_ok=True)  # of an earlier one; what follows is no longer its own
    table = predictions.table(names)
    pq.write_table(table, out / "predictions.parquet")
    if result["per"] == "clip":
        with open(out / "predictions.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(table.column_names)
            writer.writerows([_cell(v) for v in row.values()] for row in table.to_pylist())
    note = "\n(contract mismatch allowed)" if result["contract_mismatch"] else ""
    if isinstance(predictions, Predictions):
        title = (
            f"UAR {100 * result['uar']:.1f} %, WAR {100 * result['war']:.1f} %, {result['num_videos']} {_unit(result)}"
        )
        draw_confusion(np.array(result["confusion"]), names, out / "confusion.png", title + note)
    else:
        title = f"CCC {result['ccc']:.3f}, {result['num_videos']} videos{note}"
        draw_scatter(
            np.concatenate(predictions.truth), np.concatenate(predictions.predicted), names, out / "scatter.png", title
        )
    write_json(out / "evaluation.json", result)  # last: where it is, all is


def _unit(result: dict[str, Any]) -> str:
    return "frames" if result["per"] == "frame" else "videos"


def _cell(value: Any) -> Any:
    if value is None or value != value:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else value
