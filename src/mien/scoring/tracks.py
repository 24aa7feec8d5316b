"""A sequence model over whole tracks: its state is carried from the first frame of a stretch to the last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from mien.data.dataset import FrameError
from mien.data.manifest import Manifest
from mien.data.sampling import resampled
from mien.data.segments import StretchSet
from mien.data.shards import Shards
from mien.scoring.inference import Inference

FRAMES_AT_ONCE = 256


def predict_tracks(model: Any, shards: Shards, rows: Manifest, how: Inference) -> list[np.ndarray]:
    """What is predicted ``[T_i, K]`` of every stored frame of each row, NaN where a frame of the stretch is broken.

    A stretch (the rows of a track, up to a gap) is predicted as one, at the model's frame period; values between its frames are
    interpolated. A model that was trained with a delay is read that much earlier.
    """
    clips, model = StretchSet(shards, rows), model.eval().to(how.device)
    found, counts = [np.empty(0)] * len(rows), rows.column("num_frames")
    for number, members in enumerate(clips.members):
        ends = np.cumsum([counts[i] for i in members])[:-1]
        for i, values in zip(members, np.split(_predicted(model, clips, number), ends), strict=True):
            found[i] = values
    return found


def _predicted(model: Any, clips: StretchSet, number: int) -> np.ndarray:
    """``[T, K]`` of every stored frame of a stretch."""
    times = clips[number].numbers("times_s")
    period_s, names = model.spec.clip.period_s, model.spec.names
    positions = resampled(times, period_s)
    try:
        values = torch.cat(list(model.predict_track(_decoded(clips, number, positions, model.spec.clip.color)))).numpy()
    except FrameError:
        return np.full((len(times), len(names)), np.nan)
    grid = times[0] + period_s * np.arange(len(positions))
    wanted = times - model.config.delay_s
    return np.stack([np.interp(wanted, grid, column) for column in values.astype(np.float64).T], axis=1)


def _decoded(clips: StretchSet, number: int, positions: np.ndarray, color: bool) -> Iterator[torch.Tensor]:
    """uint8 frames ``[n, H, W, C]``, a piece at a time."""
    clip = clips[number]
    for start in range(0, len(positions), FRAMES_AT_ONCE):
        part = positions[start : start + FRAMES_AT_ONCE]
        frames = np.empty((len(part), clips.height, clips.width, 3 if color else 1), np.uint8)
        clips.read(number, clip, part, frames, strict=True)
        yield torch.from_numpy(frames)
