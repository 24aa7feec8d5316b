"""VideoMAE: masked autoencoding with the ViT encoder (Tong et al. 2022), the plain baseline of SVFAP and MAE-DFER."""

from __future__ import annotations

from dataclasses import dataclass

from mien.methods.masked import MaskedConfig


@dataclass(frozen=True)
class VideoMAEConfig(MaskedConfig):
    """Defaults: ViT-B as the two papers pre-train it on VoxCeleb2 (16 frames of 160 pixels, decoder of 4 blocks)."""
