"""The augmentations of SS-VAERR's Table IV, for long clips: each alone or any together.

What moves with the camera or hides part of it is the same in every frame of a clip: flip, crop, black squares. What is said of
"images" or "frames" is drawn for each frame: missing frames, solarisation, salt and pepper. Targets are left alone: a rating
also holds where its frame is black. The paper does not say how large the squares are, how dense the noise, or whether a crop is
enlarged again; these are fields.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.errors import option, require
from mien.transforms import geometry
from mien.transforms.photometric import to_grey

NUM_SQUARES = 5
FRAMES_AT_ONCE = 100  # bounds the temporary memory of a clip of any length


@dataclass(frozen=True)
class SequenceAugment:
    """What training does to a long clip. The defaults do nothing."""

    crop: int | None = None
    """Side of a crop in pixels, at random in training and from the middle otherwise: 80 for RECOLA, 110 for SEWA (of a larger
    `size`: 110 pixels cannot be cut out of the 96 that the paper stores)."""
    enlarge: bool = False
    """A crop is enlarged to `size` again. Off: the front end takes any size, and its group crops without enlarging."""
    flip: float = 0.0
    """Probability of mirroring the clip; 0.5 in the table."""
    squares: float = 0.0
    """Share of the picture that five black squares would cover without overlap; 0.25 for the table's "Crop-Out 25%"."""
    squares_prob: float = 1.0
    """Probability that a clip has the squares. 0.25 is the other reading of "25%"."""
    missing: float = 0.0
    """Share of the frames that are black; 0.2 in the table."""
    solarize: float = 0.0
    """Share of the frames that are solarised above their own average lightness; 0.2 in the table."""
    salt_pepper: float = 0.0
    """Share of the pixels of every frame that are noise, half white and half black. The paper gives no number."""

    def __post_init__(self) -> None:
        shares = ("flip", "squares", "squares_prob", "missing", "solarize", "salt_pepper")
        for name in shares:
            require(0 <= getattr(self, name) <= 1, f"{option(name)} {getattr(self, name):g}: give a number from 0 to 1")


