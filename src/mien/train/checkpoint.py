"""Checkpoints: weights, optimizer and step, written to a temporary folder and renamed. Everything else follows from the step."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch

from mien.errors import UserError

KEPT = 2


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.glob("step_*") if p.is_dir() and not p.name.endswith(".tmp"))


def save_checkpoint(root: Path, step: int, state: dict[str, Any]) -> None:
    """Writes ``root/step_<step>``; the two newest are kept. A process killed at any moment leaves whole ones only."""
    target, temporary = root / f"step_{step:09d}", root / f"step_{step:09d}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    with open(temporary / "state.pt", "wb") as file:
        torch.save({**state, "step": step}, file)
        file.flush()
        os.fsync(file.fileno())
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    for old in _folders(root)[:-KEPT]:
        shutil.rmtree(old)


def load_checkpoint(root: Path) -> dict[str, Any] | None:
    """State of the newest checkpoint, or None. Only tensors and plain values are unpickled.

    Raises:
        UserError: the file is missing or damaged.
    """
    folders = _folders(root)
    if not folders:
        return None
    try:
        return torch.load(folders[-1] / "state.pt", map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError):
        raise UserError(
            f"{folders[-1]} is missing its state.pt, or that is damaged: delete this folder and start again; the run goes on "
            "from the checkpoint before it, or from the beginning"
        ) from None
