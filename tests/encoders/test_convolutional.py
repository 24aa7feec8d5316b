"""ResNets and the lip-reading front end: counts, arithmetic, frozen stages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.data.labels import LabelSpec
from mien.encoders.lip_reading import LipReadingConfig, lip_reading, lip_reading_micro
from mien.encoders.resnet import ResNetConfig, resnet18, resnet50, resnet_micro
from mien.encoders.table import EncoderConfig
from mien.errors import UserError
from mien.methods.videomae import VideoMAEConfig
from mien.tasks.classify import ClassifyConfig
from mien.transforms.clip import ClipSpec
from tests.encoders.test_conformance import CONVOLUTIONAL


@pytest.fixture(params=CONVOLUTIONAL, ids=str)
def config(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    return CONVOLUTIONAL[request.param]


def lively(config: EncoderConfig) -> nn.Module:
    """An encoder whose BatchNorm statistics and PReLU slopes are not those it begins with."""
    encoder = config.build().eval()
    for name, buffer in encoder.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(0.2, 1.2)
    return encoder


def counted(config: EncoderConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in config.build().parameters())


def test_parameters_of_the_published_models():
    """(decisions: parameter-counts)"""
    assert counted(resnet18()) == 11_176_512
    assert counted(resnet50()) == 23_508_032
    assert counted(lip_reading()) == counted(LipReadingConfig("swish")) == 11_182_784
    assert counted(LipReadingConfig("prelu")) == 11_186_688
    assert len(lip_reading().build().state_dict()) == 120


@pytest.mark.parametrize(
    ("depth", "frozen", "trainable"),
    [(18, 3, 9_199_624), (50, 3, 17_343_496), (18, 2, 11_299_336), (50, 2, 24_441_864)],
)
def test_trainable_parameters_of_the_published_recipes(depth: Any, frozen: int, trainable: int):
    """With SRP and a classifier of eight (decisions: trainable-parameters)."""
    spec = LabelSpec(tuple("abcdefgh"), per="frame", clip=ClipSpec(num_frames=1, size=224))
    config = ClassifyConfig(spec, ResNetConfig(depth=depth, frozen_stages=frozen), pool="srp", head_norm="none")
    with torch.device("meta"):
        task = config.build()
    assert sum(p.numel() for p in task.parameters() if p.requires_grad) == trainable


# ---------------------------------------------------------------- arithmetic


def norm(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    mean, var, gain, bias = (
        state[f"{name}.{n}"].reshape(-1, 1, 1) for n in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * gain + bias


def active(x: Tensor, state: dict[str, Tensor], name: str, kind: str) -> Tensor:
    if kind == "prelu":
        return torch.where(x > 0, x, x * state[f"{name}.weight"].reshape(-1, 1, 1))
    return x.clamp(min=0) if kind == "relu" else x / (1 + torch.exp(-x))


def block(x: Tensor, state: dict[str, Tensor], name: str, stride: int, kind: str) -> Tensor:
    number = 3 if f"{name}.conv3.weight" in state else 2
    strided = 2 if number == 3 else 1  # the middle convolution of a bottleneck
    y = x
    for i in range(1, number + 1):
        weight = state[f"{name}.conv{i}.weight"]
        y = F.conv2d(y, weight, stride=stride if i == strided else 1, padding=weight.shape[-1] // 2)
        y = norm(y, state, f"{name}.bn{i}")
        if i < number:
            y = active(y, state, f"{name}.relu{i}", kind)
    if f"{name}.downsample.0.weight" in state:
        x = norm(F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride), state, f"{name}.downsample.1")
    return active(x + y, state, f"{name}.relu{number}", kind)


def stem(clip: Tensor, state: dict[str, Tensor], kind: str) -> Tensor:
    """Frames [B*T, C, H/4, W/4]; the 3-D convolution as a sum of 2-D ones over shifted frames."""
    B, _, T, H, W = clip.shape
    if "conv1.weight" in state:
        x = F.conv2d(clip.transpose(1, 2).flatten(0, 1), state["conv1.weight"], stride=2, padding=3)
        return F.max_pool2d(active(norm(x, state, "bn1"), state, "", kind), 3, 2, 1)
    padded = F.pad(clip, (0, 0, 0, 0, 2, 2)).transpose(1, 2)
    weight = state["frontend3D.0.weight"]
    parts = (F.conv2d(padded[:, k : k + T].flatten(0, 1), weight[:, :, k], stride=2, padding=3) for k in range(5))
    x = active(norm(torch.stack(list(parts)).sum(dim=0), state, "frontend3D.1"), state, "frontend3D.2", kind)
    assert x.shape == (B * T, len(weight), -(-H // 2), -(-W // 2))
    return F.max_pool2d(x, 3, 2, 1)


def test_maps_against_a_computation_of_its_own(config):
    encoder = lively(config).double()
    state = encoder.state_dict()
    clip = torch.randn(2, config.channels, 3, 70, 64, dtype=torch.float64)
    kind = config.activation if isinstance(config, LipReadingConfig) else "relu"
    prefix = "trunk." if isinstance(config, LipReadingConfig) else ""
    with torch.no_grad():
        x = stem(clip, state, kind)
        for name in sorted({k.partition(".conv1")[0] for k in state if "layer" in k and ".conv1." in k}):
            _, i, j = name.removeprefix(prefix).replace("layer", ".").split(".")
            x = block(x, state, name, 2 if int(i) > 1 and int(j) == 0 else 1, kind)
        out = encoder(clip)
    assert out.grid == (3, 3, 2)
    expected = x.reshape(2, 3, config.dim, 3, 2).permute(0, 1, 3, 4, 2).reshape(2, 18, config.dim)
    torch.testing.assert_close(out.tokens, expected)


def test_a_resnet_sees_frames_one_by_one_and_the_front_end_five(config):
    encoder = lively(config)
    clip = torch.randn(1, config.channels, 9, 64, 64)
    other = clip.clone()
    other[:, :, 4] += 1
    with torch.no_grad():
        moved = (encoder(clip).tokens - encoder(other).tokens).reshape(9, -1).abs().amax(dim=1) > 1e-6
    seen = {2, 3, 4, 5, 6} if isinstance(config, LipReadingConfig) else {4}
    assert set(moved.nonzero().flatten().tolist()) == seen


@pytest.mark.parametrize(("size", "side"), [(32, 1), (33, 2), (64, 2), (88, 3), (96, 3), (224, 7), (225, 8)])
def test_sides_of_maps(size: int, side: int, config):
    config.check_clip(1, size)
    assert config.spatial(size) == (side, side)
    out = config.build().eval()(torch.zeros(1, config.channels, 1, size, size))
    assert out.grid == (1, side, side)


def test_initialisation_is_the_published_one():
    """Deviation sqrt(2 / (kernel x output channels)); norms 1 and 0 (decisions: convolution-initialisation)."""
    for config, weight, std in (
        (resnet18(), "layer4.1.conv2.weight", (2 / (9 * 512)) ** 0.5),
        (resnet18(), "layer3.0.downsample.0.weight", (2 / 256) ** 0.5),
        (lip_reading(), "frontend3D.0.weight", (2 / (5 * 49 * 64)) ** 0.5),
        (lip_reading(), "trunk.layer2.0.conv1.weight", (2 / (9 * 128)) ** 0.5),
    ):
        torch.manual_seed(0)
        state = config.build().state_dict()
        assert state[weight].std().item() == pytest.approx(std, rel=0.02)
        assert all((v == 1).all() for k, v in state.items() if k.endswith(("bn1.weight", "frontend3D.1.weight")))


# ---------------------------------------------------------------- frozen stages


@pytest.mark.parametrize("frozen", [-1, 0, 1, 2, 3, 4])
def test_frozen_stages_do_not_move_and_the_others_do(frozen: int, config):
    encoder = replace(config, frozen_stages=frozen).build()
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    encoder.eval()
    encoder.train()
    optimizer = torch.optim.SGD([p for p in encoder.parameters() if p.requires_grad] or [torch.zeros(1)], lr=0.1)
    for _ in range(2):
        tokens = encoder(torch.randn(4, config.channels, 2, 64, 64)).tokens
        if tokens.requires_grad:
            tokens.square().mean().backward()
        optimizer.step()
    assert encoder.training
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name]) == (encoder.layer_of(name) <= frozen), name
    for name, parameter in encoder.named_parameters():
        assert parameter.requires_grad == (encoder.layer_of(name) > frozen)


def test_frozen_stages_change_no_names(config):
    assert list(replace(config, frozen_stages=2).build().state_dict()) == list(config.build().state_dict())


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"frozen_stages": 5}, "5 frozen stages: give -1 for none"),
        ({"frozen_stages": -2}, "-2 frozen stages"),
        ({"width": 0}, "width 0"),
        ({"channels": 2}, "2 channels"),
    ],
)
def test_values_that_no_encoder_can_have(values: dict[str, Any], says: str):
    for kind in (ResNetConfig, LipReadingConfig):
        with pytest.raises(UserError, match=says):
            kind(**values)


def test_other_refusals():
    depth: Any = 34
    with pytest.raises(UserError, match="depth 34: give 18 or 50"):
        ResNetConfig(depth=depth)
    activation: Any = "gelu"
    with pytest.raises(UserError, match="gelu: give relu, swish, prelu"):
        LipReadingConfig(activation)
    for small in (resnet_micro(), lip_reading_micro()):
        with pytest.raises(UserError, match="size 31 px: give 32 or more"):
            small.check_clip(1, 31)
        with pytest.raises(UserError, match="0 frames"):
            small.check_clip(0, 64)
        with pytest.raises(UserError, match="has no masked tubes, its convolutions see every pixel"):
            VideoMAEConfig(encoder=small)
        with pytest.raises(ValueError, match="without `keep`"):
            small.build()(torch.zeros(1, small.channels, 1, 32, 32), torch.zeros(1, 1, dtype=torch.int64))
