"""What runs in a second process: by itself, so that starting it imports little."""

from __future__ import annotations

import torch
import torch.distributed as dist

from mien.methods.heads import SyncBatchNorm1d


def half(rank: int, path: str, meeting: str) -> None:
    """Three of six rows through the norm; writes the gradient and the running statistics."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    data = torch.load(path, weights_only=True)
    norm = SyncBatchNorm1d(5)
    x = data[3 * rank : 3 * rank + 3].requires_grad_()
    (norm(x) ** 3).sum().backward()
    torch.save({"grad": x.grad, "mean": norm.running_mean, "var": norm.running_var}, f"{path}.{rank}")
    dist.destroy_process_group()
