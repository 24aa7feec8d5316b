"""Which frames of a video make a clip: pure functions of their number (decisions: frame-sampling).

All return int64 [num_frames] positions in 0..n-1. Videos shorter than the clip repeat their last frame; a still
(n = 1) is repeated throughout. `stride` and `num_frames` are parameters because they belong to the recipe: at the
papers' stride of 4 a spoken word is one or two frames.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

# Assumption: a face unseen for half a second may have done anything in between.
MAX_GAP_S = 0.5

Policy = Literal["pretrain", "train", "test", "cover"]


def pretrain_indices(n: int, num_frames: int, stride: int, rng: np.random.Generator) -> np.ndarray:
    """Start uniform over the n - num_frames * stride + 1 valid positions, then every `stride`-th frame."""
    valid = n - num_frames * stride + 1
    start = int(rng.integers(valid)) if valid > 1 else 0
    return np.minimum(start + stride * np.arange(num_frames), n - 1)


def train_indices(n: int, num_frames: int, stride: int, rng: np.random.Generator) -> np.ndarray:
    """A random window of num_frames * stride frames, sampled at equal spacing *including both ends*.

    The spacing is therefore num_frames * stride / (num_frames - 1), a little more than `stride`, as the published
    models were trained. A video not longer than the window is covered whole by n // stride frames, then its last is
    repeated.
    """
    span = num_frames * stride
    if n <= span:
        covered = n // stride
        position = np.concatenate([np.linspace(0, n, covered), np.full(num_frames - covered, n)])
        return np.clip(position, 0, n - 1).astype(np.int64)
    end = int(rng.integers(span, n))
    return np.clip(np.linspace(end - span, end, num_frames), 0, end - 1).astype(np.int64)


def test_indices(n: int, num_frames: int, stride: int, view: int, num_views: int) -> np.ndarray:
    """View `view` of `num_views` over every `stride`-th frame: of two, the first and the last `num_frames` of them.

    A single view is the middle one (the published code divides by zero there).
    """
    every = np.arange(0, n, stride)
    every = np.concatenate([every, np.full(max(num_frames - len(every), 0), every[-1])])
    spare = len(every) - num_frames
    start = spare // 2 if num_views == 1 else int(view * spare / (num_views - 1))
    return every[start : start + num_frames]


def num_windows(n: int, num_frames: int, stride: int) -> int:
    """Windows of `cover_indices` that reach from the first stored frame to the last."""
    return max(1, -(-n // (num_frames * stride)))


def cover_indices(n: int, num_frames: int, stride: int, window: int, windows: int) -> np.ndarray:
    """Window `window` of `windows` side by side over all frames; the last ends with the last frame, so it may overlap."""
    reach = (num_frames - 1) * stride + 1
    start = min(window * num_frames * stride, max(n - reach, 0))
    assert window < windows, (window, windows)
    return np.minimum(start + stride * np.arange(num_frames), n - 1)


test_indices.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]  # pytest would collect it by its name


def nearest_indices(times_s: np.ndarray, wanted_s: np.ndarray) -> np.ndarray:
    """For each wanted time the stored frame nearest to it (the earlier one when two are equally near).

    Args:
        times_s: [n] increasing.
        wanted_s: [m].
    """
    right = np.clip(np.searchsorted(times_s, wanted_s), 1, max(len(times_s) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(times_s) - 1)
    return np.where(wanted_s - times_s[left] <= times_s[right] - wanted_s, left, right).astype(np.int64)


def indices_at(times_s: np.ndarray, start_s: float, num_frames: int, period_s: float) -> np.ndarray:
    """`num_frames` frames from `start_s` on, `period_s` (frame period times stride) apart, clamped to the ends."""
    return nearest_indices(times_s, start_s + period_s * np.arange(num_frames))


def resampled(times_s: np.ndarray, period_s: float) -> np.ndarray:
    """Stored positions [n'] (n' >= 1) of the clip as if filmed with one frame every `period_s`."""
    count = int((times_s[-1] - times_s[0]) / period_s + 1e-6) + 1  # a last period may be short by rounding alone
    return indices_at(times_s, float(times_s[0]), count, period_s)
