"""The fixed-size crop against slices."""

from __future__ import annotations

import numpy as np
import torch

from mien.transforms.lip_crop import LipCrop

FRAMES = torch.randint(0, 256, (2, 3, 12, 12, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def params_of(crop: LipCrop, seeds: tuple[int, ...]) -> dict[str, torch.Tensor]:
    drawn = [crop.draw(np.random.default_rng(s)) for s in seeds]
    return {k: torch.from_numpy(np.stack([d[k] for d in drawn])) for k in drawn[0]}


def test_pixels_are_those_of_the_slice():
    crop = LipCrop(12, 8, mean=(0.4,), std=(0.2,))
    params = params_of(crop, (1, 5))
    out = crop.apply(FRAMES, params)
    assert out.shape == (2, 1, 3, 8, 8)
    for b in range(2):
        r, c = params["corner"][b].tolist()
        part = FRAMES[b, :, r : r + 8, c : c + 8, 0].double() / 255
        part = part.flip(2) if params["flip"][b] else part
        torch.testing.assert_close(out[b, 0].double(), (part - 0.4) / 0.2, atol=1e-5, rtol=0)


def test_places_and_flips_are_spread_in_training_and_fixed_otherwise():
    params = params_of(LipCrop(12, 8), tuple(range(400)))
    assert set(params["corner"].flatten().tolist()) == {0, 1, 2, 3, 4}
    assert 0.4 < params["flip"].float().mean() < 0.6
    fixed = params_of(LipCrop(12, 8, random=False, flip=0.0), (1, 2, 3))
    assert (fixed["corner"] == 2).all()
    assert not fixed["flip"].any()


def test_larger_and_coloured_frames_are_brought_to_size():
    crop = LipCrop(12, 8, random=False, flip=0.0)
    frames = torch.full((1, 2, 24, 24, 3), 100, dtype=torch.uint8)
    out = crop.apply(frames, params_of(crop, (0,)))
    assert out.shape == (1, 1, 2, 8, 8)
    torch.testing.assert_close(out, torch.full_like(out, (100 / 255 - 0.421) / 0.165), atol=1e-4, rtol=0)
