"""Table IV of SS-VAERR: each augmentation against NumPy, what is constant over a clip, and pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mien.errors import UserError
from mien.transforms.clip import Augment
from mien.transforms.sequence import SequenceTransform

SIZE, T = 24, 40


@pytest.fixture
def frames() -> torch.Tensor:
    """Three clips of noise that is the same in all frames of a clip but for a slow ramp, never black or white."""
    rng = np.random.default_rng(0)
    noise = rng.integers(30, 180, (3, 1, SIZE, SIZE, 1)) + np.arange(T)[:, None, None, None]
    return torch.from_numpy(noise.astype(np.uint8))


def augmented(frames: torch.Tensor, seed: int = 0, **fields: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Pixels 0..255 [B, T, H, W] after the transform, and its parameters."""
    augment = SequenceTransform(**({"size": SIZE, "num_frames": T, "mean": (0.25,), "std": (0.5,)} | fields))
    drawn = [augment.draw(np.random.default_rng((seed, b))) for b in range(len(frames))]
    params = {k: torch.from_numpy(np.stack([d[k] for d in drawn])) for k in drawn[0]}
    out = augment.apply(frames, params)
    assert out.shape == (len(frames), 1, T, augment.out_size, augment.out_size)
    return (out[:, 0].numpy() * 0.5 + 0.25) * 255, {k: v.numpy() for k, v in params.items()}


def test_nothing_on_is_what_evaluation_does(frames):
    found, params = augmented(frames)
    assert params == {}
    np.testing.assert_allclose(found, frames[..., 0].numpy(), atol=1e-3)
    smaller = SequenceTransform(size=16, mean=(0.4,), std=(0.2,)).apply(frames, {})
    torch.testing.assert_close(smaller, Augment(size=16, mean=(0.4,), std=(0.2,), grey=True).apply(frames, {}))


def test_colour_becomes_grey_and_stays_colour_where_asked():
    rgb = torch.randint(0, 255, (1, 3, SIZE, SIZE, 3), dtype=torch.uint8)
    plain = SequenceTransform(size=SIZE, mean=(0.5,) * 3, std=(0.5,) * 3, grey=False).apply(rgb, {})
    torch.testing.assert_close((plain[0] * 0.5 + 0.5) * 255, rgb[0].permute(3, 0, 1, 2).float())
    assert SequenceTransform(size=SIZE).apply(rgb, {}).shape == (1, 1, 3, SIZE, SIZE)


def test_flip_and_crop_are_one_for_all_frames(frames):
    found, params = augmented(frames, crop=20, random=True, flip=0.5, seed=2)
    assert len(set(params["flip"].tolist())) == 2
    for b in range(3):
        y, x = params["corner"][b]
        expected = frames[b, :, y : y + 20, x : x + 20, 0].numpy()
        expected = expected[..., ::-1] if params["flip"][b] else expected
        np.testing.assert_allclose(found[b], expected, atol=1e-3)


def test_crops_reach_every_corner_and_evaluation_takes_the_middle(frames):
    augment = SequenceTransform(size=SIZE, crop=20, random=True)
    corners = np.array([augment.draw(np.random.default_rng(k))["corner"] for k in range(300)])
    assert corners.min(0).tolist() == [0, 0]
    assert corners.max(0).tolist() == [4, 4]
    found, _ = augmented(frames, crop=20)
    np.testing.assert_allclose(found, frames[:, :, 2:22, 2:22, 0].numpy(), atol=1e-3)
    enlarged, _ = augmented(frames, crop=12, enlarge=True)
    assert enlarged.shape[-1] == SIZE
    with pytest.raises(UserError, match="110 px cannot be cut out of 96"):
        SequenceTransform(size=96, crop=110)


def test_five_black_squares_of_a_quarter_of_the_picture(frames):
    augment = SequenceTransform(size=100, squares=0.25)
    assert 5 * augment.side**2 / 100**2 == pytest.approx(0.25, rel=0.05)
    found, params = augmented(frames, squares=0.25)
    side = SequenceTransform(size=SIZE, squares=0.25).side
    black = np.zeros((3, SIZE, SIZE), bool)
    for b in range(3):
        for y, x in params["squares"][b]:
            black[b, y : y + side, x : x + side] = True
    shown = np.abs(found) < 1e-3
    np.testing.assert_array_equal(shown, np.broadcast_to(black[:, None], shown.shape))  # the same in every frame
    rare = SequenceTransform(size=SIZE, squares=0.25, squares_prob=0.25)
    with_squares = [rare.draw(np.random.default_rng(k))["squares"].min() >= 0 for k in range(400)]
    assert np.mean(with_squares) == pytest.approx(0.25, abs=0.06)


def test_a_fifth_of_the_frames_is_missing(frames):
    found, params = augmented(frames, missing=0.2)
    black = np.asarray((np.abs(found) < 1e-3).all((2, 3)))
    assert black.sum(1).tolist() == [8, 8, 8]
    np.testing.assert_array_equal(black, params["missing"])
    assert not np.array_equal(black[0], black[1])


def test_solarised_above_the_average_of_the_frame(frames):
    found, params = augmented(frames, solarize=0.5)
    original = frames[..., 0].numpy().astype(float)
    average = original.mean((2, 3), keepdims=True)
    expected = np.where((original > average) & params["solarize"][:, :, None, None], 255 - original, original)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert 0.3 < params["solarize"].mean() < 0.7


def test_salt_and_pepper_is_half_and_half_and_another_in_every_frame(frames):
    found, _ = augmented(frames, salt_pepper=0.1)
    salt, pepper = np.greater(found, 254.9), np.less(np.abs(found), 0.1)
    assert salt.mean() == pytest.approx(0.05, abs=0.005)
    assert pepper.mean() == pytest.approx(0.05, abs=0.005)
    untouched = ~(salt | pepper)
    np.testing.assert_allclose(found[untouched], frames[..., 0].numpy()[untouched], atol=1e-3)
    assert not np.array_equal(salt[0, 0], salt[0, 1])
    again, _ = augmented(frames, salt_pepper=0.1)
    np.testing.assert_array_equal(found, again)


def test_a_long_clip_is_the_same_in_parts(frames, monkeypatch):
    fields = {"crop": 20, "random": True, "flip": 0.5, "squares": 0.2, "missing": 0.2, "solarize": 0.2}
    whole, _ = augmented(frames, **fields)
    monkeypatch.setattr("mien.transforms.sequence.FRAMES_AT_ONCE", 7)
    np.testing.assert_array_equal(augmented(frames, **fields)[0], whole)


PAIRS = [
    {"crop": 20, "random": True, "flip": 0.5}, {"crop": 20, "random": True, "missing": 0.2}, {"flip": 0.5, "missing": 0.2},
    {"flip": 0.5, "solarize": 0.2}, {"flip": 0.5, "squares": 0.25}, {"flip": 0.5, "salt_pepper": 0.05},
]  # fmt: skip


@pytest.mark.parametrize("fields", PAIRS, ids=lambda f: "+".join(f))
def test_the_pairs_of_the_table_do_both(frames, fields):
    """What a pair gives differs from what either gives alone."""
    together, _ = augmented(frames, seed=2, **fields)
    geometric = {k: v for k, v in fields.items() if k in ("crop", "random", "flip")}
    other = {k: v for k, v in fields.items() if k not in geometric}
    assert not np.array_equal(together, augmented(frames, seed=2)[0][..., : together.shape[-2], : together.shape[-1]])
    if other:
        alone, _ = augmented(frames, seed=2, **geometric)
        assert not np.array_equal(together, alone)
