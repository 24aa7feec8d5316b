"""The light Transformer decoder of masked autoencoders."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.layers.block import Block, layer_norm
from mien.layers.mask import complement, select, tube_tokens
from mien.layers.patch import Grid
from mien.layers.position import sinusoid


class MaskedDecoder(nn.Module):
    """Visible tokens and learnable mask tokens, each with its position, through `depth` blocks to pixels.

    Args:
        encoder_dim: width of the visible tokens. dim, depth, num_heads: of the decoder.
        out_dim: values per masked tube.
    """

    def __init__(self, encoder_dim: int, dim: int, depth: int, num_heads: int, out_dim: int):
        super().__init__()
        self.embed = nn.Linear(encoder_dim, dim, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.blocks = nn.ModuleList(Block(dim, num_heads) for _ in range(depth))
        self.norm = layer_norm(dim)
        self.head = nn.Linear(dim, out_dim)
        nn.init.trunc_normal_(self.mask_token, std=0.02, a=-0.02, b=0.02)

    def forward(self, visible: Tensor, keep: Tensor, grid: Grid) -> Tensor:
        """Visible ``[B, t*K, D]`` and ``keep [B, K]`` to the masked tubes ``[B, t*(h*w - K), out_dim]``, raster order."""
        t, h, w = grid
        masked = tube_tokens(complement(keep, h * w), t, h * w)
        table = sinusoid(t * h * w, self.mask_token.shape[-1], visible.device).to(self.mask_token.dtype)
        x = self.embed(visible)
        x = torch.cat([x + table[tube_tokens(keep, t, h * w)], self.mask_token + table[masked]], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, visible.shape[1] :]))


def visible_tokens(tokens: Tensor, keep: Tensor | None, grid: Grid) -> Tensor:
    """All tokens ``[B, t*h*w, D]`` to the visible ones ``[B, t*K, D]`` (all of them without `keep`)."""
    if keep is None:
        return tokens
    t, h, w = grid
    return select(tokens, tube_tokens(keep, t, h * w))
