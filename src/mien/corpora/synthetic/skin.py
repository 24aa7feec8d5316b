"""The still part of a head: a sheet of skin, ears, beard and hair, drawn once per clip on the frontal grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mien.corpora.synthetic.actor import Actor
from mien.corpora.synthetic.head import normals
from mien.corpora.synthetic.shapes import (
    Array,
    Grid,
    Region,
    bump,
    cover,
    ellipse,
    grid,
    layer,
    paint,
    smooth_noise,
    step,
    stroke,
)
from mien.rng import generator

JAW_FROM = -0.15
"""Height below which the outline of the face follows the jaw instead of the skull."""
SKULL = 1.17
"""Height of the top of the skull over the origin."""


@dataclass(frozen=True)
class Sheet:
    """What a frame starts from; arrays are [R, C, ...]."""

    grid: Grid
    albedo: Array
    """[R, C, 4]: colour without light, and coverage."""
    occupied: NDArray[np.bool_]
    """[R, C]: where a sample may find anything."""
    normals: Array
    """[3, R, C] unit normals: right, down, towards the viewer."""
    gloss: Array
    """[R, C]: how much the surface shines."""
    folds: dict[str, tuple[Region, Array]]
    """Wrinkle masks by name: where, and how dark at full strength."""
    glasses: tuple[Region, Array] | None
    """Region and straight RGBA of glasses, drawn over the eyes."""


def face_distance(actor: Actor, g: Grid) -> Array:
    """Signed distance, roughly, to the outline of the face."""
    u = np.abs(g.x) * np.float32(1 / actor.width)
    down = np.clip((g.y - np.float32(JAW_FROM)) * np.float32(1 / (actor.chin - JAW_FROM)), 0, None)
    up = np.clip((np.float32(JAW_FROM) - g.y) * np.float32(1 / (SKULL + JAW_FROM)), 0, None)
    f = u * u + down ** np.float32(actor.jaw) + up ** np.float32(2.5)
    return (np.sqrt(f) - 1) * np.float32(actor.width * 0.9)


def draw_sheet(actor: Actor, seed: int, per_unit: int) -> Sheet:
    """The subject's head at `per_unit` texels per face unit; the same for every clip of that seed and subject."""
    rng = generator("synth skin", seed, actor.subject)
    g = grid(per_unit)
    albedo = np.zeros((*g.x.shape, 4), np.float32)
    inside = face_distance(actor, g)
    _ears(actor, g, albedo)
    _skin(actor, g, albedo, rng)
    paint_alpha = cover(inside, 1.5 * g.texel)
    albedo[..., 3] = np.maximum(albedo[..., 3], paint_alpha)
    _beard(actor, g, albedo, inside, rng)
    hair = _hair(actor, g, albedo, inside, rng)
    albedo[[0, -1], :, 3] = albedo[:, [0, -1], 3] = 0
    occupied = np.asarray(ndimage.maximum_filter(albedo[..., 3] > 0, 3), bool)
    gloss = (1 - hair) * (0.5 + 0.5 * bump(g.x, g.y, 0, actor.nose_y - 0.1, 0.2, 0.5))
    glasses = _glasses(actor, g) if actor.glasses else None
    return Sheet(g, albedo, occupied, normals(actor, g), gloss.astype(np.float32), _folds(actor, g, 1 - hair), glasses)


def _ears(actor: Actor, g: Grid, albedo: Array) -> None:
    ax = np.abs(g.x)
    outer = ellipse(ax, g.y, actor.width + 0.03, 0.02, 0.10, 0.21)
    paint(albedo, np.array(actor.skin) * (0.93, 0.86, 0.84), np.ones_like(ax))
    albedo[..., 3] = cover(outer, 1.5 * g.texel)
    paint(
        albedo, np.array(actor.skin) * 0.62, 0.7 * cover(ellipse(ax, g.y, actor.width + 0.045, 0.0, 0.045, 0.13), 0.04)
    )


