"""Recomputed activations: the same numbers from less memory."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch
import torch._dynamo.utils
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from mien.encoders.lgi_former import LGIFormerConfig
from mien.encoders.table import EncoderConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.encoders.vit import ViTConfig
from mien.methods.videomae import VideoMAEConfig
from mien.train.blocks import blocks_of, compile_blocks, recompute_activations
from mien.transforms.clip import ClipSpec

ENCODERS: dict[str, EncoderConfig] = {
    "tpsbt": TPSBTConfig(dim=32, num_heads=2, depths=(3, 3, 3), bottlenecks=3, drop_path=0.5),
    "lgi-former": LGIFormerConfig(dim=32, num_heads=2, depth=4, region=(2, 3, 1), grid=(8, 3, 2), drop_path=0.5),
    "vit": ViTConfig(dim=32, num_heads=2, depth=4, drop_path=0.5),
}
CLIP = torch.randn(2, 3, 16, 48, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=ENCODERS, ids=str)
def config(request: pytest.FixtureRequest) -> EncoderConfig:
    return ENCODERS[request.param]


def step(encoder: Any) -> tuple[Tensor, dict[str, Tensor], int]:
    """Loss, gradients, and bytes that autograd kept by itself."""
    kept: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    torch.manual_seed(0)  # the paths that are dropped
    with saved_tensors_hooks(pack, lambda x: x):
        loss = encoder(CLIP).tokens.square().mean()
    loss.backward()
    return loss.detach(), {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None}, sum(kept.values())


def pair(config: EncoderConfig) -> tuple[nn.Module, nn.Module]:
    first, second = config.build().train(), config.build().train()
    second.load_state_dict(first.state_dict())
    return first, second


def test_losses_and_gradients_are_the_same_to_the_bit(config):
    plain, frugal = pair(config)
    recompute_activations(frugal)
    loss, gradients, kept = step(plain)
    again, others, left = step(frugal)
    assert torch.equal(loss, again)
    assert gradients.keys() == others.keys()
    assert all(torch.equal(gradients[n], others[n]) for n in gradients)
    assert left < kept / 2


def test_keys_and_evaluation_stay_as_they_were(config):
    plain, frugal = pair(config)
    recompute_activations(frugal)
    assert frugal.state_dict().keys() == plain.state_dict().keys()
    with torch.inference_mode():
        assert torch.equal(plain.eval()(CLIP).tokens, frugal.eval()(CLIP).tokens)


def test_the_blocks_of_a_learner_are_those_of_its_encoder_and_its_decoder():
    encoder = ViTConfig(dim=32, num_heads=2, depth=3)
    config = VideoMAEConfig(encoder=encoder, clip=ClipSpec(size=32), mask_ratio=0.5, decoder_dim=16, decoder_heads=2)
    learner: Any = config.build()
    assert list(blocks_of(learner)) == [*learner.encoder.blocks, *learner.decoder.blocks]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a compiler")
@pytest.mark.filterwarnings("ignore")  # torch's own, of its compiler
def test_compiled_blocks_compute_the_same():
    plain, compiled = pair(ViTConfig(dim=32, num_heads=2, depth=2))
    recompute_activations(compiled)
    compile_blocks(compiled)
    loss, gradients, _ = step(plain)
    again, others, _ = step(compiled)
    torch.testing.assert_close(again, loss)
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, rtol=1e-4, atol=1e-6)
    assert compiled.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's own, of its compiler
@pytest.mark.parametrize("recompute_first", [True, False])
def test_many_blocks_of_one_kind_are_all_compiled(recompute_first: bool):
    """Ten rates of dropped paths: beyond torch's limit of eight compilations of one function, where it would give up."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    plain, compiled = pair(ViTConfig(dim=32, num_heads=2, depth=10, drop_path=0.5))
    for change in (
        (recompute_activations, compile_eagerly) if recompute_first else (compile_eagerly, recompute_activations)
    ):
        change(compiled)
    loss, gradients, kept = step(plain)
    again, others, left = step(compiled)
    assert torch.equal(again, loss)
    assert all(torch.equal(others[n], gradients[n]) for n in gradients)
    assert left < kept / 2
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 10


def compile_eagerly(learner: nn.Module) -> None:
    compile_blocks(learner, backend="eager")
