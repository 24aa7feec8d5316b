"""What the views and warps of the contrastive recipes cost, beside the training step they feed.

    python benchmarks/image_views.py [--batch 32] [--stored 128] [--threads 1] [--device auto]

Frames are noise, decoded already. "draw" is the drawing of the parameters, which the loader's threads do; "views" makes the views
on the device; "step" is forward, backward and optimizer of a ResNet-18 with the method's heads. The share is that of draw and
views in all three. A GPU runs the step in bfloat16, as training does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from rich.console import Console
from rich.table import Table

from mien.data.loader import prepare_batch
from mien.recipes.contrastive import byol_resnet18, contrawarping_resnet18, simsiam_resnet18
from mien.rng import generator
from mien.train.distributed import pick_device
from mien.train.experiment import Experiment
from mien.train.optim import build_optimizer
from mien.verbs.command import script

RECIPES = (byol_resnet18, simsiam_resnet18, contrawarping_resnet18)


@dataclass(frozen=True)
class Options:
    """What the views and warps of the contrastive recipes cost, beside the training step they feed."""

    batch: int = 32
    """Images."""
    stored: int = 128
    """Side of the stored crops in pixels."""
    repeats: int = 5
    """Of every measurement; the least counts."""
    threads: int = 1
    """Of the processor."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is the GPU where there is one."""


def best_s(call: Callable[[], Any], repeats: int, device: torch.device) -> float:
    """Least seconds of a call, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def measure(recipe: Experiment, options: Options, device: torch.device) -> tuple[float, float, float]:
    """Seconds of a batch: (draw, views, step)."""
    torch.manual_seed(0)
    learner = recipe.method.build().to(device).train()
    views, optimizer = learner.views(), build_optimizer(learner, recipe.optim)
    shape = (options.batch, 1, options.stored, options.stored, 3)
    frames = torch.randint(0, 256, shape, dtype=torch.uint8)
    if device.type == "cuda":
        frames = frames.pin_memory()
    augment = views["clip"].augment

    def draw() -> dict[str, torch.Tensor]:
        drawn = [augment.draw(generator("benchmark", k)) for k in range(options.batch)]
        return {key: torch.stack([torch.from_numpy(d[key]) for d in drawn]) for key in drawn[0]}

    params = draw()
    ready = prepare_batch({"clip": {"frames": frames, **params}}, views, device)

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext():
            loss = learner(ready)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        learner.after_step(0.5)

    def make() -> None:
        prepare_batch({"clip": {"frames": frames, **params}}, views, device)

    calls = (draw, make, step)
    draw_s, make_s, step_s = (best_s(call, options.repeats, device) for call in calls)
    return draw_s, make_s, step_s


def main(options: Options) -> None:
    torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {options.threads} thread(s)"
    table = Table(title=f"{name}; batch {options.batch}, stored {options.stored} px, views of 96 px; ms per image")
    for column in ("recipe", "draw", "views", "step", "share"):
        table.add_column(column, justify="left" if column == "recipe" else "right")
    for recipe in (r() for r in RECIPES):
        seconds = measure(recipe, options, device)
        cells = [f"{1000 * s / options.batch:.3f}" for s in seconds]
        table.add_row(recipe.name, *cells, f"{sum(seconds[:2]) / sum(seconds):.1%}")
    Console().print(table)


if __name__ == "__main__":
    script(Options, main)
