"""LGI-Former: Local-Global Interaction Transformer, the encoder of MAE-DFER (paper 3.3, Fig. 2).

The clip is cut into regions, each with one learnable representative token. A block lets

    intra-region    the tokens of a region and its representative attend to each other     M x (1 + L)^2
    inter-region    the representatives attend to each other                               M^2
    local-global    every local token attends to all representatives                       (M L) x M

and ends with an MLP on all of them. With masked tubes a region keeps its visible tokens only, equally many in each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from mien.encoders.output import EncoderOutput, Pool, check_transformer, check_tubes, depth_rates, layer_of
from mien.errors import require
from mien.layers.attention import CrossAttention
from mien.layers.block import MLP, DropPath, layer_norm
from mien.layers.decoder import visible_tokens
from mien.layers.init import fresh_
from mien.layers.mask import select
from mien.layers.patch import Grid, TubeEmbed, grid_of
from mien.layers.position import positions


@dataclass(frozen=True)
class LGIFormerConfig:
    """Defaults: the base size of the paper, for 16 frames of 160 pixels (a grid of 8 x 10 x 10 tubes)."""

    dim: int = 512
    """Width of the tokens."""
    num_heads: int = 8
    """Attention heads of a block."""
    depth: int = 16
    """Blocks, or layers of a ResNet."""
    region: Grid = (2, 5, 10)
    """Tubes of a region over time, height and width (Table 4)."""
    grid: Grid = (8, 10, 10)
    """Tubes of a clip. It says how many representative tokens there are, so clips of another size need another model."""
    intra_region: bool = True
    """Attention within regions."""
    inter_region: bool = True
    """Attention between the regions' representatives."""
    local_global: bool = True
    """Table 3 switches the last two; without all three attentions its model is the ViT (recipe mae-dfer-vit-base)."""
    tube: Grid = (2, 16, 16)
    """Frames, rows and columns of a token."""
    channels: int = 3
    """3 for colour, 1 for grey."""
    drop_path: float = 0.0
    """Highest rate of stochastic depth; it grows linearly from 0 over the blocks."""

    supports_mask: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_transformer(self.dim, self.num_heads, self.drop_path, (self.depth,), self.tube, self.channels)
        require(
            min(*self.grid, *self.region) >= 1, f"regions of {_x(self.region)} of {_x(self.grid)} tubes: give 1 or more"
        )
        fits = all(g % r == 0 for g, r in zip(self.grid, self.region, strict=True))
        reach = self.intra_region or self.local_global
        require(reach, "without intra-region and local-global attention no token sees another: leave one of them on")
        require(fits, f"regions of {_x(self.region)} tubes do not divide a clip of {_x(self.grid)} tubes")

    @property
    def num_regions(self) -> int:
        return math.prod(self.grid) // math.prod(self.region)

    @property
    def window(self) -> tuple[int, int]:
        """Spatial side of a region: every window of a slice must show equally many tubes."""
        return self.region[1], self.region[2]

    @property
    def pools(self) -> tuple[Pool, ...]:
        """What a classifier may average, the default first. Without intra-region attention the representatives see no clip."""
        return ("summary", "tokens", "all", "fused") if self.intra_region else ("tokens", "fused")

    def spatial(self, size: int) -> tuple[int, int]:
        """Rows and columns of the tokens of a slice."""
        return size // self.tube[1], size // self.tube[2]

    def check_clip(self, num_frames: int, size: int) -> None:
        """Raises UserError for clips of another grid than the regions were made for."""
        check_tubes(size, num_frames, self.tube, self.tube[0])
        t, h, w = self.tube
        got = (num_frames // t, size // h, size // w)
        require(
            got == self.grid,
            f"{num_frames} frames of {size} px are {_x(got)} tubes, the encoder's grid is {_x(self.grid)}",
        )

    def build(self) -> LGIFormer:
        return LGIFormer(self)


def _x(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))


class LGIBlock(nn.Module):
    """Local intra-region, global inter-region and local-global attention, then an MLP (paper Eq. 3 to 6).

    The three attentions are of one kind, with separate queries, keys and values from any context (decisions: lgi-block).
    """

    def __init__(self, config: LGIFormerConfig, drop_path: float):
        super().__init__()
        dim, heads = config.dim, config.num_heads
        if config.intra_region:
            self.intra_norm, self.intra_attn = layer_norm(dim), CrossAttention(dim, heads)
        if config.inter_region:
            self.inter_norm, self.inter_attn = layer_norm(dim), CrossAttention(dim, heads)
        if config.local_global:
            self.global_norm1, self.global_norm2 = layer_norm(dim), layer_norm(dim)
            self.global_attn = CrossAttention(dim, heads)
        self.norm2 = layer_norm(dim)
        self.mlp = MLP(dim, 4 * dim)
        self.drop_path = DropPath(drop_path)
        self.config = config

    def forward(self, regions: Tensor, num_regions: int) -> Tensor:
        """``[B*M, 1 + L, D]``, the representative token first, to the same. Stochastic depth drops the branches over the
        tokens of a region per region, the others per clip."""
        if self.config.intra_region:
            y = self.intra_norm(regions)
            regions = regions + self.drop_path(self.intra_attn(y, y))
        if self.config.inter_region or self.config.local_global:
            regions = self._exchange(regions, num_regions)
        return regions + self.drop_path(self.mlp(self.norm2(regions)))

    def _exchange(self, regions: Tensor, num_regions: int) -> Tensor:
        """What passes between regions: first among the representatives, then from them to the local tokens."""
        BM, length, D = regions.shape
        summary = regions[:, 0].reshape(-1, num_regions, D)
        local = regions[:, 1:].reshape(len(summary), -1, D)
        if self.config.inter_region:
            y = self.inter_norm(summary)
            summary = summary + self.drop_path(self.inter_attn(y, y))
        if self.config.local_global:
            local = local + self.drop_path(self.global_attn(self.global_norm1(local), self.global_norm2(summary)))
        return torch.cat([summary.reshape(BM, 1, D), local.reshape(BM, length - 1, D)], dim=1)


