"""Several augmented views of the same decoded frames: what contrastive and self-distilling methods compare.

All views of a batch are made on its device from one copy of the frames. Per view the geometry (crop, small affine, mirror, local
warp) is one `grid_sample`, the colours (brightness, contrast, saturation, hue in random order, grey) one affine map per clip,
the blur two batched matrix products. Parameters are drawn per sample and hold for all frames of a clip.

Where this differs from Pillow's operations one after the other: values are cut off once, after all colours; the hue is turned
about the grey axis (YIQ), not in HSV (both make the colours of a view one matrix); crops are sampled bilinearly, not bicubically.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.errors import require
from mien.transforms import geometry
from mien.transforms.clip import IMAGENET_MEAN, IMAGENET_STD
from mien.transforms.warp import LATTICE, Warp

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601-2, as Pillow's convert("L")
# To luma and two colour differences (NTSC), in which a change of hue is a rotation.
YIQ = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
FROM_YIQ = np.linalg.inv(YIQ)
TRIES = 10
NUMBERS = 20 + 2 * TRIES
"""Uniform numbers that decide a view."""
BLUR_REFERENCE = 224
"""Side of the pictures that the papers give the width of their blur for."""
# Above 1 a colour would be weighed by less than nothing; half a turn is any hue.
LARGEST = {"rotate": 180.0, "translate": 1.0, "brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.5}


@dataclass(frozen=True)
class Look:
    """The distribution one view is drawn from. Probabilities and strengths are BYOL's first view; what is meant for small faces
    is ours and says so (decisions: contrastive-views)."""

    size: int = 0
    """Side of the view in pixels; 0 for that of the clip."""
    crop_area: tuple[float, float] = (0.5, 1.0)
    """As a fraction of the picture. Ours: 0.08 of a face may hold neither eye nor mouth, so nothing of its expression."""
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    """Width over height of the part that is cut out."""
    rotate: float = 10.0
    """Largest turn in degrees. Ours, as the next two: ContraWarping names affine maps but no sizes."""
    translate: float = 0.05
    """Largest shift, as a fraction of the side."""
    scale: tuple[float, float] = (0.9, 1.1)
    """Lowest and highest factor of size."""
    flip: float = 0.5
    """Probability of mirroring."""
    jitter: float = 0.8
    """Probability that brightness, contrast, saturation and hue change, in random order."""
    brightness: float = 0.4
    """Largest change, as a share."""
    contrast: float = 0.4
    """Largest change, as a share."""
    saturation: float = 0.2
    """Largest change, as a share."""
    hue: float = 0.1
    """In turns of the colour circle."""
    grey: float = 0.2
    """Probability of a picture without colour."""
    blur: float = 1.0
    """Probability of a Gaussian blur."""
    sigma: tuple[float, float] = (0.1, 2.0)
    """Of the blur, in pixels of a picture of 224; smaller views get less."""
    solarize: float = 0.0
    """Probability that values from one half on are inverted."""

    def __post_init__(self) -> None:
        require(self.size == 0 or self.size >= 8, f"view size {self.size}: give 8 or more pixels")
        for name in ("flip", "jitter", "grey", "blur", "solarize"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"view {name} {value:g}: give a probability")
        low, high = self.crop_area
        require(0 < low <= high <= 1, f"view crop-area {self.crop_area}: give two rising numbers above 0 and up to 1")
        for name in ("crop_aspect", "scale", "sigma"):
            low, high = getattr(self, name)
            require(0 < low <= high, f"view {name.replace('_', '-')} {low:g} {high:g}: give two rising numbers above 0")
        for name, most in LARGEST.items():
            value = getattr(self, name)
            require(0 <= value <= most, f"view {name} {value:g}: give a number from 0 to {most:g}")

    def drawn(self, numbers: np.ndarray) -> Drawn:
        """The parameters of B views from uniform numbers [B, `NUMBERS`]."""
        u = numbers.astype(np.float64)
        width = _between(self.sigma, u[:, 16]) * self.size / BLUR_REFERENCE
        return Drawn(
            self._theta(u).astype(np.float32),
            self._color(u).astype(np.float32),
            np.where(u[:, 15] < self.blur, width, 0).astype(np.float32),
            u[:, 17] < self.solarize,
        )

    def _theta(self, u: np.ndarray) -> np.ndarray:
        """The maps from a view's to the picture's coordinates, both from -1 to 1: mirror, then crop, then affine."""
        x, y, w, h = boxes(u[:, 18:], self.crop_area, self.crop_aspect).T
        zero = np.zeros_like(x)
        mirror = np.where(u[:, 0] < self.flip, -1, 1)
        crop = np.stack([w * mirror, zero, 2 * x + w - 1, zero, h, 2 * y + h - 1], axis=1).reshape(-1, 2, 3)
        angle = np.radians(_between((-self.rotate, self.rotate), u[:, 1]))
        c, s = (f(angle) / _between(self.scale, u[:, 2]) for f in (np.cos, np.sin))
        shift = 2 * _between((-self.translate, self.translate), u[:, 3:5])
        turn = np.stack([c, -s, s, c], axis=1).reshape(-1, 2, 2)
        moved = turn @ crop
        moved[:, :, 2] += shift
        return moved

    def _color(self, u: np.ndarray) -> np.ndarray:
        """(A, M) [B, 2, 3, 3]: a pixel x of a picture with the mean colour m becomes ``A x + M m``."""
        spreads = np.array([self.brightness, self.contrast, self.saturation, self.hue])
        values = np.where(u[:, 5, None] < self.jitter, spreads * (2 * u[:, 6:10] - 1), 0) + (1, 1, 1, 0)
        state = np.stack([np.eye(3), np.zeros((3, 3))]) * np.ones((len(u), 1, 1, 1))
        for operation in np.argsort(u[:, 10:14], axis=1).T:
            state = adjusted(state, operation, values[np.arange(len(u)), operation])
        return adjusted(state, np.full(len(u), 2), np.where(u[:, 14] < self.grey, 0.0, 1.0))


class Drawn(NamedTuple):
    """Parameters of one view of B samples."""

    theta: np.ndarray
    """float32 [B, 2, 3], from the view to the picture, both from -1 to 1."""
    color: np.ndarray
    """float32 [B, 2, 3, 3]: see `recolored`."""
    sigma: np.ndarray
    """float32 [B], of the blur in pixels, 0 for none."""
    solarize: np.ndarray
    """bool [B]."""


def _between(limits: tuple[float, float], u: np.ndarray) -> np.ndarray:
    return limits[0] + (limits[1] - limits[0]) * u


def boxes(u: np.ndarray, area: tuple[float, float], aspect: tuple[float, float]) -> np.ndarray:
    """(x, y, w, h) [B, 4] inside the unit square from uniform numbers [B, 2 + 2 * `TRIES`]: area uniform, aspect log-uniform, the
    first try that fits, else the whole."""
    areas = _between(area, u[:, 2 : 2 + TRIES])
    ratios = np.exp(_between((math.log(aspect[0]), math.log(aspect[1])), u[:, 2 + TRIES :]))
    sides = np.sqrt(np.stack([areas * ratios, areas / ratios], axis=2))
    fits = sides.max(axis=2) <= 1
    first = sides[np.arange(len(u)), fits.argmax(axis=1)]
    size = np.where(fits.max(axis=1, keepdims=True), first, 1.0)
    return np.concatenate([u[:, :2] * (1 - size), size], axis=1)


def adjusted(state: np.ndarray, operation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The maps (A, M) [B, 2, 3, 3] followed by an operation [B] each: 0 brightness, 1 contrast, 2 saturation, 3 hue."""
    value = value[:, None, None]
    scaled, grey = value * np.eye(3), np.tile(LUMA, (3, 1))
    c, s = np.cos(2 * np.pi * value[:, 0, 0]), np.sin(2 * np.pi * value[:, 0, 0])
    zero, one = np.zeros_like(c), np.ones_like(c)
    rotation = np.stack([one, zero, zero, zero, c, -s, zero, s, c], axis=1).reshape(-1, 3, 3)
    choices = np.stack([scaled, scaled, scaled + (1 - value) * grey, FROM_YIQ @ rotation @ YIQ])
    step = choices[operation, np.arange(len(state))][:, None]
    result = step @ state
    # Contrast blends with the mean grey of what there is by then.
    result[:, 1] += np.where(operation == 1, 1, 0)[:, None, None] * (1 - value) * (grey @ state.sum(axis=1))
    return result


