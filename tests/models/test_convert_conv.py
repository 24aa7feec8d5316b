"""ResNets, ABAW5 models and lip-reading front ends to model folders and back. The files are made here, from names and shapes
written down independently of the encoders (decisions: convolutional-tensor-names)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mien.data.labels import LabelSpec
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.resnet import ResNetConfig
from mien.encoders.vit import ViTConfig
from mien.errors import UserError
from mien.methods.simsiam import SimSiamConfig
from mien.models import load
from mien.models.convert import config_and_weights
from mien.models.folder import Provenance, save_model
from mien.models.options import ConvertOptions
from mien.recipes import recipe
from mien.tasks.classify import ClassifyConfig
from mien.transforms.clip import ClipSpec
from mien.verbs.finetune import Finetune, begun
from mien.verbs.main import run

Shapes = dict[str, tuple[int, ...]]
COUNTER = "num_batches_tracked"


def batch_norm(name: str, dim: int) -> Shapes:
    values = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{v}": (dim,) for v in values} | {f"{name}.{COUNTER}": ()}


def stage(name: str, dim: int, width: int, blocks: int, bottleneck: bool, prelu: bool = False) -> Shapes:
    out, shapes = width * (4 if bottleneck else 1), Shapes()
    for i in range(blocks):
        kernels = [(width, 1), (width, 3), (out, 1)] if bottleneck else [(width, 3), (width, 3)]
        channels = dim
        for j, (wide, side) in enumerate(kernels, start=1):
            shapes[f"{name}.{i}.conv{j}.weight"] = (wide, channels, side, side)
            shapes |= batch_norm(f"{name}.{i}.bn{j}", wide)
            if prelu:
                shapes[f"{name}.{i}.relu{j}.weight"] = (wide,)
            channels = wide
        if i == 0 and (bottleneck or not name.endswith("layer1")):
            shapes[f"{name}.{i}.downsample.0.weight"] = (out, dim, 1, 1)
            shapes |= batch_norm(f"{name}.{i}.downsample.1", out)
        dim = out
    return shapes


def stages(depth: int, prefix: str = "", prelu: bool = False) -> Shapes:
    bottleneck, dim, shapes = depth == 50, 64, Shapes()
    for i, blocks in enumerate((3, 4, 6, 3) if bottleneck else (2, 2, 2, 2)):
        shapes |= stage(f"{prefix}layer{i + 1}", dim, 64 * 2**i, blocks, bottleneck, prelu)
        dim = 64 * 2**i * (4 if bottleneck else 1)
    return shapes


def torchvision(depth: int, classifier: bool = True) -> Shapes:
    shapes = {"conv1.weight": (64, 3, 7, 7)} | batch_norm("bn1", 64) | stages(depth)
    dim = 2048 if depth == 50 else 512
    return shapes | ({"fc.weight": (1000, dim), "fc.bias": (1000,)} if classifier else {})


def abaw5(depth: int, srp: bool, classes: int = 8) -> Shapes:
    dim = 2048 if depth == 50 else 512
    shapes = {f"backbone.{k}": v for k, v in torchvision(depth, classifier=False).items()}
    if srp:
        shapes |= {"neck.conv1.conv.weight": (256, dim, 2, 2)} | batch_norm("neck.conv1.bn", 256)
        shapes |= {"neck.conv2.conv.weight": (256, 256, 2, 2)} | batch_norm("neck.conv2.bn", 256)
        dim = 2304
    return shapes | {"head.fc.weight": (classes, dim), "head.fc.bias": (classes,)}


def lips(prelu: bool = False) -> Shapes:
    shapes = {"frontend3D.0.weight": (64, 1, 5, 7, 7)} | batch_norm("frontend3D.1", 64)
    shapes |= {"frontend3D.2.weight": (64,)} if prelu else {}
    return shapes | stages(18, "trunk.", prelu)


def filled(shapes: Shapes) -> dict[str, Tensor]:
    """Another number in every place; variances are positive."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}
    for i, (key, shape) in enumerate(shapes.items()):
        values = 0.05 * torch.randn(shape, generator=generator)
        state[key] = torch.tensor(7 + i) if key.endswith(COUNTER) else values.abs() if "running_var" in key else values
    return state


def stand_in(shapes: Shapes) -> dict[str, Tensor]:
    """Takes no memory: every tensor is one number."""
    return {
        k: torch.tensor(i) if k.endswith(COUNTER) else torch.tensor(float(i)).expand(shape)
        for i, (k, shape) in enumerate(shapes.items())
    }


