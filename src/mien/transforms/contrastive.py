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

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.transforms import geometry
from mien.transforms.warp import LATTICE, Warp
from mien.types import IMAGENET_MEAN, IMAGENET_STD, require

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601-2, as Pillow's convert("L")
# To luma and two colour differences (NTSC), in which a change of hue is a rotation.
YIQ = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
FROM_YIQ = np.linalg.inv(YIQ)
BLUR_REFERENCE = 224
"""Side of the pictures that the papers give the width of their blur for."""


@dataclass(frozen=True)
class Look:
    """The distribution one view is drawn from. Probabilities and strengths are BYOL's first view (official.md 9.5); what is meant
    for small faces is ours and says so."""

    size: int = 96
    """Side of the view in pixels. Ours: 96 (papers: 224)."""
    crop_area: tuple[float, float] = (0.5, 1.0)
    """As a fraction of the picture. Ours: 0.08 of a face may hold neither eye nor mouth, so nothing of its expression."""
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    rotate: float = 10.0
    """Largest turn in degrees. Ours, as the next two: ContraWarping names affine maps but no sizes."""
    translate: float = 0.05
    """Largest shift, as a fraction of the side."""
    scale: tuple[float, float] = (0.9, 1.1)
    flip: float = 0.5
    jitter: float = 0.8
    """Probability that brightness, contrast, saturation and hue change, in random order."""
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    """In turns of the colour circle."""
    grey: float = 0.2
    blur: float = 1.0
    sigma: tuple[float, float] = (0.1, 2.0)
    """Of the blur, in pixels of a picture of 224; smaller views get less."""
    solarize: float = 0.0
    """Probability that values from one half on are inverted."""

    def __post_init__(self) -> None:
        require(self.size >= 8, f"view size {self.size}: give 8 or more pixels")
        for name in ("flip", "jitter", "grey", "blur", "solarize"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"view {name} {value:g}: give a probability")
        low, high = self.crop_area
        require(0 < low <= high <= 1, f"view crop-area {self.crop_area}: give two numbers above 0 and up to 1")
        require(min(self.sigma) > 0, f"view sigma {self.sigma}: give numbers above 0")

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """theta float32 [2, 3], color float32 [2, 3, 3], sigma float32 [] (0 = sharp), solarize bool []."""
        return {
            "theta": self._theta(rng),
            "color": self._color(rng),
            "sigma": self._sigma(rng),
            "solarize": np.array(rng.uniform() < self.solarize),
        }

    def _sigma(self, rng: np.random.Generator) -> np.ndarray:
        width = rng.uniform(*self.sigma) * self.size / BLUR_REFERENCE
        return np.array(width if rng.uniform() < self.blur else 0.0, np.float32)

    def _theta(self, rng: np.random.Generator) -> np.ndarray:
        """The map from a view's to the picture's coordinates, both from -1 to 1: mirror, then crop, then affine."""
        x, y, w, h = geometry.random_resized_box(rng, 1000, self.crop_area, self.crop_aspect)
        mirror = -1.0 if rng.uniform() < self.flip else 1.0
        crop = np.array([[w * mirror, 0, 2 * x + w - 1000], [0, h, 2 * y + h - 1000]]) / 1000
        angle, zoom = math.radians(rng.uniform(-self.rotate, self.rotate)), 1 / rng.uniform(*self.scale)
        shift = 2 * self.translate * rng.uniform(-1, 1, 2)
        c, s = zoom * math.cos(angle), zoom * math.sin(angle)
        turn = np.array([[c, -s, shift[0]], [s, c, shift[1]]])
        return geometry.compose(turn, crop).astype(np.float32)

    def _color(self, rng: np.random.Generator) -> np.ndarray:
        """(A, M): a pixel x of a picture with the mean colour m becomes ``A x + M m``."""
        state = np.stack([np.eye(3), np.zeros((3, 3))])
        if rng.uniform() < self.jitter:
            factors = [rng.uniform(1 - v, 1 + v) for v in (self.brightness, self.contrast, self.saturation)]
            turn = rng.uniform(-self.hue, self.hue)
            for number in rng.permutation(4):
                state = adjusted(state, int(number), [*factors, turn][number])
        if rng.uniform() < self.grey:
            state = adjusted(state, 2, 0.0)
        return state.astype(np.float32)


