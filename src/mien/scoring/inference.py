"""A model over clips: the one loop that scoring, model selection, features and monitors go through, and what is predicted of the
rows of a manifest. A row that cannot be decoded has NaN for a prediction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import torch

from mien.data.dataset import ClipSet, FrameError, Items, decode
from mien.data.labels import LabelSpec
from mien.data.loader import Batch, EvalLoader, prepare_batch
from mien.data.manifest import Manifest
from mien.data.sampling import Policy, num_windows, resampled
from mien.data.select import item_of, rates_differ
from mien.data.shards import Shards
from mien.data.view import View
from mien.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Inference:
    """How clips go through a model: so many at once, on a device, decoded by so many threads."""

    batch_size: int = 32
    device: torch.device = torch.device("cpu")
    workers: int = 2

    def over(
        self,
        clips: Items,
        views: Mapping[str, View],
        call: Callable[[Batch], T],
        counts: int | Sequence[int] = 1,
        strict: bool = True,
    ) -> Iterator[tuple[list[int], list[int], T]]:
        """Rows ``[B]``, windows ``[B]`` and what `call` gives for each prepared batch, in order, without gradients.

        Args:
            counts: windows of each row, or of all rows.
            strict: a broken frame is an error; else its neighbour takes its place, as in training.

        Raises:
            UserError: strict, and a frame cannot be decoded.
        """
        loader = EvalLoader(clips, views, self.batch_size, num_views=counts, strict=strict, workers=self.workers)
        for batch in loader:
            with torch.inference_mode():
                found = call(prepare_batch(batch, views, self.device))
            yield batch["index"].tolist(), batch["view_idx"].tolist(), found


def clip_view(
    model: Any, num_frames: int, stride: int, period_s: float | None, rows: Manifest, policy: Policy = "test"
) -> View:
    """Clips as the model is evaluated on: without augmentation, by time where the rows' frame rates are not its own."""
    by_time = period_s is not None and rates_differ(rows, 1 / period_s)
    return View(num_frames, stride, policy, model.plain_augment(), frame_period_s=period_s if by_time else None)


def predict_rows(model: Any, shards: Shards, rows: Manifest, how: Inference) -> np.ndarray:
    """What the model predicts ``[n, K]`` per manifest row, averaged over the spec's views."""
    spec: LabelSpec = model.spec
    view = clip_view(model, spec.num_frames, spec.stride, spec.frame_period_s, rows)
    total = np.zeros((len(rows), len(spec.names)))
    broken = set(range(len(rows)))
    for row, _, found in _windows(model, shards, rows, view, [spec.views] * len(rows), how):
        total[row] += found
        broken.discard(row)
    total[sorted(broken)] = np.nan
    return total / spec.views


def predict_frames(
    model: Any, shards: Shards, rows: Manifest, how: Inference
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Truth ``[T_i, J]`` and prediction ``[T_i, K]`` of every stored frame of each row, for a model per frame.

    Windows lie side by side, sampled by time where the rows' frame rates are not the model's; frames between the sampled ones
    are interpolated, and where windows overlap the later one counts.
    The truth of a classifier is one column, the index of the class in the corpus's order (J = 1), else J = K.
    """
    spec: LabelSpec = model.spec
    period_s = spec.frame_period_s if spec.num_frames > 1 else None  # a single frame has no rate
    view = clip_view(model, spec.num_frames, spec.stride, period_s, rows, "cover")
    clips, lengths = ClipSet(shards, rows), rows.column("num_frames")
    if view.frame_period_s is not None:
        lengths = [len(resampled(clips[row].numbers("times_s"), view.frame_period_s)) for row in range(len(rows))]
    counts = [num_windows(n, spec.num_frames, spec.stride) for n in lengths]
    sampled: list[dict[int, np.ndarray]] = [{} for _ in range(len(rows))]
    rng = np.random.default_rng(0)  # a covering view draws nothing from it
    for row, window, found in _windows(model, shards, rows, view, counts, how):
        positions = view.indices(clips[row], rng, window, counts[row])
        sampled[row] |= dict(zip(positions.tolist(), found, strict=True))
    names = (spec.target,) if spec.kind == "categorical" else spec.names
    truth = [truth_of(clips, row, names) for row in range(len(rows))]
    return truth, [_drawn_out(points, len(t), len(spec.names)) for points, t in zip(sampled, truth, strict=True)]


def _windows(
    model: Any, shards: Shards, rows: Manifest, view: View, counts: list[int], how: Inference
) -> Iterator[tuple[int, int, np.ndarray]]:
    """(row, window, prediction) of every window of every row that can be decoded."""
    model.eval().to(how.device)

    def predict(batch: Batch) -> np.ndarray:
        return model.predict(batch["clip"]).double().cpu().numpy()

    def forward(chosen: Sequence[int]) -> Iterator[tuple[int, int, np.ndarray]]:
        clips = ClipSet(shards, rows.take(chosen))
        for index, windows, values in how.over(clips, {"clip": view}, predict, [counts[row] for row in chosen]):
            yield from zip((chosen[i] for i in index), windows, values, strict=True)

    try:
        yield from list(forward(range(len(rows))))
        return
    except UserError as error:
        if not isinstance(error.__cause__, FrameError):
            raise
    clips = ClipSet(shards, rows)
    sound = [row for row in range(len(rows)) if _decodes(clips, row, view, counts[row])]
    if sound:
        yield from forward(sound)


def _decodes(clips: ClipSet, row: int, view: View, count: int) -> bool:
    """Whether all frames that an evaluation looks at can be decoded."""
    rng, out = np.random.default_rng(0), np.empty((clips.height, clips.width, 3), np.uint8)
    try:
        clip = clips[row]
        positions = {int(k) for w in range(count) for k in view.indices(clip, rng, w, count)}
    except (pa.ArrowException, OSError):
        return False
    return all(decode(clip, k, out, "RGB") is None for k in positions)


def truth_of(clips: ClipSet, row: int, names: Sequence[str]) -> np.ndarray:
    """``[T, J]`` as annotated. Raises UserError for shards that lack one."""
    clip = clips[row]
    return np.stack([clip.target(name) for name in names], axis=1)


def _drawn_out(points: dict[int, np.ndarray], count: int, num_outputs: int) -> np.ndarray:
    if not points:
        return np.full((count, num_outputs), np.nan)
    places = np.array(sorted(points))
    values = np.stack([points[p] for p in places])
    return np.stack([np.interp(np.arange(count), places, column) for column in values.T], axis=1)


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
    if not known.any():
        return np.full(values.shape[1], np.nan)
    return np.average(values[known], axis=0, weights=weights[known])
