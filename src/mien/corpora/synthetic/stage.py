"""Around the head: light, background, shoulders, things that pass before the face, and the camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from mien.corpora.synthetic.actor import Actor
from mien.corpora.synthetic.head import Pose
from mien.corpora.synthetic.shapes import Array, cover, ellipse, layer, paint, smooth_noise, step

_NOISE_MARGIN = 64


@dataclass(frozen=True)
class Light:
    """One soft key light and an ambient share; direction in camera space (right, down, towards the viewer)."""

    direction: tuple[float, float, float]
    ambient: float
    key: float
    tint: tuple[float, float, float]


@dataclass(frozen=True)
class Camera:
    gain: tuple[float, float, float]
    """Exposure and white balance."""
    noise: float
    """Standard deviation of the sensor noise, of 255."""
    blur: float
    """Radius of a Gaussian blur in pixels; 0 for none."""
    flicker: float


@dataclass(frozen=True)
class Occluder:
    """A hand or an object that comes up from below, stays, and leaves (or stays through the clip)."""

    sprite: Array
    """[h, w, 4] straight RGBA."""
    place: tuple[float, float]
    """Where its upper middle rests, in face units around the head's centre."""
    middle: float
    """When it is highest, as a share of the clip."""
    stay: float
    """How long it stays, as a share of the clip."""

    def position(self, when: float) -> tuple[float, float]:
        """Upper middle in face units at a share of the clip; symmetrical in time around `middle`."""
        away = max(abs(when - self.middle) - self.stay / 2, 0.0)
        return self.place[0], self.place[1] + 8.0 * away


def make_light(rng: np.random.Generator) -> Light:
    side, height = rng.uniform(-1.1, 1.1), rng.uniform(-0.2, 1.0)
    direction = np.array([np.sin(side), -np.sin(height), 0.9 * np.cos(side)])
    direction /= np.linalg.norm(direction)
    warm = rng.normal(0, 0.04)
    ambient = rng.uniform(0.35, 0.65)
    dx, dy, dz = (float(v) for v in direction)
    return Light((dx, dy, dz), ambient, rng.uniform(1.05, 1.3) - ambient, (1 + warm, 1.0, 1 - warm))


def make_camera(rng: np.random.Generator) -> Camera:
    gain = rng.uniform(0.78, 1.12) * (1 + rng.normal(0, 0.025, 3))
    r, g, b = (float(v) for v in gain)
    blur = rng.uniform(0.4, 0.9) if rng.uniform() < 0.35 else 0.0
    return Camera((r, g, b), rng.uniform(0.5, 5.0), blur, rng.uniform(0, 0.012))


def _dot(planes: Array, vector: Array) -> Array:
    total = planes[0] * vector[0]
    total += planes[1] * vector[1]
    total += planes[2] * vector[2]
    return total


def shade(image: Array, normals: Array, gloss: Array, light: Light, pose: Pose) -> None:
    """Lights a sheet [R, C, 4] in place and multiplies its colour by its coverage."""
    to_head = pose.rotation.T
    direction = (to_head @ np.array(light.direction)).astype(np.float32)
    half = np.array(light.direction) + (0, 0, 1)
    half = (to_head @ (half / np.linalg.norm(half))).astype(np.float32)
    wrap = np.clip(_dot(normals, direction * np.float32(0.72)) + np.float32(0.28), 0, 1)
    alpha = image[..., 3]
    gain = (wrap * np.float32(light.key) + np.float32(light.ambient)) * alpha
    shine = np.clip(_dot(normals, half), 0, 1)
    for _ in range(4):
        shine *= shine
    shine *= gloss * np.float32(0.13 * light.key) * alpha
    for channel in range(3):
        image[..., channel] *= gain * np.float32(light.tint[channel])
        image[..., channel] += shine


