"""What is remembered of each track while a video runs: sums, extremes and, of the people that the page shows, their faces.

A track costs some numbers for good; pictures are kept of as many tracks as the page shows and of those that still run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import simplejpeg

if TYPE_CHECKING:
    from mien.data.labels import LabelSpec


MAX_PEOPLE = 12  # with a chart on the page; those who were seen longest
ENDED_AFTER_S = 10.0  # without a row; trackers give up far sooner
PEAKS_PER_NAME = 2
PEAK_DISTANCE_S = 1.0
PEAK_QUALITY = 85


@dataclass(frozen=True)
class Peak:
    """A moment at which one class was most probable, or a target highest or lowest, with its face as a JPEG file (empty for
    people whom the page does not show)."""

    time_s: float
    value: float
    jpeg: bytes
    top: bool = True
    """No other class was more probable then."""


@dataclass
class TrackSummary:
    """One person of the video as the models saw them.

    Args:
        specs: of the models, by name.
    """

    track: int
    specs: Mapping[str, LabelSpec]
    start_s: float = math.inf
    end_s: float = -math.inf
    num_rows: int = 0
    num_flagged: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    sums: dict[str, np.ndarray] = field(default_factory=dict)
    quality: dict[str, tuple[float, int]] = field(default_factory=dict)
    peaks: dict[str, list[list[Peak]]] = field(default_factory=dict)
    """By model and class or target, the highest first."""
    lows: dict[str, list[list[Peak]]] = field(default_factory=dict)
    """The lowest first; of models without classes only."""
    forgotten: bool = False
    """Its pictures were dropped, and there was no row since."""
    inner: bool = False
    """A row was seen whole. Rows at the ends of a track, where the models see less, are extremes only until then."""

    def __post_init__(self) -> None:
        self._forget_extremes()
        self.sums = {model: np.zeros(len(spec.names)) for model, spec in self.specs.items()}

    def _forget_extremes(self) -> None:
        for model, spec in self.specs.items():
            self.peaks[model] = [[] for _ in spec.names]
            self.lows[model] = [[] for _ in spec.names if not spec.classes]

    def add(
        self,
        time_s: float,
        row: Mapping[str, Any],
        scores: Mapping[str, np.ndarray],
        picture: Callable[[], bytes] = lambda: b"",
    ) -> None:
        """One more row of this track; `picture` gives its face as a JPEG file."""
        self.start_s, self.end_s = min(self.start_s, time_s), max(self.end_s, time_s)
        self.num_rows += 1
        self.forgotten = False
        if row["quality"] != "ok":
            self.num_flagged += 1
            self.flags.update(row["quality"].split("+"))
        for name in ("score", "face_px", "sharpness", "yaw"):
            if not math.isnan(row[name]):
                total, count = self.quality.get(name, (0.0, 0))
                self.quality[name] = (total + float(row[name]), count + 1)
        edge = "edge" in row["quality"]
        if not edge and not self.inner:
            self.inner = True
            self._forget_extremes()
        for model, values in scores.items():
            self.sums[model] += values
            if edge and self.inner:
                continue
            most = values.max()
            for peaks, value in zip(self.peaks[model], values, strict=True):
                note(peaks, time_s, float(value), 1, picture, top=bool(value >= most))
            for lows, value in zip(self.lows[model], values, strict=False):
                note(lows, time_s, float(value), -1, picture)

    def mean(self, model: str) -> dict[str, float]:
        """Mean probability or value by class or target."""
        return dict(zip(self.specs[model].names, (self.sums[model] / max(self.num_rows, 1)).tolist(), strict=True))

    def mean_quality(self) -> dict[str, float]:
        return {k: total / count for k, (total, count) in self.quality.items()}

    def top_peaks(self, model: str) -> list[tuple[str, Peak]]:
        """The best moment of each class, best first; then the second-best moments."""
        named = [
            [
                (label, peaks[k])
                for label, peaks in zip(self.specs[model].names, self.peaks[model], strict=True)
                if k < len(peaks)
            ]
            for k in range(PEAKS_PER_NAME)
        ]
        return [pair for rank in named for pair in sorted(rank, key=lambda p: -p[1].value)]


def by_length(tracks: Iterable[TrackSummary]) -> list[TrackSummary]:
    """Those with the most rows first."""
    return sorted(tracks, key=lambda t: (-t.num_rows, t.track))


def forget_pictures(tracks: Iterable[TrackSummary], now_s: float) -> None:
    """Drops the faces of tracks that have ended and are shorter than `MAX_PEOPLE` others: they will not be shown."""
    for track in by_length(tracks)[MAX_PEOPLE:]:
        if not track.forgotten and now_s - track.end_s > ENDED_AFTER_S:
            track.forgotten = True
            for found in (*track.peaks.values(), *track.lows.values()):
                for peaks in found:
                    peaks[:] = [replace(p, jpeg=b"") for p in peaks]


def note(
    found: list[Peak], time_s: float, value: float, sign: int, picture: Callable[[], bytes], top: bool = True
) -> None:
    """Keeps the few highest (sign 1) or lowest (-1) moments that lie at least `PEAK_DISTANCE_S` apart, the best first."""
    near = [p for p in found if abs(p.time_s - time_s) < PEAK_DISTANCE_S]
    if near and max(sign * p.value for p in near) >= sign * value:
        return
    kept = [p for p in found if p not in near]
    if len(kept) >= PEAKS_PER_NAME and sign * kept[-1].value >= sign * value:
        return
    kept.append(Peak(time_s, value, picture(), top))
    kept.sort(key=lambda p: -sign * p.value)
    found[:] = kept[:PEAKS_PER_NAME]


def to_jpeg(crop: np.ndarray) -> bytes:
    """A crop ``[S, S, 1 or 3]`` uint8 as a small JPEG file."""
    grey = crop.shape[-1] == 1
    subsampling = "Gray" if grey else "420"
    space = "GRAY" if grey else "RGB"
    return simplejpeg.encode_jpeg(np.ascontiguousarray(crop), PEAK_QUALITY, space, subsampling)