@dataclass(frozen=True)
class SequenceTransform(SequenceAugment):
    """Resize -> crop -> flip -> squares -> solarise -> salt and pepper -> missing frames -> [0, 1] -> normalise.

    The defaults are the plain transform of evaluation. Black is the pixel value 0, before normalising.
    """

    size: int = 96
    """Frames are resized to this side first; 96 as stored in the paper."""
    random: bool = False
    """Crops at random."""
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    grey: bool = True
    num_frames: int = 1
    """Of a training clip: so many choices are drawn for single frames."""

    def __post_init__(self) -> None:
        channels = 1 if self.grey else 3
        assert len(self.mean) == len(self.std) == channels, f"{channels} channel(s), mean {self.mean}, std {self.std}"
        super().__post_init__()
        small = self.crop is None or 1 <= self.crop <= self.size
        require(
            small, f"a crop of {self.crop} px cannot be cut out of {self.size}: give a larger size, or a smaller crop"
        )

    @property
    def out_size(self) -> int:
        """Pixels that the model sees."""
        return self.size if self.enlarge or self.crop is None else self.crop

    @property
    def _cut(self) -> int:
        return self.crop or self.size

    @property
    def side(self) -> int:
        """Of one black square, in pixels of the crop."""
        return round(self._cut * math.sqrt(self.squares / NUM_SQUARES))

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Of one clip: corner int64 [2] (y, x), flip bool [], squares int64 [5, 2] (y, x; -1 for none), missing and solarize
        bool [T], noise int64 []. Only what is on."""
        params: dict[str, np.ndarray] = {}
        if self.random and self.crop is not None:
            params["corner"] = rng.integers(0, self.size - self.crop + 1, 2)
        if self.flip:
            params["flip"] = np.array(rng.uniform() < self.flip)
        if self.squares:
            places = rng.integers(0, self._cut - self.side + 1, (NUM_SQUARES, 2))
            params["squares"] = places if rng.uniform() < self.squares_prob else np.full_like(places, -1)
        if self.missing:
            params["missing"] = rng.permutation(self.num_frames) < round(self.missing * self.num_frames)
        if self.solarize:
            params["solarize"] = rng.uniform(size=self.num_frames) < self.solarize
        if self.salt_pepper:
            params["noise"] = np.array(rng.integers(2**62))
        return params

    def apply(self, frames: Tensor, params: dict[str, Tensor]) -> Tensor:
        """uint8 [B, T, H, W, C] to normalised float32 [B, C, T, out_size, out_size], on the device of `frames`.

        Args:
            params: what `draw` returned, stacked, on the CPU; {} for the plain transform.
        """
        B, T = frames.shape[:2]
        shape = (B, len(self.mean), T, self.out_size, self.out_size)
        out = (
            torch.empty(shape, device=frames.device)
            if frames.is_cuda
            else torch.from_numpy(np.empty(shape, np.float32))
        )
        for b in range(B):
            own = {k: v[b] for k, v in params.items()}
            noise = torch.Generator(frames.device)
            noise.manual_seed(int(own["noise"]) if "noise" in own else 0)
            for start in range(0, T, FRAMES_AT_ONCE):
                part = slice(start, min(start + FRAMES_AT_ONCE, T))
                self._apply(frames[b, part], own, part, noise, out[b, :, part])
        return out

    def _apply(self, clip: Tensor, own: dict[str, Tensor], part: slice, noise: torch.Generator, out: Tensor) -> None:
        """Frames `part` of one clip [t, H, W, C] into `out` [C, t, out_size, out_size]."""
        clip = geometry.resize((to_grey(clip) if self.grey else clip)[None], self.size)[0]
        clip = self._cropped(clip, own)
        if "squares" in own:
            clip = _with_squares(clip, own["squares"], self.side)
        if "solarize" in own:
            clip = solarized(clip, own["solarize"][part].to(clip.device))
        if "noise" in own:
            clip = salted(clip, self.salt_pepper, noise)
        if "missing" in own:
            clip = clip.masked_fill(own["missing"][part].to(clip.device)[:, None, None, None], 0)
        pixels = clip.permute(3, 0, 1, 2).float()
        if self.out_size != self._cut:
            pixels = F.interpolate(pixels, (self.out_size, self.out_size), mode="bilinear")
        mean, std = (pixels.new_tensor(v).reshape(-1, 1, 1, 1) for v in (self.mean, self.std))
        torch.sub(pixels * (1 / (255 * std)), mean / std, out=out)

    def _cropped(self, clip: Tensor, own: dict[str, Tensor]) -> Tensor:
        middle = (self.size - self._cut) // 2
        y, x = own["corner"].tolist() if "corner" in own else (middle, middle)
        clip = clip[:, y : y + self._cut, x : x + self._cut]
        return clip.flip(2) if "flip" in own and bool(own["flip"]) else clip


def _with_squares(clip: Tensor, places: Tensor, side: int) -> Tensor:
    clip = clip.clone()
    for y, x in places.tolist():
        if y >= 0:
            clip[:, y : y + side, x : x + side] = 0
    return clip


def solarized(clip: Tensor, chosen: Tensor) -> Tensor:
    """uint8 [t, H, W, C]: of the chosen frames [t], values above the frame's mean luma are inverted."""
    average = to_grey(clip).float().mean((1, 2, 3), keepdim=True)
    inverted = (clip > average) & chosen[:, None, None, None]
    return torch.where(inverted, 255 - clip, clip)


def salted(clip: Tensor, density: float, noise: torch.Generator) -> Tensor:
    """uint8 [t, H, W, C]: a share of the pixels becomes black or white, all channels alike."""
    drawn = torch.rand((*clip.shape[:3], 1), generator=noise, device=clip.device)
    clip = torch.where(drawn < density / 2, torch.zeros_like(clip), clip)
    return torch.where(drawn >= 1 - density / 2, torch.full_like(clip, 255), clip)
