"""What is remembered of each track while a video runs: sums, and the frames at its peaks. Bounded, however long the video."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simplejpeg

from mien.predict.windows import Moment

PEAKS_PER_CLASS = 2
PEAK_DISTANCE_S = 1.0
PEAK_QUALITY = 85


@dataclass(frozen=True)
class Peak:
    """A moment at which one class was most probable, with its face as a JPEG file."""

    time_s: float
    probability: float
    jpeg: bytes


@dataclass
class TrackSummary:
    """One person of the video as the models saw them.

    Args:
        labels: class names by model.
    """

    track: int
    labels: Mapping[str, tuple[str, ...]]
    start_s: float = math.inf
    end_s: float = -math.inf
    num_rows: int = 0
    num_flagged: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    sums: dict[str, np.ndarray] = field(default_factory=dict)
    quality: dict[str, tuple[float, int]] = field(default_factory=dict)
    peaks: dict[str, list[list[Peak]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for model, names in self.labels.items():
            self.sums[model] = np.zeros(len(names))
            self.peaks[model] = [[] for _ in names]

    def add(self, moment: Moment, row: Mapping[str, Any], probabilities: Mapping[str, np.ndarray]) -> None:
        """One more row of this track."""
        self.start_s, self.end_s = min(self.start_s, moment.time_s), max(self.end_s, moment.time_s)
        self.num_rows += 1
        if row["quality"] != "ok":
            self.num_flagged += 1
            self.flags.update(row["quality"].split("+"))
        for name in ("score", "face_px", "sharpness", "yaw"):
            if not math.isnan(row[name]):
                total, count = self.quality.get(name, (0.0, 0))
                self.quality[name] = (total + float(row[name]), count + 1)
        for model, values in probabilities.items():
            self.sums[model] += values
            for peaks, value in zip(self.peaks[model], values, strict=True):
                _note_peak(peaks, moment, float(value))

    def mean(self, model: str) -> dict[str, float]:
        """Mean probability by class."""
        return dict(zip(self.labels[model], (self.sums[model] / max(self.num_rows, 1)).tolist(), strict=True))

    def mean_quality(self) -> dict[str, float]:
        return {k: total / count for k, (total, count) in self.quality.items()}

    def top_peaks(self, model: str, limit: int) -> list[tuple[str, Peak]]:
        """The best moment of each class, best first; then, as far as `limit` goes, the second-best moments."""
        named = [
            [
                (label, peaks[k])
                for label, peaks in zip(self.labels[model], self.peaks[model], strict=True)
                if k < len(peaks)
            ]
            for k in range(PEAKS_PER_CLASS)
        ]
        ranked = [pair for rank in named for pair in sorted(rank, key=lambda p: -p[1].probability)]
        return ranked[:limit]


def _note_peak(peaks: list[Peak], moment: Moment, value: float) -> None:
    """Keeps the best few moments that lie at least `PEAK_DISTANCE_S` apart, best first."""
    near = [p for p in peaks if abs(p.time_s - moment.time_s) < PEAK_DISTANCE_S]
    if near and max(p.probability for p in near) >= value:
        return
    kept = [p for p in peaks if p not in near]
    if len(kept) >= PEAKS_PER_CLASS and kept[-1].probability >= value:
        return
    kept.append(Peak(moment.time_s, value, to_jpeg(moment.centre.crop)))
    kept.sort(key=lambda p: -p.probability)
    peaks[:] = kept[:PEAKS_PER_CLASS]


def to_jpeg(crop: np.ndarray) -> bytes:
    """A crop ``[S, S, 1 or 3]`` uint8 as a small JPEG file."""
    grey = crop.shape[-1] == 1
    subsampling = "Gray" if grey else "420"
    space = "GRAY" if grey else "RGB"
    return simplejpeg.encode_jpeg(np.ascontiguousarray(crop), PEAK_QUALITY, space, subsampling)
