"""BYOL, SimSiam, ContraWarping and DINO: the same questions, then each loss against NumPy."""

from __future__ import annotations

import copy
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mien.config import from_json, to_json
from mien.data.view import View
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.resnet import ResNetConfig
from mien.encoders.vit import ViTConfig
from mien.errors import UserError
from mien.methods.byol import BYOL, BYOLConfig
from mien.methods.contrawarping import ContraWarping, ContraWarpingConfig
from mien.methods.dino import DINO, DINOConfig
from mien.methods.siamese import Siamese, cosine_momentum
from mien.methods.simsiam import SimSiam, SimSiamConfig
from mien.methods.table import MethodConfig
from mien.models.folder import CLASSES
from mien.rng import generator
from mien.train.optim import OptimConfig, build_optimizer
from mien.transforms.clip import ClipSpec
from mien.transforms.contrastive import Look
from tests.encoders.test_conformance import idle
from tests.methods.processes import half

SIZE, SMALL = 48, 32
ENCODER = ResNetConfig(width=8)
HEADS: dict[str, Any] = {"projector_hidden": 32, "projection": 16, "predictor_hidden": 32}
PICTURE, CLIP = ClipSpec(1, 1, size=SIZE), ClipSpec(3, 1, size=SIZE, mean=(0.4,), std=(0.2,))
LOOKS: dict[str, Any] = {"first": Look(size=SIZE), "second": Look(size=SIZE, blur=0.1, solarize=0.2)}
FRONT_END = LipReadingConfig(width=8)
DINO_HEAD: dict[str, Any] = {
    "hidden": 32, "bottleneck": 16, "prototypes": 24, "num_local": 2, "local": Look(size=SMALL), "last_layer_frozen": 0.0
}  # fmt: skip
METHODS: dict[str, Any] = {
    "byol": BYOLConfig(ENCODER, PICTURE, **LOOKS, **HEADS),
    "byol-transformer": BYOLConfig(
        ViTConfig(dim=32, num_heads=2, depth=2, tube=(1, 16, 16)), PICTURE, **LOOKS, **HEADS
    ),
    "byol-video": BYOLConfig(FRONT_END, CLIP, **LOOKS, **HEADS),
    "simsiam": SimSiamConfig(ENCODER, PICTURE, **LOOKS, projection=32, predictor_hidden=8),
    "contrawarping": ContraWarpingConfig(ENCODER, PICTURE, **LOOKS, **HEADS, third=Look(size=SIZE), margin=-1.0),
    "contrawarping-target": ContraWarpingConfig(
        ENCODER, PICTURE, **LOOKS, **HEADS, third=Look(size=SIZE), margin=-1.0, warped_branch="target"
    ),
    "dino": DINOConfig(ENCODER, PICTURE, **LOOKS, **DINO_HEAD),
    "dino-video": DINOConfig(FRONT_END, CLIP, **LOOKS, **DINO_HEAD),
}


@pytest.fixture(params=METHODS, ids=str)
def method(request: pytest.FixtureRequest) -> Siamese:
    torch.manual_seed(0)
    return METHODS[request.param].build()


def batch(config: Any, count: int = 6, seed: int = 0) -> dict[str, torch.Tensor]:
    """What the loader would give: every view by its name."""
    rng = torch.Generator().manual_seed(seed)
    channels, frames = config.encoder.channels, config.clip.num_frames
    return {
        name: torch.randn(count, channels, frames, look.size, look.size, generator=rng)
        for name, look in config.looks().items()
    }


def step(method: Any, optimizer: torch.optim.Optimizer, data: dict[str, torch.Tensor], progress: float) -> float:
    loss = method.train()(data)["loss"]
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    method.after_step(progress)
    return loss.item()


def test_only_the_loss_requires_grad(method):
    out = method(batch(method.config))
    assert [k for k, v in out.items() if v.requires_grad] == ["loss"]
    assert all(v.ndim == 0 for v in out.values())


def test_every_parameter_that_trains_gets_a_gradient_and_the_target_none(method):
    method(batch(method.config))["loss"].backward()
    assert idle(method) == []
    if method.target is not None:
        assert all(p.grad is None and not p.requires_grad for p in method.target.parameters())
        assert any(name.startswith("target.") for name, _ in method.named_parameters())


def test_it_can_learn_one_batch(method):
    if isinstance(method, DINO):  # whose goal would move: the teacher stands still here
        method = DINO(replace(method.config, momentum=1.0, center_momentum=1.0))
    optimizer = build_optimizer(method, OptimConfig("adamw"))
    for group in optimizer.param_groups:
        group["lr"] = 2e-3
    losses = [step(method, optimizer, batch(method.config), 0.1) for _ in range(20)]
    assert losses[-1] < losses[0] - 0.1 * abs(losses[0])


