"""Every encoder, the same questions. A new encoder is one line in MASKABLE or CONVOLUTIONAL."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from mien.encoders.lgi_former import LGIFormerConfig
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.resnet import ResNetConfig
from mien.encoders.table import EncoderConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.encoders.vit import ViTConfig
from mien.errors import UserError

PYRAMID = TPSBTConfig(dim=32, num_heads=2, depths=(2, 2, 2), bottlenecks=3)
REGIONS = LGIFormerConfig(dim=32, num_heads=2, depth=2, region=(2, 3, 1), grid=(8, 3, 2))
MASKABLE: dict[str, EncoderConfig] = {
    "tpsbt": PYRAMID,
    "tpsbt-deep": TPSBTConfig(dim=16, num_heads=1, depths=(1, 3, 1), bottlenecks=2),
    "tpsbt-no-pyramid": replace(PYRAMID, temporal_pyramid=False),
    "tpsbt-no-bottleneck": replace(PYRAMID, spatial_bottleneck=False),
    "tpsbt-neither": replace(PYRAMID, temporal_pyramid=False, spatial_bottleneck=False),
    "tpsbt-average": replace(PYRAMID, downsample="average"),
    "tpsbt-max": replace(PYRAMID, downsample="max"),
    "lgi-former": REGIONS,
    "lgi-former-whole-slices": replace(REGIONS, region=(1, 3, 2)),
    "lgi-former-no-intra": replace(REGIONS, intra_region=False),
    "lgi-former-no-inter": replace(REGIONS, inter_region=False),
    "lgi-former-no-local-global": replace(REGIONS, local_global=False),
    "vit": ViTConfig(dim=32, num_heads=2, depth=2),
}
CONVOLUTIONAL: dict[str, ResNetConfig | LipReadingConfig] = {
    "resnet18": ResNetConfig(width=8),
    "resnet18-grey": ResNetConfig(width=8, channels=1),
    "resnet50": ResNetConfig(depth=50, width=4),
    "lip-reading-relu": LipReadingConfig("relu", width=8),
    "lip-reading-swish": LipReadingConfig("swish", width=8),
    "lip-reading-prelu": LipReadingConfig("prelu", width=8),
    "lip-reading-colour": LipReadingConfig(width=8, channels=3),
}
ENCODERS = {**MASKABLE, **CONVOLUTIONAL}
CLIP = (2, 3, 16, 48, 32)
NUM_SPATIAL = 6


@pytest.fixture(params=ENCODERS, ids=str)
def config(request: pytest.FixtureRequest) -> EncoderConfig:
    torch.manual_seed(0)
    return ENCODERS[request.param]


@pytest.fixture(params=MASKABLE, ids=str)
def maskable(request: pytest.FixtureRequest) -> EncoderConfig:
    return MASKABLE[request.param]


def clip(config: EncoderConfig, seed: int = 0) -> Tensor:
    # Square for convolutions: torch 2.13's bfloat16 kernels for CPUs with AMX return garbage for 3x3 convolutions to maps of 2x1.
    shape = CLIP if config.supports_mask else (2, config.channels, 4, 48, 48)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def keep() -> Tensor:
    """Two tubes in each column, since the regions of LGI-Former must show equally many."""
    return torch.tensor([[0, 1, 3, 4], [1, 2, 4, 5]])


def idle(module: nn.Module) -> list[str]:
    """Parameters without a gradient, but for those that cannot have one: a constant added to the weights of TPSBT's spatial
    attention cancels in the softmax over the tokens. The published weights hold it all the same."""
    names = [n for n, p in module.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    return [n for n in names if not re.search(r"spatial_downsamples\.\d\.mlp\.fc2\.bias$", n)]


def test_shape_and_grid(config):
    out = config.build().eval()(clip(config))
    t, h, w = out.grid
    assert (h, w) == ((3, 2) if config.supports_mask else (2, 2))
    assert (h, w) == (config.spatial(48)[0], config.spatial(32 if config.supports_mask else 48)[1])
    assert out.tokens.shape == (2, t * h * w, config.dim)
    assert out.stages[-1] is out.tokens


def test_every_parameter_gets_a_gradient(config):
    for positions in (None, keep()) if config.supports_mask else (None,):
        encoder = config.build()
        out = encoder(clip(config), positions)
        loss = (out.tokens * torch.randn_like(out.tokens)).sum()
        if out.summary is not None:
            loss = loss + (out.summary * torch.randn_like(out.summary)).sum()
        loss.backward()
        assert idle(encoder) == []


def test_masked_pixels_cannot_influence_the_output(maskable):
    encoder, one = maskable.build().eval(), clip(maskable)
    tubes = one.reshape(2, 3, 16, 3, 16, 2, 16)
    other = tubes + 5.0 * torch.randn_like(tubes)
    for b, positions in enumerate(keep()):
        for p in positions.tolist():
            other[b, :, :, p // 2, :, p % 2] = tubes[b, :, :, p // 2, :, p % 2]
    changed = other.reshape(CLIP)
    assert not torch.equal(changed, one)
    before, after = encoder(one, keep()), encoder(changed, keep())
    assert all(torch.equal(a, b) for a, b in zip(before.stages, after.stages, strict=True))
    assert torch.equal(before.tokens, after.tokens)
    assert before.summary is None or torch.equal(before.summary, torch.as_tensor(after.summary))


def test_keeping_all_equals_no_mask(maskable):
    encoder = maskable.build().eval()
    everything = torch.arange(NUM_SPATIAL).expand(2, -1)
    assert torch.equal(encoder(clip(maskable), everything).tokens, encoder(clip(maskable)).tokens)


def test_batch_items_are_independent(config):
    encoder = config.build().eval()
    both, alone = encoder(clip(config)).tokens, encoder(clip(config)[:1]).tokens
    torch.testing.assert_close(both[:1], alone, rtol=1e-5, atol=1e-6)


def test_state_dict_round_trip_is_strict(config):
    first, second = config.build().eval(), config.build().eval()
    second.load_state_dict(first.state_dict(), strict=True)
    assert torch.equal(first(clip(config)).tokens, second(clip(config)).tokens)


def test_layer_of_is_total_and_monotone(config):
    encoder = config.build()
    parts = ("patch", "blocks", "conv1", "bn1", "frontend3D", "layer", "trunk")
    layers = [encoder.layer_of(name) for name, _ in encoder.named_parameters() if name.startswith(parts)]
    assert layers == sorted(layers)
    found = {encoder.layer_of(n) for n, _ in encoder.named_parameters()}
    assert found | {encoder.num_layers + 1} == set(range(encoder.num_layers + 2))  # a ViT has nothing above its blocks


def test_bfloat16_keeps_the_residual_stream_in_float32(config):
    encoder = config.build().eval()
    with torch.autocast("cpu", torch.bfloat16):
        out = encoder(clip(config))
    assert {s.dtype for s in out.stages} == {torch.float32}
    exact = encoder(clip(config)).tokens
    assert (out.tokens - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_model_of_another_precision_runs(config, dtype):
    out = config.build().to(dtype).eval()(clip(config).to(dtype), keep() if config.supports_mask else None)
    assert out.tokens.dtype == dtype
    assert out.tokens.isfinite().all()


def test_stochastic_depth_acts_in_training_only(maskable):
    encoder = replace(maskable, drop_path=0.5).build()
    torch.manual_seed(0)
    assert not torch.equal(encoder.train()(clip(maskable)).tokens, encoder(clip(maskable)).tokens)
    assert torch.equal(encoder.eval()(clip(maskable)).tokens, encoder(clip(maskable)).tokens)


def test_other_lengths_and_sizes(maskable):
    for shape in ((1, 3, 8, 16, 16), (1, 3, 32, 32, 64)):
        grid = (shape[2] // 2, shape[3] // 16, shape[4] // 16)
        encoder = (
            replace(maskable, grid=grid, region=(2, 1, 1)) if isinstance(maskable, LGIFormerConfig) else maskable
        ).build()
        t, h, w = (out := encoder(torch.zeros(shape))).grid
        assert (h, w) == grid[1:]
        assert out.tokens.shape[1] == t * h * w
        assert out.stages[0].shape[1] == math.prod(grid)


@pytest.mark.parametrize("shape", [(1, 3, 13, 48, 32), (1, 3, 16, 40, 32)])
def test_sizes_that_do_not_divide_are_refused(maskable, shape):
    with pytest.raises(ValueError, match=r"frames"):
        maskable.build()(torch.zeros(shape))
    with pytest.raises(UserError):
        maskable.check_clip(shape[2], shape[3])
