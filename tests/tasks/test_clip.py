"""What comes between encoder and head: spatial reserve pooling, the block over time, the norm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from mien.data.labels import LabelSpec
from mien.encoders.lgi_former import LGIFormerConfig
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.resnet import ResNetConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.encoders.vit import ViTConfig
from mien.errors import UserError
from mien.layers.spatial_reserve import SpatialReserve
from mien.tasks.classify import ClassifyConfig
from mien.tasks.regress import RegressConfig
from mien.transforms.clip import ClipSpec
from mien.transforms.mix import Mix
from tests.encoders.test_conformance import idle

ENCODERS: dict[str, Any] = {
    "resnet": ResNetConfig(width=4),
    "lip-reading": LipReadingConfig(width=4),
    "tpsbt": TPSBTConfig(dim=32, num_heads=2, depths=(1, 2, 2), bottlenecks=2),
    "vit": ViTConfig(dim=32, num_heads=2, depth=1),
    "lgi-former": LGIFormerConfig(dim=32, num_heads=2, depth=1, region=(2, 3, 3), grid=(8, 6, 6)),
}
SIZE, NUM_FRAMES = 96, 16


@pytest.fixture(params=ENCODERS, ids=str)
def encoder(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    return ENCODERS[request.param]


def task(encoder: Any, per: Any = "clip", **fields: Any) -> Any:
    spec = LabelSpec(
        ("a", "b", "c"), per=per, clip=replace(ClipSpec.usual(encoder.channels, SIZE), num_frames=NUM_FRAMES)
    )
    return ClassifyConfig(spec, encoder, mix=Mix(0.0, 0.0), **{"pool": "tokens", **fields}).build()


def clip(encoder: Any, num: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(num, encoder.channels, NUM_FRAMES, SIZE, SIZE, generator=generator)


@pytest.mark.parametrize("per", ["clip", "frame"])
@pytest.mark.parametrize("pool", ["tokens", "srp"])
@pytest.mark.parametrize("over_time", ["mean", "transformer", "gru"])
def test_every_pooling_works_on_every_encoder(encoder, per, pool, over_time):
    model = task(encoder, per, pool=pool, over_time=over_time, head_norm="none")
    model.train()
    features = model.features(clip(encoder))
    if pool == "srp":
        h, w = encoder.spatial(SIZE)
        width = 256 * ((h - 1) // 2) * ((w - 1) // 2)
    else:
        width = encoder.dim
    assert features.shape == ((2, width) if per == "clip" else (2, NUM_FRAMES, width))
    logits = model(clip(encoder))
    (logits * torch.randn_like(logits)).sum().backward()
    assert idle(model) == []


@pytest.mark.parametrize(("dim", "count"), [(512, 787_456), (2048, 2_360_320)])
@pytest.mark.parametrize(("side", "values"), [(7, 2304), (3, 256), (4, 256), (5, 1024)])
def test_counts_and_shapes_of_spatial_reserve_pooling(dim: int, count: int, side: int, values: int):
    """A 7x7 map (224 px) becomes 6x6, then 3x3 of 256 values (decisions: spatial-reserve-pooling)."""
    pooling = SpatialReserve(dim, (side, side))
    assert sum(p.numel() for p in pooling.parameters()) == count
    assert pooling.dim == values
    assert pooling(torch.randn(2, side * side, dim)).shape == (2, values)


def test_spatial_reserve_pooling_knows_where():
    """Two faces with the same features elsewhere: an average cannot tell them apart."""
    torch.manual_seed(0)
    pooling = SpatialReserve(16, (7, 7)).eval()
    tokens = torch.randn(1, 49, 16)
    mirrored = tokens.unflatten(1, (7, 7)).flip(2).flatten(1, 2)
    torch.testing.assert_close(tokens.mean(dim=1), mirrored.mean(dim=1))
    assert (pooling(tokens) - pooling(mirrored)).abs().max() > 0.1


def test_it_pools_each_frame_by_itself_and_averages():
    config = ENCODERS["resnet"]
    model = task(config, pool="srp", head_norm="none").eval()
    one = clip(config, 1)
    frames = one.transpose(1, 2).flatten(0, 1)[:, :, None]
    torch.testing.assert_close(model.features(frames).mean(dim=0), model.features(one)[0], rtol=1e-4, atol=1e-5)
    each = task(config, "frame", pool="srp", head_norm="none").eval()
    each.load_state_dict(model.state_dict())
    torch.testing.assert_close(each.features(one)[0], model.features(frames), rtol=1e-4, atol=1e-5)


def test_only_the_block_over_time_sees_an_order():
    config = ENCODERS["resnet"]
    one = clip(config, 1)
    for over_time, moved in (("mean", False), ("transformer", True), ("gru", True)):
        model = task(config, over_time=over_time).eval()
        gap = (model.features(one) - model.features(one.flip(2))).abs().max().item()
        assert (gap > 1e-3) == moved


def test_a_bare_head_starts_as_published():
    model = task(ResNetConfig(width=32), pool="tokens", head_norm="none")
    assert model.head.weight.std().item() == pytest.approx(0.01, rel=0.15)
    assert not model.head.bias.any()
    features = model.eval().features(clip(model.encoder.config))
    torch.testing.assert_close(features, model.encoder(clip(model.encoder.config)).tokens.mean(dim=1))


def test_frozen_stages_stay_frozen_inside_a_task():
    model = task(ResNetConfig(width=4, frozen_stages=1), pool="srp", head_norm="none").train()
    grads = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert grads == {
        n for n, _ in model.named_parameters() if n.startswith(("encoder.conv1.", "encoder.bn1.", "encoder.layer1."))
    }
    assert not model.encoder.bn1.training
    assert not model.encoder.layer1[1].bn2.training
    assert model.encoder.layer2[0].bn1.training
    assert model.neck.conv1.bn.training


def test_refusals():
    spec = LabelSpec(("a",), kind="dimensional", clip=ClipSpec(num_frames=8, size=64))
    with pytest.raises(
        UserError, match=r"at 64 px: the encoder has 2x2 places, .* needs 3x3; give a size of 65 px or more"
    ):
        RegressConfig(spec, ENCODERS["resnet"], pool="srp").build()
    spec = LabelSpec(("a",), kind="dimensional", clip=ClipSpec(num_frames=8, size=32))
    with pytest.raises(UserError, match="give a size of 48 px or more"):
        RegressConfig(spec, ENCODERS["vit"], pool="srp").build()
    with pytest.raises(UserError, match='pool "fused" has no order over time; give tokens or srp'):
        task(ENCODERS["tpsbt"], pool="fused", over_time="transformer")
    with pytest.raises(UserError, match='pool "summary": this encoder has tokens, srp'):
        task(ENCODERS["resnet"], pool="summary")
    model = task(ENCODERS["resnet"], pool="srp").eval()
    with pytest.raises(ValueError, match=r"4x4 places, spatial reserve pooling was made for \(3, 3\)"):
        model(torch.zeros(1, 3, 2, 128, 128))
