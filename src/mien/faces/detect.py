"""Face detectors: CenterFace, boxes from a file, and the whole frame.

CenterFace (Xu, Yan, Yang et al. 2019, arXiv 1911.03599) has four outputs at a quarter of the input's resolution: a heat
map of face centres, the box size, the centre's offset within its cell, and five landmarks. Its ONNX file (MIT) is found
by `mien.foreign`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mien.foreign import FILES, find

STRIDE = 4  # of the outputs
MULTIPLE = 32  # of the input's sides: the network halves five times and doubles back
OVERLAP = 0.3  # IoU above which the weaker of two boxes is the same face; heads side by side stay below
NUM_POINTS = 5


@dataclass(frozen=True)
class Detections:
    """N faces of one image, in its pixels (x right, y down, pixel centres at .5).

    Args:
        boxes: [N, 4] float32 x0 y0 x1 y1.
        points: [N, P, 2] float32: eyes, nose, mouth corners, image left first, or 68 given landmarks; NaN where unknown.
        scores: [N] float32 in 0..1.
        ids: [N] track numbers when the source knows them, else None.
    """

    boxes: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    ids: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def scaled(self, x: float, y: float) -> Detections:
        factor = np.array([x, y], np.float32)
        return Detections(self.boxes * np.tile(factor, 2), self.points * factor, self.scores, self.ids)

    def take(self, keep: np.ndarray) -> Detections:
        ids = None if self.ids is None else self.ids[keep]
        return Detections(self.boxes[keep], self.points[keep], self.scores[keep], ids)


NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))


@runtime_checkable
class FaceDetector(Protocol):
    """Finds faces in one picture of a video."""

    needs_pixels: bool
    """False: `detect` looks at the shape of the image alone, and no frame is converted for it."""

    def due(self, time_s: float, last_s: float | None) -> bool:
        """Whether to look at the frame at `time_s`, given when was last looked (None: never)."""
        ...

    def detect(self, image: np.ndarray, time_s: float) -> Detections:
        """[H, W, 3] uint8 RGB -> faces in its pixels."""
        ...


class CenterFace:
    """The default detector.

    Args:
        every_s: seconds between detections.
        min_score: heat-map value from which a centre counts.
        threads: of onnxruntime; one, because it runs beside the decoder, and several workers run beside each other.
    """

    needs_pixels = True

    def __init__(self, every_s: float = 0.15, min_score: float = 0.5, threads: int = 1):
        self.every_s, self.min_score = every_s, min_score
        self._session = _session(threads)

    def due(self, time_s: float, last_s: float | None) -> bool:
        # 1 ms: timestamps are rounded, and 0.15 s must not become every sixth frame where the fifth is at 0.1499.
        return last_s is None or time_s - last_s >= self.every_s - 1e-3

    def detect(self, image: np.ndarray, time_s: float = 0.0) -> Detections:
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Images of any sizes in one run, each at the upper left of a common black canvas."""
        height, width = (-(-max(i.shape[k] for i in images) // MULTIPLE) * MULTIPLE for k in (0, 1))
        batch = np.zeros((len(images), 3, height, width), np.float32)
        for slot, image in zip(batch, images, strict=True):
            slot[:, : image.shape[0], : image.shape[1]] = image.transpose(2, 0, 1)
        outputs = self._session.run(None, {"input.1": batch})
        return [self._decode(*(o[k] for o in outputs)) for k in range(len(images))]

    def _decode(self, heat: np.ndarray, size: np.ndarray, offset: np.ndarray, marks: np.ndarray) -> Detections:
        """One image's outputs [1|2|2|10, h, w]; the vertical value comes first in each, in the landmarks too."""
        rows, cols = np.nonzero(heat[0] > self.min_score)
        if not len(rows):
            return NOTHING
        scores = heat[0, rows, cols]
        h, w = np.exp(size[:, rows, cols]) * STRIDE
        y, x = (offset[0, rows, cols] + rows + 0.5) * STRIDE, (offset[1, rows, cols] + cols + 0.5) * STRIDE
        boxes = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
        parts = marks[:, rows, cols].reshape(NUM_POINTS, 2, -1)
        points = np.stack([parts[:, 1] * w + boxes[:, 0], parts[:, 0] * h + boxes[:, 1]], -1).transpose(1, 0, 2)
        found = Detections(boxes.astype(np.float32), points.astype(np.float32), scores.astype(np.float32))
        return found.take(suppress(found.boxes, found.scores))


class WholeFrame:
    """No detector: the frame itself is the face, one track, landmarks unknown (sets of ready-made crops)."""

    needs_pixels = False

    def due(self, time_s: float, last_s: float | None) -> bool:
        return True

    def detect(self, image: np.ndarray, time_s: float = 0.0) -> Detections:
        height, width = image.shape[:2]
        box = np.array([[0, 0, width, height]], np.float32)
        points = np.full((1, NUM_POINTS, 2), np.nan, np.float32)
        return Detections(box, points, np.ones(1, np.float32), np.zeros(1, np.int64))


def suppress(boxes: np.ndarray, scores: np.ndarray, overlap: float = OVERLAP) -> np.ndarray:
    """Indices of the boxes that no stronger kept box overlaps by more than `overlap`, strongest first."""
    order, kept = np.argsort(-scores, kind="stable"), []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[iou(boxes[best : best + 1], boxes[order])[0] <= overlap]
    return np.array(kept, np.int64)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[N, 4] and [M, 4] -> [N, M] intersection over union."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    inner = np.prod(np.clip(high - low, 0, None), axis=2)
    area = [np.prod(np.clip(v[:, 2:] - v[:, :2], 0, None), axis=1) for v in (a, b)]
    return inner / np.maximum(area[0][:, None] + area[1][None] - inner, 1e-9)


def _session(threads: int) -> Any:
    """onnxruntime over the file with free batch, height and width.

    The file fixes its input at 10 x 3 x 32 x 32 and lists its weights among the inputs, which stops onnxruntime from
    folding them.

    Raises:
        UserError: the file is not on this machine.
    """
    import onnx
    import onnxruntime

    model = onnx.load(str(find(FILES["centerface"])))
    weights = {w.name for w in model.graph.initializer}
    used = {name for node in model.graph.node for name in node.input}
    inputs = [v for v in model.graph.input if v.name not in weights]
    kept = [w for w in model.graph.initializer if w.name in used]
    del model.graph.input[:], model.graph.initializer[:]
    model.graph.input.extend(inputs)
    model.graph.initializer.extend(kept)
    for value in [*model.graph.input, *model.graph.output]:
        for axis in (0, 2, 3):
            value.type.tensor_type.shape.dim[axis].dim_param = f"{value.name}_{axis}"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
