"""Frame sampling against examples worked by hand from the formulas of the published code."""

import numpy as np
import pytest

from mien.data import sampling
from mien.rng import generator


def draws(policy, n, num_frames, stride, count=400):
    return np.stack([policy(n, num_frames, stride, generator("test", k)) for k in range(count)])


def test_pretraining_starts_are_uniform_over_the_valid_positions():
    found = draws(sampling.pretrain_indices, 70, 16, 4)
    assert set(found[:, 0]) == set(range(7))  # 70 - 64 + 1
    assert (np.diff(found, axis=1) == 4).all()
    assert found.max() == 66  # 6 + 60


@pytest.mark.parametrize(
    ("n", "expected"),
    [(64, list(range(0, 64, 4))), (10, [0, 4, 8] + [9] * 13), (1, [0] * 16)],
)
def test_pretraining_on_short_videos_starts_at_zero_and_repeats_the_last_frame(n, expected):
    assert sampling.pretrain_indices(n, 16, 4, generator(0)).tolist() == expected


def test_training_window_includes_both_ends():
    # n = 9, 4 frames, stride 2: span 8, the only end is 8, linspace(0, 8, 4) = 0, 2.67, 5.33, 8 -> clipped to 7.
    assert sampling.train_indices(9, 4, 2, generator(0)).tolist() == [0, 2, 5, 7]
    found = draws(sampling.train_indices, 12, 4, 2)
    assert {tuple(row) for row in found} == {(s, s + 2, s + 5, s + 7) for s in range(4)}


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (8, [0, 2, 5, 7]),  # the whole: linspace(0, 8, 4) clipped to 7
        (5, [0, 4, 4, 4]),  # 5 // 2 = 2 frames, linspace(0, 5, 2), then the last
        (3, [0, 2, 2, 2]),  # linspace(0, 3, 1), then the last
        (1, [0, 0, 0, 0]),
    ],
)
def test_training_on_short_videos(n, expected):
    assert sampling.train_indices(n, 4, 2, generator(0)).tolist() == expected


@pytest.mark.parametrize(
    ("n", "view", "num_views", "expected"),
    [
        (20, 0, 2, [0, 2, 4, 6]),
        (20, 1, 2, [12, 14, 16, 18]),
        (20, 1, 3, [6, 8, 10, 12]),  # int(1 * (10 - 4) / 2) = 3
        (20, 0, 1, [6, 8, 10, 12]),
        (5, 0, 2, [0, 2, 4, 4]),
        (5, 1, 2, [0, 2, 4, 4]),
        (1, 1, 2, [0, 0, 0, 0]),
    ],
)
def test_evaluation_views_are_the_ends_of_the_video(n, view, num_views, expected):
    assert sampling.test_indices(n, 4, 2, view, num_views).tolist() == expected


def test_frames_are_found_by_time():
    times = np.array([1.0, 1.1, 1.5, 1.6, 3.0])
    assert sampling.indices_at(times, 0.9, 6, 0.15).tolist() == [0, 0, 1, 2, 2, 3]  # .9 1.05 1.2 1.35 1.5 1.65
    assert sampling.indices_at(times, 2.2, 3, 1.0).tolist() == [3, 4, 4]
    assert sampling.nearest_indices(np.array([0.0, 1.0]), np.array([0.5])).tolist() == [0]
    assert sampling.indices_at(times[:1], 7.0, 2, 1.0).tolist() == [0, 0]


def test_another_frame_rate_is_imitated():
    at_25 = np.arange(50) / 25
    picked = sampling.resampled(at_25, 1 / 50)
    assert len(picked) == 99
    assert picked[::2].tolist() == list(range(50))
    assert sampling.resampled(at_25, 2 / 25).tolist() == list(range(0, 50, 2))  # the next would lie beyond the end
    assert sampling.resampled(at_25[:1], 0.04).tolist() == [0]