def adjusted(state: np.ndarray, operation: int, value: float) -> np.ndarray:
    """The map (A, M) followed by another operation: 0 brightness, 1 contrast, 2 saturation, 3 hue."""
    if operation == 0:
        return state * value
    if operation == 1:  # blend with the mean grey of what there is by then
        grey = np.tile(LUMA, (3, 1)) @ state.sum(0)
        return np.stack([state[0] * value, state[1] * value + (1 - value) * grey])
    if operation == 2:
        return (value * np.eye(3) + (1 - value) * np.tile(LUMA, (3, 1))) @ state
    c, s = math.cos(2 * math.pi * value), math.sin(2 * math.pi * value)
    return FROM_YIQ @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ YIQ @ state


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
        """Of every view its look's parameters as ``<name>.<parameter>``; with a warp its coefficients [2, N] and "swap"."""
        params = {
            f"{name}.{key}": value
            for name, look in zip(self.names, self.looks, strict=True)
            for key, value in look.draw(rng).items()
        }
        if self.warp is not None:
            params |= {"warp": self.warp.draw(rng), "swap": np.array(rng.uniform() < self.swap)}
        return params

    def apply(self, frames: Tensor, params: dict[str, Tensor]) -> dict[str, Tensor]:
        """uint8 [B, T, H, W, C] to normalised float32 [B, C, T, size, size] per view, on the device of `frames`.

        Args:
            params: what `draw` returned, stacked; on the CPU (they decide there which clips need which work).
        """
        B, T, _, _, C = frames.shape
        largest = max(look.size for look in self.looks)
        frames = shrunk(frames, largest)
        planes = frames.permute(0, 4, 1, 2, 3).reshape(B, C * T, *frames.shape[2:4]).float()
        field = None if self.warp is None else self.warp.fields(params["warp"].to(frames.device, non_blocking=True))
        out = {}
        for name, look in zip(self.names, self.looks, strict=True):
            own = {key: params[f"{name}.{key}"] for key in ("theta", "color", "sigma", "solarize")}
            moved = params["swap"] != (name in self.warped) if field is not None else torch.zeros(B, dtype=torch.bool)
            view = sample(planes, own["theta"], field if moved.any() else None, moved, look.size)
            out[name] = self._finish(view.unflatten(1, (C, T)), own)
        return out

    def _finish(self, clip: Tensor, own: dict[str, Tensor]) -> Tensor:
        """Colours, blur and solarisation of [B, C, T, size, size] in 0 .. 255, then normalised."""
        clip = recolored(clip, own["color"].to(clip.device, non_blocking=True))
        clip = blurred(clip, own["sigma"])
        mean, std = (clip.new_tensor(v).reshape(-1, 1, 1, 1) for v in (self.mean, self.std))
        if own["solarize"].any():
            rows = own["solarize"].nonzero().flatten().to(clip.device)
            chosen = clip.index_select(0, rows)
            clip.index_copy_(0, rows, torch.where(chosen < 127.5, chosen, 255 - chosen))
        return clip.mul_(1 / (255 * std)).sub_(mean / std)


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


def sample(planes: Tensor, theta: Tensor, field: Tensor | None, moved: Tensor, size: int) -> Tensor:
    """Reads views [B, P, size, size] from planes [B, P, H, W].

    Args:
        theta: [B, 2, 3], view to picture, both from -1 to 1.
        field: shifts in the picture, [B, 2, LATTICE, LATTICE], for the clips where `moved` [B] says so.
    """
    theta = theta.to(planes.device, non_blocking=True)
    count = size if field is None else LATTICE
    at = (_centres(size, count, planes.device) @ theta.transpose(1, 2)).reshape(-1, count, count, 2)
    if field is not None:
        # Both maps are composed on the lattice; an affine one is exact between its points.
        shift = F.grid_sample(field, at, mode="bilinear", padding_mode="border", align_corners=True).permute(0, 2, 3, 1)
        at = at + shift * moved.to(planes.device, non_blocking=True).reshape(-1, 1, 1, 1)
        at = F.interpolate(at.permute(0, 3, 1, 2), (size, size), mode="bilinear", align_corners=True).permute(
            0, 2, 3, 1
        )
    return F.grid_sample(planes, at, mode="bilinear", padding_mode="border", align_corners=False)


def recolored(clip: Tensor, color: Tensor) -> Tensor:
    """``A x + M m`` for clips [B, C, T, H, W] in 0 .. 255 with their mean colours m, cut off; color [B, 2, 3, 3]."""
    B, C = clip.shape[:2]
    if C == 1:  # of a grey picture only the sum of a row's weights is seen
        color = color[:, :, :1].sum(-1, keepdim=True)
    flat = clip.flatten(2)
    offset = color[:, 1] @ flat.mean(2, keepdim=True)
    return torch.baddbmm(offset, color[:, 0], flat).clamp_(0, 255).reshape(clip.shape)


def blurred(clip: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of clips [B, C, T, H, W] by `sigma` [B] pixels, 0 for none; at the border by what lies inside."""
    rows = sigma.nonzero().flatten()
    if not len(rows):
        return clip
    size, everything = clip.shape[-1], len(rows) == len(clip)
    where = rows.to(clip.device, non_blocking=True)
    chosen = clip if everything else clip.index_select(0, where)
    kernel = blur_matrix(sigma[rows].to(clip.device, non_blocking=True), size)
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
