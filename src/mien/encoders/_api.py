"""What every encoder is: clip to tokens, with or without masked tubes."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from mien.layers.patch import Grid


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
