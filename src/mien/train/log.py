"""What a run says: a JSON line per step, TensorBoard, and the console."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from mien.console import console

PLAIN_EVERY_S = 15.0


def duration(seconds: float) -> str:
    minutes, s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{s:02d}"


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Rows of a ``metrics.jsonl``; half a line at the end (a killed process) is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


class RunLog:
    """Writes ``metrics.jsonl`` and TensorBoard events of a run that starts (again) after `step` steps."""

    def __init__(self, root: Path, step: int, total: int, label: str):
        from torch.utils.tensorboard import SummaryWriter

        self.path, self.total, self.label = root / "metrics.jsonl", total, label
        kept = [r for r in read_metrics(self.path) if r["step"] <= step]
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(r) + "\n" for r in kept))
        temporary.replace(self.path)
        self._file = open(self.path, "a")  # noqa: SIM115  (open as long as the run; `close` closes it)
        self._board = SummaryWriter(str(root / "tensorboard"), purge_step=step + 1)
        self._console = console(errors=True)
        self._status = self._console.status("starting") if self._console.is_terminal else None
        self._last_print = 0.0
        if self._status:
            self._status.start()

    def write(self, step: int, **values: float) -> None:
        """One row after `step` steps; `values` are finite numbers."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def flush(self) -> None:
        self._file.flush()

    def show(self, step: int, loss: float, lr: float, clips_per_s: float, left_s: float) -> None:
        """Progress, with the expected end: a live line on a terminal, a line every 15 s elsewhere."""
        end = time.strftime("%H:%M", time.localtime(time.time() + left_s))
        text = (
            f"{self.label} step {step}/{self.total}  loss {loss:.4f}  lr {lr:.2e}  {clips_per_s:.1f} clips/s  "
            f"{duration(left_s)} left (until {end})"
        )
        if self._status:
            self._status.update(text)
        elif time.monotonic() - self._last_print > PLAIN_EVERY_S or step == self.total:
            self._last_print = time.monotonic()
            self._console.print(text, soft_wrap=True)

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def close(self) -> None:
        if self._status:
            self._status.stop()
        self._file.close()
        self._board.close()
