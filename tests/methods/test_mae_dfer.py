"""MAE-DFER's target, loss and orders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mien.data.labels import LabelSpec
from mien.encoders.lgi_former import LGIFormerConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.errors import UserError
from mien.layers.mask import TubeMask
from mien.methods.mae_dfer import MAEDFERConfig
from mien.tasks.classify import ClassifyConfig
from mien.train.optim import OptimConfig, build_optimizer
from mien.transforms.clip import ClipSpec
from tests.methods.test_conformance import METHODS, PYRAMID, batch


def test_lambda_weighs_appearance_against_motion():
    prediction, target = torch.randn(2, 3, 4, 1536, generator=torch.Generator().manual_seed(0))
    squares = (prediction - target).square().double()
    for weight in (0.0, 0.3, 0.5, 1.0):
        config = METHODS["mae-dfer"]
        assert isinstance(config, MAEDFERConfig)
        loss = replace(config, appearance_weight=weight).build().loss(prediction, target)
        expected = weight * squares[..., :768].mean() + (1 - weight) * squares[..., 768:].mean()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_region_order_is_the_published_permutation():
    """Rows 0-4, 10-14, 5-9, 15-19 of the raster order, then 20 further for each pair of slices (decisions: token-order)."""
    encoder = LGIFormerConfig(dim=16, num_heads=1, depth=1).build()
    keep = torch.from_numpy(TubeMask(10, 10, 0.9, (5, 10)).draw(np.random.default_rng(0)))[None]
    pair = [*range(5), *range(10, 15), *range(5, 10), *range(15, 20)]
    assert encoder.region_order(keep)[0].tolist() == [20 * i + p for i in range(4) for p in pair]


def test_decoder_order_moves_tokens_and_nothing_else():
    raster, region = METHODS["mae-dfer"].build().eval(), METHODS["mae-dfer-region-order"].build().eval()
    region.load_state_dict(raster.state_dict())
    clip, keep = batch()["clip"], batch()["keep"]
    encoder: Any = raster.encoder
    tokens, order = raster.encode(clip, keep), encoder.region_order(keep)
    assert torch.equal(region.encode(clip, keep), tokens)  # what a user gets is in raster order either way
    expected = torch.stack([tokens[b, order[b]] for b in range(2)])
    assert torch.equal(region.decoder_input(tokens, keep), expected)
    assert torch.equal(raster.decoder_input(tokens, keep), tokens)
    assert not torch.equal(order[0], torch.arange(48))
    assert not torch.allclose(region.reconstruct(clip, keep), raster.reconstruct(clip, keep))


def test_the_picture_shows_appearance_motion_and_their_sum():
    c, clip, keep = METHODS["mae-dfer"], batch()["clip"], batch()["keep"]
    mean, std = c.clip.mean, c.clip.std
    pixels = (clip * torch.tensor(std).view(3, 1, 1, 1) + torch.tensor(mean).view(3, 1, 1, 1)).clamp(0, 1)
    clip = (pixels - torch.tensor(mean).view(3, 1, 1, 1)) / torch.tensor(std).view(3, 1, 1, 1)
    rows = c.build().eval().pictures(clip, keep)
    first, second = pixels[:, :, ::2], pixels[:, :, 1::2]
    torch.testing.assert_close(rows["original"], first)
    torch.testing.assert_close(rows["original motion"], (second - first + 0.5).clamp(0, 1))
    _, h, w = c.grid
    seen = torch.zeros(len(keep), h * w, dtype=torch.bool).scatter(1, keep, True).view(-1, 1, 1, h, w)
    seen = seen.repeat_interleave(16, -1).repeat_interleave(16, -2).expand_as(first)
    torch.testing.assert_close(rows["next, reconstructed"][seen], second[seen])
    assert (rows["masked"] == 0.5)[~seen].all()
    assert (rows["masked motion"] == 0.5)[~seen].all()
    assert not torch.allclose(rows["next, reconstructed"][~seen], second[~seen])


@pytest.mark.parametrize("ratio", [0.29, 0.58, 0.75, 0.85, 0.9, 0.94, 0.95])
@pytest.mark.parametrize("window", [(10, 10), (5, 10), (2, 10), (5, 5), None])  # Table 4's regions, and the whole slice
def test_masks_hide_equally_many_tubes_in_every_window(window, ratio):
    mask, (h, w) = TubeMask(10, 10, ratio, window), window or (10, 10)
    for seed in range(5):
        keep = mask.draw(np.random.default_rng(seed))
        hidden = np.ones(100, int)
        hidden[keep] = 0
        counts = hidden.reshape(10 // h, h, 10 // w, w).sum(axis=(1, 3))
        assert (counts == int(ratio * (h * w))).all()
        assert len(keep) == mask.num_visible
        assert (np.diff(keep) > 0).all()
    if (window, ratio) == ((5, 10), 0.75):
        assert mask.num_visible == 26  # 37 of 50 hidden in each half (decisions: mask-rounding)


def test_representative_tokens_start_as_published_and_are_decayed_at_pre_training_alone():
    torch.manual_seed(0)
    method = METHODS["mae-dfer"].build()
    tokens: Any = method.encoder
    assert tokens.region_tokens.abs().max() <= 0.02
    task = ClassifyConfig(
        LabelSpec(("a", "b"), clip=ClipSpec(size=48)), METHODS["mae-dfer"].encoder, pool="summary"
    ).build()
    assert (decay_of(method, "encoder.region_tokens"), decay_of(task, "encoder.region_tokens")) == (0.05, 0)
    assert (decay_of(method, "decoder.mask_token"), decay_of(task, "head.weight")) == (0, 0.05)


def decay_of(learner: Any, name: str) -> float:
    parameter = dict(learner.named_parameters())[name]
    groups = build_optimizer(learner, OptimConfig()).param_groups
    return next(g["weight_decay"] for g in groups if any(p is parameter for p in g["params"]))


def test_a_mask_that_is_unequal_over_regions_is_refused():
    encoder = METHODS["mae-dfer"].encoder.build()
    with pytest.raises(ValueError, match="equally many tubes"):
        encoder(batch()["clip"], torch.tensor([[0, 1, 2, 3, 4, 8], [0, 2, 4, 5, 7, 8]]))


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="no motion"):
        MAEDFERConfig(TPSBTConfig(tube=(1, 16, 16)), clip=ClipSpec(num_frames=8))
    with pytest.raises(UserError, match="only an LGI-Former"):
        MAEDFERConfig(PYRAMID, clip=ClipSpec(size=48), decoder_order="region")
    with pytest.raises(UserError, match="grid is 8x10x10"):
        MAEDFERConfig(clip=ClipSpec(size=96))
    with pytest.raises(UserError, match="do not divide"):
        LGIFormerConfig(region=(2, 3, 10))
