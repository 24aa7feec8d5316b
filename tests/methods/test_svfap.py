"""SVFAP's fusion of the stages."""

from __future__ import annotations

import torch

from tests.methods.test_conformance import METHODS, batch


def test_fusion_repeats_whole_slices():
    """Paper Eq. 9, 10: X1 + up2(X2) + up4(X3), nearest in time; the released code mixes positions (checked by hand here)."""
    method = METHODS["svfap"].build()
    clip, keep = batch()["clip"], batch()["keep"]
    out = method.eval().encoder(clip, keep)
    fused = torch.empty_like(out.stages[0]).reshape(2, 8, 6, 32)
    for t in range(8):
        slices = [s.reshape(2, -1, 6, 32)[:, t * s.shape[1] // 48] for s in out.stages]
        fused[:, t] = slices[0] + slices[1] + slices[2]
    torch.testing.assert_close(method.encode(clip, keep), method.norm(fused.flatten(1, 2)))


def test_without_fusion_the_last_stage_is_repeated():
    method = METHODS["svfap-no-fusion"].build().eval()
    clip, keep = batch()["clip"], batch()["keep"]
    last = method.encoder(clip, keep).stages[-1].reshape(2, 2, 6, 32)
    expected = torch.stack([last[:, t // 4] for t in range(8)], dim=1).flatten(1, 2)
    torch.testing.assert_close(method.encode(clip, keep), method.norm(expected))
