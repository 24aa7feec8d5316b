"""What masked autoencoders share: tube mask, encoder on the visible tubes, light decoder, loss on the masked ones.

    clip -> visible tubes -> encoder -> (fusion) -> LayerNorm -> decoder -> masked tubes

The methods say which encoder, what is fused and what the target is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mien.data.view import View
from mien.encoders._api import EncoderOutput
from mien.encoders._table import EncoderConfig
from mien.encoders.vit import ViTConfig
from mien.layers.block import layer_norm
from mien.layers.decoder import MaskedDecoder, visible_tokens
from mien.layers.init import xavier_
from mien.layers.mask import TubeMask, complement, tube_tokens
from mien.layers.patch import Grid, patchify, unpatchify
from mien.losses.reconstruction import masked_mse, normalize_tubes, pixels
from mien.transforms.augment import Augment
from mien.types import IMAGENET_MEAN, IMAGENET_STD, require

# Pairs of crop sides of the published multi-scale crop: 160, 140, 120, 105 of 160 (official.md 4.2).
MULTI_SCALE = (1.0, 0.875, 0.75, 0.66)
GREY = 0.5  # what masked tubes look like in pictures


@dataclass(frozen=True)
class MaskedConfig:
    """Fields of every masked autoencoder; defaults of the papers."""

    encoder: EncoderConfig = field(default_factory=ViTConfig)
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
        self.mask()
        heads = (
            f"decoder of width {self.decoder_dim} with {self.decoder_heads} heads: give a width that the heads divide"
        )
        require(self.decoder_heads >= 1 and self.decoder_dim % self.decoder_heads == 0, heads)
        require(
            bool(self.scales) and all(0 < s <= 1 for s in self.scales), f"scales {self.scales}: give numbers up to 1"
        )
        require(self.decoder_depth >= 1, f"decoder depth {self.decoder_depth}: give 1 or more")

    def build(self) -> MaskedAutoencoder:
        return MaskedAutoencoder(self)

    @property
    def grid(self) -> Grid:
        pt, ph, pw = self.encoder.tube
        return self.num_frames // pt, self.size // ph, self.size // pw

    def mask(self, ratio: float | None = None) -> TubeMask:
        """The mask of training, or one of another ratio. Raises UserError for ratios that leave nothing to see or guess."""
        return TubeMask(self.grid[1], self.grid[2], self.mask_ratio if ratio is None else ratio, self.encoder.window)


class MaskedAutoencoder(nn.Module):
    """The pre-training learner; `encoder` is what is kept."""

    def __init__(self, config: MaskedConfig):
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
        return {"clip": View(c.num_frames, c.stride, "pretrain", augment, c.mask())}

    def visible(self, out: EncoderOutput, keep: Tensor | None) -> Tensor:
        """What the decoder gets of the encoder's output: of a pyramid, all stages added up."""
        return out.fused()

    def encode(self, clip: Tensor, keep: Tensor | None = None) -> Tensor:
        """Visible tokens after the last norm, ``[B, t*K, D]`` in raster order; `keep` None shows all."""
        return self.norm(self.visible(self.encoder(clip, keep), keep))

    def reconstruct(self, clip: Tensor, keep: Tensor) -> Tensor:
        """The decoder's prediction ``[B, t*(h*w - K), P*C]`` for the masked tubes in raster order: normalised pixels, in
        (frame, row, column, channel) order inside a tube."""
        return self.decoder(self.encode(clip, keep), keep, self.config.grid)

    def targets(self, clip: Tensor, keep: Tensor) -> Tensor:
        """What `reconstruct` should return: the masked tubes, normalised (official.md 3.5)."""
        c = self.config
        tubes = patchify(pixels(clip.float(), c.mean, c.std), c.encoder.tube)
        masked = visible_tokens(tubes.flatten(2), complement(keep, c.grid[1] * c.grid[2]), c.grid)
        return normalize_tubes(masked.unflatten(2, tubes.shape[2:]))[0].flatten(2)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return masked_mse(prediction, target)

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``clip [B, C, T, H, W]`` normalised, ``keep [B, K]`` to the loss on the masked tubes (SVFAP Eq. 11) and, for the log,
        the loss that predicting zeros would have had on the same clips and masks."""
        clip, keep = batch["clip"], batch["keep"]
        prediction = self.reconstruct(clip, keep)
        with torch.no_grad():
            target = self.targets(clip, keep)
        return {
            "loss": self.loss(prediction, target),
            "zero_loss": self.loss(torch.zeros_like(target), target).detach(),
        }

    def after_step(self, progress: float) -> None:
        """Nothing moves besides the weights."""

    @torch.no_grad()
    def pictures(self, clip: Tensor, keep: Tensor) -> dict[str, Tensor]:
        """Rows of a film strip by name, pixels in [0, 1], ``[B, C, T, H, W]`` each: SVFAP's Fig. 6.

        As in the published figures, the mean and scale that turn normalised tubes into pixels are those of the original
        tubes, and visible tubes show their own pixels.
        """
        c = self.config
        original = pixels(clip.float(), c.mean, c.std)
        tubes = patchify(original, c.encoder.tube)
        _, mean, scale = normalize_tubes(tubes)
        where = self.masked_index(keep)[..., None, None].expand(-1, -1, *tubes.shape[2:])
        predicted = self.reconstruct(clip, keep).float().reshape(where.shape)
        predicted = predicted * scale.gather(1, where[:, :, :1]) + mean.gather(1, where[:, :, :1])
        shown, filled = tubes.scatter(1, where, GREY), tubes.scatter(1, where, predicted).clamp(0, 1)
        rows = (unpatchify(x, c.grid, c.encoder.tube) for x in (shown, filled))
        return dict(zip(("original", "masked", "reconstructed"), (original, *rows), strict=True))

    def masked_index(self, keep: Tensor) -> Tensor:
        """Flattened (t, h, w) places of the masked tubes, ``[B, t*(h*w - K)]``."""
        t, h, w = self.config.grid
        return tube_tokens(complement(keep, h * w), t, h * w)
