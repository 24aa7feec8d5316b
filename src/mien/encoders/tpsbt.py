"""TPSBT: Temporal Pyramid and Spatial Bottleneck Transformer, the encoder of SVFAP (paper 3.1.3, Fig. 2).

    stage 1   M1 standard blocks over all tubes                                  T/2  slices of S tokens
    stage 2   halve time; bottleneck: G tokens per slice; M2-1 SBT blocks on     T/4
              them; one reverse SBT block back onto the slice tokens
    stage 3   the same                                                           T/8

Where the paper is silent or its code differs: the spatial attention has a LayerNorm first, 128 hidden units and a softmax per
slice, and weighs the un-normalised tokens (decisions: spatial-attention); the reverse block's context is the bottleneck
tokens, as in Eq. 8 (decisions: reverse-block). Multi-scale fusion belongs to the pre-training method, not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from mien.encoders.output import EncoderOutput, Pool, check_transformer, check_tubes, depth_rates, layer_of
from mien.errors import require
from mien.layers.block import MLP, Block, CrossBlock, layer_norm
from mien.layers.decoder import visible_tokens
from mien.layers.init import fresh_
from mien.layers.patch import Grid, TubeEmbed, grid_of
from mien.layers.position import positions
from mien.layers.temporal import temporal_downsample

SPATIAL_ATTENTION_HIDDEN = 128  # the paper's parameter count needs it (decisions: spatial-attention)


@dataclass(frozen=True)
class TPSBTConfig:
    """Defaults: SVFAP-B of the paper."""

    dim: int = 512
    """Width of the tokens."""
    num_heads: int = 8
    """Attention heads of a block."""
    depths: tuple[int, int, int] = (12, 6, 3)
    """Blocks of each stage."""
    bottlenecks: int = 8
    """G: bottleneck tokens per temporal slice."""
    temporal_pyramid: bool = True
    """Halve time before stages 2 and 3 (Table 3)."""
    spatial_bottleneck: bool = True
    """Bottleneck tokens and SBT blocks in stages 2 and 3, else standard blocks; the paper's model without them has depths
    (12, 8, 4) (Table 3)."""
    downsample: Literal["conv", "average", "max"] = "conv"
    """How time is halved (Table 6)."""
    tube: Grid = (2, 16, 16)
    """Frames, rows and columns of a token."""
    channels: int = 3
    """3 for colour, 1 for grey."""
    drop_path: float = 0.0
    """Highest rate of stochastic depth; it grows linearly from 0 over the blocks."""

    supports_mask: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_transformer(self.dim, self.num_heads, self.drop_path, self.depths, self.tube, self.channels)
        require(len(self.depths) == 3, f"encoder depths {self.depths}: give three, one for each stage")
        require(self.bottlenecks >= 1, f"encoder bottlenecks {self.bottlenecks}: give 1 or more")

    @property
    def grouping(self) -> int:
        """Slices must be a multiple of this: the pyramid halves them twice, and without it the bottleneck still groups them."""
        return 4 if self.temporal_pyramid or self.spatial_bottleneck else 1

    @property
    def window(self) -> None:
        """Any mask will do."""

    @property
    def pools(self) -> tuple[Pool, ...]:
        """What a classifier may average, the default first."""
        return "tokens", "fused"

    def spatial(self, size: int) -> tuple[int, int]:
        """Rows and columns of the tokens of a slice."""
        return size // self.tube[1], size // self.tube[2]

    def check_clip(self, num_frames: int, size: int) -> None:
        """Raises UserError for clips that the tubes and the temporal pyramid do not divide."""
        check_tubes(size, num_frames, self.tube, self.grouping * self.tube[0])

    def build(self) -> TPSBT:
        return TPSBT(self)


class SpatialAttention(nn.Module):
    """S tokens of each slice to G bottleneck tokens (paper Eq. 5): ``[B, T*S, D]`` to ``[B, T*G, D]``."""

    def __init__(self, dim: int, bottlenecks: int):
        super().__init__()
        self.norm = layer_norm(dim)
        self.mlp = MLP(dim, SPATIAL_ATTENTION_HIDDEN, bottlenecks)

    def forward(self, x: Tensor, num_slices: int) -> Tensor:
        B, N, D = x.shape
        weights = self.mlp(self.norm(x)).reshape(B * num_slices, N // num_slices, -1).softmax(dim=1)
        slices = x.reshape(B * num_slices, N // num_slices, D)
        # As in TemporalDownsample: the residual stream keeps the input's precision under autocast.
        return torch.bmm(weights.transpose(1, 2), slices).to(x.dtype).reshape(B, -1, D)


class TPSBT(nn.Module):
    """See the module's docstring."""

    supports_mask = True

    def __init__(self, config: TPSBTConfig):
        super().__init__()
        self.config = config
        self.dim, self.num_layers = config.dim, sum(config.depths)
        rates = depth_rates(config.drop_path, self.num_layers)
        self.patch_embed = TubeEmbed(config.dim, config.channels, config.tube)
        self.blocks = nn.ModuleList(
            (CrossBlock if config.spatial_bottleneck and i >= config.depths[0] else Block)(
                config.dim, config.num_heads, drop_path=rates[i]
            )
            for i in range(self.num_layers)
        )
        if config.temporal_pyramid:
            self.temporal_downsamples = nn.ModuleList(
                temporal_downsample(config.downsample, config.dim) for _ in config.depths[1:]
            )
        if config.spatial_bottleneck:
            self.spatial_downsamples = nn.ModuleList(
                SpatialAttention(config.dim, config.bottlenecks) for _ in config.depths[1:]
            )
        fresh_(self, config.dim)

    def forward(self, clip: Tensor, keep: Tensor | None = None) -> EncoderOutput:
        """``clip [B, C, T, H, W]`` and ``keep [B, K]``, spatial indices of the visible tubes, to the last stage's tokens.

        Raises:
            ValueError: T, H or W that the tubes do not divide, or slices that the temporal pyramid does not halve.
        """
        t, h, w = grid_of(tuple(clip.shape), self.config.tube)
        if t % self.config.grouping:
            raise ValueError(
                f"{clip.shape[2]} frames: the temporal pyramid needs a multiple of "
                f"{self.config.grouping * self.config.tube[0]}"
            )
        x = self.patch_embed(clip)
        x = x + positions(x, self.patch_embed.proj.weight.dtype)
        x = visible_tokens(x, keep, (t, h, w))
        blocks, groups = iter(self.blocks), t
        for _ in range(self.config.depths[0]):
            x = next(blocks)(x)
        stages = [x]
        for k, depth in enumerate(self.config.depths[1:]):
            groups //= 2
            if self.config.temporal_pyramid:
                x = self.temporal_downsamples[k](x, t)
                t //= 2
            x = self._stage(k, x, groups, [next(blocks) for _ in range(depth)])
            stages.append(x)
        return EncoderOutput(x, (t, h, w), tuple(stages))

    def _stage(self, k: int, x: Tensor, groups: int, blocks: list[Any]) -> Tensor:
        if not self.config.spatial_bottleneck:
            for block in blocks:
                x = block(x)
            return x
        # Without the pyramid, two (then four) slices share one softmax and its G tokens: so the printed FLOPs want it.
        bottleneck = self.spatial_downsamples[k](x, groups)
        for block in blocks[:-1]:
            bottleneck = block(bottleneck, x)
        return blocks[-1](x, bottleneck)

    def layer_of(self, name: str) -> int:
        return layer_of(name, self.num_layers)

    def unused_by(self, pool: str) -> set[str]:
        return set()


def tpsbt_base() -> TPSBTConfig:
    """SVFAP-B: 77,635,351 parameters with a 7-class head."""
    return TPSBTConfig()


def tpsbt_small() -> TPSBTConfig:
    """SVFAP-S: 29,678,615 parameters with a 7-class head (decisions: heads-of-small-models)."""
    return TPSBTConfig(dim=384, num_heads=6, depths=(8, 4, 2))


def tpsbt_tiny() -> TPSBTConfig:
    """Ours, not the paper's: for a laptop at 160 pixels."""
    return TPSBTConfig(dim=256, num_heads=4, depths=(6, 3, 2))


def tpsbt_micro() -> TPSBTConfig:
    """Ours: for two CPU cores at 96 pixels."""
    return TPSBTConfig(dim=128, num_heads=4, depths=(4, 2, 2), bottlenecks=4)
