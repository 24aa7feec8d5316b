"""Small pieces every drawing step shares: anti-aliased coverage from signed distances, blending, smooth noise.

Per-frame arrays are float32 (for speed), colours in 0..1, distances in face units: one unit is about the distance from
the eyes to the chin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.floating[Any]]
Region = tuple[slice, slice]

LEFT, TOP, WIDTH, HEIGHT = -1.14, -1.56, 2.28, 2.98
"""The face sheet in face units; its origin lies between the eyes and the nose. No head with its hair is larger."""


@dataclass(frozen=True)
class Grid:
    """The canonical frontal sheet a face is drawn on, `per_unit` texels to a face unit; x, y are [R, C]."""

    per_unit: int
    x: Array
    y: Array

    @property
    def texel(self) -> float:
        """Face units per texel: the width of an anti-aliased edge."""
        return 1 / self.per_unit

    def region(self, x0: float, y0: float, x1: float, y1: float) -> Region:
        """Slices (rows, columns) that cover a rectangle given in face units."""
        to, (num_rows, num_cols) = self.per_unit, self.x.shape
        rows = slice(max(int((y0 - TOP) * to), 0), min(int((y1 - TOP) * to) + 1, num_rows))
        return rows, slice(max(int((x0 - LEFT) * to), 0), min(int((x1 - LEFT) * to) + 1, num_cols))


@cache
def grid(per_unit: int) -> Grid:
    """The sheet at that fineness; shared, so do not write to its arrays."""
    across = LEFT + (np.arange(round(WIDTH * per_unit)) + 0.5) / per_unit
    down = TOP + (np.arange(round(HEIGHT * per_unit)) + 0.5) / per_unit
    y, x = np.meshgrid(down.astype(np.float32), across.astype(np.float32), indexing="ij")
    return Grid(per_unit, np.ascontiguousarray(x), np.ascontiguousarray(y))


def cover(distance: Array, width: float) -> Array:
    """Coverage in 0..1 of the inside (negative distance), with a linear edge of `width`."""
    return np.clip(np.float32(0.5) - distance * np.float32(1 / width), 0, 1)


def step(value: Array, low: float, high: float) -> Array:
    """Smooth step from 0 at `low` to 1 at `high` (low > high falls)."""
    t = np.clip((value - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (np.float32(3) - np.float32(2) * t)


def ellipse(x: Array, y: Array, cx: float, cy: float, a: float, b: float) -> Array:
    """Approximate signed distance to an axis-parallel ellipse."""
    u, v = (x - np.float32(cx)) * np.float32(1 / a), (y - np.float32(cy)) * np.float32(1 / b)
    return (np.sqrt(u * u + v * v) - np.float32(1)) * np.float32(min(a, b))


def bump(x: Array, y: Array, cx: float, cy: float, a: float, b: float) -> Array:
    """A Gaussian of height 1 with standard deviations a, b."""
    u, v = (x - np.float32(cx)) * np.float32(1 / a), (y - np.float32(cy)) * np.float32(1 / b)
    return np.exp(np.float32(-0.5) * (u * u + v * v))


def stroke(x: Array, y: Array, points: Sequence[tuple[float, float]], width: float, soft: float) -> Array:
    """Coverage of a polyline of the given width whose edges fade over `soft`."""
    best = np.full(x.shape, 9.0, np.float32)
    for (x0, y0), (x1, y1) in zip(points[:-1], points[1:], strict=True):
        dx, dy = x1 - x0, y1 - y0
        t = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
        best = np.minimum(best, np.hypot(x - (x0 + t * dx), y - (y0 + t * dy)))
    return cover((best - width / 2).astype(np.float32), soft)


def paint(image: Array, color: Sequence[float] | Array, alpha: Array) -> None:
    """Blends `color` (three numbers, or an image) into the first three channels of `image`, in place."""
    rgb = image[..., :3]
    rgb += (np.asarray(color, np.float32) - rgb) * alpha[..., None]


def layer(rgba: Array, color: Sequence[float] | Array, amount: Array) -> None:
    """Puts a layer of coverage `amount` over a straight-alpha image [..., 4], in place."""
    alpha = amount + rgba[..., 3] * (1 - amount)
    paint(rgba, color, amount / np.maximum(alpha, 1e-6))
    rgba[..., 3] = alpha


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> Array:
    """Value noise in about -1..1: random numbers on a lattice of (rows, columns) cells, interpolated to `shape`."""
    lattice = rng.uniform(-1, 1, (max(cells[0], 1), max(cells[1], 1))).astype(np.float32)
    image = Image.fromarray(lattice).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32)
