"""The whole augmentation: order, normalisation, independence of the batch, erasing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.rng import generator
from mien.transforms import erase
from mien.transforms.clip import Augment

FULL = Augment(
    size=24,
    crop="random_resized",
    flip=0.5,
    randaugment=True,
    erase=0.9,
    mean=(0.4, 0.5, 0.6),
    std=(0.2, 0.25, 0.3),
)
EVERYTHING = [FULL, replace(FULL, crop="multi_scale", size=40), replace(FULL, grey=True, mean=(0.5,), std=(0.25,))]


@pytest.fixture(scope="module")
def frames():
    return torch.from_numpy(generator("frames").integers(0, 256, (5, 3, 32, 32, 3), dtype=np.uint8))


def drawn(augment, count):
    params = [augment.draw(generator("draw", k)) for k in range(count)]
    return {k: torch.from_numpy(np.stack([p[k] for p in params])) for k in params[0]}


def test_plain_is_resize_and_normalise(frames):
    augment = Augment(size=32, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
    assert augment.draw(generator(0)) == {}
    wanted = (frames.numpy() / 255 - [0.4, 0.5, 0.6]) / [0.2, 0.25, 0.3]
    out = augment.apply(frames, {})
    assert out.dtype == torch.float32
    np.testing.assert_allclose(out.numpy(), wanted.transpose(0, 4, 1, 2, 3), atol=1e-5)


@pytest.mark.parametrize(("side", "start"), [(40, 8), (37, 6)])
def test_the_middle_of_a_larger_picture(frames, side, start):
    """Resize to the side, then cut: pixels of the larger picture, not of an enlarged middle."""
    whole = Augment(size=side).apply(frames, {})
    cut = whole[..., start : start + 24, start : start + 24]
    torch.testing.assert_close(Augment(size=24, centre_of=side).apply(frames, {}), cut)


def test_grey_takes_colour_and_grey_frames(frames):
    augment = Augment(size=32, grey=True, mean=(0.5,), std=(0.25,))
    out = augment.apply(frames, {})
    assert out.shape == (5, 1, 3, 32, 32)
    luma = (frames.numpy() @ [0.299, 0.587, 0.114]).round()
    assert np.abs(out[:, 0].numpy() * 0.25 * 255 + 0.5 * 255 - luma).max() < 1.01
    single = torch.from_numpy(luma.astype(np.uint8))[..., None]
    assert (augment.apply(single, {}) - out).abs().max() < 1.01 / 255 / 0.25


@pytest.mark.parametrize("augment", EVERYTHING)
def test_a_clip_does_not_depend_on_the_batch_around_it(augment, frames):
    params = drawn(augment, 5)
    out = augment.apply(frames, params)
    assert out.shape == (5, len(augment.mean), 3, augment.size, augment.size)
    assert out.isfinite().all()
    some = [3, 1]
    torch.testing.assert_close(augment.apply(frames[some], {k: v[some] for k, v in params.items()}), out[some])


@pytest.mark.parametrize("augment", EVERYTHING)
def test_batched_kernels_agree_with_clip_by_clip(augment, frames):
    params = drawn(augment, 5)
    torch.testing.assert_close(augment._apply(frames, params), augment.apply(frames, params), atol=1e-5, rtol=1e-5)


def test_draws_have_fixed_shapes_and_depend_on_the_generator_alone():
    one, same, other = (FULL.draw(generator("x", k)) for k in (1, 1, 2))
    assert all(one[k].shape == other[k].shape and one[k].dtype == other[k].dtype for k in one)
    assert all((one[k] == same[k]).all() for k in one)
    assert any((one[k] != other[k]).any() for k in one)


def test_frames_are_left_as_they_were(frames):
    before = frames.clone()
    FULL.apply(frames, drawn(FULL, 5))
    assert torch.equal(frames, before)


def test_erasing_fills_one_box_with_fresh_standard_noise():
    boxes = torch.tensor([[4, 8, 20, 16, 77], [0, 0, 0, 0, 0], [4, 8, 20, 16, 77]])
    clip = erase.apply(torch.full((3, 3, 4, 32, 32), 9.0), boxes)
    noise = clip[0, :, :, 8:24, 4:24]
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05
    assert (noise[:, 0] != noise[:, 1]).all()  # between frames
    assert (clip[0] != 9).sum() == noise.numel()
    assert (clip[1] == 9).all()
    assert torch.equal(clip[0], clip[2])


def test_erased_share_area_and_aspect():
    boxes = np.stack([erase.draw(generator("erase", k), 160, 0.25) for k in range(2000)])
    hit = boxes[boxes[:, 2] > 0]
    assert 0.22 < len(hit) / 2000 < 0.28
    area, aspect = hit[:, 2] * hit[:, 3] / 160**2, hit[:, 3] / hit[:, 2]
    assert 0.018 < area.min() < 0.04
    assert 0.3 < area.max() < 0.34
    assert 0.28 < aspect.min() < 0.36
    assert 2.7 < aspect.max() < 3.5
    assert (hit[:, :2] + hit[:, 2:4] <= 160).all()
    assert len(set(hit[:, 4])) == len(hit)
