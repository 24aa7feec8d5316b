"""Features of every clip, and the t-SNE picture of them (MAE-DFER Fig. 5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from mien import __version__
from mien.config import to_json
from mien.data.contract import check_features
from mien.data.dataset import ClipSet
from mien.data.labels import LabelSpec
from mien.data.loader import Batch
from mien.data.manifest import Manifest
from mien.data.shards import Shards
from mien.data.view import View, evaluation_view
from mien.errors import require
from mien.models import Model
from mien.rng import generator
from mien.scoring.inference import Inference
from mien.tasks.movements import MovementsConfig

COLUMNS = ("clip_id", "source", "track", "subject", "split")
VIEWS = 2  # of a pre-training model: the papers' number of test clips, as a classifier's default
MIN_CLIPS, MAX_CLASSES = 5, 20
GREY = "0.8"


def embed_rows(folder: Model, shards: Shards, rows: Manifest, how: Inference) -> tuple[np.ndarray, int]:
    """Features float32 ``[n, D]`` per manifest row, the mean over its views, and how many views these are. Only the features
    grow with the number of rows."""
    reads = isinstance(folder.config, MovementsConfig)
    require(not reads, f"{folder.path} reads movements, not pixels: there are no features of an encoder to write")
    view, num_views = view_of(folder, rows)
    folder.module.eval().to(how.device)

    def features(batch: Batch) -> np.ndarray:
        found = folder.features(batch["clip"])
        return (found if found.ndim == 2 else found.mean(dim=1)).float().cpu().numpy() / num_views

    total: np.ndarray | None = None
    for windows, found in how.over(ClipSet(shards, rows), {"clip": view}, features, num_views, strict=True):
        total = np.zeros((len(rows), found.shape[1]), np.float32) if total is None else total
        np.add.at(total, [w.row for w in windows], found)
    assert total is not None, "a ClipSet has rows"
    return total, num_views


def view_of(folder: Model, rows: Manifest) -> tuple[View, int]:
    """How evaluation looks at clips of these rows, and at how many places of each."""
    learner: Any = folder.module
    views = folder.spec.views if folder.spec else VIEWS
    return evaluation_view(folder.config.sees, learner.plain_augment(), rows), views


def write_features(path: Path, rows: Manifest, features: np.ndarray, provenance: dict[str, Any]) -> None:
    """A Parquet file with `COLUMNS`, the label columns and ``feature`` (list of float32); JSON under the key ``mien``."""
    table = rows.table.select([*COLUMNS, *rows.labels])
    offsets = pa.array(np.arange(len(features) + 1, dtype=np.int32) * features.shape[1])
    table = table.append_column("feature", pa.ListArray.from_arrays(offsets, pa.array(features.reshape(-1))))
    table = table.replace_schema_metadata({"mien": json.dumps(provenance)})
    temporary = path.with_suffix(".tmp")
    pq.write_table(table, temporary)
    temporary.replace(path)


def tsne(features: np.ndarray, seed: int) -> np.ndarray:
    """Places ``[n, 2]`` of ``[n, D]`` features, n at least `MIN_CLIPS`."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(features) - 1) / 3)
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(scaled.astype(np.float64))


def groups_of(values: Sequence[Any]) -> tuple[list[str], np.ndarray]:
    """Legend entries and the entry of each clip: the commonest classes, then "other" and "no label"."""
    names = ["no label" if v is None or v == "" or v != v else str(v) for v in values]
    counts = {n: names.count(n) for n in set(names) - {"no label"}}
    shown = sorted(sorted(counts, key=lambda n: (-counts[n], n))[:MAX_CLASSES])
    folded = [n if n in (*shown, "no label") else "other" for n in names]
    entries = [*shown, *(n for n in ("other", "no label") if n in folded)]
    return entries, np.array([entries.index(n) for n in folded])


