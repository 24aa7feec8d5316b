"""Multi-head attention over `scaled_dot_product_attention`, with the biases of the BEiT / VideoMAE family.

Queries and values have a bias, keys have none (decisions: attention-biases): the key bias would cancel in the softmax anyway.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _heads(x: Tensor, num_heads: int) -> Tensor:
    B, N, D = x.shape
    return x.reshape(B, N, num_heads, D // num_heads).transpose(1, 2)


def _attend(q: Tensor, k: Tensor, v: Tensor, num_heads: int) -> Tensor:
    """``[B, N, D]`` queries, ``[B, M, D]`` keys and values to ``[B, N, D]``."""
    q, k, v = (_heads(z, num_heads) for z in (q, k, v))
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        # torch's fused CPU kernel is fast in float32 only: in bfloat16 two products and a softmax take 0.77 of its time,
        # forward and backward, at 288 tokens (docs/lab.md).
        out = ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1) @ v
    else:
        out = F.scaled_dot_product_attention(q, k, v)
    return out.transpose(1, 2).flatten(2)


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
        return self.proj(_attend(q, k, v, self.num_heads))


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
        return self.proj(_attend(q, k, v, self.num_heads))
