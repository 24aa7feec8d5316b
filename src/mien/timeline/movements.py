"""Movements of a video's faces: read frame by frame into ``movements.parquet``, then the columns of the timeline and the
events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from mien.faces.movements import FaceMovement
from mien.movements.names import COEFFICIENTS, MOVEMENTS, NUM_POINTS, STILL
from mien.timeline.baseline import Baseline
from mien.timeline.events import Event, events_of
from mien.timeline.motion import HEAD, REASONS, RELATIVE, TrackMotion, movements_of, reason_of, tracks_of
from mien.timeline.table import Column
from mien.timeline.thresholds import Thresholds
from mien.timeline.tracks import Peak, note, to_jpeg

FILE = "movements.parquet"
ROWS_PER_GROUP = 2048
PICTURE_SIDE = 112
SHOWN = ("smile", "brow_inner_up", "jaw_open", "eyes_wide", "lips_pucker", "lips_press")
"""Movements whose moments are kept with a picture."""
SHOWN_FROM = 0.3
MEASURED = ("x0", "y0", "x1", "y1", "score", "presence", "face_px", "sharpness", "yaw", *HEAD)

LEFT_OUT = f"Not in the timeline, as they hardly move on real faces (docs/movements.md): {', '.join(STILL)}."
QUALITY = (
    "“ok”, or why the movements of this row are empty, joined by “+”: "
    + "; ".join(f"{n} ({w})" for n, w in REASONS.items())
    + "."
)


@dataclass
class Movements:
    """What was read of one video.

    Args:
        tracks: by number, once the video is read.
        peaks: by track and movement, its highest moments with their faces.
    """

    baseline: Baseline
    thresholds: Thresholds
    tracks: dict[int, TrackMotion] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    peaks: dict[int, dict[str, list[Peak]]] = field(default_factory=dict)

    def finish(self, out: Path) -> None:
        """Reads back what the writer wrote."""
        names = ["time_s", "track", "quality", *MEASURED, *COEFFICIENTS]
        self.tracks = tracks_of(pq.ParquetFile(out / FILE).read(names), self.baseline)
        events = [e for track in self.tracks.values() for e in events_of(track, self.thresholds)]
        self.events = sorted(events, key=lambda e: (e.onset, e.track, e.label))
        for number, found in self.peaks.items():
            track = self.tracks[number]
            self.peaks[number] = {name: [_as_smoothed(p, track, name) for p in peaks] for name, peaks in found.items()}

    def note(self, face: FaceMovement) -> None:
        """Keeps the face where it is among the highest moments of a movement."""
        values = movements_of(face.mesh.coefficients[None])[0]
        found = self.peaks.setdefault(face.track, {name: [] for name in SHOWN})
        for k, movement in enumerate(MOVEMENTS):
            if movement.name in found and values[k] >= SHOWN_FROM:
                note(found[movement.name], face.time_s, float(values[k]), 1, lambda: _picture(face))

    @property
    def warnings(self) -> list[str]:
        """What a reader must know of the neutral faces."""
        if self.baseline.kind == "none":
            return []
        lacking = [t.track for t in self.tracks.values() if not np.isfinite(t.neutral).any()]
        some = f"face track {', '.join(map(str, lacking[:8]))}{' and more' if len(lacking) > 8 else ''}"
        return (
            [f"{some}: too little of a neutral face is seen, so the columns ending in _rel are empty there"]
            if lacking
            else []
        )


def _as_smoothed(peak: Peak, track: TrackMotion, name: str) -> Peak:
    """With the value that the timeline has then."""
    k = track.nearest(peak.time_s, np.inf)
    return peak if k is None else replace(peak, value=float(track.value(name)[k]))


def _picture(face: FaceMovement) -> bytes:
    small = Image.fromarray(face.crop).resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BOX)
    return to_jpeg(np.asarray(small))


class MovementsWriter:
    """``movements.parquet``, frame by frame. A context manager.

    Args:
        points: also write the 478 points of every face.
    """

    def __init__(self, out: Path, points: bool):
        self._points = points
        self.schema = schema_of(points)
        self._file = pq.ParquetWriter(out / FILE, self.schema)
        self._rows: list[dict[str, Any]] = []

    def add(self, face: FaceMovement, quality: str) -> None:
        box, believed = face.box.tolist(), quality == "ok"
        row = {"frame": face.frame_idx, "time_s": face.time_s, "track": face.track, "quality": quality}
        row |= zip(("x0", "y0", "x1", "y1"), box, strict=True)
        row |= {
            "score": face.score,
            "presence": face.mesh.presence,
            "face_px": face.face_px,
            "sharpness": face.sharpness,
            "yaw": face.yaw,
        }
        row |= zip(HEAD, face.head if believed else [np.nan] * len(HEAD), strict=True)
        coefficients = face.mesh.coefficients if believed else np.full(len(COEFFICIENTS), np.nan)
        row |= zip(COEFFICIENTS, coefficients.tolist(), strict=True)
        if self._points:
            row["points"] = face.mesh.points.ravel() if face.present else None
        self._rows.append(row)
        if len(self._rows) >= ROWS_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, self.schema))
            self._rows = []

    def __enter__(self) -> MovementsWriter:
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        self.flush()
        self._file.close()


def schema_of(points: bool) -> pa.Schema:
    """Of ``movements.parquet``; each field says what it means."""
    number = pa.float32()
    fields = [
        ("frame", pa.int32(), "Number of the frame in the video, from 0."),
        ("time_s", pa.float64(), "Seconds from the start of the video."),
    ]
    fields += [
        ("track", pa.int32(), "Number of one face, as in the timeline."),
        ("quality", pa.string(), "ok, or why the values are empty."),
    ]
    fields += [(name, number, _MEASURED[name]) for name in MEASURED]
    fields += [(name, number, f"Coefficient {name} of the face landmarker, 0 to 1, raw.") for name in COEFFICIENTS]
    if points:
        meaning = (
            "x, y, z of 478 points one after the other, in pixels of the video; z is 0 in the middle of the head, negative "
            "towards the camera."
        )
        fields.append(("points", pa.list_(number, 3 * NUM_POINTS), meaning))
    return pa.schema([pa.field(name, kind, metadata={"meaning": meaning}) for name, kind, meaning in fields])


_MEASURED = {
    "x0": "Left edge of the face box, in pixels of the video.",
    "y0": "Top edge.",
    "x1": "Right edge.",
    "y1": "Bottom edge.",
    "score": "How sure the detector is that this is a face, 0 to 1.",
    "presence": "How sure the landmarks are that they lie on a face, 0 to 1.",
    "face_px": "Longer side of the face box, in pixels of the video.",
    "sharpness": "Variance of the Laplacian of the face at 64 pixels: low is blurred.",
    "yaw": "Rough turn of the head from the detector's five points.",
    "head_turn": "Turn of the head in degrees, positive towards the right of the image; 0 faces the camera.",
    "head_nod": "Degrees that the face looks up; negative is down.",
    "head_tilt": "Degrees that the top of the head leans to the right of the image.",
    "head_distance": "Distance in centimetres of a head of average size before a camera that sees 63 degrees from top to "
    "bottom: for changes only.",
}


def columns_of(movements: Movements, alone: bool = False) -> list[Column]:
    """The columns that a timeline has of movements, with their meanings. `alone`: the timeline's `quality` is theirs."""
    found = []
    for m in MOVEMENTS:
        weak = f" Weak: {m.weak}." if m.weak else ""
        of = " and ".join(m.of) + (f", less that of {' and '.join(m.less)}" if m.less else "")
        mean = "Mean of the coefficients" if len(m.of) > 1 else "Coefficient"
        meaning = f"{m.label.capitalize()}, {m.low:g} to 1. {mean} {of}, smoothed over time.{weak}"
        found.append(Column(m.name, "number", meaning, range=(m.low, 1.0)))
    if movements.baseline.kind != "none":
        found += [
            Column(
                f"{name}_rel", "number", f"{name} less that of this face at rest; empty where it was not seen at rest."
            )
            for name in (MOVEMENTS[k].name for k in RELATIVE)
        ]
    found += [Column(name, "number", _MEASURED[name], 1) for name in HEAD]
    found.append(Column("presence", "number", _MEASURED["presence"], 3, (0.0, 1.0)))
    return found if alone else [*found, Column("movement_quality", "text", QUALITY)]


