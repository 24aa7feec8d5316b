"""How fast the encoders are, beside the same networks written plainly, and how near to what this machine can do.

    python benchmarks/encoders.py                       classifiers of 16 frames of 160 pixels, batch 2, 2 threads, fp32
    python benchmarks/encoders.py --precision bf16      under autocast
    python benchmarks/encoders.py --steps --batch 32    training steps on the GPU: clips/s, share of the chip's rate, memory

The plain form has separate linear layers for queries, keys and values, attention as two products and a softmax, patches by
`Conv3d`, slices copied out and joined again, and out-of-place sums. It holds copies of our weights, and its logits are
compared with ours before anything is timed. All of it, and a large matrix product whose rate is the limit, runs interleaved
in one process: every ratio is between neighbours in time. The limit is the rate of that product; the work is counted by
`mien.recipes.profile.count_flops` (a multiply-add is one), of a training step forward and backward.
"""

from __future__ import annotations

import gc
import itertools
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mien.data.labels import LabelSpec
from mien.encoders.lgi_former import LGIBlock, LGIFormer, lgi_former_base
from mien.encoders.tpsbt import TPSBT, SpatialAttention, tpsbt_base
from mien.encoders.vit import ViT, vit_base
from mien.layers.attention import CrossAttention, SelfAttention
from mien.layers.block import MLP, Block, CrossBlock
from mien.layers.position import sinusoid
from mien.recipes import recipe
from mien.recipes.profile import count_flops, profile, variants
from mien.tasks.classify import Classifier, ClassifyConfig
from mien.train.blocks import compile_blocks
from mien.transforms.clip import ClipSpec
from mien.verbs.allocator import keep_freed_memory
from mien.verbs.command import script

Precision = Literal["fp32", "bf16"]
Clock = Literal["wall", "processor"]
MODELS = {"svfap-base": tpsbt_base, "mae-dfer-base": lgi_former_base, "videomae-base": vit_base}
PROBE = 2048  # side of the square matrices whose product is the limit
FRAMES, SIZE = 16, 160


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


def classifier(name: str) -> Classifier:
    """With large enough weights for logits that tell whether two models are the same."""
    spec = LabelSpec(tuple("abcdefg"), "categorical", clip=ClipSpec(num_frames=FRAMES, stride=4, size=SIZE))
    encoder = MODELS[name]()
    with torch.device("meta"):
        model = Classifier(ClassifyConfig(spec, encoder, encoder.pools[0]))
    model.to_empty(device="cpu")
    rng = torch.Generator().manual_seed(0)
    for key, p in model.named_parameters():
        p.data.uniform_(-1, 1, generator=rng).mul_(0.1 if p.ndim == 1 else p[0].numel() ** -0.5)
        if p.ndim == 1 and key.endswith("weight"):
            p.data.add_(1)
    return model


def training(model: nn.Module, clip: Tensor, context: Callable[[], AbstractContextManager[Any]]) -> Callable[[], Any]:
    def call() -> None:
        with torch.enable_grad():
            with context():
                loss = model(clip).float().square().mean()
            loss.backward()
        model.zero_grad(set_to_none=True)

    return call


def inference(model: nn.Module, clip: Tensor, context: Callable[[], AbstractContextManager[Any]]) -> Callable[[], Any]:
    def call() -> Tensor:
        with torch.no_grad(), context():
            return model(clip)

    return call


def seconds(call: Callable[[], Any], clock: Clock) -> float:
    read = time.perf_counter if clock == "wall" else time.process_time
    start = read()
    call()
    return read() - start


def spread(values: list[float]) -> str:
    ordered = sorted(values)
    return f"{statistics.median(ordered):.2f} ({ordered[0]:.2f} to {ordered[-1]:.2f})"


