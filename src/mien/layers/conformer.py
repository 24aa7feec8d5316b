"""Conformer: self-attention for what is far away, convolution for what is near, between two half-step feed-forwards.

As the lip-reading models of LiRA's group have it (decisions: conformer); positions are relative distances (Transformer-XL: Dai et
al., 2019, 3.3), so a stretch of a clip is scored alike wherever it lies.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def distances(length: int, dim: int, like: Tensor) -> Tensor:
    """Sine-cosine codes of the distances length - 1, ..., 0, ..., 1 - length, ``[2 length - 1, dim]``."""
    away = torch.arange(length - 1, -length, -1, device=like.device, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, dim, 2, device=like.device) * (-math.log(10000.0) / dim))
    codes = torch.stack([(away * rate).sin(), (away * rate).cos()], dim=-1).flatten(1)
    return codes[:, :dim].to(like.dtype)


def by_distance(scores: Tensor) -> Tensor:
    """``[..., N, 2N - 1]``, columns by distance i - j from N - 1 down, to ``[..., N, N]`` by j.

    Column j of row i is distance i - j, so that row i starts at column N - 1 - i: reading the padded matrix with rows that
    are one shorter does that for all rows at once.
    """
    n = scores.shape[-2]
    padded = F.pad(scores, (1, 0)).flatten(-2)[..., n:]
    return padded.unflatten(-1, (n, 2 * n - 1))[..., :n]


class RelativeAttention(nn.Module):
    """Multi-head self-attention ``[B, N, D]`` whose scores are content with content plus content with distance."""

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.0):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"width {dim} is not divisible by {num_heads} heads")
        self.num_heads, self.dropout = num_heads, dropout
        self.qkv = nn.Linear(dim, 3 * dim)
        self.distance = nn.Linear(dim, dim, bias=False)
        self.content_bias = nn.Parameter(torch.empty(num_heads, 1, dim // num_heads))
        self.distance_bias = nn.Parameter(torch.empty(num_heads, 1, dim // num_heads))
        self.proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.content_bias.data[:, 0])
        nn.init.xavier_uniform_(self.distance_bias.data[:, 0])

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2)

    def scores(self, x: Tensor) -> Tensor:
        """Before the softmax, ``[B, heads, N, N]``."""
        q, k, _ = map(self._heads, self.qkv(x).chunk(3, dim=-1))
        return self._scores(q, k, x)

    def _scores(self, q: Tensor, k: Tensor, x: Tensor) -> Tensor:
        return (q + self.content_bias) @ k.transpose(-2, -1) * self._scale + self._bias(q, x)

    @property
    def _scale(self) -> float:
        return self.content_bias.shape[-1] ** -0.5

    def _bias(self, q: Tensor, x: Tensor) -> Tensor:
        r = self._heads(self.distance(distances(x.shape[1], x.shape[2], self.distance.weight)))
        return by_distance((q + self.distance_bias) @ r.transpose(-2, -1)) * self._scale

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = map(self._heads, self.qkv(x).chunk(3, dim=-1))
        bias = self._bias(q, x).to(q.dtype)
        dropout = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(
            (q + self.content_bias).to(q.dtype), k, v, attn_mask=bias, dropout_p=dropout
        )
        return self.proj(out.transpose(1, 2).flatten(2))


class FeedForward(nn.Sequential):
    """LayerNorm, Linear, Swish, Linear."""

    def __init__(self, dim: int, ratio: float, dropout: float):
        hidden = int(dim * ratio)
        super().__init__(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, dim)
        )


class Convolution(nn.Module):
    """LayerNorm, pointwise, GLU, depthwise over time, BatchNorm, Swish, pointwise."""

    def __init__(self, dim: int, kernel: int):
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel {kernel}: give an odd number, so that frames stay where they are")
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim, bias=False)
        self.batch_norm = nn.BatchNorm1d(dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = F.glu(self.expand(self.norm(x)), dim=-1).transpose(1, 2)
        return self.proj(F.silu(self.batch_norm(self.depthwise(x))).transpose(1, 2))


class ConformerBlock(nn.Module):
    """Half a feed-forward, attention, convolution, half a feed-forward, LayerNorm: ``[B, N, D]`` to ``[B, N, D]``."""

    def __init__(self, dim: int, num_heads: int, ratio: float = 4.0, kernel: int = 31, dropout: float = 0.1):
        super().__init__()
        self.before = FeedForward(dim, ratio, dropout)
        self.attn_norm = nn.LayerNorm(dim)
        self.attn = RelativeAttention(dim, num_heads, dropout)
        self.conv = Convolution(dim, kernel)
        self.after = FeedForward(dim, ratio, dropout)
        self.norm = nn.LayerNorm(dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.5 * self.drop(self.before(x))
        x = x + self.drop(self.attn(self.attn_norm(x)))
        x = x + self.drop(self.conv(x))
        return self.norm(x + 0.5 * self.drop(self.after(x)))


class Conformer(nn.Module):
    """`depth` blocks over clips of one length: ``[B, N, D]`` to ``[B, N, D]``."""

    def __init__(
        self, dim: int, num_heads: int, depth: int, ratio: float = 4.0, kernel: int = 31, dropout: float = 0.1
    ):
        super().__init__()
        # Not called "blocks": training may compute those twice to save memory (train/blocks.py), and BatchNorm would then
        # count every clip twice.
        self.layers = nn.ModuleList(ConformerBlock(dim, num_heads, ratio, kernel, dropout) for _ in range(depth))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(x * x.shape[-1] ** 0.5)  # scaled as before a Transformer's positions
        for layer in self.layers:
            x = layer(x)
        return x
