"""Random local warping: moves parts of a face as its muscles would, so that the expression changes and the person stays.

ContraWarping's idea; its paper pins neither control points nor falloff nor sizes, so these are ours (decisions: contrawarping):

- A *move* shifts a few control points of a canonical face: the ends of a brow, a lid, a corner of the mouth. Moves of paired
  muscles exist once per side. The points lie on the five-point template that `mien prepare --crop face` aligns faces to, so no
  landmarks are needed at training; pictures that are not aligned get a plain lattice of points instead.
- A shift falls off with a Gaussian around each point. Its size is relative to the distance of the eyes, its direction is that
  of the muscle, or the opposite, turned by a few random degrees.
- An envelope keeps the outline of the face and the border of the picture where they are.
- The sum of all moves is made weaker where it would fold the picture.

Fields are composed as a product of coefficients with a table of basis fields of low resolution: one matrix product per batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mien.errors import require

# The unit square of the alignment template (`prepare.align.FIVE_POINT`): eyes, nose tip, mouth corners, image left first.
EYE, NOSE, MOUTH = (0.36, 0.40), (0.50, 0.56), (0.385, 0.685)
EYE_DISTANCE = 1 - 2 * EYE[0]
LATTICE = 40
"""Side of a basis field. A Gaussian of 0.05 of the picture is drawn with an error below 4 % of its height."""
FOLD = 0.9
"""Steepest change of the shift, pixels per pixel (Frobenius norm of its derivative): below 1 the picture cannot fold."""


class Point(NamedTuple):
    """A control point: place in the template's square, shift in units of the move, width of the falloff in eye distances."""

    x: float
    y: float
    dx: float
    dy: float
    width: float


class Move(NamedTuple):
    """Points that a muscle moves together. One that is not `paired` lies on the middle line."""

    points: tuple[Point, ...]
    paired: bool = True
    opposite: float = 1.0
    """How far it goes the other way: lids open less than they close."""


# Directions for the image-left half: x to the right (towards the middle line), y down. Anatomy after the facial action units
# named at each; places, widths and proportions by eye on aligned faces (docs/methods/contrawarping.md).
FACE: dict[str, Move] = {
    "inner brow": Move((Point(0.435, 0.320, 0.1, -0.9, 0.18), Point(0.385, 0.300, 0.0, -0.5, 0.17))),  # AU 1, 4
    "outer brow": Move((Point(0.285, 0.315, 0.0, -0.9, 0.18), Point(0.340, 0.295, 0.0, -0.6, 0.17))),  # AU 2
    "knit": Move((Point(0.440, 0.330, 0.7, 0.5, 0.2),)),  # AU 4
    "lids": Move((Point(0.36, 0.378, 0.0, 0.5, 0.16), Point(0.36, 0.425, 0.0, -0.35, 0.16)), opposite=0.5),  # AU 5, 7, 43
    "cheek": Move((Point(0.315, 0.53, 0.05, -0.8, 0.3), Point(0.35, 0.455, 0.0, -0.35, 0.2))),  # AU 6
    "nose": Move((Point(0.450, 0.555, 0.0, -0.6, 0.18), Point(0.465, 0.49, 0.0, -0.35, 0.18)), opposite=0.4),  # AU 9
    "corner": Move((Point(0.385, 0.685, -0.6, -0.9, 0.24), Point(0.34, 0.63, -0.2, -0.5, 0.25))),  # AU 12, 15
    "stretch": Move((Point(0.385, 0.690, -1.0, 0.15, 0.26),)),  # AU 20, 18
    "upper lip": Move((Point(0.455, 0.655, 0.0, -0.8, 0.17),), opposite=0.5),  # AU 10
    "part": Move(
        (Point(0.5, 0.655, 0.0, -0.45, 0.2), Point(0.5, 0.715, 0.0, 1.0, 0.26), Point(0.5, 0.78, 0.0, 0.6, 0.3)), False, 0.5
    ),  # AU 25, 26; 23, 24
    "lower lip": Move((Point(0.5, 0.725, 0.0, -0.8, 0.22),), False, 0.6),  # AU 16, 17
}  # fmt: skip
GRID_SIDE = 5
"""Control points along each side of the plain lattice."""