def background(rng: np.random.Generator, width: int, height: int) -> Array:
    """A made-up room: gradient, some soft shapes, texture; [height, width, 3]."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(max(width, height))
    ends = rng.uniform(0.08, 0.92) + rng.normal(0, 0.09, (2, 3)) + rng.normal(0, 0.12, (2, 1))
    angle = rng.uniform(0, 2 * np.pi)
    along = step(x * np.cos(angle) + y * np.sin(angle), -0.6, 1.2)[..., None]
    image = np.asarray(ends[0] * (1 - along) + ends[1] * along, np.float32)
    for _ in range(int(rng.integers(0, 6))):
        cx, cy, w, h = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.05, 0.3), rng.uniform(0.05, 0.4)
        soft = rng.uniform(0.005, 0.08)
        if rng.uniform() < 0.6:
            distance = np.maximum(np.abs(x - cx) - w, np.abs(y - cy) - h).astype(np.float32)
        else:
            distance = ellipse(x, y, cx, cy, w, w)
        paint(image, np.clip(ends[0] + rng.normal(0, 0.18, 3), 0, 1), np.float32(0.8) * cover(distance, soft))
    rough = smooth_noise(rng, (height, width), (6, 6)) * 0.05 + smooth_noise(rng, (height, width), (60, 60)) * 0.02
    image += rough[..., None] * np.float32(rng.uniform(0, 1))
    return np.clip(image, 0, 1).astype(np.float32)


def draw_body(actor: Actor, rng: np.random.Generator, scale: float, light: Light, below: float) -> Array:
    """Neck, shoulders and clothes (and what hangs down of long hair), straight RGBA [h, w, 4].

    The head's centre belongs at `body_anchor(scale)`; the sprite goes on for `below` face units under it.
    """
    ax0, ay0 = body_anchor(scale)
    height, width = ay0 + max(round(below * scale), 2), 2 * ax0
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (x - np.float32(ax0)) / np.float32(scale), (y - np.float32(ay0)) / np.float32(scale)
    ax, edge = np.abs(x), 1.5 / scale
    rgba = np.zeros((height, width, 4), np.float32)
    cloth = rng.uniform(0.08, 0.85, 3) * 0.6 + rng.uniform(0.0, 0.4)
    lit = light.ambient + light.key * np.clip(0.55 + 0.4 * light.direction[0] * x, 0, 1.1)
    if actor.style == "long":
        behind = np.maximum(ax - actor.width, np.maximum(-0.2 - y, y - 1.32))
        layer(rgba, np.array(actor.hair, np.float32) * (0.45 * lit)[..., None], cover(behind, 0.08))
    neck_half = 0.41 + 0.04 * actor.jaw / 3 + 0.14 * step(y, 0.9, 1.4)
    neck = cover(ax - neck_half, edge) * cover(np.maximum(0.5 - y, y - 1.75), edge)
    tone = 0.92 * (1 - 0.32 * step(y, 1.38, 0.95)) * (1 - 0.22 * step(ax, 0.1, 0.5))
    layer(rgba, np.array(actor.skin, np.float32) * (tone * lit)[..., None], neck)
    slope = 1.20 + 0.34 * np.clip((ax - 0.42) / 0.9, 0, None) ** 1.2 + 6 * np.clip(ax - 1.3, 0, None) ** 2
    collar = np.sqrt(np.clip(1 - (ax / 0.42) ** 2, 0, 1)) * rng.uniform(0.10, 0.34)
    top = cover(np.maximum(slope + collar - y, ax - 1.85), edge)
    weave = 1 + 0.10 * smooth_noise(rng, (height, width), (5, 7)) - 0.25 * step(ax, 0.6, 1.9)
    if rng.uniform() < 0.35:
        weave = weave * np.where(np.sin(y * rng.uniform(14, 30)) > 0, 1.0, rng.uniform(0.6, 0.9))
    layer(rgba, cloth.astype(np.float32) * (weave * lit)[..., None], top)
    return rgba.astype(np.float32)


def body_anchor(scale: float) -> tuple[int, int]:
    """Where the head's centre lies in the sprite of `draw_body`, in pixels from its left and top."""
    return round(1.9 * scale), round(0.3 * scale)


def make_occluder(rng: np.random.Generator, actor: Actor, scale: float, chance: float) -> Occluder | None:
    """With probability `chance`, a hand of the actor or a cup; it mostly covers the chin, a cheek or the mouth."""
    if rng.uniform() >= chance:
        return None
    side = rng.choice((-1.0, 1.0))
    sprite = _hand(actor, scale, side) if rng.uniform() < 0.6 else _cup(rng, scale)
    place = (float(side * rng.uniform(0.1, 0.7)), float(rng.uniform(0.45, 0.95)))
    return Occluder(sprite, place, rng.uniform(0, 1), rng.uniform(0.05, 0.7))


