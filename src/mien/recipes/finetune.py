"""Supervised recipes and the command that runs them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from rich.console import Console

from mien.data.contract import mismatch
from mien.data.dataset import ClipSet
from mien.data.loader import ClipLoader
from mien.data.manifest import Manifest
from mien.data.select import (
    class_indices,
    class_names,
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
from mien.encoders._api import Pool
from mien.encoders._table import EncoderConfig
from mien.encoders.tpsbt import tpsbt_micro
from mien.models import ModelFolder, Provenance, load_folder, save_model
from mien.protocols.classification import predict_items, score
from mien.recipes.experiment import FinetuneExperiment, open_run
from mien.recipes.pretrain import micro_batch, prepared
from mien.tasks.classify import Classifier, ClassifyConfig
from mien.train.distributed import World, world
from mien.train.loop import Evaluator, TrainConfig, fit
from mien.train.optim import OptimConfig
from mien.transforms.augment import Augment
from mien.transforms.mix import Mix
from mien.transforms.randaugment import RandAugment
from mien.types import LabelSpec, UserError, option, require

VALIDATION_SHARE = 0.15  # of the training subjects, for --select best


@dataclass(frozen=True)
class ClassifyRecipe:
    """The published fine-tuning recipe (SVFAP 4.1.2; details in official.md 4): what a run may override."""

    num_frames: int = 16
    stride: int = 4
    size: int | None = None
    """Pixels; None takes the size of the encoder's pre-training, or of a new encoder's recipe."""
    views: int = 2
    pool: Pool | None = None
    """Tokens that are averaged; None takes what suits the encoder (LGI-Former: summary, others: tokens)."""
    head_norm: Literal["layer", "batch"] = "layer"
    """batch: where all clips look alike (one camera, one person) or the model is small."""
    drop_path: float = 0.1
    frozen: bool = False
    label_smoothing: float = 0.1
    mixup: float = 0.8
    cutmix: float = 1.0
    randaugment: bool = True
    erase: float = 0.25
    flip: float = 0.5
    """0 where left and right carry the label."""
    crop_area: tuple[float, float] = (0.08, 1.0)
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(lr=1e-3, min_lr=1e-6, betas=(0.9, 0.999), layer_decay=0.75)
    )
    train: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=lambda: TrainConfig(batch_size=96))

    def __post_init__(self) -> None:
        for name in ("num_frames", "stride", "views"):
            require(getattr(self, name) >= 1, f"{option(name)} {getattr(self, name)}: give 1 or more")
        for name in ("label_smoothing", "erase", "flip"):
            require(0 <= getattr(self, name) <= 1, f"{option(name)} {getattr(self, name):g}: give a number from 0 to 1")
        require(0 <= self.drop_path < 1, f"--drop-path {self.drop_path:g}: give a number from 0 to below 1")
        require(self.mixup >= 0 and self.cutmix >= 0, "--mixup and --cutmix: give 0 (off) or more")
        low, high = self.crop_area
        require(0 < low <= high <= 1, f"--crop-area {low:g} {high:g}: give two rising numbers above 0 and up to 1")


@dataclass(frozen=True)
class FinetuneData:
    """Which rows are trained on."""

    data: Path
    target: str = "label"
    split: str = "split"
    """Manifest column that says train / val / test."""
    label_fraction: float = 1.0
    select: Literal["last", "best"] = "last"
    """best: on the split ``val``, or on a part of the training subjects where there is none. Never on the test split."""


@dataclass(frozen=True)
class _Start:
    """What the encoder begins with."""

    encoder: EncoderConfig
    size: int
    folder: ModelFolder | None


def start_from(init: str | None, scratch: EncoderConfig | None, scratch_size: int) -> _Start:
    """The encoder of a run or model, or a new one.

    Raises:
        UserError: `init` is no model.
    """
    if init is None:
        return _Start(scratch or tpsbt_micro(), scratch_size, None)
    folder = load_folder(init)
    config = folder.config
    size = config.spec.size if isinstance(config, ClassifyConfig) else config.size
    return _Start(config.encoder, size, folder)


def training_augment(recipe: ClassifyRecipe, size: int, spec: LabelSpec) -> Augment:
    return Augment(
        size=size, crop="random_resized", crop_area=recipe.crop_area, flip=recipe.flip, erase=recipe.erase,
        mean=spec.mean, std=spec.std, randaugment=RandAugment() if recipe.randaugment else None,
    )  # fmt: skip


def select_rows(shards: Shards, data: FinetuneData, seed: int) -> tuple[Manifest, Manifest | None]:
    """(train, validation) rows: labelled, with a face, the main track of each video."""
    train = labelled(in_split(shards.manifest, "train", data.split), data.target).ok()
    if not len(train):
        raise UserError("no labelled training clip has a face: look at manifest.parquet, column reason")
    train, validation = main_tracks(train), None
    if data.select == "best":
        if "val" in shards.manifest.column(data.split):
            validation = main_tracks(labelled(in_split(shards.manifest, "val", data.split), data.target).ok())
        else:
            train, validation = hold_out(train, VALIDATION_SHARE, seed)
    return label_fraction(train, data.target, data.label_fraction, seed), validation


def resolve(recipe: ClassifyRecipe, start: _Start, shards: Shards, train: Manifest, target: str) -> FinetuneExperiment:
    """The complete experiment. Raises UserError where the shards cannot serve the model's size or colour."""
    fps, size = median_fps(train), recipe.size or start.size
    start.encoder.check_clip(recipe.num_frames, size)
    spec = LabelSpec(
        names=class_names(train, target), target=target, num_frames=recipe.num_frames, stride=recipe.stride,
        frame_period_s=1 / fps, size=size, views=recipe.views, training_data=_origin(start, train),
        contract=shards.contract,
    )  # fmt: skip
    if reason := mismatch(spec, shards.contract):
        raise UserError(f"{shards.root}: {reason}; prepare it again with --size {size}, in colour")
    task = ClassifyConfig(
        spec=spec,
        encoder=replace(start.encoder, drop_path=recipe.drop_path),
        pool=recipe.pool or start.encoder.default_pool,
        head_norm=recipe.head_norm,
        frozen=recipe.frozen,
        label_smoothing=recipe.label_smoothing,
        mix=Mix(mixup_alpha=recipe.mixup, cutmix_alpha=recipe.cutmix) if recipe.mixup or recipe.cutmix else None,
        by_time=rates_differ(train, fps),
        augment=training_augment(recipe, size, spec),
    )
    return FinetuneExperiment(task, recipe.optim, recipe.train)


