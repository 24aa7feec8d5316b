"""A model over the rows of a manifest: what every protocol scores. A row that cannot be decoded has NaN for a prediction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from mien.data.dataset import ClipSet, FrameError, decode
from mien.data.labels import LabelSpec
from mien.data.loader import EvalLoader, prepare_batch
from mien.data.manifest import Manifest
from mien.data.sampling import nearest_indices, num_windows, resampled
from mien.data.select import item_of, rates_differ
from mien.data.shards import Shards
from mien.data.view import View
from mien.errors import UserError


def predict_rows(
    model: Any, shards: Shards, rows: Manifest, batch_size: int, device: torch.device, workers: int
) -> np.ndarray:
    """What the model predicts ``[n, K]`` per manifest row, averaged over the spec's views."""
    spec: LabelSpec = model.spec
    view = View(
        spec.clip.num_frames, spec.clip.stride, "test", model.plain_augment(), frame_period_s=_period(spec, rows)
    )
    total = np.zeros((len(rows), len(spec.names)))
    broken = set(range(len(rows)))
    for row, _, found in _windows(model, shards, rows, view, [spec.views] * len(rows), batch_size, device, workers):
        total[row] += found
        broken.discard(row)
    total[sorted(broken)] = np.nan
    return total / spec.views


def _period(spec: LabelSpec, rows: Manifest) -> float | None:
    period = spec.clip.frame_period_s
    return period if period and rates_differ(rows, 1 / period) else None


