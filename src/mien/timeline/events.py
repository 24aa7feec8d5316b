"""Events of a face: when it smiled, raised its brows, opened its mouth, blinked, nodded or shook its head."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import find_peaks, peak_widths

from mien.timeline.motion import TrackMotion, frame_s, stretches
from mien.timeline.thresholds import Thresholds

LABELS = ("smile", "brow_raise", "mouth_open", "blink", "nod", "shake")
FIELDS = ("onset", "duration", "label", "track", "peak", "confidence", "apex", "mean", "asymmetry", "onset_speed")
ENDS_AT = 0.6
"""Of the threshold: an event begins and ends where the movement passes it."""
SHORTEST_S = {"smile": 0.2, "brow_raise": 0.12, "mouth_open": 0.12}
LONGEST_BLINK_S, AROUND_BLINK_S = 0.6, 1.2
"""Eyes closed for longer are closed, not blinking; and the time around a blink that it is compared with."""
EACH_EYE = 0.4
"""Of the threshold: how far each eye takes part in a blink."""
SWING_S = 0.7
"""Longest time from one turn of a nod or shake to the next."""
TURNS = 3
"""Turns of the head that make a nod or shake: down, up, down."""


@dataclass(frozen=True)
class Event:
    """Seconds of the video. `peak` and `mean` are in the movement's unit: 0 to 1, or degrees.

    Args:
        confidence: mean presence of the landmarks, times the share of the frames that have values.
        asymmetry: (left - right) / (left + right) of a smile at its apex, the person's own left; NaN for others.
        onset_speed: rise from onset to apex in its unit per second; NaN where it begins at its apex, or before it is seen.
    """

    onset: float
    duration: float
    label: str
    track: int
    peak: float
    confidence: float
    apex: float
    mean: float
    asymmetry: float = float("nan")
    onset_speed: float = float("nan")


def events_of(track: TrackMotion, thresholds: Thresholds) -> list[Event]:
    """In order of time."""
    t, inner, outer = thresholds, track.value("brow_inner_up"), track.value("brow_outer_up")
    watched = (
        ("smile", track.value("smile"), t.smile_from),
        ("brow_raise", (inner + outer) / 2, t.brow_raise_from),
        ("mouth_open", track.value("jaw_open"), t.mouth_open_from),
    )
    found = [event for label, values, least in watched for event in _excursions(track, label, values, least)]
    found += _blinks(track, t.blink_from)
    found += _swings(track, "nod", track.head[:, 1], t.nod_from)
    found += _swings(track, "shake", track.head[:, 0], t.shake_from)
    return sorted(found, key=lambda e: (e.onset, e.label))


def _excursions(track: TrackMotion, label: str, values: np.ndarray, least: float) -> Iterator[Event]:
    time_s = track.time_s
    for begin, end in stretches(time_s, np.isfinite(values)):
        above = values[begin:end] >= ENDS_AT * least
        edges = np.flatnonzero(np.diff(above.astype(int), prepend=0, append=0))
        for a, b in edges.reshape(-1, 2) + begin:
            apex = a + int(values[a:b].argmax())
            if values[apex] >= least and _lasts(time_s, a, b) >= SHORTEST_S[label]:
                yield _event(track, label, values, int(a), int(b), apex, seen_begin=bool(a > begin))


def _lasts(time_s: np.ndarray, a: int, b: int) -> float:
    """Seconds of the frames from a to before b, the last one's own included."""
    return float(time_s[b - 1] - time_s[a]) + frame_s(time_s)


def _blinks(track: TrackMotion, least: float) -> Iterator[Event]:
    """Peaks of both eyes' closing over what lies around them. A closing whose begin or end is not seen is none."""
    time_s, values = track.time_s, track.value("eyes_closed")
    eyes = [track.value(f"eye_closed_{side}") for side in ("left", "right")]
    step_s = frame_s(time_s)
    for begin, end in stretches(time_s, np.isfinite(values)):
        part = values[begin:end]
        around = max(3, round(AROUND_BLINK_S / max(step_s, 1e-3)) | 1)
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of a long plateau: no blink
            apexes, found = find_peaks(part, prominence=least, wlen=around)
        if not len(apexes):
            continue
        measured = found["prominences"], found["left_bases"], found["right_bases"]
        _, _, lefts, rights = peak_widths(part, apexes, 0.6, measured)
        for apex, left, right, low, high in zip(apexes, lefts, rights, *measured[1:], strict=True):
            both = all(e[begin + apex] - max(e[begin + low], e[begin + high]) >= EACH_EYE * least for e in eyes)
            a, b = begin + int(np.floor(left)), begin + int(np.ceil(right)) + 1
            if both and (right - left) * step_s <= LONGEST_BLINK_S:
                yield _event(track, "blink", values, a, b, begin + int(apex))


def _event(
    track: TrackMotion, label: str, values: np.ndarray, a: int, b: int, apex: int, seen_begin: bool = True
) -> Event:
    time_s = track.time_s
    rise_s = float(time_s[apex] - time_s[a])
    asymmetry = float("nan")
    if label == "smile":
        left, right = (float(track.value(f"smile_{side}")[apex]) for side in ("left", "right"))
        asymmetry = (left - right) / max(left + right, 1e-9)
    return Event(
        float(time_s[a]), _lasts(time_s, a, b), label, track.track, float(values[apex]),
        _confidence(track, a, b), float(time_s[apex]), float(values[a:b].mean()), asymmetry,
        float((values[apex] - values[a]) / rise_s) if rise_s > 0 and seen_begin else float("nan"),
    )  # fmt: skip


def _confidence(track: TrackMotion, a: int, b: int) -> float:
    known = np.isfinite(track.values[a:b, 0])
    return float(np.clip(track.presence[a:b].mean() * known.mean(), 0, 1))


def _swings(track: TrackMotion, label: str, degrees: np.ndarray, least: float) -> Iterator[Event]:
    """Runs of at least `TURNS` turns of the head, each by at least `least` degrees from the one before."""
    time_s = track.time_s
    for begin, end in stretches(time_s, np.isfinite(degrees)):
        part = degrees[begin:end]
        turns = np.sort(np.concatenate([find_peaks(sign * part, prominence=least)[0] for sign in (1, -1)])) + begin
        run: list[int] = []
        for turn in [*turns.tolist(), None]:
            last = run[-1] if run else None
            if turn is not None and (last is None or time_s[turn] - time_s[last] <= SWING_S):
                run.append(turn)
                continue
            if len(run) >= TURNS:
                yield _swing(track, label, degrees, run)
            run = [] if turn is None else [turn]


def _swing(track: TrackMotion, label: str, degrees: np.ndarray, turns: Sequence[int]) -> Event:
    sizes = np.abs(np.diff(degrees[list(turns)]))
    largest, (a, b), time_s = int(sizes.argmax()), (turns[0], turns[-1] + 1), track.time_s
    apex = turns[largest + 1]
    return Event(
        float(time_s[a]), float(time_s[b - 1] - time_s[a]), label, track.track, float(sizes[largest]),
        _confidence(track, a, b), float(time_s[apex]), float(sizes.mean()),
    )  # fmt: skip


def write_events(events: Iterable[Event], path: Path) -> None:
    """``events.csv``; a value that there is none of is empty."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        writer.writerows([_cell(getattr(event, name)) for name in FIELDS] for event in events)


def _cell(value: str | float) -> str | float:
    if isinstance(value, str | int):
        return value
    return "" if np.isnan(value) else round(value, 4) + 0.0
