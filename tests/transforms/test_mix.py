"""Mixup and CutMix against a computation by hand."""

import numpy as np
import pytest
import torch

from mien.rng import generator
from mien.transforms.mix import Mix, soft_targets


def test_smoothing_is_inside_the_target():
    target = soft_targets(torch.tensor([1, 3]), 4, 0.1)
    torch.testing.assert_close(target, torch.tensor([[0.025, 0.925, 0.025, 0.025], [0.025, 0.025, 0.025, 0.925]]))


def test_mixup_by_hand():
    clip = torch.tensor([1.0, 2.0, 10.0, 20.0]).reshape(4, 1, 1, 1, 1).expand(4, 3, 2, 4, 4)
    target = torch.eye(4)
    mixed, soft = Mix().apply(clip, target, {"lam": 0.75, "box": None})
    assert mixed[:, 0, 0, 0, 0].tolist() == [5.75, 4.0, 8.0, 15.25]
    assert soft[0].tolist() == [0.75, 0, 0, 0.25]
    assert soft[1].tolist() == [0, 0.75, 0.25, 0]


def test_cutmix_by_hand():
    clip = torch.arange(2.0).reshape(2, 1, 1, 1, 1).expand(2, 3, 2, 4, 8).clone()
    mixed, soft = Mix().apply(clip, torch.eye(2), {"lam": 1 - 6 / 32, "box": (5, 1, 3, 2)})
    assert mixed[0].sum() == 3 * 2 * 6  # the same box in every channel and frame
    assert (mixed[0, :, :, 1:3, 5:8] == 1).all()
    assert mixed[1].sum() == 3 * 2 * (32 - 6)
    torch.testing.assert_close(soft, torch.tensor([[0.8125, 0.1875], [0.1875, 0.8125]]))
    assert clip[0].sum() == 0


def test_cutmix_lambda_is_the_area_left_after_cutting_at_the_border():
    draws = [Mix(mixup=0).draw(generator("mix", k), (20, 30)) for k in range(500)]
    for draw in draws:
        assert draw["box"] is not None
        x, y, w, h = draw["box"]
        assert 0 <= x <= x + w <= 30
        assert 0 <= y <= y + h <= 20
        assert draw["lam"] == pytest.approx(1 - w * h / 600)
    # Uniform lambda (alpha 1) gives a box of half the picture on average, of which cutting leaves less.
    assert 0.55 < np.mean([d["lam"] for d in draws]) < 0.75


def test_published_draws():
    draws = [Mix().draw(generator("mix", k), (16, 16)) for k in range(2000)]
    mixup = [d["lam"] for d in draws if d["box"] is None]
    assert 0.46 < len(mixup) / 2000 < 0.54
    assert np.std(mixup) == pytest.approx((0.25 / 2.6) ** 0.5, abs=0.015)  # Beta(0.8, 0.8): 1 / (4 (2 * 0.8 + 1))


@pytest.mark.parametrize("config", [Mix(mixed_share=0), Mix(0, 0)])
def test_off_means_untouched(config):
    draw = config.draw(generator(0), (8, 8))
    clip, target = torch.rand(2, 3, 1, 8, 8), torch.eye(2)
    mixed, soft = config.apply(clip, target, draw)
    assert mixed is clip
    assert soft is target


def test_only_one_kind():
    assert all(Mix(cutmix=0).draw(generator("mix", k), (8, 8))["box"] is None for k in range(50))
