"""A model over clips: the one loop that scoring, model selection, features and monitors go through, and what is predicted of the
rows of a manifest. A row with a frame that cannot be decoded has NaN for a prediction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from mien.data.dataset import ClipSet, Items
from mien.data.labels import LabelSpec
from mien.data.loader import Batch, EvalLoader, prepare_batch
from mien.data.manifest import Manifest
from mien.data.sampling import num_windows, resampled
from mien.data.select import item_of
from mien.data.shards import Shards
from mien.data.view import View, evaluation_view
from mien.tasks.movements import MovementTask

T = TypeVar("T")


class Window(NamedTuple):
    """Window `number` of a row; whether frames of it are broken and others stand in for them."""

    row: int
    number: int
    broken: bool


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
        strict: bool = False,
    ) -> Iterator[tuple[list[Window], T]]:
        """What `call` gives for each prepared batch, without gradients, and which windows that is of.

        Args:
            counts: windows of each row, or of all rows.
            strict: a broken frame is an error; else its neighbour takes its place, as in training.

        Raises:
            UserError: strict, and a frame cannot be decoded; or none of all clips can.
        """
        loader = EvalLoader(clips, views, self.batch_size, num_views=counts, strict=strict, workers=self.workers)
        for batch in loader:
            with torch.inference_mode():
                found = call(prepare_batch(batch, views, self.device))
            columns = batch["row"], batch["view_idx"], batch["replaced"] > 0
            yield [Window(*w) for w in zip(*(c.tolist() for c in columns), strict=True)], found


def predict_rows(model: Any, shards: Shards, rows: Manifest, how: Inference) -> np.ndarray:
    """What the model predicts ``[n, K]`` per manifest row, averaged over the spec's views."""
    if isinstance(model, MovementTask):
        return model.to(how.device).predict_rows(shards, rows)
    spec: LabelSpec = model.spec
    view = evaluation_view(spec.clip, model.plain_augment(), rows)
    total = np.zeros((len(rows), len(spec.names)))
    for window, found in _windows(model, ClipSet(shards, rows), view, spec.views, how):
        total[window.row] += np.nan if window.broken else found
    return total / spec.views


def predict_frames(model: Any, shards: Shards, rows: Manifest, how: Inference) -> list[np.ndarray]:
    """What a model per frame predicts ``[T_i, K]`` of every stored frame of each row.

    Windows lie side by side, sampled by time where the rows' frame rates are not the model's; frames between the sampled ones
    are interpolated, and where windows overlap the later one counts.
    """
    spec: LabelSpec = model.spec
    view = evaluation_view(spec.clip, model.plain_augment(), rows, "cover")
    clips, stored = ClipSet(shards, rows), rows.column("num_frames")
    lengths = stored
    if view.frame_period_s is not None:
        lengths = [len(resampled(clips[row].numbers("times_s"), view.frame_period_s)) for row in range(len(rows))]
    counts = [num_windows(n, spec.clip.num_frames, spec.clip.stride) for n in lengths]
    sampled: list[dict[int, np.ndarray]] = [{} for _ in range(len(rows))]
    broken, rng = set(), np.random.default_rng(0)  # a covering view draws nothing from it
    for window, found in _windows(model, clips, view, counts, how):
        broken |= {window.row} if window.broken else set()
        positions = view.indices(clips[window.row], rng, window.number, counts[window.row])
        sampled[window.row] |= dict(zip(positions.tolist(), found, strict=True))
    nothing = {0: np.full(len(spec.names), np.nan)}
    return [_drawn_out(nothing if k in broken else sampled[k], n) for k, n in enumerate(stored)]


def _windows(
    model: Any, clips: ClipSet, view: View, counts: int | Sequence[int], how: Inference
) -> Iterator[tuple[Window, np.ndarray]]:
    """Every window of every row, and its prediction."""
    model.eval().to(how.device)

    def predict(batch: Batch) -> np.ndarray:
        return model.predict(batch["clip"]).double().cpu().numpy()

    for windows, values in how.over(clips, {"clip": view}, predict, counts):
        yield from zip(windows, values, strict=True)


def _drawn_out(points: dict[int, np.ndarray], count: int) -> np.ndarray:
    """Values ``[count, K]`` of all frames from those at some of them."""
    places = np.array(sorted(points))
    values = np.stack([points[p] for p in places])
    return np.stack([np.interp(np.arange(count), places, column) for column in values.T], axis=1)


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
