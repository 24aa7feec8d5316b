"""The pose of a head from its mesh: how far it is turned, nodded and tilted, and how far away it is."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

METADATA = "geometry_pipeline_metadata_landmarks.binarypb"
# Degrees from the upper to the lower border of the picture: what the makers assume of a camera that says nothing.
FIELD_OF_VIEW = 63.0


class Head(NamedTuple):
    """Degrees, and centimetres. `turn` is positive towards the image's right, `nod` upwards, `tilt` where the top of the
    head leans to the
    image's right. `distance` is that of a head of average size before a camera of `FIELD_OF_VIEW`: for changes, not for
    centimetres.
    """

    turn: float
    nod: float
    tilt: float
    distance: float


@dataclass(frozen=True, eq=False)
class MeanHead:
    """The makers' mean face: `points` [P, 3] in centimetres (x to the image's right, y up, z to the camera) of `used` [P],
    the numbers of
    the points that hardly move with expression, and their `weights` [P], which add to 1.
    """

    used: np.ndarray
    points: np.ndarray
    weights: np.ndarray

    @classmethod
    def read(cls, metadata: bytes) -> MeanHead:
        """From the message in the landmarker's file: the vertices of a mesh (x y z u v), and pairs of point and weight."""
        fields = list(fields_of(metadata))
        mesh = next(value for field, value in fields if field == 1)
        pairs = [dict(fields_of(value)) for field, value in fields if field == 2]
        vertices = np.array([float32(v) for field, v in fields_of(mesh) if field == 3]).reshape(-1, 5)
        used = np.array([int.from_bytes(pair[1], "little") for pair in pairs])
        weights = np.array([float32(pair[2]) for pair in pairs])
        return cls(used, vertices[used, :3], weights / weights.sum())

    def pose(self, points: np.ndarray, height: int) -> Head:
        """Of the mesh [478, 3] in a picture of so many rows: the similarity that takes the mean face nearest to it (Umeyama
        1991, weighted)."""
        seen = points[self.used].astype(float) * (1, -1, -1)
        a, b = (p - self.weights @ p for p in (self.points, seen))
        u, s, vt = np.linalg.svd((b * self.weights[:, None]).T @ a)
        sign = np.array([1, 1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
        turned = (u * sign) @ vt
        scale = (s * sign).sum() / (self.weights @ (a**2).sum(1))
        turn, nod = np.arctan2(turned[0, 2], turned[2, 2]), np.arcsin(np.clip(turned[1, 2], -1, 1))
        tilt = -np.arctan2(turned[1, 0], turned[1, 1])
        focal = height / 2 / np.tan(np.radians(FIELD_OF_VIEW / 2))
        turn, nod, tilt = (float(np.degrees(v)) for v in (turn, nod, tilt))
        return Head(turn, nod, tilt, float(focal / max(scale, 1e-9)))


def float32(value: bytes) -> float:
    return struct.unpack("<f", value)[0]


def fields_of(message: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, value) of a protocol buffer's fields, of the kinds that the file has; whole numbers as little-endian bytes."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        if key & 7 == 0:
            value, at = varint(message, at)
            yield key >> 3, value.to_bytes(8, "little")
            continue
        size, at = (4, at) if key & 7 == 5 else varint(message, at)
        yield key >> 3, message[at : at + size]
        at += size


def varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins there, and where what follows begins."""
    value, shift = 0, 0
    while True:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if message[at - 1] < 0x80:
            return value, at
