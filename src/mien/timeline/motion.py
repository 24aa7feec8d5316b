"""The movements of one face over time: smoothed, relative to its own neutral, and left out where they cannot be believed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from mien.data.sampling import MAX_GAP_S
from mien.faces.movements import FaceMovement
from mien.movements.names import COEFFICIENTS, MOVEMENTS
from mien.timeline.baseline import Baseline

# Beyond these nothing is said. Presence is the graph's own; the others are where the numbers leave those of the same face
# seen well (docs/movements.md has the measurement).
SEEN = 0.9
TINY_FACE_PX = 32.0
FAR_TURNED_DEG = 45.0
BLURRED = 50.0
OUTSIDE = 0.15

REASONS = {
    "hidden": f"the landmarks are not sure of a face: it is turned away, or covered (presence under {SEEN:g})",
    "small": f"face under {TINY_FACE_PX:g} px",
    "turned": f"head turned or nodded over {FAR_TURNED_DEG:g} degrees",
    "blurred": f"sharpness under {BLURRED:g}",
    "cut": f"over {OUTSIDE:.0%} of the points lie beyond the picture",
}
"""Why a row has no movements, in words."""

# One Euro (Casiez et al. 2012): a low-pass whose cutoff rises with the speed. Still faces are smoothed at 1.5 Hz; a blink,
# which moves by 5 to 10 a second, passes at 20 Hz and more.
CUTOFF_HZ, BETA, SPEED_HZ = 1.5, 4.0, 5.0

NEUTRAL_QUANTILE = 0.1
"""Of the track's own values: the face at rest."""
NEUTRAL_MOST = 0.25
"""A movement that is never lower than this (its quantile) was never seen at rest."""
NEUTRAL_S = 2.0
"""Seconds with values that a neutral face needs."""

_WEIGHTS = np.zeros((len(COEFFICIENTS), len(MOVEMENTS)))
for _k, _m in enumerate(MOVEMENTS):
    for _names, _sign in ((_m.of, 1), (_m.less, -1)):
        for _name in _names:
            _WEIGHTS[COEFFICIENTS.index(_name), _k] = _sign / len(_names)

RELATIVE = tuple(k for k, m in enumerate(MOVEMENTS) if m.low == 0)
"""Positions of the movements that have a neutral."""


def reason_of(face: FaceMovement, frame_size: tuple[int, int]) -> str:
    """Why nothing is said of this face here, joined by "+"; "ok" where something is."""
    points = face.mesh.points
    beyond = (points[:, :2] < 0).any(1) | (points[:, 0] > frame_size[0]) | (points[:, 1] > frame_size[1])
    found = {
        "hidden": face.mesh.presence < SEEN,
        "small": face.face_px < TINY_FACE_PX,
        "turned": face.present and max(abs(face.head.turn), abs(face.head.nod)) > FAR_TURNED_DEG,
        "blurred": face.present and face.sharpness < BLURRED,
        "cut": face.present and float(beyond.mean()) > OUTSIDE,
    }
    return "+".join(name for name, on in found.items() if on) or "ok"


def movements_of(coefficients: np.ndarray) -> np.ndarray:
    """[T, 52] -> [T, M] of `MOVEMENTS`."""
    return coefficients @ _WEIGHTS


def smoothed(time_s: np.ndarray, values: np.ndarray) -> np.ndarray:
    """One Euro over values [T, K] at times [T]; anew after each gap, where values are missing (NaN) or time jumps."""
    out = values.copy()
    for begin, end in stretches(time_s, np.isfinite(values.sum(1))):
        out[begin:end] = _one_euro(time_s[begin:end], values[begin:end])
    return out


def _one_euro(time_s: np.ndarray, values: np.ndarray) -> np.ndarray:
    out, speed = values.copy(), np.zeros(values.shape[1])
    for k in range(1, len(values)):
        step = time_s[k] - time_s[k - 1]
        now = (values[k] - values[k - 1]) / step
        speed += _weight(SPEED_HZ, step) * (now - speed)
        out[k] = out[k - 1] + _weight(CUTOFF_HZ + BETA * np.abs(speed), step) * (values[k] - out[k - 1])
    return out


def _weight(cutoff_hz: np.ndarray | float, step_s: float) -> np.ndarray | float:
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * step_s))


def frame_s(time_s: np.ndarray) -> float:
    """Seconds that a frame lasts: the median; 0 of a single one."""
    return float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0