@dataclass(frozen=True)
class Views:
    """The views of a method, by name; see the module's docstring. As a transform of a `data.view.View` each lands in the batch
    under its own name."""

    names: tuple[str, ...]
    looks: tuple[Look, ...]
    warp: Warp | None = None
    warped: tuple[str, ...] = ()
    """Views of the warped face; the others show the face as it is."""
    swap: float = 0.0
    """Probability that it is the other views which show the warped face."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    grey: bool = False

    def __post_init__(self) -> None:
        assert len(self.names) == len(self.looks) == len(set(self.names))
        assert set(self.warped) <= set(self.names)
        assert bool(self.warped) == (self.warp is not None)
        assert len(self.mean) == len(self.std) == (1 if self.grey else 3)

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Uniform numbers, float32 [N]: everything is computed from them for a whole batch at once."""
        count = NUMBERS * len(self.names) + (0 if self.warp is None else 1 + self.warp.numbers)
        return {"uniform": rng.random(count, dtype=np.float32)}

    def apply(self, frames: Tensor, params: dict[str, Tensor]) -> dict[str, Tensor]:
        """uint8 [B, T, H, W, C] to normalised float32 [B, C, T, size, size] per view, on the device of `frames`.

        Args:
            params: what `draw` returned, stacked; on the CPU.
        """
        B, T, _, _, C = frames.shape
        device, uniform = frames.device, params["uniform"].numpy()
        frames = shrunk(frames, max(look.size for look in self.looks))
        planes = frames.permute(0, 4, 1, 2, 3).reshape(B, C * T, *frames.shape[2:4]).float()
        field, swap = None, np.zeros(B, bool)
        if self.warp is not None:
            rest = uniform[:, NUMBERS * len(self.names) :]
            field = self.warp.fields(_to(self.warp.drawn(rest[:, 1:]), device))
            swap = rest[:, 0] < self.swap
        out = {}
        for k, (name, look) in enumerate(zip(self.names, self.looks, strict=True)):
            own = look.drawn(uniform[:, NUMBERS * k : NUMBERS * (k + 1)])
            moved = swap != (name in self.warped)
            view = sample(planes, own.theta, field if moved.any() else None, moved, look.size)
            out[name] = self._finish(view.unflatten(1, (C, T)), own)
        return out

    def _finish(self, clip: Tensor, own: Drawn) -> Tensor:
        """Colours, blur and solarisation of [B, C, T, size, size] in 0 .. 255, then normalised."""
        clip = blurred(recolored(clip, own.color), own.sigma)
        mean, std = (clip.new_tensor(v).reshape(-1, 1, 1, 1) for v in (self.mean, self.std))
        if own.solarize.any():
            rows = _to(own.solarize.nonzero()[0], clip.device)
            chosen = clip.index_select(0, rows)
            clip.index_copy_(0, rows, torch.where(chosen < 127.5, chosen, 255 - chosen))
        return clip.mul_(1 / (255 * std)).sub_(mean / std)


