"""A view: which frames of a clip a learner sees, how they are augmented and what is masked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

from mien.data import sampling
from mien.data.audio import RATE
from mien.data.manifest import Manifest
from mien.data.sampling import Policy
from mien.data.select import rates_differ
from mien.data.shards import Clip
from mien.transforms.clip import Augment, ClipSpec


class Mask(Protocol):
    """Draws the spatial positions that stay visible."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """int64 [K]."""
        ...


class Transform(Protocol):
    """From stored frames to what a model sees: `transforms.augment.Augment`, or several views of the same frames at once."""

    @property
    def grey(self) -> bool:
        """One channel is decoded."""
        ...

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Parameters of one sample, each of fixed shape."""
        ...

    def apply(self, frames: Tensor, params: dict[str, Tensor]) -> Tensor | dict[str, Tensor]:
        """uint8 [B, T, H, W, C] to normalised float32 [B, C, T, size, size], or several of these by name."""
        ...


class Picked(NamedTuple):
    """Frames of a clip: their stored positions int64 [T], and the times float64 [T] at which the learner sees them."""

    positions: np.ndarray
    times_s: np.ndarray


@dataclass(frozen=True)
class Hearing:
    """Which sound belongs to the frames of a view: from each frame's time on, for as long as the frame lasts.

    Aligned by container timestamps. What the clip has no sound for is silence, and `heard` says so.
    """

    frame_s: float = 0.04
    """Seconds of sound for each sampled frame."""
    joined: bool = True
    """One stretch from the first frame to the last; else a window for each frame, whatever the time between them."""
    centred: bool = False
    """Windows lie around the frame's time instead of after it."""
    margin_samples: int = 0
    """More sound at both ends of the stretch, or of each window: what filters need around the part they describe."""

    def length(self, num_frames: int) -> int:
        """Samples of a stretch, or of one window."""
        return round((num_frames if self.joined else 1) * self.frame_s * RATE) + 2 * self.margin_samples

    def cut(self, clip: Clip, picked: Picked) -> dict[str, np.ndarray]:
        """`sound` int16 [S] at 16 kHz (or [T, S], windows) and `heard` bool [T]: all of this frame's sound is there.

        A frame is not heard, either, where it repeats the one before it because the clip has ended, where it lies more
        than half a frame beside its place in the stretch, and where the whole sound is digital silence.
        """
        times_s = picked.times_s
        stored, first_s = clip.numbers("audio"), float(clip.batch.column("audio_start_s")[0].as_py() or 0.0)
        places = times_s[0] + self.frame_s * np.arange(len(times_s)) if self.joined else times_s
        begin = np.rint((places - first_s - (self.frame_s / 2 if self.centred else 0)) * RATE).astype(np.int64)
        starts = begin[:1] if self.joined else begin
        sound = np.stack([_cut(stored, int(k) - self.margin_samples, self.length(len(times_s))) for k in starts])
        there = (begin >= 0) & (begin + round(self.frame_s * RATE) <= len(stored))
        new = np.diff(times_s, prepend=-np.inf) > 0
        placed = np.abs(times_s - places) <= self.frame_s / 2
        return {"sound": sound[0] if self.joined else sound, "heard": there & new & placed & bool(sound.any())}


def _cut(samples: np.ndarray, start: int, length: int) -> np.ndarray:
    """Samples [start, start + length), zeros outside."""
    out = np.zeros(length, np.int16)
    a, b = max(start, 0), min(start + length, len(samples))
    if a < b:
        out[a - start : b - start] = samples[a:b]
    return out


@dataclass(frozen=True)
class View:
    """One look at a clip. Everything random is drawn from the generator it is given."""

    num_frames: int = 16
    stride: int = 4
    policy: Policy = "train"
    augment: Transform = field(default_factory=Augment)
    mask: Mask | None = None
    frame_period_s: float | None = None
    """Sample by time, as if filmed with this frame period; None counts stored frames, whatever their rate."""
    frame_targets: tuple[str, ...] = ()
    """Per-frame targets to bring along, as ``frame_targets`` float32 [T, K] (NaN = not annotated)."""
    hearing: Hearing | None = None
    """The sound to bring along, as ``sound`` and ``heard``."""

    def indices(self, clip: Clip, rng: np.random.Generator, view_idx: int = 0, num_views: int = 1) -> np.ndarray:
        """int64 [num_frames] stored frames; `view_idx` of `num_views` matters to the test policy only."""
        return self.pick(clip, rng, view_idx, num_views).positions

    def pick(self, clip: Clip, rng: np.random.Generator, view_idx: int = 0, num_views: int = 1) -> Picked:
        """The same frames, with their times: sampled by time, those of the even grid that they stand for."""
        times_s = clip.numbers("times_s")
        if self.frame_period_s is None:
            picked = self._pick(len(clip), rng, view_idx, num_views)
            return Picked(picked, times_s[picked])
        stored = sampling.resampled(times_s, self.frame_period_s)
        picked = self._pick(len(stored), rng, view_idx, num_views)
        return Picked(stored[picked], times_s[0] + self.frame_period_s * picked)

    def _pick(self, n: int, rng: np.random.Generator, view_idx: int, num_views: int) -> np.ndarray:
        if self.policy == "test":
            return sampling.test_indices(n, self.num_frames, self.stride, view_idx, num_views)
        if self.policy == "cover":
            return sampling.cover_indices(n, self.num_frames, self.stride, view_idx, num_views)
        policy = sampling.pretrain_indices if self.policy == "pretrain" else sampling.train_indices
        return policy(n, self.num_frames, self.stride, rng)

    def targets(self, clip: Clip, positions: np.ndarray) -> np.ndarray:
        """float32 [T, K]. Raises UserError for shards that lack a target."""
        return np.stack([clip.target(name)[positions] for name in self.frame_targets], axis=1)

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Parameters of one sample, each of fixed shape: `keep` int64 [K] with a mask, and the transform's."""
        keep = {} if self.mask is None else {"keep": self.mask.draw(rng)}
        return keep | self.augment.draw(rng)

    def apply(self, frames: Tensor, params: dict[str, Tensor]) -> Tensor | dict[str, Tensor]:
        """uint8 [B, T, H, W, C] to normalised float32 [B, C, T, size, size], or several of these by name."""
        return self.augment.apply(frames, params)


def evaluation_view(clip: ClipSpec, augment: Transform, rows: Manifest, policy: Policy = "test") -> View:
    """Clips of these rows as a model is evaluated on: by time where the rows' frame rates are not its own. A single frame has no
    rate in a covering view."""
    period_s = clip.frame_period_s if clip.num_frames > 1 or policy == "test" else None
    by_time = period_s is not None and rates_differ(rows, 1 / period_s)
    return View(clip.num_frames, clip.stride, policy, augment, frame_period_s=period_s if by_time else None)