def gap_s(time_s: np.ndarray) -> float:
    """Longest time between two frames of one stretch: half a second, or in slow videos two frames and a half."""
    return max(MAX_GAP_S, 2.5 * frame_s(time_s))


def stretches(time_s: np.ndarray, known: np.ndarray) -> list[tuple[int, int]]:
    """(begin, end) of the runs of rows that are known, without a gap in time."""
    new = np.diff(time_s, prepend=-np.inf) > gap_s(time_s)
    run = np.cumsum(new | (np.diff(known.astype(int), prepend=0) != 0))
    numbers = np.unique(run[known])
    return [(int(np.searchsorted(run, n)), int(np.searchsorted(run, n, side="right"))) for n in numbers]


def neutral_of(baseline: Baseline, time_s: np.ndarray, values: np.ndarray) -> np.ndarray:
    """[K] of a track's values [T, K]; NaN where too little of a neutral face is seen."""
    nothing = np.full(values.shape[1], np.nan)
    known = np.isfinite(values).all(1)
    if (span := baseline.span) is not None:
        within = known & (time_s >= span[0]) & (time_s <= span[1])
        return values[within].mean(0) if within.any() else nothing
    step_s = np.minimum(np.diff(time_s, append=time_s[-1:]), gap_s(time_s))
    if baseline.kind == "none" or step_s[known].sum() < NEUTRAL_S:
        return nothing
    low = np.quantile(values[known], NEUTRAL_QUANTILE, axis=0)
    return np.where(low <= NEUTRAL_MOST, low, np.nan)


@dataclass(frozen=True, eq=False)
class TrackMotion:
    """One track. Rows are its frames, T of them.

    Args:
        values: [T, M] of `MOVEMENTS`, smoothed, NaN where nothing can be said. `head` [T, 4] likewise (`faces.head.Head`).
        presence: [T] of the landmarks. neutral: [R] of `RELATIVE`, NaN where it is not known.
    """

    track: int
    time_s: np.ndarray
    values: np.ndarray
    head: np.ndarray
    presence: np.ndarray
    quality: list[str]
    neutral: np.ndarray
    table: pa.Table = field(repr=False)

    @property
    def seconds(self) -> float:
        """With values."""
        step = np.minimum(np.diff(self.time_s, append=self.time_s[-1:]), gap_s(self.time_s))
        return float(step[np.isfinite(self.values[:, 0])].sum())

    @property
    def relative(self) -> np.ndarray:
        """[T, R]"""
        return self.values[:, list(RELATIVE)] - self.neutral

    def value(self, name: str) -> np.ndarray:
        return self.values[:, [m.name for m in MOVEMENTS].index(name)]

    def nearest(self, time_s: float, within_s: float) -> int | None:
        """The row nearest to a time."""
        if not len(self.time_s):
            return None
        k = int(np.abs(self.time_s - time_s).argmin())
        return k if abs(self.time_s[k] - time_s) <= within_s else None


def tracks_of(table: pa.Table, baseline: Baseline) -> dict[int, TrackMotion]:
    """By number, from the rows of ``movements.parquet``."""
    found = {}
    tracks = table["track"].to_numpy()
    for number in np.unique(tracks):
        rows = table.filter(tracks == number)
        time_s = rows["time_s"].to_numpy()
        coefficients = np.stack([rows[name].to_numpy() for name in COEFFICIENTS], 1).astype(float)
        head = np.stack([rows[name].to_numpy() for name in HEAD], 1).astype(float)
        values = np.concatenate([movements_of(coefficients), head[:, :3] / DEGREES, head[:, 3:]], 1)
        values = smoothed(time_s, values)
        count = len(MOVEMENTS)
        head = np.concatenate([values[:, count : count + 3] * DEGREES, values[:, count + 3 :]], 1)
        values = values[:, :count]
        neutral = neutral_of(baseline, time_s, values[:, list(RELATIVE)])
        presence, quality = rows["presence"].to_numpy(), rows["quality"].to_pylist()
        found[int(number)] = TrackMotion(int(number), time_s, values, head, presence, quality, neutral, rows)
    return found


DEGREES = 30.0
"""Angles are smoothed in this unit, so that a nod passes as a blink does."""
HEAD = ("head_turn", "head_nod", "head_tilt", "head_distance")
