"""What a model sees of a face, and how stored uint8 frames become that: parameters drawn per sample, applied per batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mien.errors import require
from mien.transforms import erase, geometry, randaugment
from mien.transforms.photometric import to_grey
from mien.transforms.randaugment import RandAugment

# ImageNet statistics: what the published SVFAP and MAE-DFER weights were trained with (decisions: input-statistics).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Of grey faces: what the lip-reading models were trained with (decisions: input-statistics).
GREY_MEAN = (0.421,)
GREY_STD = (0.165,)
# Of models that do not say how far apart the frames of their training were.
ASSUMED_PERIOD_S = 1 / 30


@dataclass(frozen=True)
class ClipAugment:
    """What training does to a clip at random. The defaults do nothing."""

    crop: Literal["none", "multi_scale", "random_resized"] = "none"
    """How a part of the frame is cut out: not at all, one of a few sides at a corner or the middle, or any part."""
    crop_area: tuple[float, float] = (0.08, 1.0)
    """Of random_resized, as a fraction of the frame. The published code comments 0.8, the value in force is 0.08."""
    crop_aspect: tuple[float, float] = (0.75, 4 / 3)
    """Width over height of random_resized."""
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    """Of multi_scale, sides as fractions of the frame: 160, 140, 120 and 105 of 160. 1 alone leaves frames as they are."""
    flip: float = 0.0
    """Probability of mirroring the clip; 0 where left and right carry the label."""
    randaugment: bool = False
    """Published RandAugment: one colour, sharpness or geometry operation after the other, with published strengths."""
    erase: float = 0.0
    """Probability of erasing one box of the clip."""

    def __post_init__(self) -> None:
        for name in ("erase", "flip"):
            require(0 <= getattr(self, name) <= 1, f"--{name} {getattr(self, name):g}: give a number from 0 to 1")
        low, high = self.crop_area
        require(0 < low <= high <= 1, f"--crop-area {low:g} {high:g}: give two rising numbers above 0 and up to 1")
        low, high = self.crop_aspect
        require(0 < low <= high, f"--crop-aspect {low:g} {high:g}: give two rising numbers above 0")
        sides = bool(self.scales) and all(0 < s <= 1 for s in self.scales)
        require(sides, f"scales {self.scales}: give numbers up to 1")


@dataclass(frozen=True)
class Augment(ClipAugment):
    """Resize -> RandAugment -> [0, 1] -> normalise -> crop -> flip -> erase, in this order (decisions: augmentation).

    The defaults are the plain evaluation transform. `draw` runs in the loader, `apply` on the training device after
    collation, on clips that lie there as uint8; whatever is off costs nothing.
    """

    size: int = 160
    centre_of: int | None = None
    """Resize to this side and keep the middle `size` pixels, as image classifiers are tested; None resizes to `size`."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    grey: bool = False
    """One channel, the luma; `mean` and `std` then have one entry."""

    def __post_init__(self) -> None:
        super().__post_init__()
        channels = 1 if self.grey else 3
        assert len(self.mean) == len(self.std) == channels, f"{channels} channel(s), mean {self.mean}, std {self.std}"
        assert self.centre_of is None or self.centre_of >= self.size, f"the middle {self.size} of {self.centre_of}"

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The parameters of one clip, each of fixed shape: box float32 [4], flip bool [], erase int64 [5], RandAugment's."""
        params = RandAugment().draw(rng, self.size) if self.randaugment else {}
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


@dataclass(frozen=True)
class ClipSpec:
    """What a model sees of a face: how many frames, how far apart, how large, how normalised.

    A recipe that starts from another model's encoder leaves `size`, `mean` and `std` to it (`of`).
    """

    num_frames: int = 16
    """Frames of a clip."""
    stride: int = 4
    """Every how many frames one is taken."""
    frame_period_s: float | None = None
    """Seconds between neighbouring frames, before the stride: videos of another rate are sampled by it. none: not known, frames
    are taken by number."""
    size: int = 160
    """Side in pixels; 0 for that of the encoder that training starts from."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    """Taken off each channel, of values from 0 to 1: three numbers for colour, one for grey."""
    std: tuple[float, ...] = IMAGENET_STD
    """By which each channel is divided."""

    def __post_init__(self) -> None:
        require(self.num_frames >= 1, f"--num-frames {self.num_frames}: give 1 or more")
        require(self.stride >= 1, f"--stride {self.stride}: give 1 or more")
        require(self.size >= 0, f"--size {self.size}: give 1 or more pixels")
        period = self.frame_period_s
        require(period is None or period > 0, f"--frame-period-s {period}: give seconds above 0")

    @classmethod
    def usual(cls, channels: int, size: int) -> ClipSpec:
        """Clips whose pixels are normalised as is usual for so many channels."""
        return cls(size=size) if channels == 3 else cls(size=size, mean=GREY_MEAN, std=GREY_STD)

    def check(self, encoder: Any) -> None:
        """Raises UserError for clips that the encoder (its config) cannot see."""
        encoder.check_clip(self.num_frames, self.size)
        channels = encoder.channels
        require(
            len(self.mean) == len(self.std) == channels and all(s > 0 for s in self.std),
            f"mean {self.mean} and std {self.std}: give {channels} number(s) each for {channels} channel(s), std above 0",
        )

    def of(self, seen: ClipSpec) -> ClipSpec:
        """The same number of frames, of the size and the pixels that an encoder has `seen`, as far as they are left to it."""
        pixels = (self.mean, self.std) if self.mean else (seen.mean, seen.std)
        return ClipSpec(self.num_frames, self.stride, self.frame_period_s, self.size or seen.size, *pixels)

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def color(self) -> bool:
        return self.channels == 3

    @property
    def period_s(self) -> float:
        """Seconds between neighbouring frames, assumed where they are not known."""
        return ASSUMED_PERIOD_S if self.frame_period_s is None else self.frame_period_s

    @property
    def step_s(self) -> float:
        """Seconds from one frame of a clip to the next."""
        return self.stride * self.period_s

    @property
    def window_s(self) -> float:
        """Seconds from the first to the last frame of a clip, plus one frame period."""
        return ((self.num_frames - 1) * self.stride + 1) * self.period_s

    def plain(self, centre_of: int | None = None) -> Augment:
        """Resize and normalise, nothing random: what evaluation, prediction and features use."""
        return self.augmented(ClipAugment(), centre_of)

    def augmented(self, augment: ClipAugment, centre_of: int | None = None) -> Augment:
        """Resize, what is random, and normalise."""
        pixels: Any = {"mean": self.mean, "std": self.std, "grey": not self.color}
        return Augment(**vars(augment), size=self.size, centre_of=centre_of, **pixels)


UNSEEN = ClipSpec(size=0, mean=(), std=())
"""Clips of a recipe that leaves size and pixels to the encoder it starts from."""
