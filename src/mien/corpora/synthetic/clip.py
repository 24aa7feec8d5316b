"""Draws clips and scenes: the motion of `motion`, played by the actors of `actor`, seen by a camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mien.corpora.synthetic import head, stage
from mien.corpora.synthetic.actor import AUS, Actor, make_actor
from mien.corpora.synthetic.features import draw_features
from mien.corpora.synthetic.motion import Motion, perform
from mien.corpora.synthetic.options import SynthConfig
from mien.corpora.synthetic.shapes import HEIGHT, WIDTH, Array
from mien.corpora.synthetic.skin import Sheet, draw_sheet
from mien.rng import generator

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class ClipLabels:
    """The ground truth of one clip."""

    actor: Actor
    motion: Motion
    boxes: NDArray[np.float64]
    """[T, 4] x0 y0 x1 y1 in pixels: hairline to chin, cheek to cheek."""
    points: NDArray[np.float64]
    """[T, 5, 2] pixels: eye, eye (image left first), nose tip, mouth corner, mouth corner."""

    @property
    def label(self) -> str:
        return self.motion.label

    @property
    def dynamics(self) -> str:
        return self.motion.dynamics


@dataclass(frozen=True)
class Placed:
    """Somebody in a scene."""

    subject: int
    center: tuple[float, float]
    """Middle of the head in pixels, at the start."""
    height: float
    """From hairline to chin, in pixels, about."""
    present: tuple[float, float] = (0.0, 1.0)
    """Shares of the scene between which the person is there."""
    travel: tuple[float, float] = (0.0, 0.0)
    """Pixels the head moves from the first frame to the last."""
    index: int = 0
    """Which of the subject's clips is played."""


@dataclass(frozen=True)
class Scene:
    frames: Frames
    """[T, H, W, 3] RGB."""
    boxes: NDArray[np.float64]
    """[T, A, 4]; NaN where the person is not there."""
    points: NDArray[np.float64]
    """[T, A, 5, 2]; NaN where the person is not there."""
    motions: tuple[Motion, ...]


@lru_cache(maxsize=8)
def _sheet(actor: Actor, seed: int, per_unit: int) -> Sheet:
    return draw_sheet(actor, seed, per_unit)


def _poses(motion: Motion, center: tuple[float, float], scale: float, travel: tuple[float, float]) -> list[head.Pose]:
    poses = []
    for t, ((yaw, pitch, roll), (sx, sy)) in enumerate(zip(motion.pose, motion.shift, strict=True)):
        when = t / max(len(motion) - 1, 1)
        x, y = center[0] + scale * sx + travel[0] * when, center[1] + scale * sy + travel[1] * when
        poses.append(head.Pose(float(yaw), float(pitch), float(roll), (float(x), float(y)), scale))
    return poses


def _controls(motion: Motion, t: int) -> dict[str, float]:
    return dict(zip(AUS, motion.aus[t].tolist(), strict=True))


def _truth(actor: Actor, motion: Motion, poses: list[head.Pose]) -> ClipLabels:
    boxes, points = [], []
    for t, pose in enumerate(poses):
        au = _controls(motion, t)
        rim = head.project(actor, au, pose, head.outline(actor))
        boxes.append(np.concatenate([rim.min(0), rim.max(0)]))
        rest = head.five_points(actor)
        rest[3:, 0] *= 1 + 0.30 * au["au12"] + 0.26 * au["au20"] - 0.16 * au["au23"] - 0.14 * au["au26"]
        rest[3:, 1] += -0.115 * au["au12"] + 0.105 * au["au15"] + 0.03 * au["au20"]
        points.append(head.project(actor, au, pose, rest))
    return ClipLabels(actor, motion, np.array(boxes), np.array(points))


def _draw_head(
    canvas: Array, actor: Actor, sheet: Sheet, motion: Motion, t: int, pose: head.Pose, light: stage.Light
) -> None:
    au = _controls(motion, t)
    image = sheet.albedo.copy()
    gx, gy = motion.gaze[t].tolist()
    draw_features(image, sheet, actor, au, float(motion.blink[t]), (gx, gy))
    stage.shade(image, sheet.normals, sheet.gloss, light, pose)
    reach, (height, width) = pose.scale * max(HEIGHT, WIDTH) * 0.58, canvas.shape[:2]
    x0, x1 = (min(max(int(pose.center[0] + r), 0), width) for r in (-reach, reach))
    y0, y1 = (min(max(int(pose.center[1] + r), 0), height) for r in (-reach, reach))
    if x1 <= x0 or y1 <= y0:
        return
    local = replace(pose, center=(pose.center[0] - x0, pose.center[1] - y0))
    there, values = head.warp(image, sheet.occupied, actor, au, local, x1 - x0, y1 - y0)
    row, column = np.divmod(there, x1 - x0)
    stage.composite(canvas, (row + y0) * width + column + x0, values)


