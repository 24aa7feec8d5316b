"""Peaks, drawn series and small pieces of the page: `pytest tests/timeline/test_parts.py`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from mien.data.labels import LabelSpec
from mien.timeline import charts_classes, page
from mien.timeline.series import MAX_POINTS, series_of, strongest
from mien.timeline.table import quality_of
from mien.timeline.tracks import MAX_PEOPLE, PEAKS_PER_NAME, TrackSummary, forget_pictures, to_jpeg
from mien.timeline.windows import Moment
from tests.timeline.helpers import face


def summary(values: list[tuple[float, float]], edges: tuple[float, ...] = ()) -> TrackSummary:
    """A track from (time, probability of class a); rows at the times `edges` are flagged so."""
    track = TrackSummary(0, {"m": LabelSpec(("a", "b"))})
    row: dict[str, Any] = {"quality": "ok", "score": 0.9, "face_px": 80.0, "sharpness": 10.0, "yaw": float("nan")}
    for time_s, p in values:
        picture = partial(to_jpeg, face(time_s, value=int(100 * p)).crop)
        quality = {"quality": "edge" if time_s in edges else "ok"}
        track.add(time_s, row | quality, {"m": np.array([p, 1 - p])}, picture)
    return track


def test_peaks_are_the_highest_and_lie_apart():
    # rises to 0.9 at 2.0 s, again to 0.8 at 6.0 s; 0.85 at 2.5 s belongs to the first hill
    track = summary([(0.0, 0.1), (1.5, 0.6), (2.0, 0.9), (2.5, 0.85), (4.0, 0.2), (5.75, 0.7), (6.0, 0.8), (8.0, 0.3)])
    assert [(p.time_s, p.value) for p in track.peaks["m"][0]] == [(2.0, 0.9), (6.0, 0.8)]


def test_ends_of_a_track_are_no_peaks_unless_there_is_nothing_else():
    values = [(0.0, 0.9), (1.5, 0.4), (3.0, 0.6), (4.5, 0.3), (6.0, 0.95)]
    track = summary(values, edges=(0.0, 6.0))
    assert [p.time_s for p in track.peaks["m"][0]] == [3.0, 1.5]
    short = summary(values[:2], edges=(0.0, 1.5))
    assert [p.time_s for p in short.peaks["m"][0]] == [0.0, 1.5]


def test_memory_of_peaks_is_bounded():
    rng = np.random.default_rng(0)
    track = summary([(2.0 * k, float(rng.random())) for k in range(300)])
    assert all(len(found) == PEAKS_PER_NAME for found in track.peaks["m"])


def test_pictures_are_kept_of_as_many_people_as_are_shown():
    """A passer-by costs numbers for good, pictures only until the track has ended."""
    people = []
    for number in range(100):
        track = summary([(20.0 * number + k, 0.5) for k in range(1 + number % 3)])
        track.track = number
        people.append(track)
    forget_pictures(people, now_s=20.0 * 100)
    kept = [t.track for t in people if any(p.jpeg for found in t.peaks["m"] for p in found)]
    # the first twelve of the 33 with three rows
    assert kept == [*range(2, 2 + 3 * MAX_PEOPLE, 3)]
    assert all(len(t.peaks["m"][0]) for t in people)
    recent = [summary([(0.0, 0.5)]) for _ in range(MAX_PEOPLE + 1)]
    forget_pictures(recent, now_s=5.0)
    assert all(t.peaks["m"][0][0].jpeg for t in recent)


def test_top_peaks_show_each_class_first():
    track = summary([(0.0, 0.9), (3.0, 0.8), (6.0, 0.3), (9.0, 0.4)])
    assert [(n, p.time_s) for n, p in track.top_peaks("m")[:3]] == [("a", 0.0), ("b", 6.0), ("a", 3.0)]


def test_unknown_yaw_has_no_mean():
    track = summary([(0.0, 0.5)])
    assert track.mean_quality() == {"score": 0.9, "face_px": 80.0, "sharpness": 10.0}
    assert track.mean("m") == {"a": 0.5, "b": 0.5}


def test_a_face_at_the_border_of_the_picture_is_said_to_be_cut():
    whole, half = face(0.0), replace(face(0.0), outside=0.5)
    assert quality_of(Moment(0.0, 0, whole, (), (1.0,))) == "ok"
    assert quality_of(Moment(0.0, 0, half, (), (1.0,))) == "cut"


def test_only_what_leads_and_stands_out_is_shown():
    """Second-best classes, and a model that hardly tells classes apart, have no moments to look at."""
    flat = summary([(0.0, 0.52), (3.0, 0.51)])
    assert [p.top for p in flat.peaks["m"][0]] == [True, True]
    assert [p.top for p in flat.peaks["m"][1]] == [False, False]
    assert charts_classes._peaks(flat, "m") == []
    sure = summary([(0.0, 0.9), (3.0, 0.2), (6.0, 0.6)])
    assert [(n, p.time_s) for n, p in charts_classes._peaks(sure, "m")] == [("a", 0.0), ("b", 3.0)]


def test_quality_names_every_reason():
    sample = face(0.0)
    assert quality_of(Moment(0.0, 0, sample, (), (1.0,))) == "ok"
    sample.box, sample.yaw, sample.score = np.array([0.0, 0.0, 30.0, 40.0]), -60.0, 0.55
    assert quality_of(Moment(0.0, 0, sample, (), (1.0, 0.5))) == "small+turned+unsure+edge"


def test_a_series_keeps_its_gaps_open():
    times = np.array([0.0, 0.25, 0.5, 2.0])
    series = series_of(times, np.full((4, 2), 0.5), np.array([0.0, 0, 1, 1]), 0.25)
    expected = [0, 0, 0, 0.25, 0.5, 0.625, 0.625, 1.875, 1.875, 2, 2.125, 2.125]
    np.testing.assert_allclose(series.time_s, expected)
    np.testing.assert_allclose(series.values.sum(1), [0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0])
    np.testing.assert_array_equal(np.isnan(series.flagged), series.values.sum(1) == 0)


def test_a_long_series_is_averaged():
    count = 14_400  # an hour
    values = np.stack([np.linspace(0, 1, count), np.linspace(1, 0, count)], axis=1)
    series = series_of(0.25 * np.arange(count), values, np.zeros(count), 0.25)
    assert len(series.time_s) <= MAX_POINTS + 4
    assert series.bin_s == 3.0
    inside = series.values[2:-2]
    np.testing.assert_allclose(inside.sum(1), 1)
    np.testing.assert_allclose(inside[0], values[:12].mean(0))


def test_strongest_keeps_the_order_of_the_classes():
    assert strongest([0.1, 0.5, 0.2, 0.4], 2) == [1, 3]
    assert strongest([0.1, 0.2], 5) == [0, 1]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.00 s"), (6.4, "6.40 s"), (59.999, "1:00.00"), (75.25, "1:15.25"), (3600, "60:00.00")]
)
def test_clock(seconds: float, text: str):
    assert page.clock(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(0.304, "30 %"), (0.999, "> 99 %"), (1.0, "100 %")])
def test_percent(value: float, text: str):
    assert page.percent(value) == text