def _to(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(values).to(device, non_blocking=True)


def shrunk(frames: Tensor, size: int) -> Tensor:
    """Frames more than twice as large as the views are made twice as large, antialiased: from there on, bilinear sampling of any
    crop reads every pixel."""
    return geometry.resize(frames, 2 * size) if min(frames.shape[2:4]) > 2 * size else frames


@lru_cache(maxsize=16)
def _centres(size: int, count: int, device: torch.device) -> Tensor:
    """Homogeneous coordinates [count**2, 3] of a lattice over the pixel centres of a view, from -1 to 1, corners included."""
    line = np.linspace(-1 + 1 / size, 1 - 1 / size, count)
    x, y = np.meshgrid(line, line)
    return torch.from_numpy(np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3).astype(np.float32)).to(device)


def sample(planes: Tensor, theta: np.ndarray, field: Tensor | None, moved: np.ndarray, size: int) -> Tensor:
    """Reads views [B, P, size, size] from planes [B, P, H, W].

    Args:
        theta: [B, 2, 3], view to picture, both from -1 to 1.
        field: shifts in the picture, [B, 2, LATTICE, LATTICE], for the clips where `moved` [B] says so.
    """
    count = size if field is None else LATTICE
    at = (_centres(size, count, planes.device) @ _to(theta, planes.device).mT).reshape(-1, count, count, 2)
    if field is not None:
        # Both maps are composed on the lattice; an affine one is exact between its points.
        shift = F.grid_sample(field, at, mode="bilinear", padding_mode="border", align_corners=True).permute(0, 2, 3, 1)
        at = at + shift * _to(moved, planes.device).reshape(-1, 1, 1, 1)
        at = F.interpolate(at.permute(0, 3, 1, 2), (size, size), mode="bilinear", align_corners=True).permute(
            0, 2, 3, 1
        )
    return F.grid_sample(planes, at, mode="bilinear", padding_mode="border", align_corners=False)


