"""Crops of fixed size without interpolation, as lip-reading models train on: 80 or 88 of 96 pixels, mirrored half of the time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.transforms.geometry import resize
from mien.transforms.photometric import to_grey


@dataclass(frozen=True)
class LipCrop:
    """Resize -> cut out -> flip -> normalise; one place and one flip for all frames of a clip."""

    full: int = 96
    """Side to which frames of another size are brought first."""
    size: int = 80
    random: bool = True
    """A random place in training; else the middle."""
    flip: float = 0.5
    """Probability of mirroring the clip."""
    mean: tuple[float, ...] = (0.421,)
    std: tuple[float, ...] = (0.165,)
    grey: bool = True

    def __post_init__(self) -> None:
        assert self.size <= self.full, (self.size, self.full)
        assert len(self.mean) == len(self.std) == (1 if self.grey else 3), (self.mean, self.std, self.grey)

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """`corner` int64 [2], the first row and column; `flip` bool []."""
        free = self.full - self.size
        corner = rng.integers(0, free + 1, 2) if self.random else np.full(2, free // 2)
        return {"corner": corner.astype(np.int64), "flip": np.array(rng.uniform() < self.flip)}

    def apply(self, frames: Tensor, params: dict[str, Tensor]) -> Tensor:
        """uint8 [B, T, H, W, C] to normalised float32 [B, C, T, size, size], on the device of `frames`."""
        frames = resize(to_grey(frames) if self.grey else frames, self.full)
        corners, flips = params["corner"].tolist(), params["flip"].tolist()
        cut = [x[:, r : r + self.size, c : c + self.size] for x, (r, c) in zip(frames, corners, strict=True)]
        cut = [x.flip(2) if flip else x for x, flip in zip(cut, flips, strict=True)]
        clip = torch.stack(cut).permute(0, 4, 1, 2, 3).contiguous().float()
        mean, std = (clip.new_tensor(v).reshape(-1, 1, 1, 1) for v in (self.mean, self.std))
        return clip.mul_(1 / (255 * std)).sub_(mean / std)
