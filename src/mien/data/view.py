"""A view: which frames of a clip a learner sees, how they are augmented and what is masked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from torch import Tensor

from mien.data import sampling
from mien.data.sampling import Policy
from mien.data.shards import Clip
from mien.transforms.augment import Augment


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

    def indices(self, clip: Clip, rng: np.random.Generator, view_idx: int = 0, num_views: int = 1) -> np.ndarray:
        """int64 [num_frames] stored frames; `view_idx` of `num_views` matters to the test policy only."""
        stored = None
        if self.frame_period_s is not None:
            stored = sampling.resampled(clip.numbers("times_s"), self.frame_period_s)
        n = len(clip) if stored is None else len(stored)
        picked = self._pick(n, rng, view_idx, num_views)
        return picked if stored is None else stored[picked]

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
