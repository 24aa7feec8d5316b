"""Scoring a classifier: clips per video, softmax averaged, one prediction per labelled video (SVFAP 4.1.2)."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mien import __version__
from mien.config import to_json
from mien.data.contract import check_contract
from mien.data.manifest import Manifest
from mien.data.select import class_indices, in_split, labelled, main_tracks
from mien.data.shards import Shards
from mien.evaluate.figures import draw_confusion
from mien.evaluate.metrics import bootstrap, confusion, scores
from mien.models import ModelFolder
from mien.protocols._predict import members_of, predict_rows
from mien.types import LabelSpec, UserError

LIBRARIES = ("torch", "numpy", "pyarrow", "simplejpeg", "scikit-learn")


@dataclass(frozen=True)
class Predictions:
    """One entry per labelled video: its name, subject, true class and probabilities ``[n, K]``."""

    items: list[str]
    subjects: list[str | None]
    truth: np.ndarray
    probabilities: np.ndarray


def predict_items(
    model: nn.Module,
    spec: LabelSpec,
    shards: Shards,
    rows: Manifest,
    batch_size: int,
    device: torch.device,
    workers: int = 2,
) -> Predictions:
    """Probabilities per labelled video: the mean over its rows (a long video has several)."""
    rows = main_tracks(rows)
    per_row = predict_rows(model, shards, rows, batch_size, device, workers)
    truth = class_indices(rows, spec.target, spec.names)
    members = members_of(rows)
    firsts, subjects = [m[0] for m in members.values()], rows.column("subject")
    frames = np.array(rows.column("num_frames"))  # the last row of a long video may hold a handful of frames
    averaged = np.stack([np.average(per_row[m], axis=0, weights=frames[m]) for m in members.values()])
    return Predictions(list(members), [subjects[i] for i in firsts], truth[firsts], averaged)


def score(predictions: Predictions, names: tuple[str, ...], seed: int = 0) -> dict[str, Any]:
    """UAR, WAR, recalls, confusion matrix and 95 % intervals; people are resampled where at least five are named."""
    predicted = predictions.probabilities.argmax(axis=1)
    matrix = confusion(predictions.truth, predicted, len(names))
    result = scores(matrix)
    by_subject = None not in predictions.subjects and len(set(predictions.subjects)) >= 5
    intervals = bootstrap(predictions.truth, predicted, len(names), seed, predictions.subjects if by_subject else None)
    return {
        "uar": result.uar,
        "war": result.war,
        "uar_95": [intervals["uar"].low, intervals["uar"].high],
        "war_95": [intervals["war"].low, intervals["war"].high],
        "resampled": "subjects" if by_subject else "clips",
        "num_videos": len(predictions.items),
        "recall": {n: (None if np.isnan(r) else r) for n, r in zip(names, result.recall, strict=True)},
        "confusion": matrix.tolist(),
    }


def evaluate(
    folder: ModelFolder,
    shards: Shards,
    out: Path,
    split: str = "test",
    split_column: str | None = None,
    target: str | None = None,
    batch_size: int = 32,
    device: torch.device | None = None,
    allow_mismatch: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Scores a classifier on one split and writes ``evaluation.json``, ``predictions.csv`` and ``confusion.png`` to `out`.

    Videos of the split that gave no face count as errors in ``war_with_failures`` and are listed.

    Raises:
        UserError: no classifier, another crop geometry, no such split or column, labels the model does not know.
    """
    spec = getattr(folder.model, "spec", None)
    if spec is None:
        raise UserError(
            f"{folder.path} is a pre-training model: fine-tune it first (mien finetune --init {folder.path})"
        )
    spec = replace(spec, target=target or spec.target)
    warning = check_contract(spec, shards.contract, allow_mismatch)
    split_column = split_column or folder.provenance.split
    chosen = labelled(in_split(shards.manifest, split, split_column), spec.target)
    usable = chosen.ok()
    if not len(usable):
        raise UserError(
            f"none of the {len(chosen)} rows of split {split!r} has a face; see manifest.parquet, column reason"
        )
    predictions = predict_items(folder.model, spec, shards, usable, batch_size, device or torch.device("cpu"))
    result = score(predictions, spec.names, seed)
    failed = [{"item": r["clip_id"], "reason": r["reason"]} for r in chosen.rows() if r["status"] != "ok"]
    result["war_with_failures"] = result["war"] * len(predictions.items) / (len(predictions.items) + len(failed))
    result |= {
        "failed": failed,
        "target": spec.target,
        "split": f"{split_column}={split}",
        "names": list(spec.names),
        "contract_mismatch": warning,
        "provenance": provenance(folder, shards, seed),
    }
    _write(out, result, predictions, spec.names)
    return result


def provenance(folder: ModelFolder, shards: Shards, seed: int) -> dict[str, Any]:
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
        "data_hash": shards.manifest.hash,
        "seed": seed,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
    }


def _write(out: Path, result: dict[str, Any], predictions: Predictions, names: tuple[str, ...]) -> None:
    import csv

    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n")
    with open(out / "predictions.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "subject", "label", "predicted", *[f"p_{n}" for n in names]])
        rows = zip(predictions.items, predictions.subjects, predictions.truth, predictions.probabilities, strict=True)
        for item, subject, truth, p in rows:
            writer.writerow([item, subject or "", names[truth], names[p.argmax()], *[f"{v:.6f}" for v in p]])
    title = f"UAR {100 * result['uar']:.1f} %, WAR {100 * result['war']:.1f} %, {result['num_videos']} videos"
    if result["contract_mismatch"]:
        title += "\n(contract mismatch allowed)"
    draw_confusion(np.array(result["confusion"]), names, out / "confusion.png", title)
