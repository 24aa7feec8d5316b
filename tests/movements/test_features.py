from __future__ import annotations

import numpy as np
import pytest

from mien.movements.features import MOMENTS, Track, interpolated, pooled, posed, shape_of, speeds, width
from mien.movements.names import COEFFICIENTS
from tests.movements.stored import moved, resting, turned


def test_pose_size_and_place_are_taken_off():
    template = resting() / 100
    rng = np.random.default_rng(1)
    others = np.stack(
        [
            turned(resting(), rng.uniform(-40, 40, 3).tolist()) * rng.uniform(0.3, 3) + rng.normal(0, 50, 3)
            for _ in range(5)
        ]
    )
    np.testing.assert_allclose(posed(others, template), np.broadcast_to(template, (5, 478, 3)), atol=1e-9)


def test_a_mirrored_face_is_turned_and_not_mirrored_back():
    template = resting() / 100
    mirrored = (template * [-1, 1, 1])[None]
    found = posed(mirrored, template)[0]
    assert np.abs(found - template).max() > 0.1


@pytest.mark.parametrize("count", [60, 1600])
def test_the_first_axis_is_what_moves(count: int):
    rng = np.random.default_rng(0)
    levels = rng.uniform(0, 1, count)
    meshes = np.stack([moved(v, rng) for v in levels])
    shape = shape_of(meshes, 3)
    np.testing.assert_allclose(shape.axes @ shape.axes.T, np.eye(3), atol=1e-6)
    places = shape.places(meshes)
    assert abs(np.corrcoef(places[:, 0], levels)[0, 1]) > 0.999
    assert places[:, 0].std() > 10 * places[:, 1].std()


def test_no_more_axes_than_the_meshes_span():
    rng = np.random.default_rng(0)
    assert len(shape_of(np.stack([moved(v, rng) for v in (0.0, 0.5, 1.0)]), 40).axes) == 2


def test_gaps_are_filled_between_neighbours_in_time():
    times, values = np.array([0.0, 1.0, 3.0]), np.array([[0.0, 1.0], [2.0, 1.0], [6.0, 0.0]])
    at = np.array([-1.0, 0.5, 2.0, 9.0])
    expected = np.stack([np.interp(at, times, column) for column in values.T], axis=1)
    np.testing.assert_allclose(interpolated(at, times, values), expected)
    np.testing.assert_allclose(interpolated(at, times[:1], values[:1]), np.repeat(values[:1], 4, axis=0))


def track(count: int, seen: int) -> Track:
    values = np.arange(count, dtype=float)[:, None] * np.ones(len(COEFFICIENTS) + 2) * 0.1
    return Track(
        np.arange(count) / 25, np.arange(count) < seen, np.where((np.arange(count) < seen)[:, None], values, 99)
    )


def test_a_clip_under_a_third_seen_has_no_vector():
    found = pooled([track(9, 2), track(9, 3), track(1, 1), track(4, 0)], "both", "summary", 2, False)
    assert np.isfinite(found).all(axis=1).tolist() == [False, True, True, False]
    assert found[1].max() == pytest.approx(0.2)  # what is not seen takes no part


@pytest.mark.parametrize("pooling", ["summary", "moments"])
@pytest.mark.parametrize("kind", ["coefficients", "mesh", "both"])
@pytest.mark.parametrize("velocities", [False, True])
def test_vectors_are_as_wide_as_said(kind: str, pooling: str, velocities: bool):
    found = pooled([track(9, 9)], kind, pooling, 2, velocities)
    assert found.shape == (1, width(kind, pooling, 2, velocities))


def test_summary_and_moments():
    values = track(13, 13).values[:, 0]
    summary = pooled([track(13, 13)], "mesh", "summary", 2, False)[0]
    np.testing.assert_allclose(summary[::2], [values.mean(), values.std(), values.min(), values.max()])
    moments = pooled([track(13, 13)], "mesh", "moments", 2, False)[0].reshape(MOMENTS, 2)
    np.testing.assert_allclose(moments[:, 1], np.linspace(0, 1.2, MOMENTS))
    fast = pooled([track(13, 13)], "mesh", "moments", 2, True)[0].reshape(MOMENTS, 4)
    np.testing.assert_allclose(fast[:, 2:], 2.5)
    assert speeds(np.zeros(1), np.ones((1, 3))).tolist() == [[0, 0, 0]]
