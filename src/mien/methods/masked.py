"""What masked autoencoders share: tube mask, encoder on the visible tubes, light decoder, loss on the masked ones.

    clip -> visible tubes -> encoder -> (fusion) -> LayerNorm -> decoder -> masked tubes

The methods say which encoder, what is fused and what the target is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Self

import torch
from torch import Tensor, nn

from mien.data.view import View
from mien.encoders.output import EncoderOutput
from mien.encoders.table import EncoderConfig
from mien.encoders.vit import ViTConfig
from mien.errors import require
from mien.layers.block import layer_norm
from mien.layers.decoder import MaskedDecoder, visible_tokens
from mien.layers.init import xavier_
from mien.layers.mask import TubeMask, complement, tube_tokens
from mien.layers.patch import Grid, grid_of, patchify, unpatchify
from mien.learner import LearnerConfig, TrainingData, with_period
from mien.losses.reconstruction import masked_mse, normalize_tubes, pixels
from mien.options import FLAT
from mien.transforms.clip import Augment, ClipAugment, ClipSpec

GREY = 0.5  # what masked tubes look like in pictures


@dataclass(frozen=True)
class MaskedConfig(LearnerConfig):
    """Fields of every masked autoencoder; defaults of the papers."""

    encoder: EncoderConfig = field(default_factory=ViTConfig)
    clip: Annotated[ClipSpec, FLAT] = field(default_factory=ClipSpec)
    mask_ratio: float = 0.9
    """Share of the tubes that is hidden."""
    decoder_dim: int = 384
    """Width of the decoder."""
    decoder_depth: int = 4
    """Blocks of the decoder."""
    decoder_heads: int = 6
    """Attention heads of the decoder."""
    augment: Annotated[ClipAugment, FLAT] = field(default_factory=lambda: ClipAugment("multi_scale"))

    def __post_init__(self) -> None:
        kind = type(self.encoder).__name__.removesuffix("Config")
        can = "this method hides tubes from its encoder; give TPSBT, LGIFormer or ViT"
        require(
            self.encoder.supports_mask, f"encoder {kind} has no masked tubes, its convolutions see every pixel: {can}"
        )
        self.clip.check(self.encoder)
        self.mask()
        heads = (
            f"decoder of width {self.decoder_dim} with {self.decoder_heads} heads: give a width that the heads divide"
        )
        require(min(self.decoder_heads, self.decoder_dim) >= 1 and self.decoder_dim % self.decoder_heads == 0, heads)
        require(self.decoder_depth >= 1, f"decoder depth {self.decoder_depth}: give 1 or more")

    def build(self) -> MaskedAutoencoder:
        return MaskedAutoencoder(self)

    @property
    def sees(self) -> ClipSpec:
        return self.clip

    def fitted(self, data: TrainingData) -> Self:
        return replace(self, clip=with_period(self.clip, data))

    @property
    def grid(self) -> Grid:
        pt, ph, pw = self.encoder.tube
        return self.clip.num_frames // pt, self.clip.size // ph, self.clip.size // pw

    def mask(self, ratio: float | None = None) -> TubeMask:
        """The mask of training, or one of another ratio. Raises UserError for ratios that leave nothing to see or guess."""
        return TubeMask(self.grid[1], self.grid[2], self.mask_ratio if ratio is None else ratio, self.encoder.window)


class MaskedAutoencoder(nn.Module):
    """The pre-training learner; `encoder` is what is kept."""

    undecayed = frozenset({"decoder.mask_token"})
    """Weights without weight decay, besides 1-D ones. The published list also names the representative tokens, by a name that
    matches none, so they are decayed (decisions: weight-decay)."""

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
        for name, parameter in self.encoder.named_parameters():
            if name.endswith("tokens"):
                # as the mask token (decisions: masked-initialisation)
                nn.init.trunc_normal_(parameter, std=0.02, a=-0.02, b=0.02)
            parameter.requires_grad_(name not in self.encoder.unused_by("tokens"))
        self.decoder.embed.reset_parameters()  # keeps torch's own initialisation (decisions: masked-initialisation)

    def views(self) -> dict[str, View]:
        return self._view(self.config.clip.augmented(self.config.augment))

    def held_out_views(self) -> dict[str, View]:
        """Without random crops."""
        return self._view(self.plain_augment())

    def _view(self, augment: Augment) -> dict[str, View]:
        clip = self.config.clip
        return {"clip": View(clip.num_frames, clip.stride, "pretrain", augment, self.config.mask())}

    def plain_augment(self) -> Augment:
        return self.config.clip.plain()

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        self.encoder.load_state_dict(state)

    def visible(self, out: EncoderOutput) -> Tensor:
        """What of the encoder's output is decoded: of a pyramid, all stages added up."""
        return out.fused()

    def decoder_input(self, tokens: Tensor, keep: Tensor) -> Tensor:
        """Tokens in the order in which they meet the decoder's positions: raster order."""
        return tokens

    def encode(self, clip: Tensor, keep: Tensor | None = None) -> Tensor:
        """Visible tokens after the last norm, ``[B, t*K, D]`` in raster order; `keep` None shows all, of any size that the
        encoder takes.

        Raises:
            ValueError: with `keep`, a clip of another size than the method's, or positions that are none (`checked`).
        """
        return self._encode(clip, None if keep is None else self.checked(clip, keep))

    def features(self, clip: Tensor) -> Tensor:
        """Mean over the tokens after the last norm, nothing masked: ``[B, D]``."""
        return self.encode(clip).mean(dim=1)

    def reconstruct(self, clip: Tensor, keep: Tensor) -> Tensor:
        """The decoder's prediction ``[B, t*(h*w - K), P*C]`` for the masked tubes in raster order: normalised pixels, in
        (frame, row, column, channel) order inside a tube.

        Raises:
            ValueError: as `encode`.
        """
        return self._decode(clip, self.checked(clip, keep))

    def _encode(self, clip: Tensor, keep: Tensor | None) -> Tensor:
        return self.norm(self.visible(self.encoder(clip, keep)))

    def _decode(self, clip: Tensor, keep: Tensor) -> Tensor:
        return self.decoder(self.decoder_input(self._encode(clip, keep), keep), keep, self.config.grid)

    def checked(self, clip: Tensor, keep: Tensor) -> Tensor:
        """`keep` as int64 ``[B, K]``; one row serves all clips.

        Raises:
            ValueError: a clip of another grid, positions that are no distinct integers of a slice, or another batch size.
        """
        grid, want = grid_of(tuple(clip.shape), self.config.encoder.tube), self.config.grid
        if grid != want:
            raise ValueError(f"clip {tuple(clip.shape)} has {grid} tubes (t, h, w), the model was made for {want}")
        spatial = want[1] * want[2]
        if keep is None or keep.ndim != 2 or keep.dtype.is_floating_point or keep.dtype == torch.bool:
            got = "None" if keep is None else f"{keep.dtype} of shape {tuple(keep.shape)}"
            raise ValueError(f"keep is {got}; give the visible positions, integers [B, K] from 0 to {spatial - 1}")
        if keep.shape[0] not in (1, len(clip)):
            raise ValueError(f"keep has {keep.shape[0]} rows for {len(clip)} clips: give one each, or one for all")
        if not keep.is_meta and keep.numel():
            ordered = keep.sort(dim=1).values
            if ordered[:, 0].min() < 0 or ordered[:, -1].max() >= spatial or (ordered.diff(dim=1) == 0).any():
                raise ValueError(f"keep holds a position twice, or one outside 0 to {spatial - 1}")
        return keep.long().expand(len(clip), -1)

    def targets(self, clip: Tensor, keep: Tensor) -> Tensor:
        """What `reconstruct` should return: the masked tubes, normalised (decisions: masked-target)."""
        c = self.config
        tubes = patchify(pixels(clip.float(), c.clip.mean, c.clip.std), c.encoder.tube)
        masked = visible_tokens(tubes.flatten(2), complement(keep, c.grid[1] * c.grid[2]), c.grid)
        return normalize_tubes(masked.unflatten(2, tubes.shape[2:]))[0].flatten(2)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return masked_mse(prediction, target)

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``clip [B, C, T, H, W]`` normalised, ``keep [B, K]`` to the loss on the masked tubes (SVFAP Eq. 11) and, for the log,
        the loss that predicting zeros would have had on the same clips and masks."""
        clip, keep = batch["clip"], batch["keep"]
        prediction = self._decode(clip, keep)  # the loader's masks need no check, which a GPU would wait for
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
        keep = self.checked(clip, keep)
        c = self.config
        original = pixels(clip.float(), c.clip.mean, c.clip.std)
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
