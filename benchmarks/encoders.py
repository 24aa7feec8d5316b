"""How fast the encoders are, beside the same networks written plainly, and how near to what this machine can do.

    python benchmarks/encoders.py                       classifiers of 16 frames of 160 pixels, batch 2, 2 threads, fp32
    python benchmarks/encoders.py --precision bf16      under autocast
    python benchmarks/encoders.py --steps --batch 32    training steps on the GPU: clips/s, share of the chip's rate, memory

The plain form has separate linear layers for queries, keys and values, attention as two products and a softmax, patches by
`Conv3d`, slices copied out and joined again, and out-of-place sums. It holds copies of our weights, and its logits are
compared with ours before anything is timed. All of it, and a large matrix product whose rate is the limit, runs interleaved
in one process: every ratio is between neighbours in time. The limit is the rate of that product; the work is counted by
`mien.models.count.count_flops` (a multiply-add is one), of a training step forward and backward.
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
from plain import PlainClassifier
from torch import Tensor, nn

from mien.data.labels import LabelSpec
from mien.encoders.lgi_former import lgi_former_base
from mien.encoders.tpsbt import tpsbt_base
from mien.encoders.vit import vit_base
from mien.models.count import count_flops
from mien.recipes import recipe
from mien.tasks.classify import Classifier, ClassifyConfig
from mien.train.blocks import compile_blocks
from mien.transforms.clip import ClipSpec
from mien.verbs.allocator import keep_freed_memory
from mien.verbs.command import script
from mien.verbs.profile_rows import profile, variants

Precision = Literal["fp32", "bf16"]
Clock = Literal["wall", "processor"]
MODELS = {"svfap-base": tpsbt_base, "mae-dfer-base": lgi_former_base, "videomae-base": vit_base}
PROBE = 2048  # side of the square matrices whose product is the limit
FRAMES, SIZE = 16, 160


def classifier(name: str) -> Classifier:
    """With large enough weights for logits that tell whether two models are the same."""
    spec = LabelSpec(tuple("abcdefg"), "categorical", clip=ClipSpec(num_frames=FRAMES, stride=4, size=SIZE))
    encoder = MODELS[name]()
    with torch.device("meta"):
        model = Classifier(ClassifyConfig(spec, encoder))
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
class Options:
    """Prints medians with the lowest and the highest of the repeats."""

    models: tuple[str, ...] = tuple(MODELS)
    """Recipes of pre-training."""
    batch: int = 2
    """Clips; with --steps, of fine-tuning: pre-training takes four times as many."""
    threads: int = 2
    """Of the processor."""
    repeats: int = 7
    """Of every measurement."""
    precision: Precision = "fp32"
    """On the processor; steps on the GPU are in bf16."""
    clock: Clock = "wall"
    """processor: with --threads 1, the time a busy machine gives to others is left out."""
    steps: bool = False
    """Time training steps on the GPU instead."""


def main(options: Options) -> None:
    if options.steps:
        run_steps(options.models, options.batch, options.repeats)
        return
    keep_freed_memory()  # as every verb does
    torch.set_num_threads(options.threads)
    for name in options.models:
        compare(name, options.batch, options.repeats, options.precision, options.clock)
        gc.collect()


if __name__ == "__main__":
    script(Options, main)