@dataclass(frozen=True)
class Warp:
    """How faces are warped. The defaults are ours; docs/methods/contrawarping.md shows what they look like."""

    layout: Literal["auto", "face", "grid"] = "auto"
    """face: muscles of an aligned face; grid: a lattice of points that move anywhere; auto: what the shards are, face or not."""
    margin: float = 0.0
    """That of the crops (`mien prepare --margin`); with auto, `mien pretrain` takes it from the shards."""
    moves: tuple[int, int] = (2, 5)
    """Fewest and most moves of one picture; the two sides of a pair count once."""
    magnitude: tuple[float, float] = (0.07, 0.18)
    """Size of a move in eye distances: a broad smile pulls the corners of the mouth by about 0.2."""
    one_sided: float = 0.25
    """Probability that a paired move acts on one side only."""
    asymmetry: float = 0.2
    """How far the two sides of a mirrored move may differ, as a fraction."""
    turn: float = 25.0
    """Largest deviation of the direction in degrees."""

    def __post_init__(self) -> None:
        low, high = self.moves
        require(
            1 <= low <= high <= self.num_moves, f"warp moves {self.moves}: give two numbers from 1 to {self.num_moves}"
        )
        low, high = self.magnitude
        require(
            0 <= low <= high <= 0.5, f"warp magnitude {self.magnitude}: give two numbers from 0 to 0.5 eye distances"
        )
        for name in ("one_sided", "asymmetry"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"warp {name.replace('_', '-')} {value:g}: give a number from 0 to 1")
        require(self.margin >= -0.3, f"warp margin {self.margin:g}: give -0.3, the tightest crop, or more")

    @property
    def num_moves(self) -> int:
        return GRID_SIDE**2 if self.layout == "grid" else len(FACE)

    @property
    def numbers(self) -> int:
        """Uniform numbers that decide the warp of a picture."""
        return 1 + 6 * self.num_moves

    def drawn(self, numbers: np.ndarray) -> np.ndarray:
        """Coefficients float32 [B, 2, N] of B pictures, along each basis field and across it.

        Args:
            numbers: [B, `numbers`], uniform from 0 to 1.
        """
        u = numbers.astype(np.float64)
        low, high = self.moves
        rank, size, sign, turn, side, other = u[:, 1:].reshape(len(u), 6, -1).transpose(1, 0, 2)
        chosen = rank.argsort(axis=1).argsort(axis=1) < low + np.floor(u[:, :1] * (high - low + 1))
        strength = chosen * (self.magnitude[0] + (self.magnitude[1] - self.magnitude[0]) * size)
        if self.layout == "grid":
            angle = 2 * np.pi * turn
            return np.stack([strength * np.cos(angle), strength * np.sin(angle)], axis=1).astype(np.float32)
        strength = strength * np.where(sign < 0.5, 1.0, [-m.opposite for m in FACE.values()])
        angle = np.radians(self.turn * (2 * turn - 1))
        paired = np.array([m.paired for m in FACE.values()])
        left = np.where(paired & (side < self.one_sided / 2), 0, 1)
        right = np.where(
            (side >= self.one_sided / 2) & (side < self.one_sided), 0, 1 + self.asymmetry * (2 * other - 1)
        )
        sides = np.stack([left, right], axis=2)
        # Turning the left half clockwise turns the right half the other way round: mirrored.
        along, across = (
            (strength * np.cos(angle))[..., None] * sides,
            (strength * np.sin(angle))[..., None] * sides * (1, -1),
        )
        there = np.stack([np.ones_like(paired), paired], axis=1).ravel()
        return np.stack([along, across], axis=1).reshape(len(u), 2, -1)[:, :, there].astype(np.float32)

    def fields(self, coefficients: Tensor) -> Tensor:
        """Coefficients [B, 2, N] to shifts [B, 2, LATTICE, LATTICE] (x, y), in units of half a picture side.

        The pixel at p of the warped picture shows what is at p + shift(p). The lattice spans the picture from edge to edge,
        as `grid_sample` with ``align_corners=True`` reads it.
        """
        basis = basis_fields(self.layout == "grid", self.margin, coefficients.device)
        shifts = (coefficients.flatten(1) @ basis).reshape(-1, 2, LATTICE, LATTICE)
        per_cell = LATTICE / 2 - 0.5  # cells in half a picture side
        across, down = shifts.diff(dim=3)[:, :, :-1], shifts.diff(dim=2)[:, :, :, :-1]
        steepest = (across.square() + down.square()).sum(1).flatten(1).amax(1).sqrt() * per_cell
        return shifts * (FOLD / steepest.clamp(min=FOLD)).reshape(-1, 1, 1, 1)