def converted(shapes: Shapes, name: Any, **options: Any) -> tuple[Any, dict[str, Tensor], list[str]]:
    return config_and_weights(stand_in(shapes), Path("theirs.pth"), ConvertOptions(name, **options))


def refused(shapes: Shapes, name: str, **options: Any) -> str:
    with pytest.raises(UserError) as error:
        converted(shapes, name, **options)
    return str(error.value)


# ---------------------------------------------------------------- there and back


FILES: dict[str, tuple[str, Shapes, Any]] = {
    "torchvision": ("resnet18", torchvision(18, classifier=False), lambda state: state),
    "abaw5": ("resnet18", abaw5(18, srp=True), lambda state: {"meta": {"epoch": 3}, "state_dict": state}),
    "lips": ("lipreading-resnet18", lips(), lambda state: {"epoch_idx": 80, "model_state_dict": state}),
}


@pytest.mark.parametrize("kind", FILES)
def test_round_trip_of_files_is_bit_identical(kind: str, tmp_path: Path):
    name, shapes, wrap = FILES[kind]
    before = filled(shapes)
    torch.save(wrap(before), tmp_path / "theirs.pth")
    assert run(["convert", str(tmp_path / "theirs.pth"), "--as", name, "--out", str(tmp_path / "ours")]) == 0
    assert run(["convert", str(tmp_path / "ours"), "--to", "official", str(tmp_path / "back.pth")]) == 0
    after = torch.load(tmp_path / "back.pth", weights_only=True)
    after = after.get("state_dict", after.get("model_state_dict", after))
    assert set(after) == set(before)
    assert all(after[k].dtype == v.dtype and torch.equal(after[k], v) for k, v in before.items())


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("srp", [True, False], ids=["srp", "gap"])
def test_a_released_model_is_a_classifier_of_frames(depth: int, srp: bool):
    config, weights, notes = converted(abaw5(depth, srp), f"resnet{depth}")
    spec = config.spec
    assert spec.names == ("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Other")
    assert (spec.per, spec.clip.size, spec.clip.mean, config.test_resize) == ("frame", 224, (0.485, 0.456, 0.406), 256)
    assert (spec.contract.store.size, spec.contract.verified) == (256, False)
    assert (config.pool, config.head_norm) == ("srp" if srp else "tokens", "none")
    assert any("in the published order: Neutral, Anger" in note for note in notes)
    with torch.device("meta"):
        model = config.build()
    model.load_state_dict(weights, assign=True)
    trainable = sum(p.numel() for p in model.parameters())
    backbone = 11_176_512 if depth == 18 else 23_508_032
    head = {(18, True): 805_896, (50, True): 2_378_760, (18, False): 8 * 513, (50, False): 8 * 2049}
    assert trainable == backbone + head[depth, srp]


