from __future__ import annotations

import numpy as np
import torch

from mien.layers.patch import patchify, unpatchify
from mien.losses.reconstruction import masked_mse, normalize_tubes, pixels
from mien.transforms.clip import IMAGENET_MEAN, IMAGENET_STD
from tests.models.official_keys import hash01


def test_tubes_are_in_time_row_column_order_and_come_back():
    clip = torch.randn(2, 3, 4, 32, 48)
    tubes = patchify(clip, (2, 16, 16))
    assert tubes.shape == (2, 12, 512, 3)
    t, h, w, frame, row, column = 1, 1, 2, 1, 5, 7
    expected = clip[1, :, 2 * t + frame, 16 * h + row, 16 * w + column]
    assert torch.equal(tubes[1, t * 6 + h * 3 + w, frame * 256 + row * 16 + column], expected)
    assert torch.equal(unpatchify(tubes, (2, 2, 3), (2, 16, 16)), clip)


def test_targets_equal_the_published_ones():
    """Values measured on the published code (visible 3, 11, 27, 38, 44, 52, 65, 71, 88, 96 of each slice)."""
    shape = (2, 3, 16, 160, 160)
    clip = torch.from_numpy((3 * hash01(int(np.prod(shape)), 0) - 1.5).astype(np.float32).reshape(shape))
    target, _, _ = normalize_tubes(patchify(pixels(clip, IMAGENET_MEAN, IMAGENET_STD), (2, 16, 16)))
    masked = [s for s in range(100) if s not in (3, 11, 27, 38, 44, 52, 65, 71, 88, 96)]
    index = torch.tensor([t * 100 + s for t in range(8) for s in masked])
    target = target.flatten(2)[:, index]
    first = torch.tensor([-1.58365, -0.39435, -1.40337, -0.54203])
    torch.testing.assert_close(target[0, 0, :4], first, atol=2e-5, rtol=0)
    second = torch.tensor([-1.20903, -0.29427, -1.35319, 0.93040])
    torch.testing.assert_close(target[0, 0, 768:772], second, atol=2e-5, rtol=0)
    assert abs(target.std(correction=0).item() - 0.999018) < 1e-5


def test_normalisation_against_numpy_and_back():
    tubes = torch.rand(1, 2, 512, 3)
    normal, mean, scale = normalize_tubes(tubes)
    values = tubes[0, 1, :, 2].numpy().astype(np.float64)
    expected = (values - values.mean()) / (values.std(ddof=1) + 1e-6)
    np.testing.assert_allclose(normal[0, 1, :, 2], expected, atol=1e-5)
    torch.testing.assert_close(normal * scale + mean, tubes)


def test_loss_is_the_mean_square_in_float32():
    prediction, target = torch.randn(2, 5, 8, dtype=torch.bfloat16), torch.randn(2, 5, 8)
    expected = np.mean((prediction.double().numpy() - target.numpy()) ** 2)
    assert abs(masked_mse(prediction, target).item() - expected) < 1e-6