@lru_cache(maxsize=8)
def basis_fields(lattice: bool, margin: float, device: torch.device) -> Tensor:
    """float32 [2 * N, 2 * LATTICE**2]: the N moves of unit size as shifts (x, y), then the same turned by a right angle.

    A positive move shifts what is seen along its direction, so the place it is read from goes the other way.
    """
    line = np.linspace(0, 1, LATTICE)
    place = np.stack(np.meshgrid(line, line), axis=-1)  # [y, x, 2] of the crop
    place = (place - 0.5) * (1 + 2 * margin) + 0.5  # of the template
    unit = 2 * EYE_DISTANCE / (1 + 2 * margin)  # an eye distance in half crop sides
    envelope = np.ones(place.shape[:2]) if lattice else _face_envelope(place)
    envelope = envelope * _border_envelope()
    fields = [-unit * envelope[..., None] * _bumps(points, place) for points in _all_points(lattice)]
    along = np.stack(fields).transpose(0, 3, 1, 2)  # [N, 2, y, x]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    basis = np.concatenate([along, across]).reshape(2 * len(fields), -1).astype(np.float32)
    return torch.from_numpy(basis).to(device)


def _all_points(lattice: bool) -> list[tuple[Point, ...]]:
    if lattice:
        centres = (np.arange(GRID_SIDE) + 0.5) / GRID_SIDE
        return [(Point(x, y, 1.0, 0.0, 0.12 / EYE_DISTANCE),) for y in centres for x in centres]
    sides = []
    for move in FACE.values():
        sides.append(move.points)
        if move.paired:
            sides.append(tuple(p._replace(x=1 - p.x, dx=-p.dx) for p in move.points))
    return sides


def _bumps(points: tuple[Point, ...], place: np.ndarray) -> np.ndarray:
    """[y, x, 2]: the shifts of the points, each with its Gaussian around it."""
    total = np.zeros(place.shape)
    for p in points:
        squared = ((place - (p.x, p.y)) ** 2).sum(-1) / (p.width * EYE_DISTANCE) ** 2
        total += np.exp(-0.5 * squared)[..., None] * (p.dx, p.dy)
    return total


def _face_envelope(place: np.ndarray) -> np.ndarray:
    """1 over the features, 0 from the outline on, an oval with broad temples from the hairline to the chin."""
    radius = np.cbrt(np.abs((place[..., 0] - 0.5) / 0.33) ** 3 + np.abs((place[..., 1] - 0.53) / 0.38) ** 3)
    return _smooth((1 - radius) / 0.3)


def _border_envelope() -> np.ndarray:
    """0 on the border of the picture, 1 from a tenth of its side on."""
    line = np.linspace(0, 1, LATTICE)
    inside = _smooth(np.minimum(line, 1 - line) / 0.1)
    return inside[:, None] * inside[None, :]


def _smooth(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, without a kink between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
