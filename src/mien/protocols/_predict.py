"""A model over the rows of a manifest: what every protocol scores."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import torch

from mien.data.dataset import ClipSet
from mien.data.loader import EvalLoader, prepare_batch
from mien.data.manifest import Manifest
from mien.data.sampling import num_windows
from mien.data.select import item_of, rates_differ
from mien.data.shards import Shards
from mien.data.view import View
from mien.types import LabelSpec


def predict_rows(
    model: Any, shards: Shards, rows: Manifest, batch_size: int, device: torch.device, workers: int
) -> np.ndarray:
    """What the model predicts ``[n, K]`` per manifest row, averaged over the spec's views."""
    spec: LabelSpec = model.spec
    views = {
        "clip": View(spec.num_frames, spec.stride, "test", model.plain_augment(), frame_period_s=_period(spec, rows))
    }
    total = np.zeros((len(rows), len(spec.names)))
    loader = EvalLoader(ClipSet(shards, rows), views, batch_size, num_views=spec.views, workers=workers)
    model.eval().to(device)
    with torch.inference_mode():
        for batch in loader:
            ready = prepare_batch(batch, views, device)
            np.add.at(total, batch["index"].numpy(), model.predict(ready["clip"]).double().cpu().numpy())
    return total / spec.views


def _period(spec: LabelSpec, rows: Manifest) -> float | None:
    return spec.frame_period_s if rates_differ(rows, 1 / spec.frame_period_s) else None


def predict_frames(
    model: Any, shards: Shards, rows: Manifest, batch_size: int, device: torch.device, workers: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Truth and prediction ``[T_i, K]`` of every stored frame of each row, for a model per frame.

    Windows lie side by side; frames between the sampled ones are interpolated, and where windows overlap the later one counts.
    """
    spec: LabelSpec = model.spec
    view = View(spec.num_frames, spec.stride, "cover", model.plain_augment())
    clips = ClipSet(shards, rows)
    counts = [num_windows(n, spec.num_frames, spec.stride) for n in rows.column("num_frames")]
    loader = EvalLoader(clips, {"clip": view}, batch_size, num_views=counts, workers=workers)
    sampled: list[dict[int, np.ndarray]] = [{} for _ in range(len(rows))]
    model.eval().to(device)
    rng = np.random.default_rng(0)  # a covering view draws nothing from it
    with torch.inference_mode():
        for batch in loader:
            values = model.predict(prepare_batch(batch, {"clip": view}, device)["clip"]).double().cpu().numpy()
            for row, window, found in zip(batch["index"].tolist(), batch["view_idx"].tolist(), values, strict=True):
                positions = view.indices(clips[row], rng, window, counts[row])
                sampled[row] |= dict(zip(positions.tolist(), found, strict=True))
    truth = [view_targets(clips, row, spec.names) for row in range(len(rows))]
    return truth, [_drawn_out(points, len(t)) for points, t in zip(sampled, truth, strict=True)]


def view_targets(clips: ClipSet, row: int, names: tuple[str, ...]) -> np.ndarray:
    return np.stack([clips[row].target(name) for name in names], axis=1)


def _drawn_out(points: dict[int, np.ndarray], count: int) -> np.ndarray:
    places = np.array(sorted(points))
    values = np.stack([points[p] for p in places])
    return np.stack([np.interp(np.arange(count), places, column) for column in values.T], axis=1)


def members_of(rows: Manifest) -> dict[str, list[int]]:
    """Row numbers of each labelled video (a long one has several rows)."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, clip_id in enumerate(rows.column("clip_id")):
        members[item_of(clip_id)].append(i)
    return members
