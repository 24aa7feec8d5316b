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
    """Degrees, and centimetres. `turn` is positive towards the image's right, `nod` upwards, `tilt` where the top of the head leans to the
    image's right. `distance` is that of a head of average size before a camera of `FIELD_OF_VIEW`: for changes, not for centimetres.
    """

    turn: float
    nod: float
    tilt: float
    distance: float


@dataclass(frozen=True, eq=False)
class MeanHead:
    """The makers' mean face: `points` [P, 3] in centimetres (x to the image's right, y up, z to the camera) of `used` [P], the numbers of
    the points that hardly move with expression, and their `weights` [P], which add to 1.
    """

    used: np.ndarray
    points: np.ndarray
    weights: np.ndarray

    @classmethod
    def read(cls, metadata: bytes) -> MeanHead:
        """From the message in the landmarker's file: the vertices of a mesh (x y z u v), and pairs of point and weight."""
        mesh, pairs = b"", []
        for field, value in fields_of(metadata):
            if field == 1:
                mesh = value
            elif field == 2:
                pairs.append(dict(fields_of(value)))
        vertices = np.array([struct.unpack("<f", v)[0] for field, v in fields_of(mesh) if field == 3]).reshape(-1, 5)
        used = np.array([int(p[1]) for p in pairs])
        weights = np.array([struct.unpack("<f", p[2])[0] for p in pairs])
        return cls(used, vertices[used, :3], weights / weights.sum())

    def pose(self, points: np.ndarray, height: int) -> Head:
        """Of the mesh [478, 3] in a picture of so many rows: the similarity that takes the mean face nearest to it (Umeyama 1991, weighted)."""
        seen = points[self.used].astype(float) * (1, -1, -1)
        a, b = (p - self.weights @ p for p in (self.points, seen))
        u, s, vt = np.linalg.svd((b * self.weights[:, None]).T @ a)
        sign = np.array([1, 1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
        turned = (u * sign) @ vt
        scale = (s * sign).sum() / (self.weights @ (a**2).sum(1))
        turn, nod = np.arctan2(turned[0, 2], turned[2, 2]), np.arcsin(np.clip(turned[1, 2], -1, 1))
        tilt = -np.arctan2(turned[1, 0], turned[1, 1])
        focal = height / 2 / np.tan(np.radians(FIELD_OF_VIEW / 2))
        return Head(*(float(np.degrees(v)) for v in (turn, nod, tilt)), float(focal / max(scale, 1e-9)))


def fields_of(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """(number, value) of a protocol buffer's fields, of the three kinds that the file has."""
    at = 0

    def varint() -> int:
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        size = 4 if key & 7 == 5 else varint()
        yield key >> 3, message[at : at + size]
        at += size