def _sprite_axes(scale: float) -> tuple[Array, Array]:
    size = round(1.3 * scale)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / np.float32(scale)
    return x - np.float32(0.65), y


def _hand(actor: Actor, scale: float, side: float) -> Array:
    x, y = _sprite_axes(scale)
    x = (x - (y - 0.7) * np.float32(0.25)) * np.float32(side)
    rgba, skin = np.zeros((*x.shape, 4), np.float32), np.array(actor.skin, np.float32)
    rgba[..., :3] = skin
    palm = np.maximum(ellipse(x, y, 0.0, 0.75, 0.27, 0.30), -1)
    shapes = [np.minimum(palm, np.maximum(np.abs(x) - 0.2, 0.8 - y)).astype(np.float32)]
    for at, length in ((-0.21, 0.34), (-0.08, 0.42), (0.05, 0.40), (0.18, 0.30)):
        middle = np.float32(at) * (1 + (0.6 - y) * np.float32(0.3))
        shapes.append(np.hypot(x - middle, np.clip(0.5 - length + 0.06 - y, 0, None) * 1.0).astype(np.float32) - 0.068)
        shapes[-1] = np.maximum(shapes[-1], y - 0.7)
    for shape in shapes:
        paint(rgba, skin * 0.55, cover(shape - 0.012, 0.03))
        paint(rgba, skin * 0.93, cover(shape + 0.012, 0.05))
    rgba[..., 3] = cover(np.minimum.reduce(shapes) - 0.01, 1.5 / scale)
    return rgba


def _cup(rng: np.random.Generator, scale: float) -> Array:
    x, y = _sprite_axes(scale)
    rgba, color = np.zeros((*x.shape, 4), np.float32), rng.uniform(0.1, 0.95, 3)
    shape = np.maximum(np.abs(x) - (0.30 - 0.04 * y), np.maximum(0.03 - y, y - 0.85)).astype(np.float32)
    rgba[..., :3] = color * (0.75 + 0.35 * np.cos((x - 0.1) * 4))[..., None]
    rgba[..., 3] = cover(shape, 1.5 / scale)
    return rgba


def overlay(canvas: Array, sprite: Array, left: int, top: int) -> None:
    """Paints a straight-alpha sprite on [H, W, 3] in place, cut at the edges."""
    height, width = canvas.shape[:2]
    y0, y1 = max(top, 0), min(top + sprite.shape[0], height)
    x0, x1 = max(left, 0), min(left + sprite.shape[1], width)
    if y0 < y1 and x0 < x1:
        part = sprite[y0 - top : y1 - top, x0 - left : x1 - left]
        paint(canvas[y0:y1, x0:x1], part[..., :3], part[..., 3])


def expose(canvas: Array, camera: Camera, pool: Array, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture [H, W, 3] in 0..1 as the camera gives it: blur, gain, flicker, noise, 8 bits.

    `pool` is unit noise (`noise_pool`); each frame cuts it out at another place.
    """
    gain = np.array(camera.gain, np.float32) * np.float32(255 * (1 + camera.flicker * rng.normal()))
    picture = canvas * gain
    height, width = canvas.shape[:2]
    oy, ox = rng.integers(0, _NOISE_MARGIN, 2)
    picture += pool[oy : oy + height, ox : ox + width] * np.float32(camera.noise)
    np.clip(picture, 0, 255, out=picture)
    frame = picture.astype(np.uint8)
    if camera.blur:
        frame = np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(camera.blur)))
    return frame


def noise_pool(rng: np.random.Generator, width: int, height: int) -> Array:
    """Unit Gaussian noise, larger than the picture so that `expose` can cut it out at many places."""
    return rng.standard_normal((height + _NOISE_MARGIN, width + _NOISE_MARGIN, 3), np.float32)


def composite(canvas: Array, there: NDArray[np.intp], values: Array) -> None:
    """Puts premultiplied values [P, 4] on the pixels `there` (flat indices) of a contiguous canvas, in place."""
    flat = canvas.reshape(-1, 3)
    mixed = flat[there]
    mixed *= np.float32(1) - values[:, 3:]
    mixed += values[:, :3]
    flat[there] = mixed
