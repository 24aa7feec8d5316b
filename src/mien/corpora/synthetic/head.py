"""Where the sheet's points land in the picture: depth, skin movement, pose, and the inverse map that warps it.

The head is a relief: depth z(x, y) over the frontal sheet, turned under weak perspective; good to 30 degrees of yaw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.corpora.synthetic.actor import Actor
from mien.corpora.synthetic.shapes import HEIGHT, LEFT, TOP, Array, Grid, bump, step

DEPTH = 0.60
"""How far the middle of the face stands out before its rim, in face units."""
PIVOT_Z = 0.10
"""The head turns about a point this far before its rim."""
_CELL = 8
"""Pixels between the nodes of the inverse map; between them it is interpolated."""

Float = NDArray[np.float64]


def relief(actor: Actor, x: Array, y: Array) -> Array:
    """Depth of the head towards the viewer, as smooth as the inverse map needs it."""
    u, v = x * np.float32(1 / (actor.width * 1.08)), (y + np.float32(0.1)) * np.float32(1 / 1.2)
    rim = np.maximum(1 - u * u - v * v, -0.7) * np.float32(DEPTH)
    return rim + np.float32(0.16) * bump(x, y, 0.0, actor.nose_y - 0.05, 0.13, 0.17)


def skin_shift(actor: Actor, au: dict[str, float], x: Array, y: Array) -> tuple[Array, Array]:
    """How far the skin at (x, y) has moved because of the controls, in face units."""
    cheek = bump(np.abs(x), y, 0.40, 0.28, 0.16, 0.17)
    smile = au["au12"] * 0.5 + au["au06"] * 0.5
    jaw = step(y, 0.50, 0.95)
    brows = bump(np.abs(x), y, 0.22, -0.42, 0.25, 0.14)
    nose = bump(x, y, 0.0, actor.nose_y - 0.05, 0.16, 0.16)
    side = np.clip(x * np.float32(4), -1, 1)
    dx = side * (cheek * np.float32(0.035 * smile) - brows * np.float32(0.03 * au["au04"]))
    dy = (
        jaw * np.float32(0.15 * au["au26"] - 0.03 * au["au17"])
        - cheek * np.float32(0.05 * smile)
        + brows * np.float32(0.03 * au["au04"] - 0.025 * (au["au01"] + au["au02"]))
        - nose * np.float32(0.05 * au["au09"])
    )
    return dx, dy


@dataclass(frozen=True)
class Pose:
    """Yaw, pitch, roll in degrees (`motion.Motion.pose`), the origin at `center` (px), `scale` px per face unit."""

    yaw: float
    pitch: float
    roll: float
    center: tuple[float, float]
    scale: float

    @property
    def rotation(self) -> Float:
        """[3, 3]; x right, y down, z towards the viewer."""
        yaw, pitch, roll = np.radians([self.yaw, self.pitch, self.roll])
        cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
        turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        return tilt @ nod @ turn


def project(actor: Actor, au: dict[str, float], pose: Pose, points: Float) -> Float:
    """Picture positions [P, 2] (px) of sheet points [P, 2] (face units)."""
    x, y = points[:, 0].astype(np.float32), points[:, 1].astype(np.float32)
    dx, dy = skin_shift(actor, au, x, y)
    solid = np.stack([x + dx, y + dy, relief(actor, x, y) - PIVOT_Z], 1).astype(np.float64)
    return np.asarray(pose.center) + pose.scale * solid @ pose.rotation[:2].T


def _solve(actor: Actor, au: dict[str, float], pose: Pose, px: Array, py: Array) -> tuple[Array, Array]:
    """Sheet points that land on the pixels: fixed-point iteration on the depth, then on the skin's movement."""
    rot = pose.rotation
    inverse = np.linalg.inv(rot[:2, :2])
    qx, qy = (px - pose.center[0]) / pose.scale, (py - pose.center[1]) / pose.scale
    ax, ay = inverse[0, 0] * qx + inverse[0, 1] * qy, inverse[1, 0] * qx + inverse[1, 1] * qy
    bx, by = inverse @ rot[:2, 2]
    x = y = np.zeros(1, np.float32)
    dx = dy = np.zeros(1, np.float32)
    z = np.full(1, DEPTH / 2, np.float32)
    for i in range(7):
        x, y = (ax - bx * z - dx).astype(np.float32), (ay - by * z - dy).astype(np.float32)
        z = relief(actor, x, y) - np.float32(PIVOT_Z)
        if i >= 3:
            dx, dy = skin_shift(actor, au, x, y)
    return x, y


def _dense(nodes: Array, width: int, height: int) -> Array:
    """Node values to pixel values; node (0, 0) sits at pixel coordinate -_CELL / 2 from the corner of the picture."""
    size = (nodes.shape[1] * _CELL, nodes.shape[0] * _CELL)
    image = Image.fromarray(nodes).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image)[_CELL : _CELL + height, _CELL : _CELL + width]


