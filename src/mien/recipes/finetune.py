"""The command that runs supervised recipes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from mien.console import console
from mien.corpora.record import classes_of, read_record
from mien.data.contract import check_finetuning, is_known
from mien.data.dataset import ClipSet
from mien.data.frames import FrameSet, class_counts
from mien.data.labels import LabelSpec
from mien.data.loader import ClipLoader
from mien.data.manifest import Manifest
from mien.data.select import (
    annotated_tracks,
    any_fraction,
    hold_out,
    in_split,
    label_fraction,
    labelled,
    main_tracks,
    median_fps,
    origin_of,
    rates_differ,
)
from mien.data.shards import Shards
from mien.encoders.table import EncoderConfig
from mien.encoders.tpsbt import tpsbt_micro
from mien.errors import UserError
from mien.models import Provenance, is_saved, load, save_model
from mien.recipes.experiment import FinetuneExperiment, open_run
from mien.recipes.pretrain import micro_batch, prepared
from mien.recipes.sequence import SequenceRecipe
from mien.recipes.supervised import ClassifyRecipe, FinetuneData, Start, TaskRecipe, inverse_shares
from mien.scoring.inference import Inference
from mien.scoring.table import KINDS
from mien.tasks.clip import ClipTask
from mien.tasks.sequence import SequenceConfig, SequenceTask
from mien.tasks.table import TaskConfig
from mien.train.checkpoint import load_checkpoint
from mien.train.distributed import world
from mien.train.loop import Evaluator, fit

VALIDATION_SHARE = 0.15  # of the training subjects, for --select best


@dataclass(frozen=True)
class Validation:
    """What ``--select best`` is chosen on.

    Args:
        on: "auto": the split ``val`` where there is one, else held-out training subjects; "held out": always these (where the
            publication reports on ``val``); "test": the rows of `test`, as some publications do.
        keep_last: also write the weights of the last epoch, to ``RUN/last``.
    """

    on: Literal["auto", "held out", "test"] = "auto"
    test: str = "test"
    keep_last: bool = False


def start_from(init: str | None, scratch: EncoderConfig | None, scratch_size: int) -> Start:
    """The encoder of a run or model, or a new one.

    Raises:
        UserError: `init` is no model.
    """
    if init is None:
        return Start(scratch or tpsbt_micro(), scratch_size, None)
    folder = load(init)
    config = folder.config
    size = config.spec.size if isinstance(config, get_args(TaskConfig)) else config.size
    return Start(config.encoder, size, folder)


def has_target(manifest: Manifest, recipe: TaskRecipe, data: FinetuneData) -> Manifest:
    """Rows with a label; per-frame targets are looked for in the shards."""
    if recipe.per == "frame":
        return manifest
    for target in data.target:
        manifest = labelled(manifest, target)
    return manifest


def select_rows(
    shards: Shards, recipe: TaskRecipe, data: FinetuneData, seed: int, validate: Validation | None = None
) -> tuple[Manifest, Manifest | None]:
    """(train, validation) rows: labelled, with a face, of the main person of each video."""

    def rows(split: str) -> Manifest:
        found = in_split(has_target(shards.manifest, recipe, data), split, data.split).ok()
        return annotated_tracks(found) if recipe.per == "frame" else main_tracks(found)

    validate = validate or Validation()
    train, validation = rows("train"), None
    if not len(train):
        raise UserError("no labelled training clip has a face: look at manifest.parquet, column reason")
    if data.select == "best":
        if validate.on == "test":
            validation = rows(validate.test)
        elif validate.on == "auto" and "val" in shards.manifest.column(data.split):
            validation = rows("val")
        else:
            train, validation = hold_out(train, VALIDATION_SHARE, seed)
    if isinstance(recipe, ClassifyRecipe) and recipe.per == "clip":
        return label_fraction(train, data.target[0], data.label_fraction, seed), validation
    return any_fraction(train, data.label_fraction, seed), validation


def resolve(
    recipe: TaskRecipe, start: Start, shards: Shards, train: Manifest, data: FinetuneData
) -> FinetuneExperiment:
    """The complete experiment.

    Raises:
        UserError: the shards cannot serve the model's size or colour, or say nothing of the classes of their frames.
    """
    fps, size = median_fps(train), recipe.size or start.size
    start.encoder.check_clip(recipe.num_frames, size)
    common: dict[str, Any] = {
        "num_frames": recipe.num_frames, "stride": recipe.stride, "frame_period_s": 1 / fps, "size": size,
        "views": recipe.views, "training_data": _origin(start, train), "contract": shards.contract, **start.pixels,
    }  # fmt: skip
    spec = recipe.label_spec(train, data, common)
    if spec.kind == "categorical":  # the corpus's order, and a class that this fold's training part lacks
        spec = replace(spec, names=classes_of(read_record(shards.root), spec.target) or spec.names)
        if not spec.names:
            raise UserError(f"{shards.root} does not say which classes the frames' {spec.target} has: prepare --corpus")
    check_finetuning(spec, shards)
    task = recipe.task(start, spec, train, rates_differ(train, fps))
    if isinstance(recipe, ClassifyRecipe) and recipe.per == "frame" and recipe.class_weights:
        counts = class_counts(ClipSet(shards, train), spec.target, len(spec.names))
        task = replace(task, class_weights=inverse_shares(counts))
    if isinstance(recipe, SequenceRecipe) and isinstance(task, SequenceConfig):
        task = recipe.from_data(task, shards, train)
    return FinetuneExperiment(task, recipe.optim, recipe.train)


def _origin(start: Start, train: Manifest) -> Any:
    origin = origin_of([train])
    if start.folder and start.folder.provenance.training_data != origin:
        return "mixed"
    return origin


def build(experiment: FinetuneExperiment, start: Start) -> ClipTask | SequenceTask:
    """A task whose encoder holds the starting weights, loaded strictly."""
    torch.manual_seed(experiment.train.seed)
    task = experiment.task.build()
    if start.folder:
        encoder: Any = start.folder.module.encoder
        task.encoder.load_state_dict(encoder.state_dict())
    return task


def training_items(recipe: TaskRecipe, shards: Shards, train: Manifest, spec: LabelSpec) -> ClipSet | FrameSet:
    """Clips, single frames of them, or segments of whole tracks."""
    if isinstance(recipe, SequenceRecipe):
        return recipe.items(shards, train)
    clips = ClipSet(shards, train)
    if not isinstance(recipe, ClassifyRecipe) or recipe.frames is None:
        return clips
    return FrameSet(clips, (spec.target,), recipe.frames, recipe.train.seed, len(spec.names))


def finetune(
    recipe: TaskRecipe,
    data: FinetuneData,
    out: Path,
    init: str | None = None,
    encoder: EncoderConfig | None = None,
    size: int = 96,
    device: str = "auto",
    name: str = "classify",
    validate: Validation | None = None,
) -> Path:
    """Trains on the labelled rows of shards, from `init` (a run, a model folder or a hub id) or from scratch.

    Args:
        encoder, size: of a new encoder; ignored with `init`.
        validate: what ``select="best"`` looks at.

    Returns:
        the model folder ``out/model``; that of a run that was finished before is left as it is.

    Raises:
        UserError: bad shards, columns, splits or weights; another run in `out`.
    """
    start, shards = start_from(init, encoder, size), Shards(data.data)
    validate = validate or Validation()
    train, validation = select_rows(shards, recipe, data, recipe.train.seed, validate)
    experiment = resolve(recipe, start, shards, train, data)
    if validation:
        recipe.targets(validation, experiment.task.spec)  # a class without training clips is found here
    if note := contract_note(start, shards):
        console(errors=True).print(note, soft_wrap=True)
    info = {
        "shards": str(data.data), "hash": shards.hash, "clips": len(train), "split": data.split,
        "label_fraction": data.label_fraction, "select": data.select, "init": start.folder.hash if start.folder else "",
    }  # fmt: skip
    if record := read_record(shards.root):
        info["corpus"] = record.name
    if validate != Validation():
        info |= {"selected_on": validate.on, "keep_last": validate.keep_last}
    with world(device) as where:
        config, task = experiment.train, experiment.task
        per_rank = micro_batch(config, where.size)
        hashed = open_run(out, name, experiment, info) if where.is_main else ""
        where.barrier()
        if is_saved(out / "model"):
            if where.is_main:
                console(errors=True).print(f"{out}: finished before, nothing to do", soft_wrap=True)
            return out / "model"
        learner = build(experiment, start)
        views = learner.views()
        items = training_items(recipe, shards, train, task.spec)
        loader = ClipLoader(
            items, views, per_rank, config.seed, rank=where.rank, world=where.size, accumulate=config.accumulate,
            workers=config.workers, targets=recipe.targets(train, task.spec),
            weights=recipe.sampling_weights(train, task.spec), order=items.order if isinstance(items, FrameSet) else None,
            pin=where.device.type == "cuda",
        )  # fmt: skip
        kind, how = KINDS[task.spec.kind], Inference(per_rank, where.device)
        every = max(1, config.total_steps(loader.epoch_clips) // recipe.evaluations)
        looks = [Evaluator(every, lambda m: kind.validate(m, shards, validation, how))] if validation else []
        fit(
            learner, prepared(loader, views, where), loader.epoch_clips, experiment.optim, config, out, where,
            looks, kind.chosen_by(task.spec) if looks else None, name,
        )  # fmt: skip
        if where.is_main:
            contracts = (start.folder.provenance.contracts if start.folder else ()) + (shards.contract,)
            seen = (start.folder.provenance.data if start.folder else ()) + (shards.hash,)
            provenance = Provenance(
                contracts=contracts, training_data=task.spec.training_data, data=seen, recipe=name, experiment=hashed,
                split=data.split, init=start.folder.hash if start.folder else "",
                metrics=looks[0].call(learner.eval()) if looks else {},
            )  # fmt: skip
            if validate.keep_last:
                best = {k: v.clone() for k, v in learner.state_dict().items()}
                learner.load_state_dict(last_weights(out))
                save_model(out / "last", learner, task, replace(provenance, metrics={}))
                learner.load_state_dict(best)
            save_model(out / "model", learner, task, provenance)
        where.barrier()
    return out / "model"


def last_weights(out: Path) -> dict[str, Any]:
    """State of the learner after the last step of a finished run."""
    state = load_checkpoint(out / "checkpoints")
    assert state is not None, "a finished run has a checkpoint"
    return state["model"]


def contract_note(start: Start, shards: Shards) -> str | None:
    """Fine-tuning across crop geometries is allowed; it is said, and recorded in the model."""
    seen = start.folder.provenance.contracts if start.folder else ()
    if is_known(seen, shards):
        return None
    return f"note: pre-trained on crops {', '.join(c.describe() for c in seen)}; fine-tuned on {shards.contract.describe()}"