def test_a_state_dict_goes_on_to_the_bit(method):
    optimizer = build_optimizer(method, OptimConfig("sgd"))
    for group in optimizer.param_groups:
        group["lr"] = 0.05
    for k in range(2):
        step(method, optimizer, batch(method.config, seed=k), (k + 1) / 4)
    twin = type(method)(method.config)
    twin.load_state_dict(copy.deepcopy(method.state_dict()))
    other = build_optimizer(twin, OptimConfig("sgd"))
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for k in range(2, 4):
        data = batch(method.config, seed=k)
        assert step(method, optimizer, data, (k + 1) / 4) == step(twin, other, data, (k + 1) / 4)
    assert all(torch.equal(a, b) for a, b in zip(method.state_dict().values(), twin.state_dict().values(), strict=True))


def test_clips_are_independent_in_evaluation(method):
    data = batch(method.config)
    method(data)  # running statistics of their own
    method.eval()
    name = next(iter(data))
    for read in (method.features, method.projections):
        torch.testing.assert_close(read(data[name])[2:3], read(data[name][2:3]), rtol=1e-4, atol=1e-5)


def test_views_produce_what_forward_reads(method):
    view = method.views()["clip"]
    assert isinstance(view, View)
    channels = method.config.encoder.channels
    frames = torch.randint(0, 256, (2, view.num_frames, 64, 64, channels), dtype=torch.uint8)
    drawn = [view.draw(generator("views", k)) for k in range(2)]
    params = {k: torch.from_numpy(np.stack([d[k] for d in drawn])) for k in drawn[0]}
    made = view.apply(frames, params)
    assert isinstance(made, dict)
    assert {k: v.shape for k, v in made.items()} == {k: v.shape for k, v in batch(method.config, 2).items()}
    assert method(made)["loss"].isfinite()


def test_the_config_survives_a_file(method):
    assert from_json(to_json(method.config), CLASSES) == method.config
    assert isinstance(method.config, MethodConfig)


def test_it_starts_from_an_encoder(method):
    other = method.config.encoder.build()
    method.load_encoder(other.state_dict())
    branches = [method.online] + ([method.target] if method.target is not None else [])
    for branch in branches:
        for name, value in branch.encoder.state_dict().items():
            assert torch.equal(value, other.state_dict()[name])


def test_frames_are_samples(method):
    """Of a clip every frame has its projection: as many as there are frames."""
    config = method.config
    clip = batch(config, 2)["first"]
    assert method.online(clip).shape[0] == 2 * config.clip.num_frames
    assert method.features(clip).shape == (2, config.encoder.dim)


# Losses, computed once more in NumPy.


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def numbers(x: torch.Tensor) -> np.ndarray:
    return x.detach().double().numpy()


def test_byol_is_the_squared_distance_of_unit_vectors_both_ways():
    torch.manual_seed(0)
    model = BYOL(METHODS["byol"])
    for p in model.online.parameters():
        p.data.add_(0.01 * torch.randn_like(p))  # the target is no longer the online network
    data = batch(model.config)
    assert model.target is not None
    p1, p2 = (numbers(model.predictor(model.online(data[n]))) for n in ("first", "second"))
    z1, z2 = (numbers(model.target(data[n])) for n in ("first", "second"))
    wanted = ((unit(p1) - unit(z2)) ** 2).sum(1) + ((unit(p2) - unit(z1)) ** 2).sum(1)
    np.testing.assert_allclose(model(data)["loss"].item(), wanted.mean(), rtol=1e-5)


def test_simsiam_is_half_the_sum_of_two_negative_cosines():
    torch.manual_seed(0)
    model = SimSiam(METHODS["simsiam"])
    data = batch(model.config)
    z1, z2 = (model.online(data[n]) for n in ("first", "second"))
    p1, p2 = (numbers(model.predictor(z)) for z in (z1, z2))
    cosines = (unit(p1) * unit(numbers(z2))).sum(1) + (unit(p2) * unit(numbers(z1))).sum(1)
    np.testing.assert_allclose(model(data)["loss"].item(), -cosines.mean() / 2, rtol=1e-5)


