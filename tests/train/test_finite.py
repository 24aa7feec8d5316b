"""What is not finite stops a run before it is saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mien.errors import UserError
from mien.train.distributed import World
from mien.train.log import read_metrics
from mien.train.loop import TrainConfig, fit
from mien.train.optim import OptimConfig


class Learner(nn.Module):
    """Finite losses; the gradient of the last step is not finite where `broken`."""

    undecayed: frozenset[str] = frozenset()

    def __init__(self, broken: bool):
        super().__init__()
        self.weight, self.broken = nn.Parameter(torch.ones(3)), broken

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        zero = (self.weight - self.weight.detach()).abs()
        last = self.broken and int(batch["index"][0]) == 3
        return {"loss": self.weight.square().sum() + (zero.sqrt().sum() if last else zero.sum())}

    def after_step(self, progress: float) -> None:
        pass


def train(out: Path, broken: bool, clip_norm: float | None) -> nn.Module:
    def batches(start: int, stop: int):
        return ({"index": torch.tensor([step])} for step in range(start, stop))

    config = TrainConfig(batch_size=1, steps=4, warmup_epochs=0, workers=0)
    out.mkdir()
    return fit(Learner(broken), batches, 4, OptimConfig(lr=0.1, clip_norm=clip_norm), config, out, World())


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_gradient_that_is_not_finite_is_never_saved(tmp_path: Path, clip_norm: float | None):
    with pytest.raises(UserError, match="step 4: .*'grad_norm': nan.* is not finite; manifest rows since step 1"):
        train(tmp_path / "broken", True, clip_norm)
    assert not list((tmp_path / "broken").glob("checkpoints/*"))
    train(tmp_path / "sound", False, clip_norm)
    rows = [r["grad_norm"] for r in read_metrics(tmp_path / "sound" / "metrics.jsonl") if "grad_norm" in r]
    assert rows[0] == pytest.approx(2 * 3**0.5)  # of the squares of three ones, before it is clipped
    assert len(rows) == 4
