"""Every masked method, the same questions. A new one is a line in METHODS; those of several views: test_contrastive.py."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mien.encoders.lgi_former import LGIFormerConfig
from mien.encoders.tpsbt import TPSBTConfig
from mien.encoders.vit import ViTConfig
from mien.layers.patch import patchify
from mien.methods.mae_dfer import MAEDFERConfig
from mien.methods.masked import MaskedAutoencoder, MaskedConfig
from mien.methods.svfap import SVFAPConfig
from mien.methods.videomae import VideoMAEConfig
from mien.transforms.clip import ClipSpec
from tests.encoders.test_conformance import idle

SIZES: dict[str, Any] = {
    "clip": ClipSpec(size=48), "mask_ratio": 0.6, "decoder_dim": 32, "decoder_depth": 1, "decoder_heads": 2
}  # fmt: skip
PYRAMID = TPSBTConfig(dim=32, num_heads=2, depths=(2, 2, 2), bottlenecks=2)
REGIONS = LGIFormerConfig(dim=32, num_heads=2, depth=2, region=(2, 1, 3), grid=(8, 3, 3))
JOINT = ViTConfig(dim=32, num_heads=2, depth=2)
METHODS: dict[str, MaskedConfig] = {
    "svfap": SVFAPConfig(PYRAMID, **SIZES),
    "svfap-no-fusion": SVFAPConfig(PYRAMID, fusion=False, **SIZES),
    "mae-dfer": MAEDFERConfig(REGIONS, **SIZES),
    "mae-dfer-region-order": MAEDFERConfig(REGIONS, decoder_order="region", **SIZES),
    "mae-dfer-no-inter": MAEDFERConfig(replace(REGIONS, inter_region=False), **SIZES),
    "mae-dfer-no-local-global": MAEDFERConfig(replace(REGIONS, local_global=False), **SIZES),
    "mae-dfer-vit": MAEDFERConfig(JOINT, appearance_weight=0.3, **SIZES),
    "mae-dfer-tpsbt": MAEDFERConfig(PYRAMID, **SIZES),
    "videomae": VideoMAEConfig(JOINT, **SIZES),
}


@pytest.fixture(params=METHODS, ids=str)
def method(request: pytest.FixtureRequest) -> MaskedAutoencoder:
    torch.manual_seed(0)
    return METHODS[request.param].build()


def batch(seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 3, 48), torch.linspace(0, 3, 48), indexing="ij")
    phase = 6 * torch.rand(2, 3, 16, 1, 1, generator=generator)
    return {
        "clip": torch.sin(x + phase) * torch.cos(2 * y + phase),
        "keep": torch.tensor([[0, 2, 4, 5, 7, 8], [0, 1, 3, 5, 6, 7]]),
    }


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


def test_targets_are_the_masked_tubes_in_raster_order(method):
    clip, keep = batch()["clip"], batch()["keep"]
    target = method.targets(clip, keep)
    masked = [p for p in range(9) if p not in keep[1].tolist()]
    assert target.shape == (2, 8 * 3, 2 * 16 * 16 * 3)
    # Tube (t=3, third masked position), as normalised by hand.
    pixels = clip[1] * torch.tensor(method.config.clip.std).view(3, 1, 1, 1) + torch.tensor(
        method.config.clip.mean
    ).view(3, 1, 1, 1)
    row, column = divmod(masked[2], 3)
    tube = pixels[:, 6:8, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16].double().numpy()
    normal = (tube - tube.mean((1, 2, 3), keepdims=True)) / (tube.std((1, 2, 3), ddof=1, keepdims=True) + 1e-6)
    expected = normal.transpose(1, 2, 3, 0).ravel()
    if isinstance(method.config, MAEDFERConfig):
        half = expected.size // 2
        expected = np.concatenate([expected[:half], expected[half:] - expected[:half]])
    np.testing.assert_allclose(target[1, 3 * 3 + 2], expected, atol=1e-4)


def test_masked_pixels_cannot_influence_the_prediction(method):
    data = batch()
    other = data["clip"].clone()
    masked = [p for p in range(9) if p not in data["keep"][0].tolist()]
    for p in masked:
        row, column = divmod(p, 3)
        other[0, :, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] += 3
    before = method.eval().reconstruct(data["clip"], data["keep"])
    assert torch.equal(before, method.reconstruct(other, data["keep"]))


def test_one_mask_serves_all_clips_and_bad_ones_are_refused(method):
    clip, keep = batch()["clip"], batch()["keep"]
    method.eval()
    both = method.reconstruct(clip, keep[:1].int().expand(2, -1))
    assert torch.equal(method.reconstruct(clip, keep[:1]), both)
    for bad in (keep[0], keep.float(), keep.bool(), keep + 9, torch.zeros_like(keep), keep.repeat(2, 1), None):
        with pytest.raises(ValueError, match="keep"):
            method.reconstruct(clip, bad)
    with pytest.raises(ValueError, match="the model was made for"):
        method.encode(clip[..., :32, :32], keep)


def test_clips_are_independent(method):
    clip, keep = batch()["clip"], batch()["keep"]
    both, alone = method.eval().reconstruct(clip, keep), method.reconstruct(clip[1:], keep[1:])
    torch.testing.assert_close(both[1:], alone, rtol=1e-4, atol=1e-5)


def test_pictures_keep_what_is_visible(method):
    data = batch()
    rows = method.eval().pictures(data["clip"], data["keep"])
    frames = 1 if isinstance(method.config, MAEDFERConfig) else 2  # a picture per tube, or per frame
    parts = {name: patchify(v, (frames, 16, 16)) for name, v in rows.items()}
    where = torch.zeros(9, dtype=torch.bool).scatter(0, data["keep"][0], True).repeat(8)
    for name in ("", *([" motion"] if frames == 1 else [])):
        original, masked, filled = (parts[kind + name][0] for kind in ("original", "masked", "reconstructed"))
        torch.testing.assert_close(filled[where], original[where].clamp(0, 1))
        torch.testing.assert_close(masked[where], original[where].clamp(0, 1))
        assert (masked[~where] == 0.5).all()
        assert not (filled[~where] == 0.5).all()


def test_views_produce_what_forward_reads(method):
    view = method.views()["clip"]
    params = view.draw(np.random.default_rng(0))
    # 9 positions, int(0.6 * 9) = 5 masked; by rows of 3 positions, int(0.6 * 3) = 1 in each.
    assert params["keep"].shape == ((6,) if isinstance(method.config.encoder, LGIFormerConfig) else (4,))
    stacked = {k: torch.from_numpy(np.stack([v, v])) for k, v in params.items()}
    clip = view.apply(torch.randint(0, 255, (2, 16, 64, 64, 3), dtype=torch.uint8), stacked)
    assert method({"clip": clip, "keep": stacked["keep"]})["loss"].isfinite()