def _skin(actor: Actor, g: Grid, albedo: Array, rng: np.random.Generator) -> None:
    skin = np.array(actor.skin, np.float32)
    x, y, ax = g.x, g.y, np.abs(g.x)
    inside = cover(face_distance(actor, g), 2 * g.texel)
    tone = np.broadcast_to(skin, (*x.shape, 3)).copy()
    blush = bump(ax, y, 0.42, 0.22, 0.17, 0.13) + 0.8 * bump(x, y, 0, actor.nose_y, 0.12, 0.10)
    paint(tone, skin * (1.0, 0.78, 0.76), 0.45 * blush)
    sockets = bump(ax, y, actor.eye_x - 0.06, actor.eye_y - 0.01, 0.15, 0.08)
    paint(tone, skin * (0.72, 0.62, 0.62), (0.35 + 0.25 * actor.age) * sockets)
    paint(tone, skin * 0.55, 0.6 * step(y, actor.chin - 0.12, actor.chin + 0.06) * step(ax, 0.9, 0.2))
    paint(tone, skin * 0.5, 0.40 * step(ax, actor.width * 0.72, actor.width * 1.05))
    under_nose = bump(x, y, 0, actor.nose_y + 0.12, actor.nose_width * 0.8, 0.035)
    paint(tone, skin * (0.55, 0.45, 0.43), 0.5 * under_nose)
    nostrils = bump(ax, y, actor.nose_width * 0.45, actor.nose_y + 0.075, 0.035, 0.017)
    paint(tone, skin * (0.25, 0.16, 0.15), np.clip(1.3 * nostrils, 0, 0.95))
    wings = stroke(ax, y, _wing(actor), 0.012, 0.05)
    paint(tone, skin * (0.55, 0.45, 0.42), 0.55 * wings)
    paint(tone, skin * (0.6, 0.52, 0.5), 0.5 * bump(x, y, 0, actor.mouth_y + actor.lip_full + 0.09, 0.13, 0.03))
    grain = 1 + 0.035 * smooth_noise(rng, x.shape, (9, 9)) + 0.02 * smooth_noise(rng, x.shape, (90, 90))
    tone *= grain[..., None]
    if actor.freckles:
        spots = np.clip(smooth_noise(rng, x.shape, (70, 70)) - 0.35, 0, 1) * bump(ax, y, 0.30, 0.16, 0.25, 0.14)
        paint(tone, skin * (0.66, 0.48, 0.38), np.clip(1.3 * actor.freckles * spots, 0, 0.45))
    paint(albedo, tone, inside)


def _wing(actor: Actor) -> list[tuple[float, float]]:
    w, y = actor.nose_width, actor.nose_y
    return [(w * 0.95, y - 0.06), (w * 1.08, y + 0.01), (w * 0.95, y + 0.075), (w * 0.7, y + 0.085)]


def _beard(actor: Actor, g: Grid, albedo: Array, inside: Array, rng: np.random.Generator) -> None:
    if not actor.beard:
        return
    x, y, ax = g.x, g.y, np.abs(g.x)
    low = step(y, actor.mouth_y - 0.16, actor.mouth_y + 0.08) * step(ellipse(x, y, 0, 0.35, 0.56, 0.58), -0.02, 0.09)
    chin = bump(x, y, 0, actor.chin - 0.08, 0.24, 0.15)
    lip = stroke(
        ax, y, [(0.02, actor.mouth_y - 0.125), (0.2, actor.mouth_y - 0.10), (0.30, actor.mouth_y - 0.03)], 0.07, 0.07
    )
    side = step(ax, actor.width * 0.78, actor.width * 0.95) * step(y, 0.0, 0.2)
    hairs = 0.72 + 0.4 * smooth_noise(rng, x.shape, (60, 110))
    amount = np.clip(np.maximum.reduce([low, chin, lip, side]) * hairs, 0, 1) * actor.beard
    paint(albedo, np.array(actor.hair) * 0.9 + 0.02, amount * cover(inside - 0.01, 0.03))


def _hair_shape(actor: Actor, g: Grid, inside: Array) -> Array:
    """Coverage of the hair: what lies inside its outer outline and outside the opening for the face."""
    x, y, ax = g.x, g.y, np.abs(g.x)
    top = {"shaved": 0.02, "short": 0.10, "parted": 0.15, "fringe": 0.14, "long": 0.14, "curly": 0.27}[actor.style]
    line = actor.hairline + {"fringe": 0.36, "parted": 0.0}.get(actor.style, 0.0)
    outer = inside - np.float32(top) * step(y, 0.15, -0.7)
    if actor.style == "curly":
        wobble = np.sin(np.arctan2(y + 0.3, x) * 23) * 0.02 + np.sin(np.arctan2(y + 0.3, x) * 11 + 1) * 0.02
        outer = np.minimum(outer, ellipse(x, y, 0, -0.48, actor.width + 0.20, 0.98)) + wobble
    if actor.style == "long":
        flare = actor.width + 0.15 + 0.10 * step(y, 0.0, 1.2) - 0.30 * step(y, 0.95, 1.45)
        fall = np.maximum(ax - flare, np.maximum(y - 1.36, -0.15 - y))
        outer = np.minimum(inside - np.float32(top), fall).astype(np.float32)
    slope = -0.22 * np.sign(0.4) * x if actor.style == "parted" else 0.0
    temple = actor.width * (0.90 if actor.style != "long" else 0.86)
    u, v = ax * (1 / temple), np.clip((line + slope - y + 0.62) * (1 / 0.62), 0, None)
    opening = (u**3.2 + v**2.6) ** 0.38 - 1
    if actor.style == "long":
        sheer = np.maximum(opening, 0.9 * (y - 2)) * 0.5
    else:
        sheer = np.minimum(opening * 0.5, np.where(y > 0.12, -1, 1))
    face = np.asarray(sheer, np.float32)
    return cover(outer.astype(np.float32), 2 * g.texel) * (1 - cover(face, 0.05))


