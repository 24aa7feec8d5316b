"""Multi-head attention over `scaled_dot_product_attention`, with the biases of the BEiT / VideoMAE family.

Queries and values have a bias, keys have none (official.md 2.1): the key bias would cancel in the softmax anyway.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _heads(x: Tensor, num_heads: int) -> Tensor:
    B, N, D = x.shape
    return x.reshape(B, N, num_heads, D // num_heads).transpose(1, 2)


def _merge(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def _check(dim: int, num_heads: int) -> None:
    if dim % num_heads:
        raise ValueError(f"width {dim} is not divisible by {num_heads} heads")


class SelfAttention(nn.Module):
    """``[B, N, D]`` to ``[B, N, D]``."""

    def __init__(self, dim: int, num_heads: int):
        super().__init__()
        _check(dim, num_heads)
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        q, k, v = F.linear(x, self.qkv.weight, bias).chunk(3, dim=-1)
        out = F.scaled_dot_product_attention(*(_heads(z, self.num_heads) for z in (q, k, v)))
        return self.proj(_merge(out))


class CrossAttention(nn.Module):
    """Queries ``[B, N, D]`` attend to a context ``[B, M, D]``."""

    def __init__(self, dim: int, num_heads: int):
        super().__init__()
        _check(dim, num_heads)
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim, bias=False)
        self.kv = nn.Linear(dim, 2 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q = F.linear(x, self.q.weight, self.q_bias)
        k, v = F.linear(context, self.kv.weight, torch.cat([torch.zeros_like(self.v_bias), self.v_bias])).chunk(2, -1)
        out = F.scaled_dot_product_attention(*(_heads(z, self.num_heads) for z in (q, k, v)))
        return self.proj(_merge(out))
