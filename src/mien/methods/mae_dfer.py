"""MAE-DFER: joint masked appearance and motion modelling (Sun et al., "MAE-DFER: Efficient Masked Autoencoder for
Self-supervised Dynamic Facial Expression Recognition", 3.2).

    target of a tube (two frames, normalised together):  frame 0 | frame 1 - frame 0
    loss = lambda * MSE(appearance) + (1 - lambda) * MSE(motion), on masked tubes (paper Eq. 2)

From the paper towards the code: one linear head predicts both halves, the difference is taken after normalisation
(decisions: motion-target). From the code towards the paper: the decoder sees raster order; published weights were trained
with region order, and a converted checkpoint says so (decisions: token-order).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, Self

import torch
from torch import Tensor

from mien.encoders.lgi_former import LGIFormer, LGIFormerConfig
from mien.encoders.table import EncoderConfig
from mien.errors import require
from mien.layers.mask import select
from mien.layers.patch import patchify, unpatchify
from mien.learner import LearnerConfig
from mien.losses.reconstruction import masked_mse, normalize_tubes, pixels
from mien.methods.masked import GREY, MaskedAutoencoder, MaskedConfig


@dataclass(frozen=True)
class MAEDFERConfig(MaskedConfig):
    """Defaults: MAE-DFER-B of the paper. Other encoders: Table 10 has the ViT."""

    encoder: EncoderConfig = field(default_factory=LGIFormerConfig)
    appearance_weight: float = 0.5
    """lambda of Eq. 2 (Fig. 3): 1 is appearance alone, 0 motion alone."""
    decoder_order: Literal["raster", "region"] = "raster"
    """Order in which the decoder's positions meet the encoder's tokens; region only to go on from published weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            0 <= self.appearance_weight <= 1, f"appearance weight {self.appearance_weight:g}: give a number from 0 to 1"
        )
        t = self.encoder.tube[0]
        require(t >= 2, f"tubes of {t} frame have no motion: give tubes of 2 frames or more")
        regions = self.decoder_order == "raster" or isinstance(self.encoder, LGIFormerConfig)
        require(regions, "decoder order region: only an LGI-Former has regions")

    def continuing(self, before: LearnerConfig) -> Self:
        """A decoder knows its tokens in one order."""
        return replace(self, decoder_order=before.decoder_order) if isinstance(before, MAEDFERConfig) else self

    @property
    def unusual(self) -> str:
        return "" if self.decoder_order == "raster" else f"decoder in {self.decoder_order} order"

    def build(self) -> MAEDFER:
        return MAEDFER(self)


class MAEDFER(MaskedAutoencoder):
    """See the module's docstring."""

    config: MAEDFERConfig

    def decoder_input(self, tokens: Tensor, keep: Tensor) -> Tensor:
        """Region order for weights that were trained that way (decisions: token-order)."""
        if self.config.decoder_order == "raster":
            return tokens
        assert isinstance(self.encoder, LGIFormer)
        order = self.encoder.region_order(keep, tokens.device)
        return select(tokens, order.expand(len(tokens), -1))

    def targets(self, clip: Tensor, keep: Tensor) -> Tensor:
        """Normalised frame 0 and differences to it, ``[B, t*(h*w - K), P*C]``."""
        return motion_of(super().targets(clip, keep), self.config.encoder.tube[0])

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        weight, half = self.config.appearance_weight, target.shape[-1] // self.config.encoder.tube[0]
        appearance = masked_mse(prediction[..., :half], target[..., :half])
        motion = masked_mse(prediction[..., half:], target[..., half:])
        return weight * appearance + (1 - weight) * motion

    @torch.no_grad()
    def pictures(self, clip: Tensor, keep: Tensor) -> dict[str, Tensor]:
        """Rows of a film strip, ``[B, C, t, H, W]`` each, a frame per tube: appearance (its first frame), motion (the
        difference of the next to it, around grey), and the next frame as the two give it, as in the paper's Fig. 4."""
        keep = self.checked(clip, keep)
        c, frames = self.config, self.config.encoder.tube[0]
        tubes = patchify(pixels(clip.float(), c.clip.mean, c.clip.std), c.encoder.tube)
        normal, mean, scale = normalize_tubes(tubes)
        truth = motion_of(normal.flatten(2), frames)
        where = self.masked_index(keep)[..., None].expand(-1, -1, truth.shape[-1])
        filled = truth.scatter(1, where, self.reconstruct(clip, keep).float())
        hidden = torch.zeros_like(truth, dtype=torch.bool).scatter(1, where, True)
        rows = {}
        for name, values in (
            ("original", truth),
            ("masked", truth.masked_fill(hidden, torch.nan)),
            ("reconstructed", filled),
        ):
            parts = values.reshape(*tubes.shape[:2], frames, -1, tubes.shape[-1])
            rows[name] = parts[:, :, 0] * scale + mean
            rows[f"{name} motion"] = parts[:, :, 1] * scale + GREY
        rows["next, reconstructed"] = rows["reconstructed"] + rows["reconstructed motion"] - GREY
        size = (1, *c.encoder.tube[1:])
        kinds = ("original", "masked", "reconstructed")
        order = (*kinds, *(f"{kind} motion" for kind in kinds), "next, reconstructed")
        return {k: unpatchify(rows[k].nan_to_num(GREY).clamp(0, 1), c.grid, size) for k in order}


def motion_of(tubes: Tensor, frames: int) -> Tensor:
    """Normalised tubes ``[..., frames * V]`` with every frame but the first replaced by its difference to the first."""
    first, *rest = tubes.chunk(frames, dim=-1)
    return torch.cat([first, *(frame - first for frame in rest)], dim=-1)
