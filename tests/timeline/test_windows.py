"""Windows by hand-worked examples: `pytest tests/timeline/test_windows.py`."""

from __future__ import annotations

import numpy as np
import pytest

from mien.timeline.windows import Moment, Windower, WindowShape
from mien.transforms.clip import ClipSpec
from tests.timeline.helpers import face

FOUR = WindowShape(4, 0.1)  # a clip reaches 0.15 s to both sides of its centre


def run(
    frames: list[list[tuple[float, int]]], shapes: list[WindowShape] | None = None, step_s: float = 0.25
) -> list[Moment]:
    """Moments of a video given as (time, track) of the faces of each frame."""
    windower = Windower(shapes or [FOUR], step_s)
    moments = [m for faces in frames for m in windower.push([face(t, k) for t, k in faces])]
    return moments + windower.finish()


def at(moment: Moment, shape: int = 0) -> list[float]:
    return [round(s.time_s, 3) for s in moment.clips[shape]]


def test_shape_of_a_spec_counts_stride_and_period():
    shape = WindowShape.of(ClipSpec(num_frames=16, stride=4, frame_period_s=1 / 30))
    assert shape.period_s == pytest.approx(4 / 30)
    assert shape.half_s == pytest.approx(1.0)
    np.testing.assert_allclose(shape.wanted_s(2.0)[[0, 15]], [1.0, 3.0])


def test_rows_stand_on_the_grid_from_one_end_to_the_other():
    moments = run([[(0.05 * k, 0)] for k in range(21)])  # 0 to 1 s at 20 fps
    assert [m.time_s for m in moments] == [0.0, 0.25, 0.5, 0.75, 1.0]
    # 0.25 wants 0.10 0.20 0.30 0.40; 0 wants -0.15 -0.05 0.05 0.15, and 1 wants 0.85 0.95 1.05 1.15
    assert at(moments[1]) == [0.1, 0.2, 0.3, 0.4]
    assert at(moments[0]) == [0.0, 0.0, 0.05, 0.15]
    assert at(moments[4]) == [0.85, 0.95, 1.0, 1.0]
    # -0.05 has a frame 0.05 s away and counts as seen; -0.15 does not
    assert [m.seen[0] for m in moments] == [0.75, 1.0, 1.0, 1.0, 0.75]
    assert [m.centre.time_s for m in moments] == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])


def test_the_grid_is_that_of_the_video_not_of_the_track():
    moments = run([[(0.13 + 0.05 * k, 0)] for k in range(12)])  # 0.13 to 0.68 s
    assert [m.time_s for m in moments] == [0.25, 0.5]


@pytest.mark.parametrize(("times", "expected"), [([0.3], 0.3), ([0.3, 0.35, 0.4], 0.35)])
def test_a_track_too_short_for_the_grid_gives_one_row_at_its_middle(times: list[float], expected: float):
    moments = run([[(t, 0)] for t in times])
    assert [m.time_s for m in moments] == [expected]
    assert len(moments[0].clips[0]) == 4


def test_a_gap_cuts_a_track_and_no_clip_reaches_across_it():
    times = [0.05 * k for k in range(11)] + [2 + 0.05 * k for k in range(11)]
    moments = run([[(t, 7)] for t in times])
    assert [m.time_s for m in moments] == [0.0, 0.25, 0.5, 2.0, 2.25, 2.5]
    assert at(moments[2]) == [0.35, 0.45, 0.5, 0.5]
    assert at(moments[3]) == [2.0, 2.0, 2.05, 2.15]


def test_a_slow_video_gives_one_row_per_frame():
    moments = run([[(float(k), 0)] for k in range(3)])
    assert [m.time_s for m in moments] == [0.0, 1.0, 2.0]
    assert all(len(set(at(m))) == 1 for m in moments)


def test_uneven_frames_are_picked_by_time():
    moments = run([[(t, 0)] for t in (0.0, 0.02, 0.11, 0.19, 0.26, 0.31, 0.38, 0.55)])
    row = next(m for m in moments if m.time_s == 0.25)
    assert at(row) == [0.11, 0.19, 0.31, 0.38]
    assert row.centre.time_s == 0.26


def test_models_with_different_windows_share_the_grid():
    long = WindowShape(3, 0.4)
    moments = run([[(0.05 * k, 0)] for k in range(41)], [FOUR, long])
    assert [m.time_s for m in moments] == [0.25 * k for k in range(9)]
    assert at(moments[4], 0) == [0.85, 0.95, 1.05, 1.15]
    assert at(moments[4], 1) == [0.6, 1.0, 1.4]


def test_streaming_agrees_with_a_track_seen_whole():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.09, 400))
    shape = WindowShape(8, 0.13)
    streamed = run([[(float(t), 0)] for t in times], [shape])
    grid = np.arange(np.ceil(times[0] / 0.25), np.floor(times[-1] / 0.25) + 1) * 0.25
    np.testing.assert_allclose([m.time_s for m in streamed], grid)
    for moment in streamed:
        wanted = moment.time_s + (np.arange(8) - 3.5) * 0.13
        nearest = np.abs(times[:, None] - wanted).argmin(0)
        np.testing.assert_allclose([s.time_s for s in moment.clips[0]], times[nearest])


def test_memory_is_bounded_by_the_window():
    windower = Windower([FOUR], 0.25)
    most = 0
    for k in range(5000):
        windower.push([face(0.05 * k, 0)])
        most = max(most, len(windower._open[0].samples))
    assert most < 20  # half a window, a step and half a window at 20 fps, and not 5,000


def test_no_row_comes_before_the_floor():
    rng = np.random.default_rng(1)
    windower, floor = Windower([FOUR, WindowShape(3, 0.4)], 0.25), -np.inf
    alive = {k: rng.random(600) < 0.9 for k in range(3)}
    for k in alive:
        alive[k][100 * k : 100 * k + 90] = False
    count = 0
    for i in range(600):
        moments = windower.push([face(0.04 * i, k) for k in alive if alive[k][i]])
        assert all(m.time_s >= floor for m in moments)
        count += len(moments)
        floor = windower.floor_s
    assert all(m.time_s >= floor for m in windower.finish())
    assert count > 200