class LGIFormer(nn.Module):
    """See the module's docstring."""

    supports_mask = True

    def __init__(self, config: LGIFormerConfig):
        super().__init__()
        self.config = config
        self.dim, self.num_layers = config.dim, config.depth
        self.patch_embed = TubeEmbed(config.dim, config.channels, config.tube)
        self.region_tokens = nn.Parameter(torch.zeros(config.num_regions, config.dim))
        self.blocks = nn.ModuleList(LGIBlock(config, rate) for rate in depth_rates(config.drop_path, config.depth))
        fresh_(self, config.dim)
        nn.init.trunc_normal_(self.region_tokens, std=0.02, a=-2, b=2)

    def forward(self, clip: Tensor, keep: Tensor | None = None) -> EncoderOutput:
        """``clip [B, C, T, H, W]`` and ``keep [B, K]``, spatial indices of the visible tubes, to local tokens in raster order
        and the representative tokens as `summary`.

        Raises:
            ValueError: a clip of another grid, or regions that do not show equally many tubes.
        """
        grid = grid_of(tuple(clip.shape), self.config.tube)
        if grid != self.config.grid:
            raise ValueError(f"clip of {_x(grid)} tubes, the encoder was made for {_x(self.config.grid)}")
        x = self.patch_embed(clip)
        x = visible_tokens(x + positions(x, self.region_tokens.dtype), keep, grid)
        order = self.region_order(keep, x.device)
        B, M = len(x), self.config.num_regions
        summary = self.region_tokens.to(x.dtype).expand(B, M, -1).reshape(B * M, 1, -1)
        regions = torch.cat([summary, _ordered(x, order).reshape(B * M, -1, self.dim)], dim=1)
        for block in self.blocks:
            regions = block(regions, M)
        local = _ordered(regions[:, 1:].reshape(B, -1, self.dim), order.argsort(dim=1))
        return EncoderOutput(local, grid, (local,), regions[:, 0].reshape(B, M, -1))

    def region_order(self, keep: Tensor | None, device: torch.device | None = None) -> Tensor:
        """For each place in region order the place in raster order of the visible token there: ``[B or 1, t*K]``.

        Regions follow each other over time, then row, then column; inside a region tokens keep their raster order.
        """
        (t, h, w), (rt, rh, rw) = self.config.grid, self.config.region
        spatial = torch.arange(h * w, device=device)[None] if keep is None else keep
        window = spatial // w // rh * (w // rw) + spatial % w // rw
        num_windows = (h // rh) * (w // rw)
        counts = nn.functional.one_hot(window, num_windows).sum(dim=1)
        if keep is not None and not keep.is_meta and not bool((counts == spatial.shape[1] // num_windows).all()):
            raise ValueError(
                f"regions must show equally many tubes; got {counts.unique(dim=0).tolist()} in the windows of "
                f"{rh}x{rw} tubes of a slice: draw the mask with `TubeMask(..., window=({rh}, {rw}))`"
            )
        slices = torch.arange(t, device=spatial.device) // rt
        key = slices[None, :, None] * num_windows + window[:, None]
        return key.flatten(1).argsort(dim=1, stable=True)

    def layer_of(self, name: str) -> int:
        return layer_of(name, self.num_layers)

    def unused_by(self, pool: str) -> set[str]:
        """Parameters that cannot reach a mean over these tokens: what only writes to the others in the last block."""
        if pool == "all" or (pool != "summary" and self.config.local_global):
            return set()
        last = f"blocks.{self.num_layers - 1}.{'global' if pool == 'summary' else 'inter'}_"
        return {name for name, _ in self.named_parameters() if name.startswith(last)}


def _ordered(x: Tensor, order: Tensor) -> Tensor:
    return x[:, order[0]] if len(order) == 1 else select(x, order)


def lgi_former_base() -> LGIFormerConfig:
    """84,878,343 parameters with a 7-class head."""
    return LGIFormerConfig()


def lgi_former_small() -> LGIFormerConfig:
    """47,930,119 parameters (decisions: heads-of-small-models)."""
    return LGIFormerConfig(dim=384, num_heads=6)


def lgi_former_tiny() -> LGIFormerConfig:
    """21,467,655 parameters (decisions: heads-of-small-models)."""
    return LGIFormerConfig(dim=256, num_heads=4)


def lgi_former_micro() -> LGIFormerConfig:
    """Ours: for two CPU cores at 96 pixels, regions of half a slice over two slices as in the larger ones."""
    return LGIFormerConfig(dim=128, num_heads=4, depth=4, region=(2, 3, 6), grid=(8, 6, 6))
