"""Geometry against Pillow and torch's plain operators."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mien.rng import generator
from mien.transforms import geometry


@pytest.fixture(scope="module")
def smooth():
    """uint8 [40, 40, 3] without fine detail, so that kernels of interpolation agree."""
    noise = generator("smooth").integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((40, 40), Image.Resampling.BICUBIC))


def planes(image):
    return torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]


@pytest.mark.parametrize("size", [24, 40, 56])
def test_resize_is_pillows_bilinear(size):
    frames = generator("resize").integers(0, 256, (2, 3, 40, 40, 3), dtype=np.uint8)
    out = geometry.resize(torch.from_numpy(frames), size)
    assert out.shape == (2, 3, size, size, 3)
    wanted = np.asarray(Image.fromarray(frames[1, 2]).resize((size, size), Image.Resampling.BILINEAR))
    assert np.abs(out[1, 2].numpy().astype(int) - wanted).max() <= 1
    there = geometry.resize_float(torch.from_numpy(frames[1, 2]).permute(2, 0, 1)[None], size)[0].permute(1, 2, 0)
    assert np.abs(there.numpy().astype(int) - wanted).max() <= 1


def test_crop_is_cutting_then_enlarging(smooth):
    clip = planes(smooth).expand(2, -1, -1, -1)
    box = torch.tensor([[3.0, 5.0, 21.0, 30.0], [0.0, 0.0, 40.0, 40.0]])
    out = geometry.crop_flip(clip, box, torch.tensor([False, False]), 40)
    cut = F.interpolate(clip[:1, :, 5:35, 3:24], (40, 40), mode="bilinear", align_corners=False)
    torch.testing.assert_close(out[:1], cut, atol=1e-2, rtol=0)
    torch.testing.assert_close(out[1:], clip[1:], atol=1e-2, rtol=0)


def test_flip_mirrors_the_crop(smooth):
    clip = planes(smooth).expand(2, -1, -1, -1)
    box = torch.tensor([[3.0, 5.0, 21.0, 30.0]] * 2)
    out = geometry.crop_flip(clip, box, torch.tensor([False, True]), 40)
    torch.testing.assert_close(out[1], out[0].flip(-1), atol=1e-2, rtol=0)


@pytest.mark.parametrize("degrees", [-21.0, 30.0])
def test_rotation_is_pillows(smooth, degrees):
    wanted = Image.fromarray(smooth).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128))
    assert_close_to(wanted, smooth, geometry.rotation(degrees, 40))


@pytest.mark.parametrize("coefficients", [(1, 0.21, 0, 0, 1, 0), (1, 0, 0, -0.3, 1, 0), (1, 0, 12.6, 0, 1, -7.3)])
def test_shear_and_translation_are_pillows(smooth, coefficients):
    wanted = Image.fromarray(smooth).transform(
        (40, 40), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128)
    )
    assert_close_to(wanted, smooth, np.array(coefficients).reshape(2, 3))


def assert_close_to(wanted, image, matrix):
    matrix = torch.from_numpy(matrix.astype(np.float32))[None]
    out = geometry.affine(planes(image), matrix, 128)[0].permute(1, 2, 0).numpy()
    difference = np.abs(out - np.asarray(wanted, np.float32))
    assert np.median(difference) <= 1  # the two cubics differ a little
    assert (difference > 4).mean() < 0.01  # single pixels whose source lies on the very edge
    assert np.abs(out - image).mean() > 5


def test_composition_is_one_after_the_other():
    first, second = geometry.rotation(20, 40), np.array([[1, 0.2, 3], [0.1, 1, -2.0]])
    point = np.array([11.0, 7.0, 1.0])
    through = first @ np.append(second @ point, 1)
    np.testing.assert_allclose(geometry.compose(first, second) @ point, through)


def test_multi_scale_boxes_are_the_published_ones():
    boxes = {geometry.multi_scale_box(generator("box", k), 160, (1.0, 0.875, 0.75, 0.66)) for k in range(3000)}
    sides = {(w, h) for _, _, w, h in boxes}
    scales = [160, 140, 120, 105]
    assert sides == {(a, b) for i, a in enumerate(scales) for j, b in enumerate(scales) if abs(i - j) <= 1}
    # Free space of 40 and 55: steps of 10 and 13.
    offsets = {(x // 10, y // 13) for x, y, w, h in boxes if (w, h) == (120, 105)}
    assert len(offsets) == 13
    assert {(0, 0), (4, 4), (2, 2), (2, 0), (0, 2), (1, 3), (3, 3)} <= offsets
    assert all(x + w <= 160 and y + h <= 160 for x, y, w, h in boxes)


def test_random_resized_boxes_keep_to_area_and_aspect():
    boxes = np.array(
        [geometry.random_resized_box(generator("box", k), 160, (0.08, 1.0), (0.75, 4 / 3)) for k in range(500)]
    )
    w, h = boxes[:, 2], boxes[:, 3]
    assert (boxes[:, 0] + w <= 160).all()
    assert (boxes[:, 1] + h <= 160).all()
    area = w * h / 160**2
    assert 0.075 < area.min() < 0.12
    assert area.max() > 0.9
    assert 0.73 < (w / h).min() < 0.8
    assert 1.25 < (w / h).max() < 1.36
