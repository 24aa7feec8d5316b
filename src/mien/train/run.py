"""The one runner, from an experiment and data to a model folder. Pre-training, fine-tuning and every fold go through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mien.console import console
from mien.contract import Origin
from mien.data.loader import ClipLoader, prepare_batch
from mien.data.manifest import Manifest
from mien.data.select import origin_of
from mien.data.view import View
from mien.errors import UserError
from mien.learner import LearnerConfig, TrainingData
from mien.models import Model, Provenance, is_saved, load, save_model
from mien.train.checkpoint import load_checkpoint
from mien.train.distributed import World, world
from mien.train.experiment import Experiment, open_run
from mien.train.log import RunLog
from mien.train.loop import Evaluator, TrainConfig, fit

Look = Callable[[nn.Module], dict[str, float]]
"""Numbers for the log from a learner."""


@dataclass(frozen=True)
class Plan:
    """What is trained on what.

    Args:
        experiment: fitted to the data.
        facts: what names the data: two runs with other ones are two runs.
        start: the model whose weights it begins with. `whole`: all of them, else those of the encoder.
        looks: what looks at a learner meanwhile, once it is known where it stands and how many clips it sees at once.
        weights: of each clip in drawing, in place of the learner's.
        keep_best: name of a look's number; the weights that had the highest are kept, else the last.
        keep_last: also write the last weights, to ``OUT/last``.
        split: column that told training from test.
        validation: rows that a learner which is solved may choose its settings on.
    """

    experiment: Experiment
    data: TrainingData
    facts: Mapping[str, Any] = field(default_factory=dict)
    start: Model | None = None
    whole: bool = False
    looks: Callable[[nn.Module, World, int], Sequence[Look]] = lambda learner, where, batch_size: ()
    weights: np.ndarray | None = None
    keep_best: str | None = None
    keep_last: bool = False
    split: str = "split"
    validation: Manifest | None = None


def run(plan: Plan, out: Path, device: str = "auto") -> Model:
    """Trains to the end, going on where an earlier start stopped, or solves at once; a run that is finished is left as it is.

    Returns:
        the model of ``out/model``.

    Raises:
        UserError: another run in `out`, batch sizes that do not divide, weights that do not fit.
    """
    experiment, config = plan.experiment, plan.experiment.train
    with world(device) as where:
        per_rank = micro_batch(config, where.size)
        hashed = open_run(out, experiment, dict(plan.facts)) if where.is_main else ""
        where.barrier()
        if is_saved(out / "model"):
            if where.is_main:
                console(errors=True).print(f"{out}: finished before, nothing to do", soft_wrap=True)
            return load(out / "model")
        if experiment.learner.solved:
            if where.is_main:
                _solve(plan, hashed, out)
            where.barrier()
            return load(out / "model")
        learner = _learner(plan, where)
        views, loader = learner.views(), _loader(plan, learner.views(), per_rank, where)
        looks = plan.looks(learner, where, per_rank)
        every = config.evaluate_steps(loader.epoch_clips)
        fit(
            learner, prepared(loader, views, where), loader.epoch_clips, experiment.optim, config, out, where,
            [Evaluator(every, look) for look in looks], plan.keep_best, experiment.name,
        )  # fmt: skip
        if where.is_main:
            learner.eval()
            _save(plan, learner, out, _provenance(plan, hashed, looks, learner))
        where.barrier()
    return load(out / "model")


def _solve(plan: Plan, hashed: str, out: Path) -> None:
    found = plan.experiment.learner.solve(plan.data, plan.validation)
    log = RunLog(out, 0, 1, plan.experiment.name)
    log.say(found.words)
    log.write(1, **found.numbers)
    log.close()
    made = _made(plan, hashed, found.numbers)
    for name in ("last", "model") if plan.keep_last else ("model",):  # the last of one step is the only one
        save_model(out / name, found.module, found.config, made)


def _learner(plan: Plan, where: World) -> Any:
    torch.manual_seed(plan.experiment.train.seed)
    learner = plan.experiment.learner.build()
    said = start_from(learner, plan.start, plan.whole) if plan.start else ""
    if said and where.is_main:
        console(errors=True).print(said, soft_wrap=True)
    return learner


def _loader(plan: Plan, views: dict[str, View], per_rank: int, where: World) -> ClipLoader:
    config, learner = plan.experiment.train, plan.experiment.learner
    items, rows = learner.items(plan.data), plan.data.rows
    labels = learner.targets(rows[0]) if len(rows) == 1 else {}
    weights = plan.weights
    if weights is None and len(rows) == 1:
        weights = learner.sampling_weights(rows[0])
    return ClipLoader(
        items, views, per_rank, config.seed, rank=where.rank, world=where.size, accumulate=config.accumulate,
        workers=config.workers, targets=labels, weights=weights, order=items.order, pin=where.device.type == "cuda",
    )  # fmt: skip


def goes_on(config: LearnerConfig, start: Model) -> bool:
    """Whether a model is of this method and of its shapes, so that its decoder or heads can be taken too."""
    if type(start.config) is not type(config):
        return False
    with torch.device("meta"):
        wanted = config.build().state_dict()
    return {k: v.shape for k, v in wanted.items()} == {k: v.shape for k, v in start.module.state_dict().items()}


def start_from(learner: Any, start: Model, whole: bool) -> str:
    """Gives the learner the weights of a model: all of them, or those of the encoder. Says which.

    Raises:
        UserError: an encoder of another shape.
    """
    if whole:
        learner.load_state_dict(start.module.state_dict())
        unusual = learner.config.unusual
        return f"goes on from {start.path}, all weights{f'; {unusual}' if unusual else ''}"
    try:
        learner.load_encoder(start.encoder.state_dict())
    except RuntimeError:
        here, there = learner.config.encoder, start.config.encoder
        raise UserError(
            f"--init {start.path} holds the encoder {there}; the recipe has {here}: they must agree"
        ) from None
    return f"starts from the encoder of {start.path}; everything else is new"


def origin_after(start: Model | None, rows: Sequence[Manifest]) -> Origin:
    """Of every face the weights will have seen."""
    origin = origin_of(rows)
    return origin if not start or start.provenance.training_data == origin else "mixed"


def _provenance(plan: Plan, hashed: str, looks: Sequence[Look], learner: nn.Module) -> Provenance:
    return _made(plan, hashed, {name: value for look in looks for name, value in look(learner).items()})


def _made(plan: Plan, hashed: str, numbers: dict[str, float]) -> Provenance:
    start, shards = plan.start, plan.data.shards
    before = start.provenance if start else Provenance()
    return Provenance(
        contracts=before.contracts + tuple(s.contract for s in shards), training_data=plan.data.origin,
        data=before.data + tuple(s.hash for s in shards), recipe=plan.experiment.name, experiment=hashed,
        split=plan.split, init=start.hash if start else "",
        metrics=numbers,
    )  # fmt: skip


def _save(plan: Plan, learner: Any, out: Path, provenance: Provenance) -> None:
    config = plan.experiment.learner
    if plan.keep_last:
        best = {k: v.clone() for k, v in learner.state_dict().items()}
        learner.load_state_dict(last_weights(out))
        save_model(out / "last", learner, config, replace(provenance, metrics={}))
        learner.load_state_dict(best)
    save_model(out / "model", learner, config, provenance)


def last_weights(out: Path) -> dict[str, Any]:
    """State of the learner after the last step of a finished run."""
    state = load_checkpoint(out / "checkpoints")
    assert state is not None, "a finished run has a checkpoint"
    return state["model"]


def micro_batch(config: TrainConfig, processes: int) -> int:
    """Clips per process and micro-batch. Raises UserError when the global batch does not divide."""
    parts = processes * config.accumulate
    if config.batch_size % parts:
        raise UserError(
            f"batch size {config.batch_size} is not divisible by {processes} process(es) x {config.accumulate} micro-batches"
        )
    return config.batch_size // parts


def prepared(loader: ClipLoader, views: dict[str, View], where: World) -> Any:
    """The loader's batches on the device, as `fit` wants them."""
    known: set[int] = set()

    def batches(start: int, stop: int) -> Iterator[dict[str, Any]]:
        for batch in loader.batches(start, stop - start):
            for row in set(batch["index"][batch.pop("replaced") > 0].tolist()) - known:
                known.add(row)
                clip_id = loader.clip_ids[row]
                console(errors=True).print(
                    f"broken frames in {clip_id}: their neighbours take their place", soft_wrap=True
                )
            yield prepare_batch(batch, views, where.device)

    return batches
