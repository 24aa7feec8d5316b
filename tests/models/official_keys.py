"""The published models' tensors by name and shape, and the rule that fills them (decisions: tensor-names, golden-outputs)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]

# Width, blocks, blocks without cross-attention (None: no pyramid), heads play no part in the shapes.
SVFAP = {"svfap-base": (512, 21, 12), "svfap-small": (384, 14, 8)}
MAE_DFER = {"mae-dfer-base": 512, "mae-dfer-small": 384, "mae-dfer-tiny": 256}
NAMES = (*SVFAP, *MAE_DFER, "videomae-base")


def affine(name: str, out: int, *rest: int) -> Shapes:
    return {f"{name}.weight": (out, *rest), f"{name}.bias": (out,)}


def attention(name: str, dim: int, fused: bool) -> Shapes:
    matrices: Shapes = {"qkv": (3 * dim, dim)} if fused else {"q": (dim, dim), "kv": (2 * dim, dim)}
    biases: Shapes = {f"{name}.q_bias": (dim,), f"{name}.v_bias": (dim,)}
    return biases | {f"{name}.{k}.weight": v for k, v in matrices.items()} | affine(f"{name}.proj", dim, dim)


def mlp(name: str, dim: int, hidden: int, out: int) -> Shapes:
    return affine(f"{name}.fc1", hidden, dim) | affine(f"{name}.fc2", out, hidden)


def block(name: str, dim: int) -> Shapes:
    return (
        affine(f"{name}.norm1", dim)
        | attention(f"{name}.attn", dim, fused=True)
        | affine(f"{name}.norm2", dim)
        | mlp(f"{name}.mlp", dim, 4 * dim, dim)
    )


def svfap(dim: int, depth: int, plain: int) -> Shapes:
    shapes = affine("patch_embed.proj", dim, 3, 2, 16, 16)
    for i in range(depth):
        shapes |= block(f"blocks.{i}", dim)
    for i in range(plain, depth):
        shapes |= attention(f"blocks.{i}.cross_attn", dim, fused=False)
        shapes |= affine(f"blocks.{i}.cross_norm1", dim) | affine(f"blocks.{i}.cross_norm2", dim)
    for k in range(2):
        shapes |= affine(f"temporal_downsamples.{k}", dim, dim, 2) | affine(f"spatial_downsamples.{k}.norm", dim)
        shapes |= mlp(f"spatial_downsamples.{k}.mlp", dim, 128, 8)
    return shapes


def mae_dfer(dim: int) -> Shapes:
    shapes: Shapes = {"lg_region_tokens": (8, dim)} | affine("patch_embed.proj", dim, 3, 2, 16, 16)
    for i in range(16):
        for norm in ("first_attn_norm0", "second_attn_norm0", "third_attn_norm0", "third_attn_norm1", "norm2"):
            shapes |= affine(f"blocks.{i}.{norm}", dim)
        for order in ("first", "second", "third"):
            shapes |= attention(f"blocks.{i}.{order}_attn", dim, fused=False)
        shapes |= mlp(f"blocks.{i}.mlp", dim, 4 * dim, dim)
    return shapes


def vit(dim: int = 768, depth: int = 12) -> Shapes:
    shapes = affine("patch_embed.proj", dim, 3, 2, 16, 16)
    for i in range(depth):
        shapes |= block(f"blocks.{i}", dim)
    return shapes


def encoder(name: str) -> tuple[Shapes, int]:
    """Tensors of the encoder alone, and its width."""
    if name in SVFAP:
        return svfap(*SVFAP[name]), SVFAP[name][0]
    return (mae_dfer(MAE_DFER[name]), MAE_DFER[name]) if name in MAE_DFER else (vit(), 768)


def classifier(name: str, num_classes: int = 7) -> Shapes:
    shapes, dim = encoder(name)
    return shapes | affine("fc_norm", dim) | affine("head", num_classes, dim)


def pretraining(name: str) -> Shapes:
    return with_decoder(*encoder(name))


def with_decoder(shapes: Shapes, dim: int) -> Shapes:
    found: Shapes = {"mask_token": (1, 1, 384)} | {f"encoder.{k}": v for k, v in shapes.items()}
    found |= affine("encoder.norm", dim) | {"encoder_to_decoder.weight": (384, dim)}
    for j in range(4):
        found |= block(f"decoder.blocks.{j}", 384)
    return found | affine("decoder.norm", 384) | affine("decoder.head", 1536, 384)


def hash01(n: int, h: int) -> np.ndarray:
    """n values in [0, 1): the 32-bit murmur3 finaliser of a counter."""
    k = np.arange(n, dtype=np.uint32)
    k += np.uint32(0x9E3779B9 * h % 2**32)  # unsigned arrays wrap around at 2^32
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        k ^= k >> np.uint32(shift)
        k *= np.uint32(factor)
    k ^= k >> np.uint32(16)
    return k / 2.0**32


def filled(key: str, shape: tuple[int, ...]) -> Tensor:
    """The values that the rule gives a tensor of this name."""
    n = int(np.prod(shape))
    u = hash01(n, zlib.crc32(key.encode()) % 1000)
    u *= 2
    u -= 1
    if len(shape) == 1:
        value = 1 + 0.1 * u if key.endswith(".weight") else 0.1 * u
    else:
        value = 0.5 * u if key.endswith(("token", "tokens")) else u * np.sqrt(3 / (n / shape[0]))
    return torch.from_numpy(value.astype(np.float32).reshape(shape))


def checkpoint(path: Path, shapes: Mapping[str, tuple[int, ...]], **others: Any) -> dict[str, Tensor]:
    """Writes ``{"model": state dict, ...}`` filled by the rule, and returns the state dict."""
    state = {key: filled(key, shape) for key, shape in shapes.items()}
    torch.save({"model": state, **others}, path)
    return state


def clip() -> Tensor:
    """The input of 7.1, already normalised: ``[2, 3, 16, 160, 160]``."""
    shape = (2, 3, 16, 160, 160)
    return torch.from_numpy((3 * hash01(int(np.prod(shape)), 0) - 1.5).astype(np.float32).reshape(shape))


def keep() -> Tensor:
    """Visible positions of 7.1, ``[2, 10]``."""
    return torch.tensor([[3, 11, 27, 38, 44, 52, 65, 71, 88, 96]] * 2)
