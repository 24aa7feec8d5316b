"""Real processes: killed, interrupted, distributed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mien.train.log import read_metrics

SMALL = [
    "--size",
    "32",
    "--encoder.dim",
    "16",
    "--encoder.num-heads",
    "2",
    "--encoder.depths",
    "1",
    "1",
    "1",
    "--encoder.bottlenecks",
    "2",
    "--decoder-dim",
    "16",
    "--decoder-heads",
    "2",
    "--decoder-depth",
    "1",
    "--mask-ratio",
    "0.5",
    "--batch-size",
    "4",
    "--log-every",
    "1",
    "--evaluate-every",
    "100",
    "--device",
    "cpu",
]


def command(shards: Path, out: Path, *more: str) -> list[str]:
    return ["-m", "mien", "pretrain", "svfap-micro", "--data", str(shards), "--out", str(out), *SMALL, *more]


def start(args: list[str]) -> subprocess.Popen:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *args], env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finish(args: list[str]) -> None:
    process = start(args)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def losses(out: Path) -> dict[int, float]:
    return {r["step"]: r["loss"] for r in read_metrics(out / "metrics.jsonl") if "loss" in r}


def wait_for_step(out: Path, step: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while max(losses(out), default=0) < step:
        assert process.poll() is None, "finished before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def uninterrupted(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    out = tmp_path_factory.mktemp("runs") / "whole"
    finish(command(shards, out, "--steps", "60"))
    found = losses(out)
    assert sorted(found) == list(range(1, 61))
    return found


def test_killed_at_any_moment_it_goes_on_bit_identically(shards, tmp_path, uninterrupted):
    args = command(shards, tmp_path / "run", "--steps", "60", "--save-every-steps", "7")
    for step in (10, 31):
        process = start(args)
        wait_for_step(tmp_path / "run", step, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(args)
    assert losses(tmp_path / "run") == uninterrupted


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_exits_cleanly(shards, tmp_path, uninterrupted, sent):
    args = command(shards, tmp_path / "run", "--steps", "60")
    process = start(args)
    wait_for_step(tmp_path / "run", 5, process)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + sent
    assert "saved" in errors
    assert "Traceback" not in errors
    stopped = max(losses(tmp_path / "run"))
    assert 5 <= stopped < 60
    finish(args)
    assert losses(tmp_path / "run") == uninterrupted


def test_two_processes_have_the_losses_of_one(shards, tmp_path):
    """torchrun, gloo: the same global batch, half of it in each process. Sums in another order, hence not bitwise."""
    args = ["--steps", "10", "--optim.lr", "0.6"]
    finish(command(shards, tmp_path / "one", *args))
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0", "--standalone"]
    finish([*torchrun, *command(shards, tmp_path / "two", *args)])
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert sorted(one) == sorted(two) == list(range(1, 11))
    assert all(abs(one[s] - two[s]) < 1e-5 for s in one), (one, two)
    assert min(one.values()) < one[1] - 0.01  # the weights moved


def test_micro_batches_have_the_losses_of_one_batch(shards, tmp_path):
    for name, more in (("one", ()), ("four", ("--accumulate", "4"))):
        finish(command(shards, tmp_path / name, "--steps", "4", *more))
    one, four = losses(tmp_path / "one"), losses(tmp_path / "four")
    assert all(abs(one[s] - four[s]) < 1e-5 for s in one), (one, four)


def test_another_experiment_in_the_same_folder_is_refused(shards, tmp_path):
    finish(command(shards, tmp_path / "run", "--steps", "2"))
    before = (tmp_path / "run" / "metrics.jsonl").read_text()
    process = start(command(shards, tmp_path / "run", "--steps", "3"))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "steps: 2 there, 3 now" in errors
    assert "Traceback" not in errors
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == before


def test_half_a_line_of_a_killed_process_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"step": 1, "loss": 0.5}) + '\n{"step": 2, "lo')
    assert read_metrics(path) == [{"step": 1, "loss": 0.5}]
