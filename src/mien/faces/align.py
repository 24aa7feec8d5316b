"""Where a crop lies in its frame: the templates, and the affine map from the crop to the source.

Coordinates are continuous: x right, y down, the first pixel's centre at (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.errors import UserError

# "five-point-1": the unit square holds a face from the hairline to below the chin. Eyes 0.28 apart because a face from
# hairline to chin is about three times the distance of its pupils high (anthropometric means: 63 mm, 185 mm).
# Image left first.
FIVE_POINT = np.array([[0.36, 0.40], [0.64, 0.40], [0.50, 0.56], [0.385, 0.685], [0.615, 0.685]])
# "sixty-eight-1": the same face by eight landmarks that hardly move with the expression (decisions: landmark-crop). Their numbers
# are from 0, in the order of 300-W: only so are they their own mirror image (and is 48-67 the mouth). The coordinates are
# ours, on the scale of 0.28 = 63 mm: corners of the eyes 29 mm apart around the eyes of "five-point-1" (inner corners
# 34 mm, outer 92 mm apart), its corners of the mouth, 28 a third of the way from the line of the eyes to its nose tip,
# 33 (where the nose meets the lip) 9 mm below that. Good to a few millimetres of an adult's mean face.
STABLE = (28, 33, 36, 39, 42, 45, 48, 54)
EIGHT_OF_68 = np.array(
    [
        [0.50, 0.453],
        [0.50, 0.60],
        [0.295, 0.40],
        [0.425, 0.40],
        [0.575, 0.40],
        [0.705, 0.40],
        [0.385, 0.685],
        [0.615, 0.685],
    ]
)
# VoxCeleb2 clips are 224 x 224; the papers keep rows 0..159 and columns 32..191 of them (as fractions: x0 y0 x1 y1).
VOXCELEB2 = (32 / 224, 0.0, 192 / 224, 160 / 224)
# Of the eye distance, how far the nose tip stands out before the plane of the eyes (about 36 of 63 mm: assumed).
NOSE_DEPTH = 0.57


@dataclass(frozen=True, eq=False)
class Template:
    """Which of a face's points are aligned, and where they come to lie in the unit square."""

    num_points: int
    used: tuple[int, ...]
    places: np.ndarray
    """[len(used), 2]"""


TEMPLATES = {
    "five-point-1": Template(5, (0, 1, 2, 3, 4), FIVE_POINT),
    "sixty-eight-1": Template(68, STABLE, EIGHT_OF_68),
}


def template_named(name: str) -> Template:
    """Raises UserError for a name that this version does not know."""
    if name not in TEMPLATES:
        raise UserError(f"landmark template {name!r}; this version knows {', '.join(TEMPLATES)}: update mien")
    return TEMPLATES[name]


def five_of(points: np.ndarray) -> np.ndarray:
    """[5, 2] or [68, 2] -> [5, 2] eyes (the middles of their six landmarks), nose tip, mouth corners, image left first."""
    if len(points) == 5:
        return points
    return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[2, 3] matrix of the rotation, uniform scale and shift that takes `source` [N, 2] nearest to `target` [N, 2].

    Least squares after Umeyama (1991), without reflection; in the plane it has a closed form in complex numbers.
    """
    s, t = (p[:, 0] + 1j * p[:, 1] for p in (source.astype(float), target.astype(float)))
    s0, t0 = s.mean(), t.mean()
    a = np.vdot(s - s0, t - t0) / max(float(np.vdot(s - s0, s - s0).real), 1e-9)
    b = t0 - a * s0
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def invert(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a [2, 3] affine map."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -linear @ matrix[:, 2:]], 1)


def face_matrix(points: np.ndarray, size: int, margin: float, template: str = "five-point-1") -> np.ndarray:
    """[2, 3] from pixels of the crop to pixels of the frame.

    Args:
        points: [P, 2] in the frame, as many as the template has.
        size: side of the crop in pixels.
        margin: fraction of the template's side added on each side.
    """
    to = template_named(template)
    places, points = ((to.places - 0.5) / (1 + 2 * margin) + 0.5) * size, points[list(to.used)]
    # Collapsed points (a damaged --boxes file) give no scale; the tiny floor keeps the crop finite.
    matrix = similarity(points, places)
    if np.hypot(*matrix[:, 0]) < 1e-6:
        matrix = np.concatenate([np.eye(2), (size / 2 - points.mean(0))[:, None]], 1)
    return invert(matrix)


def square(box: np.ndarray, margin: float) -> tuple[float, float, float, float]:
    """The square around a box's centre, as wide as its longer side and the margin (fraction, on each side)."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half = max(box[2] - box[0], box[3] - box[1]) * (0.5 + margin)
    return float(x - half), float(y - half), float(x + half), float(y + half)


def yaw_degrees(points: np.ndarray) -> float:
    """Rough turn of the head from five points; positive = towards the image's right. NaN without points.

    A head turned by y shows its eyes cos(y) e apart and its nose sin(y) d e off their middle, with d = `NOSE_DEPTH`: so
    tan(y) = offset / distance / d, both measured along the line of the eyes. Orthographic, a mean nose, no pitch:
    good for telling frontal from profile, not for degrees.
    """
    eyes = points[1] - points[0]
    distance = float(np.hypot(*eyes))
    if not distance > 0:
        return float("nan")
    offset = float(np.dot(points[2] - (points[0] + points[1]) / 2, eyes)) / distance
    return float(np.degrees(np.arctan2(offset, distance * NOSE_DEPTH)))
