"""ViT with joint space-time attention: VideoMAE's encoder, the baseline of SVFAP and MAE-DFER."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from mien.encoders.output import EncoderOutput, Pool, check_transformer, check_tubes, depth_rates, layer_of
from mien.layers.block import Block
from mien.layers.decoder import visible_tokens
from mien.layers.init import fresh_
from mien.layers.patch import Grid, TubeEmbed, grid_of
from mien.layers.position import positions


@dataclass(frozen=True)
class ViTConfig:
    """Defaults: ViT-B, 86,232,583 parameters with a 7-class head at any clip size (decisions: parameter-counts)."""

    dim: int = 768
    """Width of the tokens."""
    num_heads: int = 12
    """Attention heads of a block."""
    depth: int = 12
    """Blocks, or layers of a ResNet."""
    tube: Grid = (2, 16, 16)
    """Frames, rows and columns of a token."""
    channels: int = 3
    """3 for colour, 1 for grey."""
    drop_path: float = 0.0
    """Highest rate of stochastic depth; it grows linearly from 0 over the blocks."""

    supports_mask: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_transformer(self.dim, self.num_heads, self.drop_path, (self.depth,), self.tube, self.channels)

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
        """Raises UserError for clips that the tubes do not divide."""
        check_tubes(size, num_frames, self.tube, self.tube[0])

    def build(self) -> ViT:
        return ViT(self)


class ViT(nn.Module):
    """Patches, positions and standard blocks; the caller normalises the tokens."""

    supports_mask = True

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.config = config
        self.dim, self.num_layers = config.dim, config.depth
        rates = depth_rates(config.drop_path, config.depth)
        self.patch_embed = TubeEmbed(config.dim, config.channels, config.tube)
        self.blocks = nn.ModuleList(Block(config.dim, config.num_heads, drop_path=rate) for rate in rates)
        fresh_(self, config.dim)

    def forward(self, clip: Tensor, keep: Tensor | None = None) -> EncoderOutput:
        """``clip [B, C, T, H, W]`` and ``keep [B, K]``, spatial indices of the visible tubes, to tokens in raster order.

        Raises:
            ValueError: T, H or W that the tubes do not divide.
        """
        grid = grid_of(tuple(clip.shape), self.config.tube)
        x = self.patch_embed(clip)
        x = visible_tokens(x + positions(x, self.patch_embed.proj.weight.dtype), keep, grid)
        for block in self.blocks:
            x = block(x)
        return EncoderOutput(x, grid, (x,))

    def layer_of(self, name: str) -> int:
        return layer_of(name, self.num_layers)

    def unused_by(self, pool: str) -> set[str]:
        return set()


def vit_base() -> ViTConfig:
    """VideoMAE's ViT-B."""
    return ViTConfig()


def vit_512() -> ViTConfig:
    """The ViT of SVFAP's Table 3: as wide as TPSBT, 24 blocks, inferred from its parameters (decisions: svfap-variants)."""
    return ViTConfig(dim=512, num_heads=8, depth=24)


def vit_micro() -> ViTConfig:
    """Ours: for two CPU cores at 96 pixels."""
    return ViTConfig(dim=128, num_heads=4, depth=6)