def test_simsiam_stops_the_gradient_on_the_target_side():
    torch.manual_seed(0)
    model = SimSiam(METHODS["simsiam"])
    data = batch(model.config)
    model.predictor.requires_grad_(False)
    z1, z2 = (model.online(data[n]).detach().requires_grad_() for n in ("first", "second"))
    p1 = model.predictor(z1)
    (-torch.cosine_similarity(p1, z2.detach()).mean() / 2).backward()
    assert z1.grad is not None
    wanted = z1.grad.clone()
    z1.grad = None
    queue = [z1, z2]
    model.online.forward = lambda clip: queue.pop(0)
    model(data)["loss"].backward()
    torch.testing.assert_close(z1.grad, wanted)  # nothing comes through cos(p2, z1)


@pytest.mark.parametrize("branch", ["online", "target"])
@pytest.mark.parametrize("margin", [-0.9, -0.4, 1.0])
def test_contrawarping_adds_a_hinge_to_byol(branch, margin):
    torch.manual_seed(0)
    config = replace(METHODS["contrawarping"], margin=margin, weight=0.7, warped_branch=branch)
    model = ContraWarping(config).eval()  # no batch statistics: views may be passed one by one
    for p in model.online.parameters():
        p.data.add_(0.01 * torch.randn_like(p))
    data = batch(config)
    assert model.target is not None
    p1, p2, pw = (unit(numbers(model.predictor(model.online(data[n])))) for n in ("first", "second", "warped"))
    z1, z2, zw = (unit(numbers(model.target(data[n]))) for n in ("first", "second", "warped"))
    pull = 4 - 2 * (p1 * z2).sum(1) - 2 * (p2 * z1).sum(1)
    pairs = [(pw, z1), (pw, z2)] if branch == "online" else [(p1, zw), (p2, zw)]
    push = np.mean([2 * np.maximum(0, (a * b).sum(1) - margin) for a, b in pairs])
    np.testing.assert_allclose(model(data)["loss"].item(), pull.mean() + 0.7 * push, rtol=1e-5)
    assert (push == 0) == (margin == 1.0)


def test_what_warped_faces_have_in_common_reaches_the_loss():
    """In training too, where BatchNorm takes from a batch what is common to it: the three views are one batch."""
    torch.manual_seed(0)
    model = ContraWarping(METHODS["contrawarping"]).train()
    data = batch(model.config)
    plain = model(data)["warped_cosine"]
    brighter = model(data | {"warped": data["warped"] + 1.0})["warped_cosine"]
    assert abs(float(plain - brighter)) > 1e-3


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_dino_is_the_cross_entropy_of_centred_sharpened_choices():
    torch.manual_seed(0)
    model = DINO(METHODS["dino"]).eval()  # no batch statistics: views may be passed one by one
    for p in model.online.parameters():
        p.data.add_(0.01 * torch.randn_like(p))
    model.center.copy_(0.1 * torch.randn(24))
    data, center = batch(model.config), numbers(model.center)
    assert model.target is not None
    teacher = [softmax((numbers(model.target(data[n])) - center) / 0.04) for n in ("first", "second")]
    student = [np.log(softmax(numbers(model.online(clip)) / 0.1)) for clip in data.values()]
    assert len(student) == 4
    terms = [-(t * s).sum(1).mean() for i, t in enumerate(teacher) for j, s in enumerate(student) if i != j]
    assert len(terms) == 6
    np.testing.assert_allclose(model(data)["loss"].item(), np.mean(terms), rtol=1e-4)
    np.testing.assert_array_equal(numbers(model.center), center)  # evaluation leaves it alone


def test_dinos_centre_follows_the_teacher():
    torch.manual_seed(0)
    model = DINO(METHODS["dino"])
    data = batch(model.config)
    twin = copy.deepcopy(model.kept())
    scores = numbers(twin(torch.cat([data["first"], data["second"]])))
    model(data)
    np.testing.assert_allclose(numbers(model.center), 0.1 * scores.mean(0), atol=1e-6)


def test_dinos_head_is_cosines_with_unit_prototypes():
    torch.manual_seed(0)
    model = DINO(METHODS["dino"])
    scores = model.online(batch(model.config)["first"])
    assert scores.abs().max() <= 1
    model.eval()
    before = model.online(batch(model.config)["first"])
    state = model.online.projector.state_dict()
    model.online.projector.load_state_dict(state | {"last.weight": 3 * state["last.weight"]})
    torch.testing.assert_close(model.online(batch(model.config)["first"]), before)


def test_dinos_last_layer_waits_for_its_time():
    torch.manual_seed(0)
    model = DINO(replace(METHODS["dino"], last_layer_frozen=0.5))
    optimizer = build_optimizer(model, OptimConfig("sgd", weight_decay=0.0))
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    weights = []
    for progress in (0.25, 0.5, 0.75):
        step(model, optimizer, batch(model.config), progress)
        weights.append(model.online.projector.state_dict()["last.weight"].clone())
    start = DINO(model.config).online.projector.state_dict()["last.weight"]
    assert weights[0].shape == start.shape
    assert torch.equal(weights[0], weights[1])  # steps that began before half of the run
    assert not torch.equal(weights[1], weights[2])


