"""The stream of faces of a video: detection now and then, tracking in between, one crop per face and frame.

`predict` slides its windows over it, `prepare` packs it into shards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.data.frame import Frame
from mien.data.video import read_frames
from mien.faces.align import five_of, yaw_degrees
from mien.faces.crop import cut, outside, sharpness
from mien.faces.detect import CenterFace, Detections, FaceDetector, WholeFrame
from mien.faces.given import POINTS, SIXTY_EIGHT, GivenBoxes
from mien.faces.landmarks import Landmarker, landmarker_for, located, smoothed
from mien.faces.mesh import Mesh
from mien.faces.options import TEMPLATE, PrepareConfig
from mien.faces.track import Tracker, TrackPoint

# Frames waiting for the next detections may take this much memory (0.4 s of 4K at 60 fps); beyond it the detector is
# asked early.
BUFFER_BYTES = 300 << 20
# A scene cut: this share of the pixels changes its brightness class, and the mean pixel moves by this much of 255.
CUT_SHARE, CUT_CHANGE = 0.35, 20.0


@dataclass
class FaceSample:
    """One face on one frame, in source pixels."""

    frame_idx: int
    """Position among the frames read (from `start_s` on, after resampling to the contract's rate)."""
    time_s: float
    track: int
    box: np.ndarray
    """[4] x0 y0 x1 y1."""
    points: np.ndarray
    """[5, 2] eyes, nose, mouth corners, image left first; NaN where unknown."""
    score: float
    sharpness: float
    yaw: float
    """Degrees, positive towards the image's right (`align.yaw_degrees`)."""
    crop: np.ndarray
    """[S, S, 3] or [S, S, 1] uint8."""
    detected: bool
    """False: tracked between two detections."""
    outside: float = 0.0
    """Share of the crop that lies beyond the frame."""
    mesh: Mesh | None = None
    """Where movements are kept."""

    @property
    def face_px(self) -> float:
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))


def detector_for(config: PrepareConfig) -> FaceDetector | GivenBoxes:
    """The detector that the contract's geometry names.

    Raises:
        UserError: boxes file missing or wrong; weights not installed.
    """
    geometry = config.contract.geometry
    if geometry.detector == "none":
        return WholeFrame()
    if geometry.detector == "given":
        columns = SIXTY_EIGHT if geometry.template == TEMPLATE[68] else POINTS
        return GivenBoxes.read(config.boxes, geometry.crop == "face", columns)
    return CenterFace(config.every_s, config.min_score)