def test_outputs_of_a_converted_model_against_a_computation_by_hand(tmp_path: Path):
    """Everything after the backbone, with torch's functions on the file's own tensors."""
    state = filled(abaw5(18, srp=True))
    config, weights, _ = config_and_weights(state, Path("x"), ConvertOptions("resnet18"))
    model = config.build()
    model.load_state_dict(weights)
    model.eval()
    clip = torch.randn(1, 3, 1, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = model(clip)
        x = model.encoder(clip).tokens.reshape(1, 7, 7, 512).permute(0, 3, 1, 2)
        for i, stride in ((1, 1), (2, 2)):
            x = torch.nn.functional.conv2d(x, state[f"neck.conv{i}.conv.weight"], stride=stride)
            mean, var, gain, bias = (
                state[f"neck.conv{i}.bn.{n}"].reshape(1, -1, 1, 1)
                for n in ("running_mean", "running_var", "weight", "bias")
            )
            x = ((x - mean) / (var + 1e-5).sqrt() * gain + bias).clamp(min=0)
        assert x.shape == (1, 256, 3, 3)
        expected = x.flatten() @ state["head.fc.weight"].T + state["head.fc.bias"]
    assert logits.shape == (1, 1, 8)
    torch.testing.assert_close(logits[0, 0], expected, rtol=1e-4, atol=1e-5)


def test_the_encoder_of_a_converted_file_starts_a_classifier(tmp_path: Path):
    """What `mien finetune --init` does: a strict load into a classifier of the user's own labels."""
    state = filled(torchvision(18))
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "theirs.pth")
    assert run(["convert", str(tmp_path / "theirs.pth"), "--as", "resnet18", "--out", str(tmp_path / "ours")]) == 0
    folder = load(tmp_path / "ours")
    assert folder.config.clip.size == 224
    assert "encoder without a head" in (tmp_path / "ours" / "README.md").read_text()
    experiment, start = begun(Finetune(data=tmp_path, out=tmp_path, init=str(tmp_path / "ours")), recipe("classify"))
    clip = experiment.task.spec.clip
    assert (experiment.task.encoder, clip.size, clip.mean) == (ResNetConfig(), 224, (0.485, 0.456, 0.406))
    assert start is not None
    assert start.hash == folder.hash
    task = ClassifyConfig(
        LabelSpec(("a", "b"), clip=ClipSpec(num_frames=2, size=64)), folder.config.encoder, pool="tokens"
    ).build()
    encoder: Any = folder.module.encoder
    task.encoder.load_state_dict(encoder.state_dict(), strict=True)
    assert torch.equal(task.encoder.state_dict()["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])


# ---------------------------------------------------------------- how files come


def test_the_classifier_of_a_backbone_is_left_out_and_said():
    config, weights, notes = converted(torchvision(50), "resnet50")
    assert config.encoder == ResNetConfig(depth=50)
    assert "fc" not in {key.split(".")[1] for key in weights}
    assert "the classifier is left out: fc.bias, fc.weight" in notes
    assert not any("left out" in note for note in converted(torchvision(18, classifier=False), "resnet18")[2])


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "encoder.", "module.encoder."])
def test_prefixes_are_taken_off(prefix: str):
    shapes = {prefix + k: v for k, v in torchvision(18).items()}
    assert set(converted(shapes, "resnet18")[1]) == {f"encoder.{k}" for k in torchvision(18, classifier=False)}


def test_one_network_of_several_is_taken_and_the_rest_is_said():
    network = torchvision(18, classifier=False)
    heads = {f"module.encoder_{k}.fc.{n}": (128, 512) for k in "qk" for n in ("0.weight", "2.weight")}
    moco = (
        {f"module.encoder_{k}.{n}": s for k in "qk" for n, s in network.items()} | heads | {"module.queue": (128, 64)}
    )
    assert "take one: --prefix module.encoder_k., --prefix module.encoder_q." in refused(moco, "resnet18")
    assert "has module.encoder_k., module.encoder_q." in refused(moco, "resnet18", prefix="encoder_q.")
    assert refused(network, "resnet18", prefix="a.").endswith("has nothing before the names")
    config, weights, notes = converted(moco, "resnet18", prefix="module.encoder_q.")
    theirs = stand_in(moco)
    assert torch.equal(weights["encoder.conv1.weight"], theirs["module.encoder_q.conv1.weight"])
    assert config == converted(network, "resnet18")[0]
    assert "the network is module.encoder_q.*; left out: module.* (123 tensors)" in notes
    byol = {f"online.net.{n}": s for n, s in network.items()} | {"online.projector.0.weight": (8, 512)}
    _, weights, notes = converted(byol, "resnet18")
    assert torch.equal(weights["encoder.conv1.weight"], stand_in(byol)["online.net.conv1.weight"])
    assert "the network is online.net.*; left out: online.* (1 tensors)" in notes
    assert "it is of resnet18 and resnet50" in str(
        pytest.raises(UserError, ConvertOptions, "svfap-base", prefix="a.").value
    )


def test_files_older_than_the_counters_of_batches():
    shapes = {k: v for k, v in torchvision(18).items() if not k.endswith(COUNTER)}
    _, weights, notes = converted(shapes, "resnet18")
    assert weights["encoder.bn1.num_batches_tracked"].item() == 0
    assert any("counters" in note for note in notes)
    del shapes["bn1.bias"]
    assert refused(shapes, "resnet18").endswith("missing 1 (bn1.bias)")


@pytest.mark.parametrize("prefix", ["", "module.", "model.encoder.frontend."])
def test_what_is_beside_a_front_end_is_listed(prefix: str):
    shapes = {prefix + k: v for k, v in lips().items()} | {
        "tcn.tcn_output.weight": (500, 768),
        "tcn.a": (1,),
        "ctc.b": (2,),
    }
    config, weights, notes = converted(shapes, "lipreading-resnet18", activation="swish")
    assert set(weights) == {f"encoder.{k}" for k in lips()}
    assert "left out: tcn.* (2 tensors), ctc.* (1 tensors)" in notes
    assert config.encoder == LipReadingConfig("swish")
    assert (config.clip.size, config.clip.mean, config.clip.std) == (96, (0.421,), (0.165,))