def draw_tsne(places: np.ndarray, values: Sequence[Any], target: str | None, path: Path, title: str) -> None:
    """The places ``[n, 2]`` coloured by the column's values: classes with a legend, many different numbers with a scale, grey
    where there is none. Without a target they have one colour."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6.5), layout="constrained")
    axes = figure.add_subplot()
    given = np.array([v is not None and v == v for v in values], bool)
    numbers = [v for v, there in zip(values, given, strict=True) if there]
    if target is None:
        axes.scatter(*places.T, s=14)
    elif all(isinstance(v, int | float) for v in numbers) and len(set(numbers)) > MAX_CLASSES:
        axes.scatter(*places[~given].T, color=GREY, s=14)
        points = axes.scatter(*places[given].T, c=np.array(numbers, float), s=14, cmap="viridis")
        figure.colorbar(points, ax=axes, label=target, shrink=0.8)
    else:
        entries, index = groups_of(values)
        colors = colormaps["tab20" if len(entries) > 10 else "tab10"]
        for k, name in enumerate(entries):
            color = GREY if name == "no label" else colors(k % colors.N)
            axes.scatter(*places[index == k].T, color=color, s=14, label=f"{name} ({(index == k).sum()})")
        axes.legend(title=target, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.set(xticks=[], yticks=[], title=title)
    figure.savefig(path, dpi=120)


def embed(
    folder: Model,
    shards: Shards,
    out: Path,
    target: str | None = None,
    split: str | None = None,
    batch_size: int = 32,
    device: torch.device | None = None,
    allow_mismatch: bool = False,
    picture_clips: int = 3000,
    seed: int = 0,
) -> dict[str, Any]:
    """Writes ``features.parquet`` and ``tsne.png`` to `out`; returns what is in the Parquet file's metadata.

    Args:
        target: column that colours the picture; None takes the classifier's target, or ``label``, and one colour where the
            manifest has no such column.
        split: only rows whose split says so.
        picture_clips: at most so many clips are drawn, picked by the seed: t-SNE takes minutes for ten thousand.

    Raises:
        UserError: no clips, no such column, crops that do not serve the model.
    """
    require(picture_clips >= MIN_CLIPS, f"--picture-clips {picture_clips}: give {MIN_CLIPS} or more")
    require(batch_size >= 1, f"--batch-size {batch_size}: give 1 or more")
    mismatch = check_features(folder.config, folder.provenance.contracts, shards, allow_mismatch)
    rows, spec = _rows(shards, split), folder.spec
    target = target or _usual_target(spec, rows)
    values = rows.column(target) if target else [None] * len(rows)
    how = Inference(batch_size, device or torch.device("cpu"))
    features, views = embed_rows(folder, shards, rows, how)
    provenance = {
        "mien": __version__, "model": str(folder.path), "checkpoint_hash": folder.hash, "data": str(shards.root),
        "data_hash": shards.hash, "contract": to_json(shards.contract), "contract_mismatch": mismatch,
        "training": to_json(folder.provenance), "kind": spec.kind if spec else "pre-training", "clips": len(rows),
        "dim": features.shape[1], "views": views, "target": target, "seed": seed,
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    write_features(out / "features.parquet", rows, features, provenance)
    picture(out / "tsne.png", features, values, provenance, picture_clips, seed)
    return provenance


def _rows(shards: Shards, split: str | None) -> Manifest:
    rows = shards.manifest.ok()
    if split is not None:
        rows = rows.where(lambda r: r["split"] == split)
    where = f" with split {split!r}" if split is not None else ""
    require(len(rows) > 0, f"{shards.root} holds no clip with a face{where}: look at manifest.parquet")
    return rows


def _usual_target(spec: LabelSpec | None, rows: Manifest) -> str | None:
    """The classifier's label, a regressor's first target; None where the rows have no such column."""
    usual = spec.column if spec and spec.classes else spec.names[0] if spec else "label"
    return usual if usual in rows.table.column_names else None


def picture(
    path: Path, features: np.ndarray, values: Sequence[Any], provenance: dict[str, Any], limit: int, seed: int
) -> None:
    """t-SNE of at most `limit` clips; of fewer than `MIN_CLIPS` there is nothing to draw, and an old picture goes."""
    path.unlink(missing_ok=True)
    if len(features) < MIN_CLIPS:
        return
    chosen = np.sort(generator("t-SNE", seed).permutation(len(features))[:limit])
    title = f"t-SNE of {len(chosen)} clips, {provenance['kind']} {provenance['checkpoint_hash']}"
    if provenance["contract_mismatch"] and provenance["kind"] != "pre-training":
        title += "\n(contract mismatch allowed)"
    draw_tsne(tsne(features[chosen], seed), [values[i] for i in chosen], provenance["target"], path, title)