def _hair(actor: Actor, g: Grid, albedo: Array, inside: Array, rng: np.random.Generator) -> Array:
    """Paints the hair and returns its coverage."""
    amount = _hair_shape(actor, g, inside)
    x, y = g.x, g.y
    cells = (40, 40) if actor.style == "curly" else (7, 80)
    angle, radius = np.arctan2(x, -(y + 0.2)), np.hypot(x, y + 0.2)
    strands = smooth_noise(rng, (256, 256), cells)
    across = np.clip((angle / (2 * np.pi) + 0.5) * 255, 0, 255).astype(np.int32)
    along = np.clip(radius * 130, 0, 255).astype(np.int32)
    light = 1 + 0.22 * strands[along, across] * step(radius, 0.25, 0.7) + 0.30 * bump(radius, y, 0.95, -0.8, 0.12, 0.6)
    if actor.style == "shaved":
        amount = amount * (0.75 + 0.2 * smooth_noise(rng, x.shape, (90, 90))) * 0.7
    shade = np.clip(bump(x, y, 0, actor.hairline + 0.12, 0.6, 0.10) * 0.25, 0, 1) * (actor.style != "shaved")
    paint(albedo, np.array(actor.skin) * 0.6, shade)
    color = np.array(actor.hair, np.float32) * light[..., None] + 0.01
    layer(albedo, color.astype(np.float32), amount)
    return amount.astype(np.float32)


def _folds(actor: Actor, g: Grid, bare: Array) -> dict[str, tuple[Region, Array]]:
    """Where bare skin folds under a control: furrow, forehead, nose root, nasolabial, crow's feet, lid bags."""
    m, ex, ey = actor.mouth_width, actor.eye_x, actor.eye_y
    strokes = {
        "au04": [[(0.055, -0.46), (0.06, -0.36), (0.045, -0.27)], [(0.11, -0.44), (0.12, -0.36)]],
        "au01": [[(0.0, h), (0.2, h + 0.02), (0.34, h - 0.01)] for h in (-0.72, -0.62, -0.53)],
        "au02": [[(0.2, h + 0.02), (0.40, h - 0.02), (0.54, h + 0.03)] for h in (-0.70, -0.60)],
        "au09": [[(0.0, h), (0.10, h + 0.03)] for h in (-0.20, -0.13, -0.06)],
        "au12": [[(0.20, actor.nose_y + 0.02), (m + 0.08, 0.42), (m + 0.15, actor.mouth_y - 0.02)]],
        "au06": [[(ex + 0.21, ey + h), (ex + 0.33, ey + 2.2 * h)] for h in (-0.05, 0.0, 0.045)],
        "au07": [[(ex - 0.13, ey + 0.12), (ex, ey + 0.155), (ex + 0.14, ey + 0.12)]],
    }
    folds = {}
    for name, lines in strokes.items():
        xs, ys = [p[0] for line in lines for p in line], [p[1] for line in lines for p in line]
        where = g.region(-max(xs) - 0.08, min(ys) - 0.08, max(xs) + 0.08, max(ys) + 0.08)
        ax, y = np.abs(g.x[where]), g.y[where]
        mask = np.maximum.reduce([stroke(ax, y, line, 0.004, 0.055) for line in lines])
        folds[name] = (where, mask * bare[where] * np.float32(0.20 + 0.32 * actor.age))
    return folds


def _glasses(actor: Actor, g: Grid) -> tuple[Region, Array]:
    r, ex, ey = actor.glasses, actor.eye_x + 0.01, actor.eye_y + 0.03
    where = g.region(-actor.width - 0.08, ey - r - 0.1, actor.width + 0.08, ey + r + 0.1)
    x, y = g.x[where], g.y[where]
    ax = np.abs(x)
    u, v = (ax - ex) * (1 / (r * 1.12)), (y - ey) * (1 / (r * 0.86))
    lens = ((u**4 + v**4) ** 0.25 - 1) * r * 0.9
    rim = cover((np.abs(lens) - 0.017).astype(np.float32), 1.6 * g.texel)
    bridge = stroke(ax, y, [(0.0, ey - 0.05), (ex - r, ey - 0.02)], 0.03, 1.6 * g.texel)
    arm = stroke(ax, y, [(ex + r * 1.1, ey - 0.04), (actor.width + 0.03, ey - 0.03)], 0.035, 1.6 * g.texel)
    rgba = np.zeros((*x.shape, 4), np.float32)
    glint = cover(lens.astype(np.float32), 0.02) * step(np.abs(x - 0.6 * y + 0.28 * np.sign(x)), 0.09, 0.02)
    rgba[..., :3], rgba[..., 3] = 0.95, 0.16 * glint + 0.03 * cover(lens.astype(np.float32), 0.02)
    solid = np.maximum.reduce([rim, bridge, arm])
    paint(rgba, actor.glasses_color, solid)
    rgba[..., 3] = np.maximum(rgba[..., 3], solid)
    return where, rgba
