"""What every encoder is: clip to tokens, with or without masked tubes."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from torch import Tensor

from mien.errors import require
from mien.layers.patch import Grid
from mien.layers.temporal import upsample_nearest

Pool = Literal["tokens", "summary", "all", "fused", "srp"]
"""Which tokens a classifier averages: those of the last stage; the representative ones; both; all stages added up. "srp" keeps
where in the frame the last stage's tokens are (spatial reserve pooling), and averages over time only; every encoder has it."""


class EncoderOutput(NamedTuple):
    """Tokens of a clip.

    Args:
        tokens: [B, N, D], time outermost.
        grid: tubes (t, h, w) of the tokens; with masked tubes h and w are those of the whole slice.
        stages: outputs of the stages, for fusion: [B, N_i, D] each.
        summary: [B, M, D] representative tokens (LGI-Former), else None.
    """

    tokens: Tensor
    grid: Grid
    stages: tuple[Tensor, ...]
    summary: Tensor | None = None

    def repeated(self) -> Tensor:
        """The last stage's tokens, repeated over time to the first stage's: ``[B, N_1, D]``."""
        factor = self.stages[0].shape[1] // self.tokens.shape[1]
        return upsample_nearest(self.tokens, self.grid[0], factor)

    def fused(self) -> Tensor:
        """All stages, later ones repeated over time, added up: ``[B, N_1, D]`` (SVFAP Eq. 9, 10)."""
        first = self.stages[0]
        total, slices = first, self.grid[0] * (first.shape[1] // self.tokens.shape[1])
        for stage in self.stages[1:]:
            factor = first.shape[1] // stage.shape[1]
            total = total + upsample_nearest(stage, slices // factor, factor)
        return total


class Encoder(Protocol):
    """``encoder(clip [B, C, T, H, W], keep=None) -> EncoderOutput``.

    ``keep [B, K]`` holds the spatial indices of the visible tubes. Any T, H, W that the tubes (and the temporal pyramid)
    divide.
    """

    dim: int
    num_layers: int
    supports_mask: bool

    def __call__(self, clip: Tensor, keep: Tensor | None = None) -> EncoderOutput: ...

    def layer_of(self, name: str) -> int:
        """Layer of a parameter for layer-wise decay: 0 for the embedding, i + 1 for block i, num_layers + 1 above."""
        ...

    def unused_by(self, pool: Pool) -> set[str]:
        """Parameters that cannot reach a classifier that averages these tokens."""
        ...


def layer_of(name: str, num_layers: int) -> int:
    """Published rule (decisions: layer-decay): what is neither embedding nor block trains with the head, at the full rate."""
    if name.startswith("patch_embed."):
        return 0
    if name.startswith("blocks."):
        return int(name.split(".")[1]) + 1
    return num_layers + 1


def depth_rates(highest: float, num_layers: int) -> list[float]:
    """Stochastic depth of each block: linear from 0 to `highest`."""
    return [highest * i / max(1, num_layers - 1) for i in range(num_layers)]


def check_transformer(
    dim: int, num_heads: int, drop_path: float, depths: tuple[int, ...], tube: Grid, channels: int
) -> None:
    """Raises UserError for values no Transformer over clips can have."""
    require(min(depths) >= 1, f"encoder depth {' '.join(map(str, depths))}: give 1 or more")
    require(min(tube) >= 1, f"tubes of {'x'.join(map(str, tube))}: give 1 or more frames and pixels")
    require(channels in (1, 3), f"{channels} channels: give 3, or 1 for grey")
    heads = f"encoder of width {dim} with {num_heads} heads: give a width that the heads divide"
    require(num_heads >= 1 and dim >= 1 and dim % num_heads == 0, heads)
    require(0 <= drop_path < 1, f"drop path {drop_path:g}: give a number from 0 to below 1")


def check_tubes(size: int, num_frames: int, tube: Grid, frames_multiple: int) -> None:
    """Raises UserError for clips that the tubes do not divide."""
    _, h, w = tube
    require(
        num_frames >= 1 and num_frames % frames_multiple == 0,
        f"{num_frames} frames: give a multiple of {frames_multiple}",
    )
    require(size >= 1 and size % h == 0 and size % w == 0, f"size {size} px: give a multiple of {max(h, w)}")
