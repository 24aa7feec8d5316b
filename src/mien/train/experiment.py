"""A complete experiment as a value, and the folder of its run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from mien import __version__
from mien.config import class_table, digest, from_json, to_json, write_json
from mien.errors import UserError, require
from mien.methods.table import MethodConfig
from mien.options import FLAT, HIDDEN
from mien.tasks.table import TaskConfig
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig

# What may change between two starts of the same run without changing its numbers.
FREE = {"workers", "log_every", "save_every_steps", "save_every_s", "evaluate_every", "mien", "checkpoint_activations"}
FREE |= {"compile"}  # it changes the last digits, as another machine would
OLD_RUN = "its model still loads, its training cannot go on. Give another --out"


@dataclass(frozen=True)
class Experiment:
    """A learner, how it is optimised, and for how long. A recipe is a function that returns one; variants `replace` fields."""

    name: Annotated[str, HIDDEN]
    """Of the recipe."""
    learner: Annotated[MethodConfig | TaskConfig, FLAT]
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: Annotated[TrainConfig, FLAT] = field(default_factory=TrainConfig)

    @property
    def task(self) -> TaskConfig:
        """The learner of a run with labels. Raises UserError for one without."""
        if isinstance(self.learner, TaskConfig):
            return self.learner
        raise UserError(f"recipe {self.name} learns without labels: mien pretrain runs it")

    @property
    def method(self) -> MethodConfig:
        """The learner of a run without labels. Raises UserError for one with labels."""
        if isinstance(self.learner, TaskConfig):
            raise UserError(f"recipe {self.name} learns from labels: mien finetune runs it")
        return self.learner

    def learning(self, **fields: Any) -> Experiment:
        """The same with other fields of the learner."""
        return replace(self, learner=replace(self.learner, **fields))


def open_run(out: Path, experiment: Experiment, data: dict[str, Any]) -> str:
    """Creates the run folder and ``experiment.json``, or checks that the one there is the same experiment on the same data.

    Returns:
        the experiment's hash.

    Raises:
        UserError: `out` holds another experiment; says what differs.
    """
    resolved = {"recipe": experiment.name, "experiment": to_json(experiment), "data": data}
    path, hashed = out / "experiment.json", digest(_fixed(resolved))
    if path.is_file():
        there = _read(path)
        require("learner" in there["resolved"]["experiment"], f"{out} is a run of mien before 0.2: {OLD_RUN}")
        before = there["resolved"] | {"experiment": _as_now(there["resolved"].get("experiment"), type(experiment))}
        lines = list(_differences(_fixed(before), _fixed(resolved)))
        if there["resolved"]["recipe"] != experiment.name:
            lines = [f"its recipe: {there['resolved']['recipe']} there, {experiment.name} now"]
        remedy = f"Give another --out, or delete {out} to start over"
        require(not lines, f"{out} holds another run; it differs in {'; '.join(lines[:5])}. {remedy}")
        return there["hash"]
    require(not out.is_file(), f"{out} is a file: give a folder for the run")
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty and holds no run: give a new folder")
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, {"hash": hashed, "mien": __version__, "resolved": resolved})
    return hashed


def _read(path: Path) -> dict[str, Any]:
    try:
        there = json.loads(path.read_text())
        whole = "hash" in there and {"recipe", "experiment", "data"} <= set(there["resolved"])
    except (ValueError, KeyError, TypeError):
        whole, there = False, {}
    require(whole, f"{path} is damaged or not ours: give another --out, or delete {path.parent}")
    return there


def _as_now(data: Any, kind: type) -> Any:
    """An experiment that an older mien wrote, with the defaults of the fields it did not know: they are what it did. As it
    stands where its classes are no longer there."""
    try:
        return to_json(from_json(data, class_table(kind)))
    except (TypeError, ValueError):
        return data


def _fixed(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _fixed(v) for k, v in value.items() if k not in FREE}
    return [_fixed(v) for v in value] if isinstance(value, list | tuple) else value


def _differences(old: Any, new: Any, path: str = "") -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(set(old) | set(new)):
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield f"{path.removeprefix('experiment.')}: {old!r} there, {new!r} now"