def test_prelu_shows_and_swish_does_not():
    config, weights, notes = converted(lips(prelu=True), "lipreading-resnet18")
    assert config.encoder.activation == "prelu"
    assert sum(v.numel() for k, v in weights.items() if "running" not in k and COUNTER not in k) == 11_186_688
    assert not any("swish" in note for note in notes)
    config, _, notes = converted(lips(), "lipreading-resnet18")
    assert config.encoder.activation == "relu"
    assert any("--activation swish" in note for note in notes)
    assert "has PReLU" in refused(lips(prelu=True), "lipreading-resnet18", activation="relu")
    assert "no weights of a PReLU" in refused(lips(), "lipreading-resnet18", activation="prelu")


# ---------------------------------------------------------------- what is refused


def test_what_does_not_fit_is_listed():
    shapes = torchvision(18)
    assert refused(shapes, "resnet50").startswith("theirs.pth does not fit resnet50 (encoder) but looks like resnet18")
    assert "looks like resnet50" in refused(torchvision(50), "resnet18")
    del shapes["layer2.0.downsample.0.weight"]
    assert refused(shapes, "resnet18").endswith("missing 1 (layer2.0.downsample.0.weight)")
    more = torchvision(18) | {"extra.weight": (2,), "conv1.weight": (64, 1, 7, 7)}
    says = "left over 1 (extra.weight); of another shape 1 (conv1.weight 64x1x7x7 instead of 64x3x7x7)"
    assert refused(more, "resnet18").endswith(says)
    partly = {k: v for k, v in lips(prelu=True).items() if k != "trunk.layer3.1.relu2.weight"}
    assert refused(partly, "lipreading-resnet18").endswith("missing 1 (trunk.layer3.1.relu2.weight)")


def test_other_kinds_of_files_are_refused():
    assert "holds no frontend3D.*" in refused(torchvision(18), "lipreading-resnet18")
    twice = lips() | {f"old.{k}": v for k, v in lips().items()}
    assert "several front ends: frontend3D.*, old.frontend3D.*" in refused(twice, "lipreading-resnet18")
    assert "has 7 classes, --num-classes says 8" in refused(abaw5(18, True, 7), "resnet18", num_classes=8)
    assert "--labels aff-wild2 has 8" in refused(abaw5(18, True, 7), "resnet18", labels="aff-wild2")
    assert "the file has srp" in refused(abaw5(18, True), "resnet18", pool="tokens")
    assert "--activation relu: it is of lipreading-resnet18" in refused(torchvision(18), "resnet18", activation="relu")


def test_supervised_models_without_an_official_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    spec = LabelSpec(("a", "b"), clip=ClipSpec(num_frames=2, size=64))
    config = ClassifyConfig(spec, ResNetConfig(width=2), pool="tokens")  # a LayerNorm before the head
    save_model(tmp_path / "model", config.build(), config, Provenance())
    assert run(["convert", str(tmp_path / "model"), "--to", "official", str(tmp_path / "y.pth")]) == 2
    assert "head_norm" in capsys.readouterr().err


def test_of_a_pretraining_model_the_encoder_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = SimSiamConfig(encoder=ResNetConfig(width=2))
    model = config.build()
    save_model(tmp_path / "model", model, config, Provenance())
    assert run(["convert", str(tmp_path / "model"), "--to", "official", str(tmp_path / "y.pth")]) == 0
    assert "the encoder alone is written" in capsys.readouterr().out
    after, before = torch.load(tmp_path / "y.pth", weights_only=True), model.encoder.state_dict()
    assert set(after) == set(before)
    assert all(torch.equal(after[k], v) for k, v in before.items())


def test_transformers_of_other_methods_have_no_official_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = SimSiamConfig(encoder=ViTConfig(dim=16, num_heads=2, depth=1, tube=(1, 16, 16)))
    save_model(tmp_path / "model", config.build(), config, Provenance())
    assert run(["convert", str(tmp_path / "model"), "--to", "official", str(tmp_path / "y.pth")]) == 2
    assert "is a SimSiam model: the authors' forms hold" in capsys.readouterr().err
