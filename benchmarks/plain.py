"""Our encoders written plainly, with copies of their weights: what benchmarks/encoders.py compares them with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mien.encoders.lgi_former import LGIBlock, LGIFormer
from mien.encoders.tpsbt import TPSBT, SpatialAttention
from mien.encoders.vit import ViT
from mien.layers.attention import CrossAttention, SelfAttention
from mien.layers.block import MLP, Block, CrossBlock
from mien.layers.position import sinusoid
from mien.tasks.classify import Classifier


def linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    made.weight.data.copy_(weight)
    if bias is not None:
        made.bias.data.copy_(bias)
    return made


class PlainAttention(nn.Module):
    """Three linear layers, two products, a softmax."""

    def __init__(self, ours: SelfAttention | CrossAttention):
        super().__init__()
        if isinstance(ours, SelfAttention):
            q, k, v = ours.qkv.weight.chunk(3)
        else:
            q, (k, v) = ours.q.weight, ours.kv.weight.chunk(2)
        self.heads = ours.num_heads
        self.q, self.k, self.v = linear(q, ours.q_bias), linear(k, None), linear(v, ours.v_bias)
        self.out = linear(ours.proj.weight, ours.proj.bias)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = (
            z.reshape(z.shape[0], z.shape[1], self.heads, -1).permute(0, 2, 1, 3)
            for z in (self.q(x), self.k(context), self.v(context))
        )
        weights = (q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(x.shape))


class PlainMLP(nn.Module):
    def __init__(self, ours: MLP):
        super().__init__()
        self.layers = nn.Sequential(
            linear(ours.fc1.weight, ours.fc1.bias), nn.GELU(), linear(ours.fc2.weight, ours.fc2.bias)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def norm(ours: nn.Module) -> nn.LayerNorm:
    assert isinstance(ours, nn.LayerNorm)
    made = nn.LayerNorm(list(ours.normalized_shape), eps=ours.eps)
    made.load_state_dict(ours.state_dict())
    return made


class PlainBlock(nn.Module):
    def __init__(self, ours: Block):
        super().__init__()
        self.cross = isinstance(ours, CrossBlock)
        if isinstance(ours, CrossBlock):
            self.norm_x, self.norm_c = norm(ours.cross_norm1), norm(ours.cross_norm2)
            self.cross_attn = PlainAttention(ours.cross_attn)
        self.norm1, self.norm2 = norm(ours.norm1), norm(ours.norm2)
        self.attn, self.mlp = PlainAttention(ours.attn), PlainMLP(ours.mlp)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        if self.cross and context is not None:
            x = x + self.cross_attn(self.norm_x(x), self.norm_c(context))
        y = self.norm1(x)
        x = x + self.attn(y, y)
        return x + self.mlp(self.norm2(x))


class PlainPatches(nn.Module):
    """`Conv3d`, then positions."""

    def __init__(self, ours: Any):
        super().__init__()
        self.proj = nn.Conv3d(ours.proj.in_channels, ours.proj.out_channels, ours.tube, ours.tube)
        self.proj.load_state_dict(ours.proj.state_dict())

    def forward(self, clip: Tensor) -> Tensor:
        x = self.proj(clip).flatten(2).transpose(1, 2)
        return x + sinusoid(x.shape[1], x.shape[2], x.device)


class PlainViT(nn.Module):
    def __init__(self, ours: ViT):
        super().__init__()
        self.patches = PlainPatches(ours.patch_embed)
        self.blocks = nn.ModuleList(PlainBlock(b) for b in ours.blocks)  # type: ignore[arg-type]

    def forward(self, clip: Tensor) -> Tensor:
        x = self.patches(clip)
        for block in self.blocks:
            x = block(x)
        return x.mean(dim=1)


class PlainBottleneck(nn.Module):
    def __init__(self, ours: SpatialAttention):
        super().__init__()
        self.norm, self.mlp = norm(ours.norm), PlainMLP(ours.mlp)

    def forward(self, x: Tensor, slices: int) -> Tensor:
        B, N, D = x.shape
        weights = self.mlp(self.norm(x)).reshape(B, slices, N // slices, -1).softmax(dim=2)
        return (weights.transpose(2, 3) @ x.reshape(B, slices, N // slices, D)).reshape(B, -1, D)


class PlainTPSBT(nn.Module):
    def __init__(self, ours: TPSBT):
        super().__init__()
        self.patches, self.depths = PlainPatches(ours.patch_embed), ours.config.depths
        self.blocks = nn.ModuleList(PlainBlock(b) for b in ours.blocks)  # type: ignore[arg-type]
        self.halve, self.squeeze = nn.ModuleList(), nn.ModuleList()
        for conv, attention in zip(ours.temporal_downsamples, ours.spatial_downsamples, strict=True):
            made = nn.Conv1d(ours.dim, ours.dim, 2, 2)
            made.load_state_dict(conv.state_dict())
            self.halve.append(made)
            self.squeeze.append(PlainBottleneck(attention))  # type: ignore[arg-type]

    def forward(self, clip: Tensor) -> Tensor:
        x, slices = self.patches(clip), clip.shape[2] // 2
        blocks = iter(self.blocks)
        for _ in range(self.depths[0]):
            x = next(blocks)(x)
        for k, depth in enumerate(self.depths[1:]):
            B, N, D = x.shape
            series = x.reshape(B, slices, N // slices, D).permute(0, 2, 3, 1).flatten(0, 1)
            x = self.halve[k](series).reshape(B, N // slices, D, -1).permute(0, 3, 1, 2).reshape(B, -1, D)
            slices //= 2
            bottleneck = self.squeeze[k](x, slices)
            for _ in range(depth - 1):
                bottleneck = next(blocks)(bottleneck, x)
            x = next(blocks)(x, bottleneck)
        return x.mean(dim=1)


class PlainLGIBlock(nn.Module):
    def __init__(self, ours: LGIBlock):
        super().__init__()
        self.norms = nn.ModuleList(
            norm(n) for n in (ours.intra_norm, ours.inter_norm, ours.global_norm1, ours.global_norm2, ours.norm2)
        )
        self.local, self.between, self.spread = (
            PlainAttention(a) for a in (ours.intra_attn, ours.inter_attn, ours.global_attn)
        )
        self.mlp = PlainMLP(ours.mlp)

    def forward(self, x: Tensor, regions: int) -> Tensor:
        y = self.norms[0](x)
        x = x + self.local(y, y)
        summary = x[:, 0].reshape(-1, regions, x.shape[2]).clone()
        y = self.norms[1](summary)
        summary = summary + self.between(y, y)
        tokens = x[:, 1:].reshape(len(summary), -1, x.shape[2]).clone()
        tokens = tokens + self.spread(self.norms[2](tokens), self.norms[3](summary))
        x = torch.cat([summary.reshape(len(x), 1, -1), tokens.reshape(len(x), -1, x.shape[2])], dim=1)
        return x + self.mlp(self.norms[4](x))


class PlainLGIFormer(nn.Module):
    def __init__(self, ours: LGIFormer):
        super().__init__()
        self.patches, self.config = PlainPatches(ours.patch_embed), ours.config
        self.blocks = nn.ModuleList(PlainLGIBlock(b) for b in ours.blocks)  # type: ignore[arg-type]
        self.tokens = nn.Parameter(ours.region_tokens.detach().clone())

    def forward(self, clip: Tensor) -> Tensor:
        (t, h, w), (rt, rh, rw), B = self.config.grid, self.config.region, len(clip)
        x = self.patches(clip).reshape(B, t // rt, rt, h // rh, rh, w // rw, rw, -1).permute(0, 1, 3, 5, 2, 4, 6, 7)
        x = x.reshape(B * self.config.num_regions, rt * rh * rw, -1)
        x = torch.cat([self.tokens.repeat(B, 1)[:, None], x], dim=1)
        for block in self.blocks:
            x = block(x, self.config.num_regions)
        return x[:, 0].reshape(B, self.config.num_regions, -1).mean(dim=1)


class PlainClassifier(nn.Module):
    def __init__(self, ours: Classifier):
        super().__init__()
        kinds: dict[type, Any] = {TPSBT: PlainTPSBT, LGIFormer: PlainLGIFormer, ViT: PlainViT}
        self.encoder = kinds[type(ours.encoder)](ours.encoder)
        self.norm, self.head = norm(ours.fc_norm), linear(ours.head.weight, ours.head.bias)
        used = {n for n, p in ours.encoder.named_parameters() if p.requires_grad}
        if isinstance(self.encoder, PlainLGIFormer) and len(used) < len(list(ours.encoder.parameters())):
            last: Any = self.encoder.blocks[-1]
            for module in (
                last.spread,
                last.norms[2],
                last.norms[3],
            ):  # frozen in ours too: nothing reads what they write
                module.requires_grad_(False)

    def forward(self, clip: Tensor) -> Tensor:
        return self.head(self.norm(self.encoder(clip)))