def _origin(start: _Start, train: Manifest) -> Any:
    origin = origin_of([train])
    if start.folder and start.folder.provenance.training_data != origin:
        return "mixed"
    return origin


def build(experiment: FinetuneExperiment, start: _Start) -> Classifier:
    """A classifier whose encoder holds the starting weights, loaded strictly."""
    torch.manual_seed(experiment.train.seed)
    classifier = experiment.task.build()
    if start.folder:
        encoder: Any = start.folder.model.encoder
        classifier.encoder.load_state_dict(encoder.state_dict())
    return classifier


def validation_scores(shards: Shards, rows: Manifest, batch_size: int, where: World) -> Evaluator:
    """UAR and WAR on held-out training subjects, for ``--select best``."""

    def call(model: Any) -> dict[str, float]:
        result = score(predict_items(model, model.spec, shards, rows, batch_size, where.device), model.spec.names)
        return {"val_uar": result["uar"], "val_war": result["war"]}

    return Evaluator(every=0, call=call)


def finetune(
    recipe: ClassifyRecipe,
    data: FinetuneData,
    out: Path,
    init: str | None = None,
    encoder: EncoderConfig | None = None,
    size: int = 96,
    device: str = "auto",
    name: str = "classify",
) -> Path:
    """Trains a classifier on the labelled rows of shards, from `init` (a run, a model folder or a hub id) or from scratch.

    Args:
        encoder, size: of a new encoder; ignored with `init`.

    Returns:
        the model folder ``out/model``.

    Raises:
        UserError: bad shards, columns, splits or weights; another run in `out`.
    """
    start, shards = start_from(init, encoder, size), Shards(data.data)
    train, validation = select_rows(shards, data, recipe.train.seed)
    experiment = resolve(recipe, start, shards, train, data.target)
    if validation:
        class_indices(
            validation, data.target, experiment.task.spec.names
        )  # a class without training clips is found here
    if note := contract_note(start, shards):
        Console(stderr=True).print(note, highlight=False)
    info = {
        "shards": str(data.data), "hash": shards.manifest.hash, "clips": len(train), "split": data.split,
        "label_fraction": data.label_fraction, "select": data.select, "init": start.folder.hash if start.folder else "",
    }  # fmt: skip
    with world(device) as where:
        config, task = experiment.train, experiment.task
        per_rank = micro_batch(config, where.size)
        hashed = open_run(out, name, experiment, info) if where.is_main else ""
        where.barrier()
        learner = build(experiment, start)
        labels = class_indices(train, data.target, task.spec.names)
        views = learner.views()
        loader = ClipLoader(
            ClipSet(shards, train), views, per_rank, config.seed, rank=where.rank, world=where.size, accumulate=config.accumulate,
            workers=config.workers, targets={"label": labels}, pin=where.device.type == "cuda",
        )  # fmt: skip
        evaluator = validation_scores(shards, validation, per_rank, where) if validation else None
        every = max(1, config.total_steps(len(train)) // 20)
        fit(
            learner, prepared(loader, views, where), len(train), experiment.optim, config, out, where,
            [replace(evaluator, every=every)] if evaluator else [], "val_uar" if evaluator else None, name,
        )  # fmt: skip
        if where.is_main:
            contracts = (start.folder.provenance.contracts if start.folder else ()) + (shards.contract,)
            seen = (start.folder.provenance.data if start.folder else ()) + (shards.manifest.hash,)
            provenance = Provenance(
                contracts, task.spec.training_data, seen, name, hashed, data.split,
                start.folder.hash if start.folder else "", evaluator.call(learner.eval()) if evaluator else {},
            )  # fmt: skip
            save_model(out / "model", learner, task, provenance)
        where.barrier()
    return out / "model"


def contract_note(start: _Start, shards: Shards) -> str | None:
    """Fine-tuning across crop geometries is allowed; it is said, and recorded in the model."""
    before = {c.geometry.hash for c in start.folder.provenance.contracts} if start.folder else set()
    if not start.folder or not before or shards.contract.geometry.hash in before:
        return None
    crops = ", ".join(c.describe() for c in start.folder.provenance.contracts)
    return f"note: pre-trained on crops {crops}; fine-tuned on {shards.contract.describe()}"