def test_dinos_temperature_warms_up():
    model = DINO(replace(METHODS["dino"], warmup_temperature=0.02, teacher_temperature=0.06, temperature_warmup=0.5))
    heats = []
    for progress in (0.0, 0.25, 0.5, 1.0):
        model.progress.fill_(progress)
        heats.append(model.heat().item())
    np.testing.assert_allclose(heats, [0.02, 0.04, 0.06, 0.06], rtol=1e-5)


def test_the_target_follows_along_a_cosine():
    torch.manual_seed(0)
    model = BYOL(METHODS["byol"])
    assert model.target is not None
    old = [p.clone() for p in model.target.parameters()]
    for p in model.online.parameters():
        p.data.add_(1.0)
    model.after_step(0.5)
    momentum = 1 - (1 - 0.99) * (np.cos(np.pi * 0.5) + 1) / 2
    for before, now in zip(old, model.target.parameters(), strict=True):
        torch.testing.assert_close(now, before + (1 - momentum), atol=1e-6, rtol=1e-5)
    assert cosine_momentum(0.99, 0.0) == pytest.approx(0.99)
    assert cosine_momentum(0.99, 1.0) == pytest.approx(1.0)


def test_simsiams_predictor_keeps_its_learning_rate():
    model = SimSiam(METHODS["simsiam"])
    names = {n for n, _ in model.named_parameters() if n.startswith(model.constant_lr)}
    constant = [g for g in build_optimizer(model, OptimConfig("sgd")).param_groups if g["constant"]]
    assert len(names) == sum(len(g["params"]) for g in constant) == 5


def test_heads_have_the_published_parameters():
    with torch.device("meta"):
        byol, simsiam, dino = (config.build() for config in (BYOLConfig(), SimSiamConfig(), DINOConfig()))

    def count(module: Any) -> int:
        return sum(p.numel() for p in module.parameters())

    # Linear with bias, BatchNorm, Linear without: 512 -> 4096 -> 256 and 256 -> 4096 -> 256.
    assert count(byol.online.projector) == 512 * 4096 + 4096 + 2 * 4096 + 4096 * 256
    assert count(byol.predictor) == 256 * 4096 + 4096 + 2 * 4096 + 4096 * 256
    assert count(simsiam.online.projector) == 512 * 2048 + 2 * 2048**2 + 2 * 2 * 2048
    assert count(simsiam.predictor) == 2048 * 512 + 2 * 512 + 512 * 2048 + 2048
    assert count(dino.online.projector) == 512 * 2048 + 2048 + 2048**2 + 2048 + 2048 * 256 + 256 + 256 * 65536


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"momentum": 2.0}, "momentum"),
        ({"mean": (0.5,)}, "channel"),
        ({"stride": 0}, "stride"),
        ({"projection": 0}, "predictor"),
        ({"num_frames": 0}, "frames"),
    ],
)
def test_wrong_values_are_refused(wrong, word):
    seen = {name: value for name, value in wrong.items() if hasattr(PICTURE, name)}
    other = {name: value for name, value in wrong.items() if name not in seen}
    with pytest.raises(UserError, match=word):
        BYOLConfig(clip=replace(ClipSpec(1, 1, size=96), **seen), **other)


def test_batch_statistics_are_those_of_all_processes(tmp_path: Path):
    torch.manual_seed(0)
    data = torch.randn(6, 5)
    torch.save(data, tmp_path / "data")
    context = multiprocessing.get_context("spawn")
    args = (str(tmp_path / "data"), str(tmp_path / "meeting"))
    processes = [context.Process(target=half, args=(rank, *args)) for rank in range(2)]
    for p in processes:
        p.start()
    for p in processes:
        p.join(60)
        assert p.exitcode == 0
    halves = [torch.load(f"{args[0]}.{rank}", weights_only=True) for rank in range(2)]
    norm = torch.nn.BatchNorm1d(5)
    whole = data.clone().requires_grad_()
    (norm(whole) ** 3).sum().backward()
    torch.testing.assert_close(torch.cat([h["grad"] for h in halves]), whole.grad, rtol=1e-4, atol=1e-4)
    for part in halves:
        torch.testing.assert_close(part["mean"], norm.running_mean)
        torch.testing.assert_close(part["var"], norm.running_var)
