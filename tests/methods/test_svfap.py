from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from mien.encoders.tpsbt import TPSBTConfig
from mien.layers.patch import patchify
from mien.methods.svfap import SVFAP, SVFAPConfig
from tests.encoders.test_conformance import idle

TINY = SVFAPConfig(
    encoder=TPSBTConfig(dim=32, num_heads=2, depths=(2, 2, 2), bottlenecks=2),
    size=48, mask_ratio=0.6, decoder_dim=32, decoder_depth=1, decoder_heads=2,
)  # fmt: skip


@pytest.fixture
def method() -> SVFAP:
    torch.manual_seed(0)
    return TINY.build()


def batch(seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 3, 48), torch.linspace(0, 3, 48), indexing="ij")
    phase = 6 * torch.rand(2, 3, 16, 1, 1, generator=generator)
    return {"clip": torch.sin(x + phase) * torch.cos(2 * y + phase), "keep": torch.tensor([[0, 1, 4, 8], [2, 3, 5, 7]])}


def test_only_the_loss_requires_grad(method):
    out = method(batch())
    assert [k for k, v in out.items() if v.requires_grad] == ["loss"]


def test_every_parameter_gets_a_gradient(method):
    method(batch())["loss"].backward()
    assert idle(method) == []


def test_it_can_learn_one_batch(method):
    optimizer = torch.optim.AdamW(method.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = method(batch())["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_a_deep_copy_goes_on_alike(method):
    twin = copy.deepcopy(method)
    assert torch.equal(method(batch(1))["loss"], twin(batch(1))["loss"])


def test_fusion_repeats_whole_slices(method):
    """Paper Eq. 9, 10: X1 + up2(X2) + up4(X3), nearest in time; the released code mixes positions (checked by hand here)."""
    clip, keep = batch()["clip"], batch()["keep"]
    out = method.eval().encoder(clip, keep)
    fused = torch.empty_like(out.stages[0]).reshape(2, 8, 4, 32)
    for t in range(8):
        slices = [s.reshape(2, -1, 4, 32)[:, t * s.shape[1] // 32] for s in out.stages]
        fused[:, t] = slices[0] + slices[1] + slices[2]
    torch.testing.assert_close(method.encode(clip, keep), method.norm(fused.flatten(1, 2)))


def test_targets_are_the_masked_tubes_in_raster_order(method):
    clip, keep = batch()["clip"], batch()["keep"]
    target = method.targets(clip, keep)
    masked = [p for p in range(9) if p not in keep[1].tolist()]
    assert target.shape == (2, 8 * 5, 2 * 16 * 16 * 3)
    # Tube (t=3, third masked position), as normalised by hand.
    pixels = clip[1] * torch.tensor(TINY.std).view(3, 1, 1, 1) + torch.tensor(TINY.mean).view(3, 1, 1, 1)
    row, column = divmod(masked[2], 3)
    tube = pixels[:, 6:8, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16].double().numpy()
    normal = (tube - tube.mean((1, 2, 3), keepdims=True)) / (tube.std((1, 2, 3), ddof=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(target[1, 3 * 5 + 2], normal.transpose(1, 2, 3, 0).ravel(), atol=1e-4)


def test_masked_pixels_cannot_influence_the_prediction(method):
    data = batch()
    other = data["clip"].clone()
    masked = [p for p in range(9) if p not in data["keep"][0].tolist()]
    for p in masked:
        row, column = divmod(p, 3)
        other[0, :, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] += 3
    before = method.eval().predict_masked(data["clip"], data["keep"])
    assert torch.equal(before, method.predict_masked(other, data["keep"]))


def test_reconstruction_keeps_visible_pixels(method):
    data = batch()
    masked, filled = method.eval().reconstruct(data["clip"], data["keep"])
    tubes, shown = (patchify(v, (2, 16, 16)) for v in (filled, masked))
    visible = torch.zeros(9, dtype=torch.bool)
    visible[data["keep"][0]] = True
    where = visible.repeat(8)
    assert torch.equal(tubes[0, where], shown[0, where].clamp(0, 1))
    assert (shown[0, ~where] == 0.5).all()
    assert not (tubes[0, ~where] == 0.5).all()


def test_views_produce_what_forward_reads(method):
    view = method.views()["clip"]
    params = view.draw(np.random.default_rng(0))
    assert params["keep"].shape == (4,)  # 9 positions, int(0.6 * 9) = 5 masked
    stacked = {k: torch.from_numpy(np.stack([v, v])) for k, v in params.items()}
    clip = view.apply(torch.randint(0, 255, (2, 16, 64, 64, 3), dtype=torch.uint8), stacked)
    assert method({"clip": clip, "keep": stacked["keep"]})["loss"].isfinite()
