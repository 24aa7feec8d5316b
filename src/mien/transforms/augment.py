"""From stored uint8 frames to what a model sees: parameters drawn per sample, applied per batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mien.transforms import erase, geometry, randaugment
from mien.transforms.photometric import to_grey
from mien.transforms.randaugment import RandAugment
from mien.types import IMAGENET_MEAN, IMAGENET_STD


@dataclass(frozen=True)
class Augment:
    """Resize -> RandAugment -> [0, 1] -> normalise -> crop -> flip -> erase, in this order (decisions: augmentation).

    The defaults are the plain evaluation transform. `draw` runs in the loader, `apply` on the training device after
    collation, on clips that lie there as uint8; whatever is off costs nothing.
    """

    size: int = 160
    centre_of: int | None = None
    """Resize to this side and keep the middle `size` pixels, as image classifiers are tested; None resizes to `size`."""
    crop: Literal["none", "multi_scale", "random_resized"] = "none"
    crop_area: tuple[float, float] = (0.08, 1.0)
    """Of random_resized, as a fraction of the frame. The published code comments 0.8, the value in force is 0.08."""
    crop_aspect: tuple[float, float] = (0.75, 4 / 3)
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    """Of multi_scale: sides 160, 140, 120 and 105 at size 160."""
    flip: float = 0.0
    """Probability of mirroring the clip."""
    randaugment: RandAugment | None = None
    erase: float = 0.0
    """Probability of erasing one box of the clip."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    grey: bool = False
    """One channel, the luma; `mean` and `std` then have one entry."""

    def __post_init__(self) -> None:
        channels = 1 if self.grey else 3
        assert len(self.mean) == len(self.std) == channels, f"{channels} channel(s), mean {self.mean}, std {self.std}"
        assert self.centre_of is None or self.centre_of >= self.size, f"the middle {self.size} of {self.centre_of}"

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The parameters of one clip, each of fixed shape: box float32 [4], flip bool [], erase int64 [5], RandAugment's."""
        params = self.randaugment.draw(rng, self.size) if self.randaugment else {}
        if self.crop != "none" or self.flip:
            params["box"] = np.array(self._box(rng), np.float32)
            params["flip"] = np.array(rng.uniform() < self.flip)
        if self.erase:
            params["erase"] = erase.draw(rng, self.size, self.erase)
        return params

    def _box(self, rng: np.random.Generator) -> tuple[int, int, int, int]:
        if self.crop == "multi_scale":
            return geometry.multi_scale_box(rng, self.size, self.scales)
        if self.crop == "random_resized":
            return geometry.random_resized_box(rng, self.size, self.crop_area, self.crop_aspect)
        return 0, 0, self.size, self.size

    def apply(self, frames: Tensor, params: dict[str, Tensor]) -> Tensor:
        """uint8 [B, T, H, W, C] to normalised float32 [B, C, T, size, size], on the device of `frames`.

        Args:
            params: what `draw` returned, stacked; on the CPU (they decide there which clips need which work).
        """
        if frames.device.type != "cpu":
            return self._apply(frames, params)
        B, T = frames.shape[:2]
        # Clip by clip, memory is reused while it is still in the cache: half the time of the whole batch at once.
        # NumPy's array lies on huge pages, torch's would not.
        out = torch.from_numpy(np.empty((B, len(self.mean), T, self.size, self.size), np.float32))
        for b in range(B):
            self._apply(frames[b : b + 1], {k: v[b : b + 1] for k, v in params.items()}, out[b : b + 1])
        return out

    def _apply(self, frames: Tensor, params: dict[str, Tensor], out: Tensor | None = None) -> Tensor:
        side = self.centre_of or self.size
        cut = slice((side - self.size) // 2, (side + self.size) // 2)
        frames = geometry.resize(to_grey(frames) if self.grey else frames, side)[:, :, cut, cut]
        if "ops" in params:
            frames = randaugment.apply(frames, params["ops"], params["values"], params["matrices"])
        clip = frames.permute(0, 4, 1, 2, 3).contiguous().float()
        if "box" in params:
            box, flip = (params[k].to(clip.device, non_blocking=True) for k in ("box", "flip"))
            clip = geometry.crop_flip(clip.flatten(1, 2), box, flip, self.size).unflatten(1, clip.shape[1:3])
        # Interpolation weights add to one, so normalising after the crop is the same as before it.
        mean, std = (clip.new_tensor(v).reshape(-1, 1, 1, 1) for v in (self.mean, self.std))
        clip = torch.sub(clip.mul_(1 / (255 * std)), mean / std, out=out)
        return erase.apply(clip, params["erase"]) if "erase" in params else clip
