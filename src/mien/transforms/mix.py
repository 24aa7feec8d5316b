"""Mixup and CutMix over a batch (decisions: mixing): one lambda per batch, the partner is the batch in reverse order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from mien.errors import require


class MixDraw(TypedDict):
    """Of one batch. lam: what share of a clip stays its own; box: x, y, w, h of the partner's patch (None: mixup)."""

    lam: float
    box: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class Mix:
    """A batch is mixed by CutMix or by mixup."""

    mixup: float = 0.8
    """Alpha of the beta distribution of mixup; 0 turns it off."""
    cutmix: float = 1.0
    """Of CutMix."""
    cutmix_share: float = 0.5
    """Share of the mixed batches that CutMix mixes, where both are on."""
    mixed_share: float = 1.0
    """Share of batches that are mixed at all."""

    def __post_init__(self) -> None:
        require(self.mixup >= 0 and self.cutmix >= 0, "--mixup and --cutmix: give 0 (off) or more")

    @property
    def on(self) -> bool:
        return bool(self.mixup or self.cutmix)

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> MixDraw:
        """The mixing of one batch of clips of `size` (height, width)."""
        if rng.uniform() >= self.mixed_share or not (self.mixup or self.cutmix):
            return {"lam": 1.0, "box": None}
        if self.cutmix and (not self.mixup or rng.uniform() < self.cutmix_share):
            box = _box(rng, size, float(rng.beta(self.cutmix, self.cutmix)))
            # The box is cut off at the border, so its share of the picture is counted again.
            return {"lam": 1 - box[2] * box[3] / (size[0] * size[1]), "box": box}
        return {"lam": float(rng.beta(self.mixup, self.mixup)), "box": None}

    def apply(self, clip: Tensor, target: Tensor, params: MixDraw) -> tuple[Tensor, Tensor]:
        """Mixes clips [B, C, T, H, W] and soft targets [B, K] with the batch in reverse order.

        In a batch of odd length the clip in the middle meets itself and stays as it was.
        """
        lam, box = params["lam"], params["box"]
        if lam == 1.0:
            return clip, target
        partner = clip.flip(0)
        if box is None:
            clip = partner.mul_(1 - lam).add_(clip, alpha=lam)
        else:
            x, y, w, h = box
            clip = clip.clone()
            clip[..., y : y + h, x : x + w] = partner[..., y : y + h, x : x + w]
        return clip, target * lam + target.flip(0) * (1 - lam)


def _box(rng: np.random.Generator, size: tuple[int, int], lam: float) -> tuple[int, int, int, int]:
    """(x, y, w, h) with share 1 - lam of the picture and its shape, centred anywhere, cut off at the border."""
    height, width = size
    side = np.sqrt(1 - lam)
    half_h, half_w = int(height * side) // 2, int(width * side) // 2
    cy, cx = int(rng.integers(height)), int(rng.integers(width))
    y0, y1 = max(cy - half_h, 0), min(cy + half_h, height)
    x0, x1 = max(cx - half_w, 0), min(cx + half_w, width)
    return x0, y0, x1 - x0, y1 - y0


def soft_targets(labels: Tensor, num_classes: int, smoothing: float = 0.0) -> Tensor:
    """int64 [B] to [B, K]: 1 - smoothing + smoothing / K on the label, smoothing / K elsewhere."""
    return F.one_hot(labels, num_classes).float() * (1 - smoothing) + smoothing / num_classes
