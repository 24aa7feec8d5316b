"""Random erasing: one box per clip filled with noise that is fresh for every frame (decisions: random-erasing)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

AREA = (0.02, 1 / 3)
ASPECT = (0.3, 1 / 0.3)
MAX_TRIES = 10


def draw(rng: np.random.Generator, size: int, probability: float) -> np.ndarray:
    """int64 [5]: x, y, w, h of the box (w = 0: nothing is erased) and the seed of its noise."""
    if rng.uniform() < probability:
        for _ in range(MAX_TRIES):
            target = rng.uniform(*AREA) * size * size
            ratio = math.exp(rng.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
            h, w = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
            if 0 < w < size and 0 < h < size:
                x, y = rng.integers(size - w + 1), rng.integers(size - h + 1)
                return np.array([x, y, w, h, rng.integers(2**63 - 1)], np.int64)
    return np.zeros(5, np.int64)


def apply(clip: Tensor, boxes: Tensor) -> Tensor:
    """Fills the boxes of `clip` [B, C, T, h, w] (normalised, changed in place) with N(0, 1).

    The noise comes from a generator of its own per clip, so it depends on the clip's draw alone and not on the batch
    around it; it differs between kinds of device. Only erased clips cost anything.

    Args:
        boxes: int64 [B, 5] on the CPU, from `draw`.
    """
    for b, (x, y, w, h, seed) in enumerate(boxes.tolist()):
        if w:
            noise = torch.Generator(clip.device).manual_seed(seed)
            region = clip[b, :, :, y : y + h, x : x + w]
            region.normal_(generator=noise)
    return clip
