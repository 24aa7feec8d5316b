"""The published SVFAP-B, reproduced to the digit: weights and clip by a rule, outputs measured on the published code."""

from __future__ import annotations

import zlib

import numpy as np
import torch

from mien.tasks.classify import ClassifyConfig
from mien.types import LabelSpec


def hash01(n: int, h: int) -> np.ndarray:
    """n values in [0, 1): the 32-bit murmur3 finaliser of a counter."""
    k = (np.arange(n, dtype=np.uint64) + np.uint64(0x9E3779B9) * np.uint64(h)) & np.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        k ^= k >> np.uint64(shift)
        k = (k * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    return (k ^ (k >> np.uint64(16))) / 2.0**32


def filled(key: str, shape: torch.Size) -> torch.Tensor:
    n = shape.numel()
    u = 2 * hash01(n, zlib.crc32(key.encode()) % 1000) - 1
    if len(shape) == 1:
        value = 1 + 0.1 * u if key.endswith(".weight") else 0.1 * u
    else:
        value = 0.5 * u if key.endswith(("token", "tokens")) else u * np.sqrt(3 / (n / shape[0]))
    return torch.from_numpy(value.astype(np.float32).reshape(shape))


def test_svfap_base_equals_the_published_code():
    model = ClassifyConfig(spec=LabelSpec(names=tuple("abcdefg"))).build().eval()
    # The published keys have no "encoder." in front; otherwise they are ours.
    state = {k: filled(k.removeprefix("encoder."), v.shape) for k, v in model.state_dict().items()}
    assert len(state) == 385
    model.load_state_dict(state)
    shape = (2, 3, 16, 160, 160)
    clip = torch.from_numpy((3 * hash01(int(np.prod(shape)), 0) - 1.5).astype(np.float32).reshape(shape))
    with torch.inference_mode():
        features = model.features(clip)
        logits = model.head(features)
    expected = [1.87418, 1.93720, 0.23895, -1.37477, 0.41825]
    torch.testing.assert_close(logits[0, :5], torch.tensor(expected), atol=1e-4, rtol=0)
    torch.testing.assert_close(logits[1, -3:], torch.tensor([0.45630, 0.42341, 0.31929]), atol=1e-4, rtol=0)
    assert abs(logits.mean().item() - 0.556556) < 1e-4
    assert abs(logits.std(correction=0).item() - 1.063222) < 1e-4
    expected = [1.28400, 0.80793, 0.71670, 0.47972, -0.01089]
    torch.testing.assert_close(features[0, :5], torch.tensor(expected), atol=1e-4, rtol=0)
    assert abs(features.mean().item() - 0.003393) < 1e-4
