"""Movements of a clip to one vector: the mesh freed of the head's pose and on principal axes, gaps filled, pooled over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mien.movements.names import COEFFICIENTS, NUM_POINTS

STABLE = (33, 133, 362, 263, 168, 6, 197, 2, 98, 327, 10, 67, 297, 127, 356, 234, 454)
"""Points that expressions hardly move: corners of the eyes, bridge and base of the nose, forehead, sides of the face."""
MOMENTS = 12
SEEN_SHARE = 1 / 3
"""A clip of whose frames fewer show the face has no features."""
STATISTICS = 4


class Track(NamedTuple):
    """Numbers of one clip over time.

    Args:
        times_s: [T]. seen: bool [T]. values: [T, D], coefficients first, then axes; anything where not seen.
    """

    times_s: np.ndarray
    seen: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Shape:
    """What a mesh is compared with.

    Args:
        template: [478, 3] mesh that others are turned to.
        mean: [1434] of the meshes so turned. axes: [A, 1434] orthonormal, the first along the largest spread.
    """

    template: np.ndarray
    mean: np.ndarray
    axes: np.ndarray

    def places(self, mesh: np.ndarray) -> np.ndarray:
        """Of meshes ``[n, 478, 3]`` in any pose, ``[n, A]``."""
        return (posed(mesh, self.template).reshape(len(mesh), -1) - self.mean) @ self.axes.T


def posed(mesh: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Meshes ``[n, 478, 3]`` by the turn, size and shift that lay their stable points best on the template's (Umeyama 1991)."""
    mesh, stable = mesh.astype(np.float64), list(STABLE)
    a, b = mesh[:, stable], template[stable].astype(np.float64)
    centre_a, centre_b = a.mean(1, keepdims=True), b.mean(0)
    a, b = a - centre_a, b - centre_b
    u, s, vt = np.linalg.svd(np.einsum("npi,pj->nij", a, b))
    flip = np.ones((len(mesh), 3))
    flip[:, 2] = np.sign(np.linalg.det(u @ vt))
    turn = (u * flip[:, None]) @ vt
    size = (s * flip).sum(1) / np.maximum((a**2).sum((1, 2)), 1e-12)
    return (mesh - centre_a) @ turn * size[:, None, None] + centre_b


def shape_of(meshes: np.ndarray, count: int) -> Shape:
    """Of seen meshes ``[n, 478, 3]``, at most `count` axes: no more than they span."""
    template = meshes.mean(0, dtype=np.float64)
    template = posed(meshes, template).mean(0)
    flat = posed(meshes, template).reshape(len(meshes), -1)
    mean = flat.mean(0)
    flat -= mean
    # of few meshes by their products, which is the smaller matrix; of many by the spread of the coordinates
    if len(flat) < flat.shape[1]:
        _, spread, axes = np.linalg.svd(flat, full_matrices=False)
    else:
        squared, vectors = np.linalg.eigh(flat.T @ flat)
        spread, axes = np.sqrt(np.maximum(squared[::-1], 0)), vectors.T[::-1]
    kept = max(1, min(count, int((spread > 1e-6 * max(spread[0], 1e-12)).sum())))
    return Shape(template, mean, np.ascontiguousarray(axes[:kept]))


def width(features: str, pooling: str, axes: int, velocities: bool) -> int:
    """Numbers of a vector that `pooled` gives."""
    kinds = {"coefficients": len(COEFFICIENTS), "mesh": axes, "both": len(COEFFICIENTS) + axes}
    return kinds[features] * (1 + velocities) * (MOMENTS if pooling == "moments" else STATISTICS)


def columns(features: str, axes: int) -> slice:
    """Which of a track's numbers."""
    first, last = len(COEFFICIENTS), len(COEFFICIENTS) + axes
    return {"coefficients": slice(0, first), "mesh": slice(first, last), "both": slice(0, last)}[features]


def filled(track: Track) -> np.ndarray:
    """``[T, D]``: where the face is not seen, between its neighbours in time. At least one frame is seen."""
    return interpolated(track.times_s, track.times_s[track.seen], track.values[track.seen])


def interpolated(at: np.ndarray, times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``[n, D]`` at times ``[n]``, linear between ``[T]`` rising ones and constant beyond them."""
    if len(times) == 1:
        return np.repeat(values, len(at), axis=0)
    after = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
    before = after - 1
    share = np.clip((at - times[before]) / np.maximum(times[after] - times[before], 1e-9), 0, 1)[:, None]
    return values[before] * (1 - share) + values[after] * share


def pooled(tracks: Sequence[Track], features: str, pooling: str, axes: int, velocities: bool) -> np.ndarray:
    """``[n, width]`` of the tracks; NaN where the face is seen on too few frames."""
    found = np.full((len(tracks), width(features, pooling, axes, velocities)), np.nan)
    wanted = columns(features, axes)
    for row, track in enumerate(tracks):
        if track.seen.mean() >= SEEN_SHARE:
            values = filled(Track(track.times_s, track.seen, track.values[:, wanted]))
            found[row] = _pooled(track.times_s, values, pooling, velocities)
    return found


def _pooled(times: np.ndarray, values: np.ndarray, pooling: str, velocities: bool) -> np.ndarray:
    if velocities:
        values = np.concatenate([values, speeds(times, values)], axis=1)
    if pooling == "moments":
        return interpolated(np.linspace(times[0], times[-1], MOMENTS), times, values).reshape(-1)
    return np.concatenate([values.mean(0), values.std(0), values.min(0), values.max(0)])


def speeds(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Change per second ``[T, D]`` around each frame; 0 of a single one."""
    return np.gradient(values, times, axis=0) if len(times) > 1 else np.zeros_like(values)


assert max(STABLE) < NUM_POINTS
