"""Sixty-eight landmarks on every frame (`--landmarks 68`): who finds them, and their smoothing over time.

They may also be given (`prepare.given`); from here on both are one.
"""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Protocol

import numpy as np

from mien.contract import CropContract
from mien.data.frame import Frame
from mien.errors import UserError
from mien.faces.options import TEMPLATE
from mien.faces.track import TrackPoint

Step = tuple[Frame, list[TrackPoint]]
WINDOW = 12
"""Frames (decisions: landmark-crop), at the rate of the store."""
OTHERWISE = "or give the landmarks with --boxes, or leave --landmarks 68 out"


class Landmarker(Protocol):
    """Finds the landmarks of one face."""

    def __call__(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """[H, W, 3] uint8 RGB and [4] x0 y0 x1 y1 -> [68, 2] in its pixels, order of 300-W, image left first."""
        ...


def landmarker_for(contract: CropContract) -> Landmarker | None:
    """Who finds the landmarks that the contract's template wants; None: the detector's (or given) points are what it wants.

    Raises:
        UserError: the package is not installed, or its weights cannot be loaded.
    """
    geometry = contract.geometry
    return face_alignment() if geometry.template == TEMPLATE[68] and geometry.detector == "centerface" else None


@cache
def face_alignment() -> Landmarker:
    """The network of the package face-alignment (2D-FAN, Bulat and Tzimiropoulos 2017), once per process.

    It was trained on boxes of a detector that, like CenterFace, learned from WIDER FACE; so ours are passed on as they are.
    """
    try:
        package = importlib.import_module("face_alignment")
        import torch

        # "folder": no detector of its own, whose weights would be another download. flip_input: the mean with the mirrored
        # face costs twice the time. compile: minutes that few videos earn back.
        device = "cuda" if torch.cuda.is_available() else "cpu"
        network = package.FaceAlignment(
            package.LandmarksType.TWO_D, device=device, face_detector="folder", flip_input=False, compile=False
        )
    except ImportError as error:
        raise UserError(
            f"--landmarks 68 needs the package face-alignment, which cannot be imported ({error}): "
            f"pip install 'mien[face-alignment]', {OTHERWISE}"
        ) from error
    except Exception as error:  # no network, a proxy, a torn file, another version's options: all end here
        raise UserError(
            "--landmarks 68: the package of the extra mien[face-alignment] cannot load its weights "
            f"({type(error).__name__}: {error}): it downloads them at first use, so start once with a network, {OTHERWISE}"
        ) from error

    def find(image: np.ndarray, box: np.ndarray) -> np.ndarray:
        return np.asarray(network.get_landmarks_from_image(image, detected_faces=[box])[0], np.float64)

    return find


def located(frame: Frame, point: TrackPoint, landmarker: Landmarker | None) -> TrackPoint:
    """The face with the landmarks found in its box; as it is without a landmarker."""
    return point if landmarker is None else replace(point, points=landmarker(frame.image, point.box))


def smoothed(steps: Iterable[Step], window: int = WINDOW) -> Generator[Step]:
    """The frames with each face's points averaged over the `window` frame periods around it, half of them later.

    An even window has no middle frame: the first and the last of `window` + 1 frames count half, so nothing lags. Towards
    the ends of a track the window shrinks on both sides alike, so straight movement stays as it is. `window` / 2 frames
    are held back.
    """
    half = window // 2
    nothing: list[Step | None] = [None] * half
    around: deque[Step | None] = deque(nothing, maxlen=2 * half + 1)
    for step in chain(steps, nothing):
        around.append(step)
        middle = around[half] if len(around) == 2 * half + 1 else None
        if middle is not None:
            tracks = [{} if s is None else {p.track: p.points for p in s[1]} for s in around]
            yield middle[0], [replace(p, points=averaged([t.get(p.track) for t in tracks])) for p in middle[1]]


def averaged(points: list[np.ndarray | None]) -> np.ndarray:
    """The mean of [P, 2] over the longest stretch without None that lies evenly around the middle; ends count half."""
    half = reach = len(points) // 2
    for k in range(1, half + 1):
        if points[half - k] is None or points[half + k] is None:
            reach = k - 1
            break
    known = np.stack([p for p in points[half - reach : half + reach + 1] if p is not None])
    weights = np.ones(len(known))
    if reach:
        weights[[0, -1]] = 0.5
    return np.average(known, axis=0, weights=weights)