def warp(
    sheet: Array, occupied: NDArray[np.bool_], actor: Actor, au: dict[str, float], pose: Pose, width: int, height: int
) -> tuple[NDArray[np.intp], Array]:
    """The sheet [R, C, 4] as seen in a picture of the given size.

    Returns:
        Flat indices [P] of the pixels that the occupied part of the sheet may touch, and their values [P, 4].
    """
    cols, rows = -(-width // _CELL) + 2, -(-height // _CELL) + 2
    nx = ((np.arange(cols) - 0.5) * _CELL).astype(np.float32)
    ny = ((np.arange(rows) - 0.5) * _CELL).astype(np.float32)
    x, y = _solve(actor, au, pose, *np.meshgrid(nx, ny))
    num_rows, num_cols = occupied.shape
    to = np.float32(num_rows / HEIGHT)
    # Texel coordinates; clipping keeps a border of one texel, which the sheet leaves empty.
    tx = np.clip(_dense((x - LEFT) * to - np.float32(0.5), width, height), 0, num_cols - 1.01).ravel()
    ty = np.clip(_dense((y - TOP) * to - np.float32(0.5), width, height), 0, num_rows - 1.01).ravel()
    there = np.flatnonzero(occupied.ravel()[ty.astype(np.int32) * num_cols + tx.astype(np.int32)])
    return there, sample(sheet, tx[there], ty[there])


def sample(sheet: Array, tx: Array, ty: Array) -> Array:
    """Bilinear samples [P, 4] of a contiguous float32 sheet [R, C, 4] at texel coordinates [P]."""
    num_cols = sheet.shape[1]
    texels = sheet.view(np.complex128).ravel()  # 16 bytes at once: twice as fast as fetching rows of four floats

    def fetch(at: NDArray[np.int32]) -> Array:
        return texels.take(at, mode="clip").view(np.float32).reshape(-1, 4)

    ix, iy = tx.astype(np.int32), ty.astype(np.int32)
    fx, fy = (tx - ix.astype(np.float32))[:, None], (ty - iy.astype(np.float32))[:, None]
    at = iy * np.int32(num_cols) + ix
    top, bottom = fetch(at), fetch(at + np.int32(num_cols))
    top += (fetch(at + np.int32(1)) - top) * fx
    bottom += (fetch(at + np.int32(num_cols + 1)) - bottom) * fx
    bottom -= top
    bottom *= fy
    top += bottom
    return top


def five_points(actor: Actor) -> Float:
    """Sheet positions [5, 2] of eye, eye (image left first), nose tip, mouth corner, corner at rest."""
    eye, mouth = actor.eye_x, actor.mouth_width
    return np.array(
        [
            (-eye, actor.eye_y),
            (eye, actor.eye_y),
            (0.0, actor.nose_y - 0.02),
            (-mouth, actor.mouth_y),
            (mouth, actor.mouth_y),
        ]
    )


def outline(actor: Actor) -> Float:
    """Sheet positions [P, 2] around the face from hairline to chin: their extent is the face box."""
    top = min(actor.hairline + 0.15, -0.6)
    sides = [(s * actor.width, y) for s in (-1.0, 1.0) for y in (-0.2, 0.1)]
    jaws = [(s * actor.width * 0.8, 0.6) for s in (-1.0, 1.0)]
    return np.array([*sides, *jaws, (0.0, top), (0.0, actor.chin)])


def fineness(scale: float) -> int:
    """Texels per face unit for a head drawn at `scale` pixels per face unit: a fifth finer."""
    return max(round(1.2 * scale), 8)


def normals(actor: Actor, g: Grid) -> Array:
    """Unit normals [3, R, C] of the relief with the finer forms that only the shading needs."""
    x, y, ax = g.x, g.y, np.abs(g.x)
    z = relief(actor, x, y)
    z += 0.07 * bump(x, y, 0.0, actor.nose_y - 0.13, 0.065, 0.20)  # bridge
    z += 0.075 * bump(x, y, 0.0, actor.nose_y, 0.085, 0.075)  # tip
    z += 0.035 * bump(ax, y, actor.nose_width * 0.75, actor.nose_y + 0.03, 0.045, 0.05)  # wings
    z -= 0.065 * bump(ax, y, actor.eye_x, actor.eye_y - 0.01, 0.16, 0.085)  # sockets
    z += 0.035 * bump(ax, y, actor.eye_x, actor.eye_y, 0.11, 0.06)  # eyeballs
    z += 0.03 * bump(ax, y, 0.28, actor.brow_y + 0.03, 0.22, 0.06)  # brow ridge
    z += 0.045 * bump(x, y, 0.0, actor.mouth_y, 0.20, 0.10)  # lips
    z -= 0.03 * bump(x, y, 0.0, actor.mouth_y + 0.16, 0.14, 0.035)
    z += 0.05 * bump(x, y, 0.0, actor.chin - 0.14, 0.17, 0.09)  # chin
    z += 0.04 * bump(ax, y, 0.42, 0.18, 0.15, 0.12)  # cheeks
    z -= 0.012 * bump(x, y, 0.0, actor.mouth_y - 0.13, 0.03, 0.05)  # philtrum
    dy, dx = np.gradient(z, g.texel)
    length = np.sqrt(dx * dx + dy * dy + 1)
    return np.stack([-dx / length, -dy / length, 1 / length]).astype(np.float32)
