"""SVFAP: masked facial video autoencoding with multi-scale fusion (Sun et al., "SVFAP: Self-supervised Video Facial Affect
Perceiver", `papers/svfap.md` 3.1).

    clip -> visible 10 % of the tubes -> TPSBT -> X1 + up2(X2) + up4(X3) -> LayerNorm -> decoder -> masked tubes

Deviations from the released code, towards the paper: the reverse block does not see masked tubes and the up-sampling
repeats whole slices (official.md section 1, #1 and #2). From the paper, towards the code: the target is the normalised tube (#5).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mien.data.view import View
from mien.encoders.tpsbt import TPSBTConfig
from mien.layers.block import layer_norm
from mien.layers.decoder import MaskedDecoder, visible_tokens
from mien.layers.init import xavier_
from mien.layers.mask import TubeMask, complement
from mien.layers.patch import Grid, patchify, unpatchify
from mien.layers.temporal import upsample_nearest
from mien.losses.reconstruction import masked_mse, normalize_tubes, pixels
from mien.transforms.augment import Augment
from mien.types import IMAGENET_MEAN, IMAGENET_STD, require

# Pairs of crop sides of the published multi-scale crop: 160, 140, 120, 105 of 160 (official.md 4.2).
MULTI_SCALE = (1.0, 0.875, 0.75, 0.66)


@dataclass(frozen=True)
class SVFAPConfig:
    """Defaults: SVFAP-B of the paper."""

    encoder: TPSBTConfig = field(default_factory=TPSBTConfig)
    mask_ratio: float = 0.9
    num_frames: int = 16
    stride: int = 4
    size: int = 160
    decoder_dim: int = 384
    decoder_depth: int = 4
    decoder_heads: int = 6
    scales: tuple[float, ...] = MULTI_SCALE
    """Sides of the random crops as fractions of the frame; (1,) leaves frames as they are."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        self.encoder.check_clip(self.num_frames, self.size)
        require(self.stride >= 1, f"stride {self.stride}: give 1 or more")
        spatial = self.grid[1] * self.grid[2]
        sees = spatial - int(self.mask_ratio * spatial)
        require(
            0 < sees < spatial,
            f"mask-ratio {self.mask_ratio:g} shows {sees} of {spatial} tubes: give one between 0 and 1",
        )
        heads = (
            f"decoder of width {self.decoder_dim} with {self.decoder_heads} heads: give a width that the heads divide"
        )
        require(self.decoder_heads >= 1 and self.decoder_dim % self.decoder_heads == 0, heads)
        require(
            bool(self.scales) and all(0 < s <= 1 for s in self.scales), f"scales {self.scales}: give numbers up to 1"
        )
        require(self.decoder_depth >= 1, f"decoder depth {self.decoder_depth}: give 1 or more")

    def build(self) -> SVFAP:
        return SVFAP(self)

    @property
    def grid(self) -> Grid:
        pt, ph, pw = self.encoder.tube
        return self.num_frames // pt, self.size // ph, self.size // pw


class SVFAP(nn.Module):
    """The pre-training learner; `encoder` is what is kept."""

    def __init__(self, config: SVFAPConfig):
        super().__init__()
        self.config = config
        tube = config.encoder.tube
        out_dim = tube[0] * tube[1] * tube[2] * config.encoder.channels
        self.encoder = config.encoder.build()
        self.norm = layer_norm(config.encoder.dim)
        self.decoder = MaskedDecoder(
            config.encoder.dim, config.decoder_dim, config.decoder_depth, config.decoder_heads, out_dim
        )
        xavier_(self.encoder)
        xavier_(self.decoder)
        self.decoder.embed.reset_parameters()  # the one Linear that keeps torch's own initialisation (official.md 2.5)

    def views(self) -> dict[str, View]:
        c = self.config
        augment = Augment(size=c.size, crop="multi_scale", scales=c.scales, mean=c.mean, std=c.std)
        mask = TubeMask(c.grid[1], c.grid[2], c.mask_ratio)
        return {"clip": View(c.num_frames, c.stride, "pretrain", augment, mask)}

    def encode(self, clip: Tensor, keep: Tensor | None) -> Tensor:
        """Fused visible tokens ``[B, t*K, D]`` (paper Eq. 9, 10)."""
        out = self.encoder(clip, keep)
        num_slices = self.config.grid[0]
        fused = out.stages[0]
        for i, stage in enumerate(out.stages[1:], start=1):
            fused = fused + upsample_nearest(stage, num_slices >> i, 1 << i)
        return self.norm(fused)

    def predict_masked(self, clip: Tensor, keep: Tensor) -> Tensor:
        """Normalised pixels ``[B, t*(h*w - K), P*C]`` of the masked tubes, in raster order."""
        return self.decoder(self.encode(clip, keep), keep, self.config.grid)

    def targets(self, clip: Tensor, keep: Tensor) -> Tensor:
        """What `predict_masked` should return."""
        c = self.config
        tubes = patchify(pixels(clip.float(), c.mean, c.std), c.encoder.tube)
        masked = visible_tokens(tubes.flatten(2), complement(keep, c.grid[1] * c.grid[2]), c.grid)
        return normalize_tubes(masked.unflatten(2, tubes.shape[2:]))[0].flatten(2)

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``clip [B, C, T, H, W]`` normalised, ``keep [B, K]`` to the loss (paper Eq. 11) and, for the log, the loss that
        predicting zeros would have had on the same clips and masks."""
        clip, keep = batch["clip"], batch["keep"]
        prediction = self.predict_masked(clip, keep)
        with torch.no_grad():
            target = self.targets(clip, keep)
        return {"loss": masked_mse(prediction, target), "zero_loss": target.square().mean()}

    def after_step(self, progress: float) -> None:
        """Nothing moves besides the weights."""

    @torch.no_grad()
    def reconstruct(self, clip: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels in [0, 1] of the paper's Fig. 6: the masked input (masked tubes grey) and the reconstruction.

        As in the published figures, the mean and scale that turn normalised tubes into pixels are those of the original
        tubes, and visible tubes show their own pixels. ``[B, C, T, H, W]`` each.
        """
        c = self.config
        tubes = patchify(pixels(clip.float(), c.mean, c.std), c.encoder.tube)
        _, mean, scale = normalize_tubes(tubes)
        masked = complement(keep, c.grid[1] * c.grid[2])
        index = (
            torch.arange(c.grid[0], device=clip.device)[:, None] * c.grid[1] * c.grid[2] + masked[:, None]
        ).flatten(1)
        where = index[..., None, None].expand(-1, -1, *tubes.shape[2:])
        predicted = self.predict_masked(clip, keep).float().reshape(where.shape)
        predicted = predicted * scale.gather(1, where[:, :, :1]) + mean.gather(1, where[:, :, :1])
        shown = tubes.scatter(1, where, 0.5)
        filled = tubes.scatter(1, where, predicted).clamp(0, 1)
        return unpatchify(shown, c.grid, c.encoder.tube), unpatchify(filled, c.grid, c.encoder.tube)
