"""What is made of the movements of one face: smoothing, the neutral face, events."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mien.errors import UserError
from mien.movements.names import COEFFICIENTS, MOVEMENTS
from mien.timeline.baseline import Baseline
from mien.timeline.events import events_of
from mien.timeline.motion import RELATIVE, TrackMotion, movements_of, neutral_of, smoothed, stretches
from mien.timeline.thresholds import Thresholds

FPS = 25.0
NAMES = [m.name for m in MOVEMENTS]


def track(seconds: float = 20.0, head: dict[int, np.ndarray] | None = None, **movements: np.ndarray) -> TrackMotion:
    """A face at rest but for the movements given, one value for each frame."""
    time_s = np.arange(round(seconds * FPS)) / FPS
    values = np.full((len(time_s), len(NAMES)), 0.02)
    for name, series in movements.items():
        values[:, NAMES.index(name)] = series
    poses = np.zeros((len(time_s), 4))
    for k, series in (head or {}).items():
        poses[:, k] = series
    neutral = neutral_of(Baseline(), time_s, values[:, list(RELATIVE)])
    quality = ["ok"] * len(time_s)
    return TrackMotion(0, time_s, values, poses, np.ones(len(time_s)), quality, neutral, pa.table({"time_s": time_s}))


def closing(series: np.ndarray) -> TrackMotion:
    """Both eyes alike."""
    return track(eyes_closed=series, eye_closed_left=series, eye_closed_right=series)


def hump(time_s: np.ndarray, begin: float, end: float, height: float) -> np.ndarray:
    """A half wave of a sine."""
    phase = np.clip((time_s - begin) / (end - begin), 0, 1)
    return height * np.sin(np.pi * phase)


TIME = np.arange(round(20 * FPS)) / FPS


def test_movements_are_means_and_differences_of_coefficients():
    rng = np.random.default_rng(0)
    rows = rng.random((3, 52))
    of = dict(zip(COEFFICIENTS, rows.T, strict=True))
    found = dict(zip(NAMES, movements_of(rows).T, strict=True))
    np.testing.assert_allclose(found["smile"], (of["mouthSmileLeft"] + of["mouthSmileRight"]) / 2)
    np.testing.assert_allclose(found["eye_closed_left"], of["eyeBlinkLeft"])
    left = (of["eyeLookOutLeft"] + of["eyeLookInRight"] - of["eyeLookInLeft"] - of["eyeLookOutRight"]) / 2
    np.testing.assert_allclose(found["gaze_left"], left)


def test_smoothing_keeps_a_blink_and_takes_the_jitter():
    rng = np.random.default_rng(0)
    blink = np.interp(TIME, [5.0, 5.08, 5.12, 5.24], [0.1, 0.9, 0.9, 0.1])
    noisy = blink + rng.normal(0, 0.01, len(TIME))
    found = smoothed(TIME, noisy[:, None])[:, 0]
    rest = (TIME > 8) & (TIME < 18)
    assert found.max() > 0.8
    assert abs(TIME[found.argmax()] - 5.1) < 0.05
    assert found[rest].std() < 0.6 * noisy[rest].std()


def test_smoothing_begins_anew_after_what_is_missing():
    values = np.concatenate([np.zeros(50), np.full(10, np.nan), np.ones(50)])[:, None]
    found = smoothed(np.arange(110) / FPS, values)[:, 0]
    assert np.isnan(found[50:60]).all()
    np.testing.assert_allclose(found[60:], 1.0)
    np.testing.assert_allclose(found[:50], 0.0)


def test_stretches_end_at_gaps_and_unknown_rows():
    time_s = np.array([0.0, 0.04, 0.08, 2.0, 2.04, 2.08])
    assert stretches(time_s, np.array([1, 1, 1, 1, 0, 1], bool)) == [(0, 3), (3, 4), (5, 6)]
    assert stretches(time_s, np.zeros(6, bool)) == []


def test_the_neutral_face_is_a_low_value_of_the_track():
    found = track(smile=0.1 + hump(TIME, 5, 8, 0.7))
    assert dict(zip([NAMES[k] for k in RELATIVE], found.neutral, strict=True))["smile"] == pytest.approx(0.1, abs=0.01)
    assert found.relative[:, RELATIVE.index(NAMES.index("smile"))].max() == pytest.approx(0.7, abs=0.02)


def test_a_smile_held_all_along_is_not_taken_for_neutral():
    held = track(smile=np.full(len(TIME), 0.8))
    neutral = dict(zip([NAMES[k] for k in RELATIVE], held.neutral, strict=True))
    assert np.isnan(neutral["smile"])
    assert neutral["jaw_open"] == pytest.approx(0.02)
    assert np.isnan(track(1.0).neutral).all()  # too short


def test_the_baseline_may_be_a_span_or_none():
    values = np.linspace(0, 1, len(TIME))[:, None]
    span = neutral_of(Baseline.parse("5-10"), TIME, values)
    assert span == pytest.approx(values[(TIME >= 5) & (TIME <= 10)].mean())
    assert np.isnan(neutral_of(Baseline.parse("none"), TIME, values)).all()
    for wrong in ("5-2", "3", "-1-2", "late"):
        with pytest.raises(UserError, match="give auto, none, or seconds"):
            Baseline.parse(wrong)


def test_a_smile_has_onset_apex_offset_and_sides():
    left, right = hump(TIME, 4, 8, 0.9), hump(TIME, 4, 8, 0.6)
    (event,) = events_of(track(smile=(left + right) / 2, smile_left=left, smile_right=right), Thresholds())
    assert event.label == "smile"
    assert event.peak == pytest.approx(0.75, abs=0.01)
    assert event.apex == pytest.approx(6.0, abs=0.05)
    # it passes 0.18 of a half wave of 0.75 in 4 s
    begins = 4 + 4 * np.arcsin(0.18 / 0.75) / np.pi
    assert event.onset == pytest.approx(begins, abs=0.05)
    assert event.duration == pytest.approx(2 * (6 - begins), abs=0.12)
    assert event.asymmetry == pytest.approx((0.9 - 0.6) / 1.5, abs=0.01)
    assert event.onset_speed == pytest.approx((0.75 - 0.18) / (6 - begins), rel=0.05)
    assert event.confidence == pytest.approx(1.0)


def test_thresholds_decide():
    weak = track(smile=hump(TIME, 4, 8, 0.25))
    assert events_of(weak, Thresholds()) == []
    assert [e.label for e in events_of(weak, Thresholds(smile_from=0.2))] == ["smile"]
    with pytest.raises(UserError, match="--smile-from 1.5"):
        Thresholds(smile_from=1.5)


def test_blinks_are_counted_and_closed_eyes_are_none():
    eyes = np.sum([hump(TIME, t, t + 0.2, 0.9) for t in (2, 5, 5.5, 9)], 0) + np.where(
        (TIME > 12) & (TIME < 15), 0.9, 0
    )
    found = events_of(closing(eyes), Thresholds())
    assert [e.label for e in found] == ["blink"] * 4
    np.testing.assert_allclose([e.apex for e in found], [2.1, 5.1, 5.6, 9.1], atol=0.04)
    wink = track(eye_closed_left=eyes, eyes_closed=eyes / 2)
    assert events_of(wink, Thresholds()) == []


def test_blinks_are_measured_against_the_face_itself():
    """Lowered lids, and two eyes that close differently far."""
    blinks = np.sum([hump(TIME, t, t + 0.25, 1.0) for t in (3, 7, 11)], 0)
    left, right = 0.3 + 0.4 * blinks, 0.2 + 0.15 * blinks
    found = events_of(track(eye_closed_left=left, eye_closed_right=right, eyes_closed=(left + right) / 2), Thresholds())
    assert [e.label for e in found] == ["blink"] * 3
    assert all(0.05 < e.duration < 0.3 for e in found)


def test_a_blink_that_is_not_seen_to_its_end_is_none():
    looking_down = np.where(TIME < 0.5, 0.6, np.where(TIME > 19.6, 0.6, 0.02))
    assert events_of(closing(looking_down), Thresholds()) == []


def test_a_smile_that_was_there_before_the_video_has_no_onset_speed():
    smile = np.where(TIME < 3, 0.8 - 0.05 * TIME, 0.0)
    (event,) = events_of(track(smile=smile, smile_left=smile, smile_right=smile), Thresholds())
    assert (event.onset, np.isnan(event.onset_speed)) == (0.0, True)


def test_slow_videos_have_events():
    """One frame a second: no gap, and a frame lasts a second."""
    time_s = np.arange(12.0)
    values = np.full((12, len(NAMES)), 0.02)
    values[4:9, NAMES.index("smile")] = 0.8
    slow = TrackMotion(
        0, time_s, values, np.zeros((12, 4)), np.ones(12), ["ok"] * 12, np.zeros(len(RELATIVE)), pa.table({"t": time_s})
    )
    (event,) = events_of(slow, Thresholds())
    assert (event.label, event.onset, event.duration) == ("smile", 4.0, 5.0)
    assert slow.seconds == pytest.approx(11)


def test_nods_and_shakes_are_runs_of_turns():
    wave = np.where((TIME > 5) & (TIME < 7), 8 * np.sin(2 * np.pi * 1.5 * (TIME - 5)), 0.0)
    (nod,) = events_of(track(head={1: wave}), Thresholds())
    assert (nod.label, nod.peak) == ("nod", pytest.approx(16, abs=0.5))
    assert nod.onset == pytest.approx(5.17, abs=0.05)
    (shake,) = events_of(track(head={0: wave}), Thresholds())
    assert shake.label == "shake"
    slow = 20 * np.sin(2 * np.pi * 0.2 * TIME)  # looks around
    assert events_of(track(head={0: slow}), Thresholds()) == []
    once = hump(TIME, 5, 5.6, 15.0)
    assert events_of(track(head={1: once}), Thresholds()) == []


def test_nothing_happens_where_nothing_is_known():
    smile = hump(TIME, 4, 8, 0.9)
    hidden = np.where((TIME > 5) & (TIME < 7), np.nan, smile)
    found = [e for e in events_of(track(smile=hidden), Thresholds()) if e.label == "smile"]
    assert [round(e.onset) for e in found] == [4, 7]
    assert all(e.onset + e.duration < 5.05 or e.onset > 6.95 for e in found)