def compare(name: str, batch: int, repeats: int, precision: Precision, clock: Clock) -> None:
    ours = classifier(name)
    plain = PlainClassifier(ours)
    clip = torch.randn(batch, 3, FRAMES, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    autocast = precision == "bf16"
    context = (lambda: torch.autocast("cpu", torch.bfloat16)) if autocast else nullcontext
    a, b = (inference(m, clip, nullcontext)() for m in (ours, plain))
    assert (a - b).abs().max() < 1e-4 * a.abs().max().clamp(min=1), f"{name}: the plain form computes something else"
    probe = torch.randn(PROBE, PROBE, dtype=torch.bfloat16 if autocast else torch.float32)
    on_meta = classifier(name).to("meta")
    for mode, make in (("forward", inference), ("forward + backward", training)):
        work = count_flops(make(on_meta, torch.empty(1, 3, FRAMES, SIZE, SIZE, device="meta"), nullcontext)) * batch
        calls = make(ours, clip, context), make(plain, clip, context)
        for call in calls:
            call()
        times: list[tuple[float, float, float]] = []
        for i in range(repeats):
            limit = min(seconds(lambda: probe @ probe, clock) for _ in range(3)) / PROBE**3 * work
            first, second = calls if i % 2 == 0 else calls[::-1]
            x, y = seconds(first, clock), seconds(second, clock)
            times.append((limit, *((x, y) if i % 2 == 0 else (y, x))))
        limits, mine, theirs = (list(column) for column in zip(*times, strict=True))
        print(
            f"{name:14s} {mode:19s} {precision}  ours {spread(mine)} s, plain {spread(theirs)} s, ratio "
            f"{spread([t / m for t, m in zip(theirs, mine, strict=True)])}, share of the limit "
            f"{spread([lim / m for lim, m in zip(limits, mine, strict=True)])} "
            f"(plain {spread([lim / t for lim, t in zip(limits, theirs, strict=True)])})",
            flush=True,
        )


def learner_of(name: str, kind: str) -> nn.Module:
    return classifier(name) if kind == "finetune" else recipe(name).method.build()


def batch_of(name: str, kind: str, size: int, device: torch.device) -> dict[str, Tensor]:
    clip = torch.randn(size, 3, FRAMES, SIZE, SIZE, device=device)
    if kind == "finetune":
        return {"clip": clip, "label": torch.zeros(size, dtype=torch.long, device=device)}
    method: Any = recipe(name).method
    mask = method.mask()
    keep = np.stack([mask.draw(np.random.default_rng(i)) for i in range(size)])
    return {"clip": clip, "keep": torch.from_numpy(keep).to(device)}


def train_steps(name: str, kind: str, batch: int, repeats: int, device: torch.device, compiled: bool) -> None:
    """Steps of AdamW under bf16 autocast on a batch that is there already."""
    row = profile(variants()[name], latency=False)
    forward = row.flops if kind == "finetune" else row.flops_pretrain
    learner, data = learner_of(name, kind).to(device).train(), batch_of(name, kind, batch, device)
    if compiled:
        compile_blocks(learner)
    optimizer = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad], fused=device.type == "cuda")
    probe = torch.randn(4 * PROBE, 4 * PROBE, dtype=torch.bfloat16, device=device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            loss = learner(data)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def finished(call: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            call()
            if device.type == "cuda":
                torch.cuda.synchronize()

        return run

    for call in (step, step, step, lambda: probe @ probe):  # compilation, and the allocator's first requests
        finished(call)()
    peak = 0
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    speeds, shares = [], []
    for _ in range(repeats):
        rate = (4 * PROBE) ** 3 / min(seconds(finished(lambda: probe @ probe), "wall") for _ in range(3))
        taken = seconds(finished(step), "wall")
        speeds.append(batch / taken)
        shares.append(3 * (forward or 0) * batch / taken / rate)  # backward: two products for each of forward
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    print(
        f"{name:14s} {kind:8s} {'compiled' if compiled else 'eager':8s} batch {batch}: {spread(speeds)} clips/s, share of "
        f"the bf16 product's rate {spread(shares)}, peak {peak / 2**30:.1f} GiB",
        flush=True,
    )


def run_steps(models: tuple[str, ...], batch: int, repeats: int) -> None:
    if not torch.cuda.is_available():
        raise SystemExit("--steps times training on a GPU: there is none here")
    for name, kind, compiled in itertools.product(models, ("finetune", "pretrain"), (False, True)):
        # Masked clips are a tenth of the tokens, so more of them fill the chip.
        train_steps(name, kind, batch * (4 if kind == "pretrain" else 1), repeats, torch.device("cuda"), compiled)
        gc.collect()
        torch.cuda.empty_cache()


@dataclass(frozen=True)
class Benchmark:
    """Speed of the encoders beside a plain form of each: medians with the lowest and the highest of the repeats."""

    models: tuple[str, ...] = tuple(MODELS)
    """Encoders by the names of their recipes."""
    batch: int = 2
    """Clips; with --steps, of fine-tuning: pre-training takes four times as many."""
    threads: int = 2
    """Threads of torch."""
    repeats: int = 7
    """Times that each is measured."""
    precision: Precision = "fp32"
    """bf16: under autocast."""
    clock: Clock = "wall"
    """processor: with --threads 1, the time a busy machine gives to others is left out."""
    steps: bool = False
    """Time training steps on the GPU instead."""


def main(config: Benchmark) -> None:
    if config.steps:
        run_steps(config.models, config.batch, config.repeats)
        return
    keep_freed_memory()  # as every verb does
    torch.set_num_threads(config.threads)
    for name in config.models:
        compare(name, config.batch, config.repeats, config.precision, config.clock)
        gc.collect()


if __name__ == "__main__":
    script(Benchmark, main)