def recolored(clip: Tensor, color: np.ndarray) -> Tensor:
    """``A x + M m`` for clips [B, C, T, H, W] in 0 .. 255 with their mean colours m, cut off; color [B, 2, 3, 3]."""
    if clip.shape[1] == 1:  # of a grey picture only the sum of a row's weights is seen
        color = color[:, :, :1].sum(-1, keepdims=True)
    maps, flat = _to(color, clip.device), clip.flatten(2)
    offset = maps[:, 1] @ flat.mean(2, keepdim=True)
    return torch.baddbmm(offset, maps[:, 0], flat).clamp_(0, 255).reshape(clip.shape)


def blurred(clip: Tensor, sigma: np.ndarray) -> Tensor:
    """Gaussian blur of clips [B, C, T, H, W] by `sigma` [B] pixels, 0 for none; at the border by what lies inside."""
    rows = sigma.nonzero()[0]
    if not len(rows):
        return clip
    size, everything = clip.shape[-1], len(rows) == len(clip)
    where = _to(rows, clip.device)
    chosen = clip if everything else clip.index_select(0, where)
    kernel = blur_matrix(_to(sigma[rows], clip.device), size)
    wide = chosen.flatten(1, 3) @ kernel.transpose(1, 2)  # along the rows
    planes = wide.unflatten(1, (-1, size)).transpose(1, 2).flatten(2)  # [B, H, P * W]
    done = (kernel @ planes).unflatten(2, (-1, size)).transpose(1, 2).reshape(chosen.shape)
    return done if everything else clip.index_copy_(0, where, done)


def blur_matrix(sigma: Tensor, size: int) -> Tensor:
    """[B, size, size], every row the weights of one output pixel."""
    line = torch.arange(size, device=sigma.device, dtype=torch.float32)
    distance = (line[:, None] - line) / sigma.reshape(-1, 1, 1)
    # exp(-x^2 / 2) below 1e-9 is none: no float that is too small to be normal slows the product down
    weights = torch.exp(-0.5 * distance.square()).where(distance.abs() < 6.4, 0)
    return weights / weights.sum(2, keepdim=True)
