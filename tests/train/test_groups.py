"""Several trainings in one command under torchrun: each has a process group of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, time, torch
from mien.train.distributed import world
for fold in range(3):
    with world("cpu") as where:
        mean = where.mean(torch.tensor(float(where.rank + fold))).item()
    if os.environ["RANK"] == "0":
        time.sleep(0.5)  # scores alone, while the other is at the next fold already
        print(mean)
"""


def test_a_second_group_does_not_wait_for_the_first(tmp_path: Path):
    """With the keys of an earlier group the process that comes first looks for the other where it was, for ever."""
    (tmp_path / "folds.py").write_text(PROGRAM)
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", str(tmp_path / "folds.py")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *torchrun], capture_output=True, text=True, timeout=100, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0.5", "1.5", "2.5"]