class FaceStream(Iterator[list[FaceSample]]):
    """One list of faces per frame, in time order, in constant memory.

    After each step `frame` is the frame the list belongs to; after the last one `problem` says what could not be read.

    Args:
        source: name of the video in a `--boxes` file; default its path.
        landmarker: finds 68 landmarks; default what the contract calls for.
    """

    def __init__(
        self,
        path: Path | str,
        config: PrepareConfig,
        start_s: float | None = None,
        end_s: float | None = None,
        detector: FaceDetector | GivenBoxes | None = None,
        source: str | None = None,
        landmarker: Landmarker | None = None,
    ):
        self.config = config
        self.frame: Frame | None = None
        found = detector or detector_for(config)
        self._detector: FaceDetector = found.of(source or str(path)) if isinstance(found, GivenBoxes) else found
        self._landmarker = landmarker or landmarker_for(config.contract)
        self._reader = read_frames(path, start_s, end_s, config.fps_of_images, config.first_number)
        # A folder of ready crops with gaps stays one track: its images are all of one person.
        ready = config.contract.geometry.detector == "none"
        self._tracker = Tracker(float("inf") if ready else config.gap_s)
        self._waiting: deque[Frame] = deque()
        self._bytes = 0
        self._last_look: float | None = None
        self._asked: tuple[Frame, Future[Detections]] | None = None
        self._thread = ThreadPoolExecutor(1, "detector")
        aligned_on_68 = config.contract.geometry.template == TEMPLATE[68]
        self._steps = smoothed(self._run()) if aligned_on_68 else self._run()

    @property
    def problem(self) -> str:
        return self._reader.problem

    def tracked(self) -> tuple[Frame, list[TrackPoint]]:
        """The next frame with its faces, before they are cropped. Raises StopIteration after the last."""
        self.frame, points = next(self._steps)
        return self.frame, points

    def __next__(self) -> list[FaceSample]:
        frame, points = self.tracked()
        return [make_sample(frame, p, self.config) for p in points]

    def close(self) -> None:
        self._steps.close()
        self._reader.close()

    def _run(self) -> Generator[tuple[Frame, list[TrackPoint]]]:
        """Each frame with its faces."""
        rate, previous = self.config.contract.store.fps, None
        try:
            for frame in self._reader if rate is None else resample(self._reader, rate):
                if self._detector.needs_pixels:
                    luma = frame.luma()
                    if previous is not None and is_cut(previous, luma):
                        self._end_shot()
                        yield from self._ready()
                    previous = luma
                self._waiting.append(frame)
                self._bytes += frame.nbytes
                self._consider(frame)
                yield from self._ready()
            self._end_shot()
            yield from self._ready()
        finally:
            self._thread.shutdown()

    def _consider(self, frame: Frame) -> None:
        """Looks at the frame if it is time to.

        The detector works in a thread while the next frames are decoded; its answer is taken exactly when the next frame
        is due, so that nothing depends on how fast it was.
        """
        if not self._detector.needs_pixels:
            self._tracker.expire(frame.time_s)
        due = self._detector.due(frame.time_s, self._last_look)
        full = self._bytes > BUFFER_BYTES
        if due or full:
            self._settle()
            self._ask(frame)
        if full or not self._detector.needs_pixels:
            self._settle()
        if full:
            self._tracker.end_lost(frame.index)

    def _ask(self, frame: Frame) -> None:
        self._asked = (frame, self._thread.submit(self._look, frame))
        self._last_look = frame.time_s

    def _settle(self) -> None:
        """Takes the answer that is out, if one is."""
        if self._asked is not None:
            frame, answer = self._asked
            self._asked = None
            self._tracker.update(frame.index, frame.time_s, answer.result())

    def _end_shot(self) -> None:
        """The last frame of a shot is looked at too, so that its tracks reach it; then they end."""
        self._settle()
        if self._tracker.live and self._waiting and self._detector.needs_pixels:
            last = self._waiting[-1]
            if all(t.last.index != last.index for t in self._tracker.live):
                self._ask(last)
                self._settle()
        self._tracker.end_all()
        self._last_look = None

    def _look(self, frame: Frame) -> Detections:
        """Faces in source pixels."""
        width, height = frame.size
        if not self._detector.needs_pixels:
            return self._detector.detect(np.broadcast_to(np.uint8(0), (height, width, 3)), frame.time_s)
        image = frame.small(self.config.detect_side)
        found = self._detector.detect(image, frame.time_s)
        return large_enough(found.scaled(width / image.shape[1], height / image.shape[0]), self.config.min_face)

    def _ready(self):
        horizon = self._tracker.horizon
        if self._asked is not None:
            horizon = min(horizon, self._asked[0].index)
        while self._waiting and self._waiting[0].index < horizon:
            frame = self._waiting.popleft()
            self._bytes -= frame.nbytes
            yield frame, [located(frame, p, self._landmarker) for p in self._tracker.at(frame.index, frame.time_s)]


def make_sample(frame: Frame, point: TrackPoint, config: PrepareConfig) -> FaceSample:
    """The crop of one face and what is measured on it."""
    crop = cut(frame.image, point.box, point.points, config.contract)
    five, sharp = five_of(point.points), sharpness(crop)
    return FaceSample(
        frame.index,
        frame.time_s,
        point.track,
        point.box,
        five,
        point.score,
        sharp,
        yaw_degrees(five),
        crop,
        point.detected,
        outside(frame.size, point.box, point.points, config.contract),
    )


def stream_faces(
    path: Path | str,
    config: PrepareConfig,
    start_s: float | None = None,
    end_s: float | None = None,
    detector: FaceDetector | GivenBoxes | None = None,
) -> FaceStream:
    """One list of `FaceSample` per frame (empty where there is no face), in time order, in constant memory.

    Raises:
        VideoError: at the first step, when the video has no frame to give.
    """
    return FaceStream(path, config, start_s, end_s, detector)


def large_enough(found: Detections, min_face: float) -> Detections:
    """Without the faces whose box has no side of `min_face` source pixels."""
    sides = (found.boxes[:, 2:] - found.boxes[:, :2]).max(1, initial=0)
    return found.take(np.nonzero(sides >= min_face)[0])


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a new shot begins, from two grey thumbnails: both the histogram and the pixels must jump.

    A flash or a fast pan changes one of the two.
    """
    if before.shape != after.shape:
        return True
    change = np.abs(before.astype(np.int16) - after).mean()
    if change < CUT_CHANGE:
        return False
    a, b = (np.bincount(x.ravel() >> 3, minlength=32) for x in (before, after))
    return bool(np.abs(a - b).sum() / 2 / before.size > CUT_SHARE)


def resample(frames: Iterable[Frame], fps: float) -> Iterator[Frame]:
    """For each time t0 + i / fps up to the last frame, the frame nearest to it (a slower video repeats frames)."""
    before, first_s, count = None, 0.0, 0
    for frame in frames:
        if before is None:
            first_s = frame.time_s
        else:
            middle = (before.time_s + frame.time_s) / 2
            while (time_s := first_s + count / fps) <= middle:
                yield before.at(time_s, count)
                count += 1
        before = frame
    if before is not None:
        while (time_s := first_s + count / fps) <= before.time_s + 1e-6:
            yield before.at(time_s, count)
            count += 1
