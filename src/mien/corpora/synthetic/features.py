"""The moving features, drawn on the sheet for every frame: eyes, brows, mouth and the folds of the skin."""

from __future__ import annotations

import numpy as np

from mien.corpora.synthetic.actor import Actor
from mien.corpora.synthetic.motion import lip_gap
from mien.corpora.synthetic.shapes import Array, bump, cover, paint, step
from mien.corpora.synthetic.skin import Sheet

Controls = dict[str, float]

_WHITE = (0.90, 0.87, 0.84)
_CAVITY = (0.16, 0.05, 0.05)
_TEETH = (0.90, 0.87, 0.80)
_TONGUE = (0.62, 0.29, 0.28)


def draw_features(
    image: Array, sheet: Sheet, actor: Actor, au: Controls, blink: float, gaze: tuple[float, float]
) -> None:
    """Draws one frame's features on `image`, a copy of the sheet's albedo, in place."""
    for name, (where, mask) in sheet.folds.items():
        if au[name] > 0.05:
            image[where][..., :3] *= (1 - mask * np.float32(min(au[name], 1.0)))[..., None]
    for side in (-1.0, 1.0):
        _eye(image, sheet, actor, au, blink, gaze, side)
        _brow(image, sheet, actor, au, side)
    _mouth(image, sheet, actor, au)
    if sheet.glasses is not None:
        where, rgba = sheet.glasses
        paint(image[where], rgba[..., :3], rgba[..., 3])


def _lids(actor: Actor, au: Controls, blink: float) -> tuple[float, float]:
    """Heights of the upper and the lower lid over the line between the corners of the eye."""
    opening = 1 + 0.40 * au["au05"] - 0.35 * au["au07"] - 0.25 * au["au06"] - 0.2 * au["au09"] - 0.1 * au["au04"]
    up = actor.eye_size * 0.50 * max(opening, 0.25)
    low = actor.eye_size * 0.34 * (1 - 0.45 * au["au07"] - 0.5 * au["au06"] - 0.3 * au["au09"])
    return up * (1 - blink) - 0.8 * low * blink, low


def _eye(
    image: Array, sheet: Sheet, actor: Actor, au: Controls, blink: float, gaze: tuple[float, float], side: float
) -> None:
    a, cx, cy, texel = actor.eye_size, side * actor.eye_x, actor.eye_y, sheet.grid.texel
    where = sheet.grid.region(cx - a - 0.06, cy - 0.20, cx + a + 0.06, cy + 0.14)
    rgb, x, y = image[where], sheet.grid.x[where], sheet.grid.y[where]
    u = (x - np.float32(cx)) * np.float32(side / a)  # -1 at the inner corner, 1 at the outer one
    arc = np.clip(1 - u * u, 0, 1)
    up, low = _lids(actor, au, blink)
    base = np.float32(cy) - np.float32(0.02) * u
    upper, lower = base - np.float32(up) * arc ** np.float32(0.75), base + np.float32(low) * arc
    white = cover(np.maximum(upper - y, y - lower), 1.3 * texel) * (arc > 0)
    skin = np.array(actor.skin, np.float32)
    _lid_skin(rgb, skin, u, y, upper, up, a, blink)
    if up + low > 0.02:
        ball = (
            np.array(_WHITE, np.float32) * (0.45 + 0.55 * step(y - upper, -0.005, 0.055) * (1 - 0.3 * u * u))[..., None]
        )
        _iris(ball, actor, x, y, cx + 0.065 * gaze[0], cy - 0.012 + 0.04 * gaze[1], texel)
        paint(rgb, ball, white)
    lash = cover(np.abs(y - upper) - np.float32(0.011), 1.8 * texel) * step(arc, 0.0, 0.12)
    paint(rgb, skin * 0.12, np.float32(0.9) * lash)
    rim = cover(np.abs(y - lower) - np.float32(0.005), 2.5 * texel) * step(arc, 0.0, 0.3)
    paint(rgb, skin * (0.45, 0.32, 0.30), np.float32(0.5) * rim)


def _lid_skin(rgb: Array, skin: Array, u: Array, y: Array, upper: Array, up: float, a: float, blink: float) -> None:
    """The upper lid between lashes and crease, and the crease itself."""
    crease = upper - np.float32(0.030 + 0.35 * max(a * 0.5 - up, 0.0) * (1 - 0.5 * blink))
    ends = step(np.abs(u), 1.12, 0.75)
    paint(rgb, skin * (0.80, 0.68, 0.64), 0.5 * ends * cover(np.maximum(crease - y, y - upper), 0.02))
    paint(rgb, skin * (0.42, 0.32, 0.30), np.float32(0.6) * ends * cover(np.abs(y - crease) - np.float32(0.006), 0.02))


def _iris(ball: Array, actor: Actor, x: Array, y: Array, cx: float, cy: float, texel: float) -> None:
    dx, dy = x - np.float32(cx), y - np.float32(cy)
    r = np.sqrt(dx * dx + dy * dy)
    radius = np.float32(actor.eye_size * 0.47)
    color = np.array(actor.iris, np.float32)
    tone = np.float32(1.25) - np.float32(0.9) * step(r, 0.55 * float(radius), float(radius))
    paint(ball, color * tone[..., None], cover(r - radius, 1.5 * texel))
    paint(ball, (0.02, 0.02, 0.02), cover(r - radius * np.float32(0.42), 1.5 * texel))
    glint = np.sqrt((dx + np.float32(0.022)) ** 2 + (dy + np.float32(0.025)) ** 2)
    paint(ball, (1.0, 1.0, 1.0), np.float32(0.9) * cover(glint - np.float32(0.013), 1.5 * texel))


