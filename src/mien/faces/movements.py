"""The mesh and the movements of every face on every frame of a video: the detector looks now and then, the mesh follows in
between.

Where a face was seen on the frame before, its region is that of the mesh there. Where it was not, where the mesh is lost, or
where it has left the place that the tracker says, the region comes from the detector's box and points, and the face is
looked at twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from mien.data.frame import Frame
from mien.faces.align import five_of, yaw_degrees
from mien.faces.crop import sharpness
from mien.faces.faces import FaceStream
from mien.faces.head import METADATA, Head, MeanHead
from mien.faces.mesh import Mesh, MeshFinder, Region, read_graphs
from mien.faces.options import PrepareConfig

PRESENT = 0.5
"""Presence below which the region holds no face that is seen well enough."""
ASTRAY = 0.5
"""A mesh whose middle lies so many sides of the tracker's region beside it has gone astray."""
JUMP, JUMP_ROLL, JUMP_SIZE = 0.1, np.radians(10), np.log(1.2)
"""Shares of the region's side, radians, and logarithm of the side: more than that from frame to frame is a jump."""
AWAY_S = 0.2
"""A region is of use for so long."""
AHEAD = 4
"""Frames that may wait for their meshes while the next are decoded."""
SHARP_SIDE = 64
"""Blur is measured on faces of this many pixels, so that it does not depend on how large they are."""


class Face(Protocol):
    """A face on one frame, as the tracker knows it."""

    @property
    def track(self) -> int: ...

    @property
    def box(self) -> np.ndarray: ...

    @property
    def points(self) -> np.ndarray: ...

    @property
    def score(self) -> float: ...


@dataclass(frozen=True)
class FaceMovement:
    """One face on one frame.

    Args:
        box: [4] x0 y0 x1 y1 of the tracker, in pixels of the picture. `score` is the detector's.
        mesh: with presence below `PRESENT` where the face is not seen well enough.
        sharpness: variance of the Laplacian of the face at `SHARP_SIDE` pixels.
    """

    frame_idx: int
    time_s: float
    track: int
    box: np.ndarray
    score: float
    mesh: Mesh
    head: Head
    sharpness: float
    crop: np.ndarray
    """[256, 256, 3] uint8, upright: what the mesh was found in."""
    yaw: float
    """Degrees, from the detector's points (`align.yaw_degrees`)."""

    @property
    def present(self) -> bool:
        return self.mesh.presence >= PRESENT

    @property
    def face_px(self) -> float:
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))


class MovementReader:
    """Follows the mesh of each track from frame to frame. Frames are given in order of time.

    Args:
        threads: faces of one frame that are looked at at the same time, each with graphs of its own.

    Raises:
        UserError: the landmarker's file is not here.
    """

    def __init__(self, file: Path, threads: int = 1):
        self._finders = [MeshFinder(file) for _ in range(threads)]
        self._head = MeanHead.read(read_graphs(file)[METADATA])
        self._pool = ThreadPoolExecutor(threads, "mesh") if threads > 1 else None
        self._last: dict[int, tuple[float, Region]] = {}

    def read(self, frame: Frame, faces: Sequence[Face]) -> list[FaceMovement]:
        """The faces' movements, in their order."""
        if self._pool is None or len(faces) < 2:
            return [self._one(self._finders[0], frame, f) for f in faces]
        count = len(self._finders)
        parts = [self._pool.submit(self._some, k, frame, faces[k::count]) for k in range(count)]
        found: list[FaceMovement | None] = [None] * len(faces)
        for k, part in enumerate(parts):
            found[k::count] = part.result()
        return [f for f in found if f is not None]

    def forget(self) -> None:
        """Another video begins."""
        self._last.clear()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def _some(self, finder: int, frame: Frame, faces: Sequence[Face]) -> list[FaceMovement]:
        return [self._one(self._finders[finder], frame, f) for f in faces]

    def _one(self, finder: MeshFinder, frame: Frame, face: Face) -> FaceMovement:
        image = frame.image
        expected = Region.of_face(face.box, face.points)
        seen = self._followed(finder, image, face.track, frame.time_s, expected)
        if seen is None:
            first = finder.points(image, expected)
            seen = finder.points(image, Region.around(first.points)) if first.presence >= PRESENT else first
        if seen.presence >= PRESENT:
            self._last[face.track] = (frame.time_s, Region.around(seen.points))
        else:
            self._last.pop(face.track, None)
        mesh = Mesh(seen.points, seen.presence, finder.coefficients(seen.points))
        head = self._head.pose(mesh.points, image.shape[0])
        sharp = sharpness(seen.crop.reshape(SHARP_SIDE, 4, SHARP_SIDE, 4, 3).mean((1, 3)).astype(np.uint8))
        return FaceMovement(
            frame.index,
            frame.time_s,
            face.track,
            face.box,
            face.score,
            mesh,
            head,
            sharp,
            seen.crop,
            yaw_degrees(five_of(face.points)),
        )

    def _followed(self, finder: MeshFinder, image: np.ndarray, track: int, time_s: float, expected: Region):
        """Where the mesh of the frame before leads; None where it leads nowhere."""
        last_s, region = self._last.get(track, (-np.inf, expected))
        if time_s - last_s > AWAY_S:
            return None
        seen = finder.points(image, region)
        now = Region.around(seen.points)
        if seen.presence >= PRESENT and jumped(region, now):
            seen = finder.points(image, now)
            now = Region.around(seen.points)
        near = np.hypot(now.x - expected.x, now.y - expected.y) <= ASTRAY * expected.side / 1.5
        return seen if seen.presence >= PRESENT and near else None


def jumped(before: Region, now: Region) -> bool:
    """Whether a face moved so far that what was found in its old region is worth a second look."""
    away = np.hypot(now.x - before.x, now.y - before.y) / before.side
    turned = abs((now.roll - before.roll + np.pi) % (2 * np.pi) - np.pi)
    return bool(away > JUMP or turned > JUMP_ROLL or abs(np.log(now.side / before.side)) > JUMP_SIZE)


class MovementStream(Iterator[tuple[Frame, list[FaceMovement]]]):
    """Every frame of a video with its faces' movements, in time order, in constant memory. Meshes are found in a thread of
    their own.

    Raises:
        VideoError: at the first step, when the video has no frame to give.
    """

    def __init__(self, path: Path | str, config: PrepareConfig, reader: MovementReader):
        self._faces, self._reader = FaceStream(path, config), reader
        self._thread = ThreadPoolExecutor(1, "movements")
        self._waiting: deque[tuple[Frame, Future[list[FaceMovement]]]] = deque()
        self._more = True

    @property
    def problem(self) -> str:
        return self._faces.problem

    def __next__(self) -> tuple[Frame, list[FaceMovement]]:
        while self._more and len(self._waiting) < AHEAD:
            try:
                frame, points = self._faces.tracked()
            except StopIteration:
                self._more = False
                break
            self._waiting.append((frame, self._thread.submit(self._reader.read, frame, points)))
        if not self._waiting:
            raise StopIteration
        frame, found = self._waiting.popleft()
        return frame, found.result()

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._faces.close()
        self._reader.close()