def values_at(movements: Movements, track: int, time_s: float, within_s: float) -> dict[str, Any]:
    """The columns of a row: those of the track's frame nearest to its time; empty where there is none."""
    found = movements.tracks.get(track)
    k = None if found is None else found.nearest(time_s, within_s)
    if found is None or k is None:
        names = [c.name for c in columns_of(movements)]
        return dict.fromkeys(names, np.nan) | {"movement_quality": "hidden"}
    return values_of(movements, found, k)


def values_of(movements: Movements, track: TrackMotion, k: int) -> dict[str, Any]:
    """The columns of the k-th frame of a track."""
    row: dict[str, Any] = dict(zip((m.name for m in MOVEMENTS), track.values[k], strict=True))
    if movements.baseline.kind != "none":
        row |= zip((f"{MOVEMENTS[j].name}_rel" for j in RELATIVE), track.relative[k], strict=True)
    row |= zip(HEAD, track.head[k], strict=True)
    return row | {"presence": float(track.presence[k]), "movement_quality": track.quality[k]}


def record_of(movements: Movements) -> dict[str, Any]:
    """What ``predictions.json`` says of them."""
    return {
        "baseline": movements.baseline.kind,
        "thresholds": {name: getattr(movements.thresholds, name) for name in Thresholds.__dataclass_fields__},
        "left_out": list(STILL),
        "tracks": [_track_record(movements, t) for t in movements.tracks.values()],
    }