def _brow(image: Array, sheet: Sheet, actor: Actor, au: Controls, side: float) -> None:
    half, mid = 0.235, actor.eye_x + 0.02
    where = sheet.grid.region(
        side * mid - half - 0.06, actor.brow_y - 0.24, side * mid + half + 0.06, actor.brow_y + 0.16
    )
    rgb, x, y = image[where], sheet.grid.x[where], sheet.grid.y[where]
    u = (x * np.float32(side) - np.float32(mid - 0.045 * au["au04"])) * np.float32(1 / half)
    inner = -0.13 * au["au01"] + 0.075 * au["au04"] + 0.02 * au["au09"] + 0.03
    outer = -0.12 * au["au02"] + 0.02 * au["au04"] + 0.045
    mean = np.float32(actor.brow_y + 0.015 - 0.05 * au["au02"] - 0.02 * au["au01"] + 0.05 * au["au04"])
    line = (
        mean
        + np.float32(inner) * step(u, 0.4, -1.0)
        + np.float32(outer) * step(u, 0.0, 1.1)
        - np.float32(0.025) * (1 - u * u)
    )
    thick = np.float32(actor.brow_thick) * step(u, 1.08, 0.1) * step(u, -1.15, -0.75)
    hairs = np.float32(0.88) + np.float32(0.12) * np.sin(u * np.float32(70) + y * np.float32(60))
    alpha = cover(np.abs(y - line) - thick, 0.028) * step(thick, 0.0, 0.012) * hairs
    paint(rgb, np.array(actor.hair) * 0.75 + np.array(actor.skin) * 0.04, np.float32(0.92) * alpha)


def _mouth(image: Array, sheet: Sheet, actor: Actor, au: Controls) -> None:
    g, my, texel = sheet.grid, actor.mouth_y, sheet.grid.texel
    where = g.region(-0.56, my - 0.26, 0.56, my + 0.36)
    rgb, x, y = image[where], g.x[where], g.y[where]
    half = actor.mouth_width * (1 + 0.30 * au["au12"] + 0.26 * au["au20"] - 0.16 * au["au23"] - 0.14 * au["au26"])
    corner = my - 0.115 * au["au12"] + 0.105 * au["au15"] + 0.03 * au["au20"]
    middle = my + 0.015 * au["au12"] - 0.035 * au["au17"] - 0.03 * au["au10"]
    gap = max(lip_gap(au["au25"], au["au26"], au["au23"]), 0.0)
    u = x * np.float32(1 / half)
    arc = np.clip(1 - u * u, 0, 1)
    bend = np.float32(corner) + np.float32(middle - corner) * arc ** np.float32(0.8)
    root = np.sqrt(arc)
    top = bend - np.float32(0.30 * gap + 0.03 * au["au10"]) * arc
    bottom = bend + np.float32(0.70 * gap) * root + np.float32(0.004)
    slim = 1 - 0.6 * au["au23"] - 0.15 * au["au12"] - 0.15 * au["au20"]
    bow = 1 - np.float32(0.22) * bump(u, u, 0, 0, 0.13, 0.13)
    lip_top = top - np.float32(0.72 * actor.lip_full * slim) * arc ** np.float32(0.7) * bow
    lip_low = bottom + np.float32(actor.lip_full * (slim + 0.25 * au["au17"])) * root * arc ** np.float32(0.25)
    lips = cover(np.maximum(lip_top - y, y - lip_low), 0.018) * (arc > 0)
    color = np.array(actor.lips, np.float32)
    shine = (
        np.float32(0.86)
        + np.float32(0.22) * bump(x, y, 0.0, my + 0.6 * gap + 0.07, 0.12, 0.028)
        - np.float32(0.12) * (y < bend)
    )
    paint(rgb, color * shine[..., None], np.float32(0.9) * lips)
    if gap > 0.01:
        _cavity(rgb, x, y, u, top, bottom, gap, au, texel)
    line = cover(np.abs(y - (top if gap > 0.01 else bend)) - np.float32(0.004), 0.02) * step(np.abs(u), 1.08, 0.9)
    paint(rgb, color * 0.25, np.float32(0.8) * line)
    corners = bump(np.abs(x), y, half, corner, 0.022, 0.02)
    paint(rgb, color * 0.35, np.float32(0.75) * corners)
    if au["au17"] > 0.05:
        dimple = bump(x, y, 0.0, my + actor.lip_full + 0.12, 0.14, 0.03)
        paint(rgb, np.array(actor.skin) * 0.5, np.float32(0.5 * au["au17"]) * dimple)


def _cavity(
    rgb: Array, x: Array, y: Array, u: Array, top: Array, bottom: Array, gap: float, au: Controls, texel: float
) -> None:
    """The open mouth: dark inside, teeth under the upper lip, the tongue below."""
    inner = cover(np.maximum(top - y, y - bottom), 1.5 * texel) * step(np.abs(u), 1.0, 0.93)
    inside = np.broadcast_to(np.array(_CAVITY, np.float32), rgb[..., :3].shape).copy()
    show = min(0.03 + 0.05 * (au["au12"] + au["au20"] + au["au10"]) + 0.10 * gap, 0.10)
    teeth = cover(y - (top + np.float32(show)), 0.014) * step(np.abs(u), 0.92, 0.70)
    ridges = np.float32(0.94) + np.float32(0.06) * np.cos(x * np.float32(95))
    paint(inside, np.array(_TEETH, np.float32) * ridges[..., None], np.float32(0.92) * teeth)
    paint(
        inside,
        _TONGUE,
        np.float32(0.8) * step(y - (bottom - np.float32(0.35 * gap)), -0.02, 0.05) * step(np.abs(u), 0.75, 0.4),
    )
    paint(rgb, inside, inner)