def _stand(canvas: Array, body: Array, center: tuple[float, float], scale: float) -> None:
    """Puts a body under the head at `center`."""
    x, y = stage.body_anchor(scale)
    stage.overlay(canvas, body, round(center[0]) - x, round(center[1]) - y)


def _framing(config: SynthConfig, subject: int, index: int) -> tuple[tuple[float, float], float]:
    """Head position and px per face unit of a clip."""
    rng = generator("synth framing", config.seed, subject, index)
    scale = config.size * rng.uniform(0.27, 0.335)
    return (config.size * rng.uniform(0.45, 0.55), config.size * rng.uniform(0.47, 0.52)), scale


def clip_labels(config: SynthConfig, subject: int, index: int) -> ClipLabels:
    """The ground truth of a clip, without drawing it."""
    actor = make_actor(config.seed, subject)
    motion = perform(config.seed, actor, index, config.frames, config.fps)
    center, scale = _framing(config, subject, index)
    return _truth(actor, motion, _poses(motion, center, scale, (0.0, 0.0)))


def draw_clip(config: SynthConfig, subject: int, index: int) -> tuple[Frames, ClipLabels]:
    """Clip `index` of a subject: frames [T, size, size, 3] RGB and the ground truth.

    A pure function of (config.seed, subject, index) and of the frames, fps and size of the config.
    """
    config.check()
    labels = clip_labels(config, subject, index)
    actor, motion = labels.actor, labels.motion
    center, scale = _framing(config, subject, index)
    poses = _poses(motion, center, scale, (0.0, 0.0))
    rng = generator("synth stage", config.seed, subject, index)
    light, camera = stage.make_light(rng), stage.make_camera(rng)
    backdrop = stage.background(rng, config.size, config.size)
    body = stage.draw_body(actor, rng, scale, light, (config.size - center[1]) / scale + 0.1)
    _stand(backdrop, body, center, scale)
    occluder = stage.make_occluder(rng, actor, scale, 0.15)
    pool, sheet = stage.noise_pool(rng, config.size, config.size), _sheet(actor, config.seed, head.fineness(scale))
    frames = np.empty((len(motion), config.size, config.size, 3), np.uint8)
    for t, pose in enumerate(poses):
        canvas = backdrop.copy()
        _draw_head(canvas, actor, sheet, motion, t, pose, light)
        if occluder is not None:
            ox, oy = occluder.position(t / max(len(motion) - 1, 1))
            left, top = center[0] + ox * scale - occluder.sprite.shape[1] / 2, center[1] + oy * scale
            stage.overlay(canvas, occluder.sprite, round(left), round(top))
        frames[t] = stage.expose(canvas, camera, pool, rng)
    return frames, labels


def draw_scene(
    people: Sequence[Placed], num_frames: int = 64, fps: int = 30, width: int = 640, height: int = 360, seed: int = 0
) -> Scene:
    """A larger picture with any number of people who may come, leave and move; nobody at all is allowed.

    Larger people stand in front of smaller ones.
    """
    rng = generator("synth scene", seed)
    light, camera = stage.make_light(rng), stage.make_camera(rng)
    backdrop, pool = stage.background(rng, width, height), stage.noise_pool(rng, width, height)
    actors = [make_actor(seed, p.subject) for p in people]
    motions = [perform(seed, a, p.index, num_frames, fps) for a, p in zip(actors, people, strict=True)]
    scales = [p.height / (a.chin - head.outline(a)[:, 1].min()) for a, p in zip(actors, people, strict=True)]
    poses = [_poses(m, p.center, s, p.travel) for m, p, s in zip(motions, people, scales, strict=True)]
    truths = [_truth(a, m, p) for a, m, p in zip(actors, motions, poses, strict=True)]
    boxes, points = np.full((num_frames, len(people), 4), np.nan), np.full((num_frames, len(people), 5, 2), np.nan)
    frames = np.empty((num_frames, height, width, 3), np.uint8)
    dress = [generator("synth dress", seed, p.subject) for p in people]
    bodies = [stage.draw_body(a, r, s, light, height / s) for a, r, s in zip(actors, dress, scales, strict=True)]
    sheets = [_sheet(a, seed, head.fineness(s)) for a, s in zip(actors, scales, strict=True)]
    for t in range(num_frames):
        canvas = backdrop.copy()
        for i in sorted(range(len(people)), key=lambda i: people[i].height):
            if people[i].present[0] <= t / num_frames < people[i].present[1]:
                _stand(canvas, bodies[i], poses[i][t].center, scales[i])
                _draw_head(canvas, actors[i], sheets[i], motions[i], t, poses[i][t], light)
                boxes[t, i], points[t, i] = truths[i].boxes[t], truths[i].points[t]
        frames[t] = stage.expose(canvas, camera, pool, rng)
    return Scene(frames, boxes, points, tuple(motions))
