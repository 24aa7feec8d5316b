"""Faces of one source into shard rows and manifest rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from mien.contract import Store
from mien.corpora.corpus import FrameTargets
from mien.data.audio import Sound, read_audio
from mien.data.frame import Frame, VideoError, read_image
from mien.data.manifest import MAX_ROW_FRAMES
from mien.data.movements import Movements, unit_mesh
from mien.data.shards import ShardRow, ShardWriter
from mien.data.video import probe
from mien.errors import UserError
from mien.faces.detect import CenterFace, Detections, FaceDetector
from mien.faces.faces import FaceSample, FaceStream, large_enough, make_sample
from mien.faces.given import GivenBoxes
from mien.faces.landmarks import landmarker_for, located
from mien.faces.mesh import landmarker_file
from mien.faces.movements import PRESENT, MovementReader
from mien.faces.options import PrepareConfig
from mien.faces.sources import Cut, Source
from mien.faces.track import TrackPoint

Detector = FaceDetector | GivenBoxes
Tick = Callable[[float], None]
"""Told the share of the source that is done, 0 to 1."""
# Labelled stretches nearer than this are read in one pass; across longer stretches nobody asked for it pays to seek.
SEEK_GAP_S = 10.0
# Sound stored before and after the frames of a row: filters at the border of two rows of one track hear what was there.
SOUND_MARGIN_S = 0.25


def encode(crop: np.ndarray, store: Store) -> bytes:
    """[S, S, 3 or 1] uint8 as a JPEG file."""
    color = "RGB" if crop.shape[2] == 3 else "GRAY"
    sampling = store.subsampling if crop.shape[2] == 3 else "Gray"
    return simplejpeg.encode_jpeg(np.ascontiguousarray(crop), store.quality, color, sampling)


@dataclass
class Building:
    """The row of one track that is being filled."""

    samples: list[FaceSample] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    segment: int = 0

    def add(self, sample: FaceSample, store: Store) -> None:
        self.frames.append(encode(sample.crop, store))
        sample.crop = sample.crop[:0]  # the picture lives on as JPEG only
        self.samples.append(sample)


class Stretch:
    """One labelled stretch (or the whole) of a source, filling rows as faces come."""

    def __init__(self, source: Source, cut: Cut, packer: Packer):
        self.source, self.cut, self.packer = source, cut, packer
        self.num_frames = 0
        self.rows: list[dict[str, Any]] = []
        self._building: dict[int, Building] = {}

    def holds(self, time_s: float) -> bool:
        return (self.cut.start_s or 0) <= time_s < (float("inf") if self.cut.end_s is None else self.cut.end_s)

    def add(self, samples: Sequence[FaceSample], frame_idx: int, offset: int) -> None:
        """Faces of the next frame; `offset` makes track numbers of later passes new."""
        self.num_frames += 1
        for sample in samples:
            row = self._building.setdefault(sample.track + offset, Building())
            row.add(sample, self.packer.config.contract.store)
            if len(row.frames) == MAX_ROW_FRAMES:
                self._flush(sample.track + offset)
        for track, row in self._building.items():
            if row.samples and row.samples[-1].frame_idx < frame_idx:
                self._flush(track)

    def _flush(self, track: int) -> None:
        row = self._building[track]
        if row.samples:
            clip_id = f"{self.source.name}{self.cut.tag}/{track}/{row.segment}"
            self.rows.append(self.packer.write(self.source, clip_id, track, row, self.cut.targets))
            self._building[track] = Building(segment=row.segment + 1)

    def finish(self, problem: str) -> list[dict[str, Any]]:
        """The manifest rows; one that says why when there is no clip."""
        for track in list(self._building):
            self._flush(track)
        note = f"partly unreadable: {problem}" if problem else ""
        if self.rows:
            return [{**row, "reason": note} for row in self.rows]
        if self.num_frames:
            status, reason = "no_face", f"no face in {self.num_frames} frames"
            given = self.packer.detector
            if isinstance(given, GivenBoxes) and not given.marks(self.source.name):
                reason = given.why_none(self.source.name)
        else:
            status, reason = "empty", f"no frames from {self.cut.start_s or 0:g} s on" if self.cut.tag else "no frames"
        return [failure(self.source, self.cut, status, "; ".join(filter(None, (reason, note))))]


def failure(source: Source, cut: Cut, status: str, reason: str) -> dict[str, Any]:
    """The manifest row of a stretch without a clip."""
    return failure_row(source.name, cut, status, reason)


def failure_row(name: str, cut: Cut, status: str, reason: str) -> dict[str, Any]:
    return {
        "clip_id": f"{name}{cut.tag}",
        "source": name,
        "track": -1,
        "segment": 0,
        "start_s": cut.start_s,
        "end_s": cut.end_s,
        "num_frames": 0,
        "status": status,
        "reason": reason,
        "origin": "recorded",
        "shard": "",
        "row": -1,
        "cut": cut.tag,
    }


class Packer:
    """Writes the faces of sources to one shard."""

    def __init__(self, config: PrepareConfig, detector: Detector, writer: ShardWriter):
        self.config, self.detector, self.writer = config, detector, writer
        self._sound: Sound | None = None
        self._origin = "recorded"
        self._meshes = MovementReader(landmarker_file()) if config.contract.store.movements else None

    def video(self, source: Source, tick: Tick) -> list[dict[str, Any]]:
        """Manifest rows of a video or a folder of images.

        Raises:
            VideoError: nothing of it can be read.
        """
        info = probe(source.path, self.config.fps_of_images)
        self._sound, self._origin = None, info.origin
        rows, offset = [], 0
        for cuts in passes(source.cuts):
            stretches = [Stretch(source, cut, self) for cut in cuts]
            problem, offset = self._pass(source, stretches, offset, info.duration_s, tick)
            for stretch in stretches:
                rows += [{**row, "cut": stretch.cut.tag} for row in stretch.finish(problem)]
        return rows

    def _pass(self, source: Source, stretches: list[Stretch], offset: int, duration_s: float | None, tick: Tick):
        """One reading of the part that holds all stretches -> (problem, first track number that is free)."""
        start_s = min(s.cut.start_s or 0 for s in stretches)
        ends = [s.cut.end_s for s in stretches]
        end_s = None if None in ends else max(e for e in ends if e is not None)
        stream = FaceStream(source.path, self.config, start_s, end_s, self.detector, source.name)
        highest = offset - 1
        if self._meshes:
            self._meshes.forget()
        for count, samples in enumerate(stream):
            frame = stream.frame
            assert frame is not None
            if self._meshes:
                samples = with_meshes(self._meshes, frame, samples)
            for stretch in stretches:
                if stretch.holds(frame.time_s):
                    stretch.add([*map(copy_sample, samples)] if len(stretches) > 1 else samples, frame.index, offset)
            highest = max([highest, *(s.track + offset for s in samples)])
            if duration_s and count % 100 == 0:
                tick(min(frame.time_s / duration_s, 1.0))
        return stream.problem, highest + 1

    def stills(self, sources: Sequence[Source], tick: Tick) -> dict[str, list[dict[str, Any]]]:
        """Manifest rows of single pictures, by source name; one detector run for all of them."""
        self._sound, self._origin = Sound(np.zeros(0, np.int16)), "recorded"
        rows: dict[str, list[dict[str, Any]]] = {}
        frames: dict[str, Frame] = {}
        for source in sources:
            try:
                frames[source.name] = Frame(0.0, read_image(Path(source.path)))
            except VideoError as error:
                rows[source.name] = [failure(source, c, error.status, error.reason) for c in source.cuts]
        found = dict(zip(frames, self._detect_all(frames), strict=True))
        for done, source in enumerate(sources):
            if source.name in frames:
                rows[source.name] = self._still(source, frames[source.name], found[source.name])
            tick((done + 1) / len(sources))
        return rows

    def _detect_all(self, frames: dict[str, Frame]) -> list[Detections]:
        if isinstance(self.detector, CenterFace):
            small = [f.small(self.config.detect_side) for f in frames.values()]
            found = self.detector.detect_batch(small) if small else []
            scales = [
                (f.size[0] / s.shape[1], f.size[1] / s.shape[0]) for f, s in zip(frames.values(), small, strict=True)
            ]
            return [large_enough(d.scaled(*s), self.config.min_face) for d, s in zip(found, scales, strict=True)]
        results = []
        for name, frame in frames.items():
            detector = self.detector.of(name) if isinstance(self.detector, GivenBoxes) else self.detector
            detector.due(0.0, None)
            results.append(detector.detect(frame.image, 0.0))
        return results

    def _still(self, source: Source, frame: Frame, found: Detections) -> list[dict[str, Any]]:
        """Largest face first, so that track 0 is the portrait."""
        cut, rows = source.cuts[0], []
        sides = (found.boxes[:, 2:] - found.boxes[:, :2]).max(1, initial=0)
        for track, k in enumerate(np.argsort(-sides, kind="stable")):
            point = TrackPoint(track, found.boxes[k], found.points[k], float(found.scores[k]), True)
            row = Building()
            point = located(frame, point, landmarker_for(self.config.contract))
            sample = make_sample(frame, point, self.config)
            if self._meshes:
                self._meshes.forget()
                with_meshes(self._meshes, frame, [sample])
            row.add(sample, self.config.contract.store)
            rows.append({**self.write(source, f"{source.name}/{track}/0", track, row, cut.targets), "cut": ""})
        return rows or [failure(source, cut, "no_face", "no face in the picture")]

    def write(
        self, source: Source, clip_id: str, track: int, building: Building, targets: FrameTargets | None
    ) -> dict[str, Any]:
        """Adds a row to the shard and returns its manifest row."""
        samples = building.samples
        times = np.array([s.time_s for s in samples])
        fps = frame_rate(times)
        sound = self._sound_of(source, float(times[0]), float(times[-1]) + (1 / fps if fps else 0.0))
        row = ShardRow(
            clip_id,
            building.frames,
            times,
            np.stack([s.box for s in samples]),
            np.stack([s.points.reshape(10) for s in samples]),
            np.array([s.score for s in samples]),
            sound.samples,
            sound.start_s,
            targets_at(targets, times, self.config.targets),
            movements_of(samples) if self._meshes else None,
        )
        try:
            number = self.writer.add(row)
        except OSError as error:
            raise UserError(f"cannot write {self.writer.path}: {error}; free some space and start again") from error
        return {
            "clip_id": clip_id,
            "source": source.name,
            "track": track,
            "segment": building.segment,
            "start_s": float(times[0]),
            "end_s": float(times[-1]),
            "fps": fps,
            "num_frames": len(times),
            "status": "ok",
            "reason": "",
            "origin": self._origin,
            "shard": self.writer.path.name,
            "row": number,
            **{k: median([getattr(s, k) for s in samples]) for k in ("score", "face_px", "sharpness", "yaw")},
        }

    def _sound_of(self, source: Source, start_s: float, end_s: float) -> Sound:
        if not self.config.audio:
            return Sound(np.zeros(0, np.int16), start_s)
        if self._sound is None:
            self._sound = read_audio(source.path)
        return self._sound.between(start_s - SOUND_MARGIN_S, end_s + SOUND_MARGIN_S)


def targets_at(targets: FrameTargets | None, times_s: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """float32 [T] of each name; NaN for what this clip has no annotation of."""
    found = {} if targets is None else targets.at(times_s)
    return {n: found[n] if n in found else np.full(len(times_s), np.nan, np.float32) for n in names}


def with_meshes(reader: MovementReader, frame: Frame, samples: list[FaceSample]) -> list[FaceSample]:
    """The faces of a frame, each given its mesh."""
    for sample, found in zip(samples, reader.read(frame, samples), strict=True):
        sample.mesh = found.mesh
    return samples


def movements_of(samples: Sequence[FaceSample]) -> Movements:
    """Of the faces of one row; those that are not seen well enough have NaN."""
    meshes = [s.mesh for s in samples]
    assert all(m is not None for m in meshes)
    presence = np.array([m.presence for m in meshes if m], np.float32)
    coefficients, points = (np.stack([getattr(m, n) for m in meshes]) for n in ("coefficients", "points"))
    unseen = presence < PRESENT
    mesh, coefficients = unit_mesh(points.astype(np.float64)).astype(np.float16), coefficients.astype(np.float32)
    mesh[unseen], coefficients[unseen] = np.nan, np.nan
    return Movements(coefficients, mesh, presence)


def median(values: list[float]) -> float | None:
    """None where nothing was measured (NaN)."""
    known = [v for v in values if np.isfinite(v)]
    return float(np.median(known)) if known else None


def copy_sample(sample: FaceSample) -> FaceSample:
    """Overlapping stretches each drop the pixels of their own copy."""
    return FaceSample(**vars(sample))


def passes(cuts: Sequence[Cut]) -> list[list[Cut]]:
    """Cuts grouped so that one reading serves each group."""
    groups: list[list[Cut]] = []
    end_s = -float("inf")
    for cut in sorted(cuts, key=lambda c: c.start_s or 0):
        if not groups or (cut.start_s or 0) > end_s + SEEK_GAP_S:
            groups.append([])
        groups[-1].append(cut)
        end_s = max(end_s, float("inf") if cut.end_s is None else cut.end_s)
    return groups


def frame_rate(times_s: np.ndarray) -> float:
    """Frames per second where the face is seen throughout: holes (steps of more than twice the usual) do not count; 0 of one
    frame."""
    steps = np.diff(times_s)
    if not len(steps) or steps.max() <= 0:
        return 0.0
    return float(1 / steps[steps <= 2 * np.median(steps)].mean())