def _track_record(movements: Movements, track: TrackMotion) -> dict[str, Any]:
    events = [e for e in movements.events if e.track == track.track]
    counts: dict[str, int] = {}
    for event in events:
        counts[event.label] = counts.get(event.label, 0) + 1
    known = np.isfinite(track.values[:, 0])
    means = track.values[known].mean(0) if known.any() else np.full(len(MOVEMENTS), np.nan)
    return {
        "track": track.track,
        "seconds_with_values": round(track.seconds, 3),
        "frames": len(known),
        "frames_with_values": int(known.sum()),
        "mean": {m.name: _number(v) for m, v in zip(MOVEMENTS, means, strict=True)},
        "peaks": {
            name: [{"time_s": round(p.time_s, 6), "value": round(p.value, 6)} for p in found]
            for name, found in movements.peaks.get(track.track, {}).items()
        },
        "neutral": {MOVEMENTS[k].name: _number(v) for k, v in zip(RELATIVE, track.neutral, strict=True)},
        "events": counts,
        "blinks_per_minute": _number(blink_rate(movements, track)),
    }


def blink_rate(movements: Movements, track: TrackMotion) -> float:
    """Blinks per minute of the time with values; NaN of less than ten seconds."""
    count = sum(e.label == "blink" and e.track == track.track for e in movements.events)
    return 60 * count / track.seconds if track.seconds >= RATE_FROM_S else float("nan")


RATE_FROM_S = 10.0


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def keep(size: tuple[int, int], faces: Sequence[FaceMovement], writer: MovementsWriter, movements: Movements) -> None:
    """Writes the faces of one frame, and notes their highest moments."""
    for face in faces:
        quality = reason_of(face, size)
        writer.add(face, quality)
        if quality == "ok":
            movements.note(face)