def predict_frames(
    model: Any, shards: Shards, rows: Manifest, batch_size: int, device: torch.device, workers: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Truth ``[T_i, J]`` and prediction ``[T_i, K]`` of every stored frame of each row, for a model per frame.

    Windows lie side by side, sampled by time where the rows' frame rates are not the model's; frames between the sampled ones
    are interpolated, and where windows overlap the later one counts.
    The truth of a classifier is one column, the index of the class in the corpus's order (J = 1), else J = K.
    """
    spec: LabelSpec = model.spec
    period_s = _period(spec, rows) if spec.clip.num_frames > 1 else None  # a single frame has no rate
    view = View(spec.clip.num_frames, spec.clip.stride, "cover", model.plain_augment(), frame_period_s=period_s)
    clips, lengths = ClipSet(shards, rows), rows.column("num_frames")
    if period_s is not None:
        lengths = [len(resampled(clips[row].numbers("times_s"), period_s)) for row in range(len(rows))]
    counts = [num_windows(n, spec.clip.num_frames, spec.clip.stride) for n in lengths]
    sampled: list[dict[int, np.ndarray]] = [{} for _ in range(len(rows))]
    rng = np.random.default_rng(0)  # a covering view draws nothing from it
    for row, window, found in _windows(model, shards, rows, view, counts, batch_size, device, workers):
        positions = view.indices(clips[row], rng, window, counts[row])
        sampled[row] |= dict(zip(positions.tolist(), found, strict=True))
    names = (spec.column,) if spec.kind == "categorical" else spec.names
    truth = [view_targets(clips, row, names) for row in range(len(rows))]
    return truth, [_drawn_out(points, len(t), len(spec.names)) for points, t in zip(sampled, truth, strict=True)]


def _windows(
    model: Any,
    shards: Shards,
    rows: Manifest,
    view: View,
    counts: list[int],
    batch_size: int,
    device: torch.device,
    workers: int,
) -> Iterator[tuple[int, int, np.ndarray]]:
    """(row, window, prediction) of every window of every row that can be decoded."""
    try:
        yield from list(_forward(model, shards, rows, view, counts, range(len(rows)), batch_size, device, workers))
        return
    except UserError as error:
        if not isinstance(error.__cause__, FrameError):
            raise
    clips = ClipSet(shards, rows)
    sound = [row for row in range(len(rows)) if _decodes(clips, row, view, counts[row])]
    if sound:
        yield from _forward(model, shards, rows, view, counts, sound, batch_size, device, workers)


def _forward(
    model: Any,
    shards: Shards,
    rows: Manifest,
    view: View,
    counts: list[int],
    chosen: Sequence[int],
    batch_size: int,
    device: torch.device,
    workers: int,
) -> Iterator[tuple[int, int, np.ndarray]]:
    views = {"clip": view}
    loader = EvalLoader(
        ClipSet(shards, rows.take(chosen)), views, batch_size, num_views=[counts[r] for r in chosen], workers=workers
    )
    model.eval().to(device)
    with torch.inference_mode():
        for batch in loader:
            values = model.predict(prepare_batch(batch, views, device)["clip"]).double().cpu().numpy()
            for index, window, found in zip(batch["index"].tolist(), batch["view_idx"].tolist(), values, strict=True):
                yield chosen[index], window, found


def _decodes(clips: ClipSet, row: int, view: View, count: int) -> bool:
    """Whether all frames that an evaluation looks at can be decoded."""
    rng, out = np.random.default_rng(0), np.empty((clips.height, clips.width, 3), np.uint8)
    try:
        clip = clips[row]
        positions = {int(k) for w in range(count) for k in view.indices(clip, rng, w, count)}
    except (pa.ArrowException, OSError):
        return False
    return all(decode(clip, k, out, "RGB") is None for k in positions)


def view_targets(clips: ClipSet, row: int, names: tuple[str, ...]) -> np.ndarray:
    return np.stack([clips[row].target(name) for name in names], axis=1)


def _drawn_out(points: dict[int, np.ndarray], count: int, num_outputs: int) -> np.ndarray:
    if not points:
        return np.full((count, num_outputs), np.nan)
    places = np.array(sorted(points))
    values = np.stack([points[p] for p in places])
    return np.stack([np.interp(np.arange(count), places, column) for column in values.T], axis=1)


def averaged_over(times_s: np.ndarray, values: np.ndarray, window_s: float) -> np.ndarray:
    """Each row of ``[n, K]`` becomes the mean of those within half of `window_s` of its time (rising ``[n]``); a row without a
    prediction (NaN) takes no part, and gets none."""
    known = np.asarray(np.isfinite(values).all(axis=1))
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(np.where(known[:, None], values, 0), axis=0)])
    counts = np.concatenate([[0], np.cumsum(known)])
    low = np.searchsorted(times_s, times_s - window_s / 2 - 1e-6)
    high = np.searchsorted(times_s, times_s + window_s / 2 + 1e-6, side="right")
    count = (counts[high] - counts[low])[:, None]
    return np.where(known[:, None], (sums[high] - sums[low]) / np.maximum(count, 1), np.nan)


def last_before(stored_s: np.ndarray, wanted_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each wanted time (rising) the stored frame at it or the last one before it, -1 before the first; and whether there is
    none at it, to half the step of the wanted times."""
    if not len(stored_s):
        return np.full(len(wanted_s), -1), np.ones(len(wanted_s), bool)
    half = float(np.median(np.diff(wanted_s))) / 2 if len(wanted_s) > 1 else 1e-6
    nearest = nearest_indices(stored_s, wanted_s)
    there = abs(stored_s[nearest] - wanted_s) <= half
    return np.where(there, nearest, np.searchsorted(stored_s, wanted_s) - 1), ~there


def times_of(shards: Shards, rows: Manifest) -> list[np.ndarray]:
    """Seconds ``[T_i]`` of the stored frames of each row."""
    clips = ClipSet(shards, rows)
    return [clips[row].numbers("times_s") for row in range(len(clips))]


def members_of(rows: Manifest) -> dict[str, list[int]]:
    """Row numbers of each labelled video (a long one has several rows)."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, clip_id in enumerate(rows.column("clip_id")):
        members[item_of(clip_id)].append(i)
    return members


def average(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean ``[K]`` over the rows ``[m, K]`` that have a prediction; NaN where none has one."""
    known = np.isfinite(values).all(axis=1)
    return (
        np.average(values[known], axis=0, weights=weights[known]) if known.any() else np.full(values.shape[1], np.nan)
    )
