"""Views against Pillow, SciPy and plain computations of one picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from mien.errors import UserError
from mien.rng import generator
from mien.transforms.contrastive import (
    LUMA,
    NUMBERS,
    Look,
    Views,
    adjusted,
    blurred,
    boxes,
    recolored,
    sample,
    shrunk,
)
from mien.transforms.warp import Warp

PLAIN = Look(
    size=40, crop_area=(1.0, 1.0), crop_aspect=(1.0, 1.0), rotate=0, translate=0, scale=(1, 1), flip=0, jitter=0, grey=0, blur=0
)  # fmt: skip
RAW: dict[str, Any] = {"mean": (0.0,) * 3, "std": (1 / 255,) * 3}  # views come out in 0 .. 255
BRIGHT, CONTRAST, COLOR = ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color
STILL = np.zeros(1, bool)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """uint8 [40, 40, 3] of middle values, so that nothing is cut off, without fine detail."""
    noise = generator("views").integers(70, 150, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((40, 40), Image.Resampling.BICUBIC))


def planes(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]


def view(look: Look, image: np.ndarray, count: int = 1, seed: int = 0, **more: Any) -> np.ndarray:
    """[count, H, W, 3] views of one picture."""
    transform = Views(("v",), (look,), **(RAW | more))
    frames = torch.from_numpy(np.stack([image[None]] * count))
    params = [transform.draw(generator("view", seed, k))["uniform"] for k in range(count)]
    return (
        transform.apply(frames, {"uniform": torch.from_numpy(np.stack(params))})["v"][:, :, 0]
        .permute(0, 2, 3, 1)
        .numpy()
    )


def color(*steps: tuple[int, float]) -> np.ndarray:
    """The map of operations one after the other, [1, 2, 3, 3]."""
    state = np.stack([np.eye(3), np.zeros((3, 3))])[None]
    for operation, value in steps:
        state = adjusted(state, np.array([operation]), np.array([value]))
    return state.astype(np.float32)


def test_a_look_without_anything_shows_the_picture(picture):
    np.testing.assert_allclose(view(PLAIN, picture)[0], picture, atol=1e-3)


def test_a_crop_is_pillows(picture):
    theta = PLAIN.drawn(np.zeros((1, NUMBERS))).theta
    theta[0] = [[0.5, 0, -0.2], [0, 0.6, 0.1]]  # x from 6 to 26, y from 10 to 34 of 40
    out = sample(planes(picture), theta, None, STILL, 32)[0].permute(1, 2, 0).numpy()
    wanted = Image.fromarray(picture).transform(
        (32, 32), Image.Transform.EXTENT, (6, 10, 26, 34), Image.Resampling.BILINEAR
    )
    assert np.abs(out - np.asarray(wanted).astype(float)).max() <= 1.01


def test_mirror_turn_shift_and_zoom(picture):
    np.testing.assert_allclose(view(replace(PLAIN, flip=1.0), picture)[0], picture[:, ::-1], atol=1e-3)
    u = np.zeros((1, NUMBERS))
    u[0, 1] = 1.0  # the largest turn
    theta = replace(PLAIN, rotate=20.0).drawn(u).theta
    out = sample(planes(picture), theta, None, STILL, 40)[0].permute(1, 2, 0).numpy()
    turned = np.asarray(Image.fromarray(picture).rotate(20, Image.Resampling.BILINEAR)).astype(float)
    assert np.abs(out - turned)[12:28, 12:28].max() <= 1.5
    u[0, 3:5] = 1.0, 0.5
    moved = replace(PLAIN, translate=0.1, scale=(2.0, 2.0)).drawn(u).theta[0]
    np.testing.assert_allclose(moved, [[0.5, 0, 0.2], [0, 0.5, 0]], atol=1e-6)


def test_boxes_have_the_area_and_the_aspect():
    u = generator("boxes").random((2000, NUMBERS - 18))
    x, y, w, h = boxes(u, (0.3, 0.6), (0.75, 4 / 3)).T
    assert (x >= 0).all()
    assert (y >= 0).all()
    assert (x + w).max() <= 1 + 1e-9
    assert (y + h).max() <= 1 + 1e-9
    assert 0.3 <= (w * h).min() < 0.31
    assert 0.59 < (w * h).max() <= 0.6
    assert (w / h).min() < 0.76
    assert abs((w * h).mean() - 0.45) < 0.01
    np.testing.assert_allclose(boxes(u[:3], (1.0, 1.0), (2.0, 2.0)), [[0, 0, 1, 1]] * 3)  # nothing fits


@pytest.mark.parametrize(
    ("steps", "enhance"),
    [
        ([(0, 1.3)], [(BRIGHT, 1.3)]),
        ([(1, 0.7)], [(CONTRAST, 0.7)]),
        ([(2, 1.2)], [(COLOR, 1.2)]),
        ([(0, 1.3), (1, 0.7), (2, 0.8)], [(BRIGHT, 1.3), (CONTRAST, 0.7), (COLOR, 0.8)]),
        ([(1, 1.4), (2, 0.8), (0, 0.6)], [(CONTRAST, 1.4), (COLOR, 0.8), (BRIGHT, 0.6)]),
    ],
)  # fmt: skip
def test_colours_are_pillows(picture, steps, enhance):
    out = recolored(planes(picture)[:, :, None], color(*steps))[0, :, 0].permute(1, 2, 0).numpy()
    wanted = Image.fromarray(picture)
    for operation, value in enhance:
        wanted = operation(wanted).enhance(value)
    assert np.abs(out - np.asarray(wanted).astype(float)).max() <= 3  # Pillow cuts off the fraction at each step


def test_grey_is_pillows(picture):
    out = recolored(planes(picture)[:, :, None], color((2, 0.0)))[0, :, 0].numpy()
    wanted = np.asarray(Image.fromarray(picture).convert("L")).astype(float)
    assert np.abs(out - wanted).max() <= 0.51


def test_hue_turns_colours_and_keeps_the_luma(picture):
    turned = recolored(planes(picture)[:, :, None], color((3, 0.08)))[0, :, 0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(turned @ LUMA, picture.astype(float) @ LUMA, atol=0.3)
    assert np.abs(turned - picture).max() > 5
    back = recolored(planes(picture)[:, :, None], color((3, 0.08), (3, -0.08)))[0, :, 0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(back, picture, atol=1e-2)


def test_every_sample_has_its_own_order():
    both = adjusted(color()[[0, 0]].astype(float), np.array([0, 1]), np.array([1.2, 0.5]))
    np.testing.assert_allclose(both[0], color((0, 1.2))[0], atol=1e-6)
    np.testing.assert_allclose(both[1], color((1, 0.5))[0], atol=1e-6)
    u = generator("order").random((400, NUMBERS))
    maps = Look(jitter=1.0, grey=0.0).drawn(u).color
    # With the contrast first, its offset is scaled by the brightness after it: both orders occur.
    first = u[:, 10:14].argsort(1).argsort(1)
    factor = maps[:, 1].sum((1, 2)) / (1 + 0.4 * (2 * u[:, 6] - 1))
    late = first[:, 1] > first[:, 0]
    own = 1 - (1 + 0.4 * (2 * u[:, 7] - 1))
    np.testing.assert_allclose(
        factor, 3 * own, atol=1e-5
    )  # contrast of what was made brighter, or made brighter after it
    assert 100 < late.sum() < 300


def test_blur_is_scipys(picture):
    clip = planes(picture)[:, :, None].expand(2, -1, -1, -1, -1).clone()
    out = blurred(clip, np.array([1.3, 0.0], np.float32))
    wanted = ndimage.gaussian_filter(picture.astype(float), (1.3, 1.3, 0), truncate=6)
    np.testing.assert_allclose(out[0, :, 0].permute(1, 2, 0).numpy()[9:-9, 9:-9], wanted[9:-9, 9:-9], atol=1e-2)
    np.testing.assert_array_equal(out[1, :, 0].permute(1, 2, 0).numpy(), picture)


def test_solarisation_is_pillows():
    ramp = np.tile(np.arange(0, 240, 6, dtype=np.uint8)[:, None, None], (1, 40, 3))
    wanted = np.asarray(ImageOps.solarize(Image.fromarray(ramp), 128))
    np.testing.assert_allclose(view(replace(PLAIN, solarize=1.0), ramp)[0], wanted, atol=1e-2)


def test_probabilities():
    drawn = Look(blur=0.3, solarize=0.1, sigma=(0.5, 2.0), size=112).drawn(generator("p").random((4000, NUMBERS)))
    assert abs((drawn.sigma > 0).mean() - 0.3) < 0.03
    assert abs(drawn.solarize.mean() - 0.1) < 0.02
    assert 0.25 <= drawn.sigma[drawn.sigma > 0].min() < 0.27  # half the size, half the blur
    assert 0.98 < drawn.sigma.max() <= 1.0
    determinant = np.linalg.det(drawn.theta[:, :, :2].astype(float))
    assert abs((determinant < 0).mean() - 0.5) < 0.03
    grey = np.abs(drawn.color[:, 0] - drawn.color[:, 0, :1]).max((1, 2)) < 1e-6
    assert abs(grey.mean() - 0.2) < 0.03
    same = np.abs(drawn.color[:, 0] - np.eye(3)).max((1, 2)) < 1e-6
    assert abs(same.mean() - 0.2 * 0.8) < 0.03


def two(**more: Any) -> Views:
    looks = (Look(size=24), Look(size=16, solarize=0.5))
    return Views(("a", "b"), looks, **more)


def batch(transform: Views, count: int = 3, frames: int = 2, channels: int = 3) -> tuple[torch.Tensor, dict]:
    pixels = generator("batch").integers(0, 256, (count, 1, 32, 32, channels), dtype=np.uint8).repeat(frames, axis=1)
    drawn = [transform.draw(generator("batch", k)) for k in range(count)]
    return torch.from_numpy(pixels), {k: torch.from_numpy(np.stack([d[k] for d in drawn])) for k in drawn[0]}


@pytest.mark.parametrize("warp", [None, Warp()])
def test_a_batch_is_its_samples_and_frames_are_treated_alike(warp):
    transform = two(warp=warp, warped=("b",) if warp else (), swap=0.5)
    frames, params = batch(transform)
    out = transform.apply(frames, params)
    assert {name: v.shape for name, v in out.items()} == {"a": (3, 3, 2, 24, 24), "b": (3, 3, 2, 16, 16)}
    for k in range(3):
        alone = transform.apply(frames[k : k + 1], {n: v[k : k + 1] for n, v in params.items()})
        for name, value in out.items():
            torch.testing.assert_close(alone[name][0], value[k], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(value[k, :, 0], value[k, :, 1], atol=1e-5, rtol=0)


def test_only_the_views_that_are_named_are_warped_unless_swapped():
    still, warp = two(), Warp()
    frames, params = batch(still)
    plain = still.apply(frames, params)
    more = torch.cat([params["uniform"], torch.rand(3, 1 + warp.numbers)], dim=1)
    for swap, warped in ((0.0, "b"), (1.0, "a")):
        out = two(warp=warp, warped=("b",), swap=swap).apply(frames, {"uniform": more})
        for name, value in out.items():
            assert torch.allclose(value, plain[name], atol=1e-3) == (name != warped)


def test_grey_frames_are_the_grey_of_colour_ones():
    mean, std = (0.4,), (0.2,)
    grey = two(grey=True, mean=mean, std=std)
    frames, params = batch(grey, channels=1)
    out = grey.apply(frames, params)
    wide = two(mean=mean * 3, std=std * 3).apply(frames.expand(-1, -1, -1, -1, 3), params)
    for name, value in out.items():
        assert value.shape[1] == 1
        torch.testing.assert_close(value.expand(-1, 3, -1, -1, -1), wide[name], atol=1e-4, rtol=1e-4)


def test_large_frames_are_reduced_first():
    frames = torch.randint(0, 256, (1, 1, 100, 100, 3), dtype=torch.uint8)
    assert shrunk(frames, 24).shape == (1, 1, 48, 48, 3)
    assert shrunk(frames, 50) is frames


def test_what_is_drawn_depends_on_the_generator_alone():
    transform = two()
    np.testing.assert_array_equal(
        transform.draw(generator("a", 1))["uniform"], transform.draw(generator("a", 1))["uniform"]
    )
    assert len(transform.draw(generator("a", 1))["uniform"]) == 2 * NUMBERS


@pytest.mark.parametrize(
    "wrong",
    [
        {"flip": 1.5}, {"crop_area": (0.0, 1.0)}, {"sigma": (0.0, 1.0)}, {"sigma": (2.0, 0.1)}, {"size": 4},
        {"scale": (0.0, 0.0)}, {"scale": (1.1, 0.9)}, {"crop_aspect": (2.0, 1.0)}, {"rotate": -10.0}, {"translate": 2.0},
        {"brightness": -3.0}, {"contrast": 1.5}, {"saturation": -0.1}, {"hue": 0.6},
    ],
)  # fmt: skip
def test_wrong_values_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong)).replace("_", "-")):
        Look(**wrong)
