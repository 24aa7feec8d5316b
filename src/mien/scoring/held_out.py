"""The loss on clips that are never trained on, while a method pre-trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mien.data.dataset import ClipSet
from mien.data.loader import EvalLoader, prepare_batch
from mien.data.manifest import Manifest
from mien.data.shards import Shards
from mien.rng import generator

HELD_OUT_CLIPS = 512


def held_out_loss(
    learner: Any, shards: Sequence[Shards], rows: Sequence[Manifest], batch_size: int, device: torch.device
) -> Callable[[Any], dict[str, float]] | None:
    """The learner's numbers on held-out clips; for masked autoencoders also those of predicting zeros. None without a clip."""
    count = sum(map(len, rows))
    if not count:
        return None
    views = learner.held_out_views()
    shares = [min(len(m), max(1, HELD_OUT_CLIPS * len(m) // count)) for m in rows]
    rng = generator("held out clips", 0)
    limited = [m.take(sorted(rng.permutation(len(m))[:n])) if len(m) else m for m, n in zip(rows, shares, strict=True)]
    used = [(s, m) for s, m in zip(shards, limited, strict=True) if len(m)]
    loader = EvalLoader(ClipSet([s for s, _ in used], [m for _, m in used]), views, batch_size, strict=False)

    def call(module: Any) -> dict[str, float]:
        sums: dict[str, float] = {}
        clips = 0
        with torch.inference_mode():
            for batch in loader:
                n = len(batch["index"])
                out = module(prepare_batch(batch, views, device))
                for name, value in out.items():
                    sums[name] = sums.get(name, 0.0) + n * float(value)
                clips += n
        means = {f"held_out_{name}": value / clips for name, value in sums.items()}
        if zero := means.get("held_out_zero_loss"):
            means["held_out_ratio"] = means["held_out_loss"] / zero
        return means

    return call
