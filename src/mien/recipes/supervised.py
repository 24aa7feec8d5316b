"""Supervised recipes: what a run may override, and the task, targets and sampling that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from mien.data.manifest import Manifest
from mien.data.select import class_indices, class_names, clip_values, vote_shares
from mien.encoders._api import Pool
from mien.encoders._table import EncoderConfig
from mien.losses.regression import RegressionLoss
from mien.models import ModelFolder
from mien.tasks.classify import ClassifyConfig
from mien.tasks.regress import RegressConfig
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig
from mien.transforms.augment import Augment
from mien.transforms.mix import Mix
from mien.transforms.randaugment import RandAugment
from mien.types import PERSONALITY_NOTE, LabelSpec, UserError, option, require

TRAITS = ("extraversion", "agreeableness", "conscientiousness", "neuroticism", "openness", "interview")


@dataclass(frozen=True)
class FinetuneData:
    """Which rows are trained on."""

    data: Path
    target: tuple[str, ...] = ("label",)
    """Manifest column with the class, or the columns (per frame: targets in the shards) to be regressed."""
    split: str = "split"
    """Manifest column that says train / val / test."""
    label_fraction: float = 1.0
    select: Literal["last", "best"] = "last"
    """best: on the split ``val``, or on a part of the training subjects where there is none. Never on the test split."""


@dataclass(frozen=True)
class Start:
    """What the encoder begins with."""

    encoder: EncoderConfig
    size: int
    folder: ModelFolder | None


def training_augment(recipe: FinetuneRecipe, size: int, spec: LabelSpec) -> Augment:
    return Augment(
        size=size, crop="random_resized", crop_area=recipe.crop_area, flip=recipe.flip, erase=recipe.erase,
        mean=spec.mean, std=spec.std, randaugment=RandAugment() if recipe.randaugment else None,
    )  # fmt: skip


@dataclass(frozen=True)
class FinetuneRecipe:
    """What every supervised recipe has, with the published values (SVFAP 4.1.2; details in official.md 4)."""

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
        for name in ("erase", "flip"):
            require(0 <= getattr(self, name) <= 1, f"{option(name)} {getattr(self, name):g}: give a number from 0 to 1")
        require(0 <= self.drop_path < 1, f"--drop-path {self.drop_path:g}: give a number from 0 to below 1")
        low, high = self.crop_area
        require(0 < low <= high <= 1, f"--crop-area {low:g} {high:g}: give two rising numbers above 0 and up to 1")

    def fields_of_task(self, start: Start, spec: LabelSpec, by_time: bool) -> dict[str, Any]:
        """What `ClipTaskConfig` wants."""
        return {
            "spec": spec, "encoder": replace(start.encoder, drop_path=self.drop_path),
            "pool": self.pool or start.encoder.pools[0], "head_norm": self.head_norm, "frozen": self.frozen,
            "by_time": by_time, "augment": training_augment(self, spec.size, spec),
        }  # fmt: skip


@dataclass(frozen=True)
class ClassifyRecipe(FinetuneRecipe):
    """Classification with the whole published recipe."""

    label_smoothing: float = 0.1
    mixup: float = 0.8
    cutmix: float = 1.0
    soft_labels: bool = False
    """Train on the annotators' votes (columns votes_<class>) where a clip has them."""
    class_weights: bool = False
    """Weigh the loss by the inverse frequency of the class."""
    balanced_sampling: bool = False
    """Draw training clips so that every class comes equally often."""

    def __post_init__(self) -> None:
        super().__post_init__()
        smoothing = self.label_smoothing
        require(0 <= smoothing <= 1, f"--label-smoothing {smoothing:g}: give a number from 0 to 1")
        require(self.mixup >= 0 and self.cutmix >= 0, "--mixup and --cutmix: give 0 (off) or more")

    def label_spec(self, train: Manifest, data: FinetuneData, common: dict[str, Any]) -> LabelSpec:
        require(len(data.target) == 1, f"--target {' '.join(data.target)}: a classifier has one label column")
        return LabelSpec(class_names(train, data.target[0]), target=data.target[0], **common)

    def task(self, start: Start, spec: LabelSpec, train: Manifest, by_time: bool) -> ClassifyConfig:
        mix = Mix(mixup_alpha=self.mixup, cutmix_alpha=self.cutmix) if self.mixup or self.cutmix else None
        weights: tuple[float, ...] = ()
        if self.class_weights:
            labels = class_indices(train, spec.target, spec.names)
            counts = np.maximum(np.bincount(labels, minlength=len(spec.names)), 1)
            weights = tuple((len(train) / (len(spec.names) * counts)).round(6).tolist())
        common = self.fields_of_task(start, spec, by_time)
        return ClassifyConfig(**common, label_smoothing=self.label_smoothing, mix=mix, class_weights=weights)

    def targets(self, rows: Manifest, spec: LabelSpec) -> dict[str, np.ndarray]:
        """What the loader brings along with each clip."""
        labels = class_indices(rows, spec.target, spec.names)
        if not self.soft_labels:
            return {"label": labels}
        return {"label": labels, "votes": vote_shares(rows, spec.names, labels)}

    def sampling_weights(self, rows: Manifest, spec: LabelSpec) -> np.ndarray | None:
        """Weight of each clip for `ClipLoader`."""
        if not self.balanced_sampling:
            return None
        labels = class_indices(rows, spec.target, spec.names)
        return 1.0 / np.bincount(labels)[labels]


@dataclass(frozen=True)
class RegressRecipe(FinetuneRecipe):
    """Dimensions of affect or traits: mean squared error, 30 epochs, no mixing (HiCMAE's settings, official.md 5.1)."""

    per: Literal["clip", "frame"] = "clip"
    """frame: targets are per-frame columns of the shards."""
    loss: RegressionLoss = "mse"
    activation: Literal["none", "sigmoid", "tanh"] = "none"
    range: tuple[float, float] | None = None
    """Of the targets, to which predictions are cut; None: the smallest of 0..1, -1..1 and what the training data span."""
    allow_personality: bool = False
    """Needed for personality traits: they are impressions of strangers, and must not be used to choose, rank or judge people."""
    train: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(
        default_factory=lambda: TrainConfig(batch_size=96, epochs=30)
    )

    def label_spec(self, train: Manifest, data: FinetuneData, common: dict[str, Any]) -> LabelSpec:
        names = data.target
        traits = [n for n in names if n.lower() in TRAITS]
        if traits and not self.allow_personality:
            raise UserError(f"--target {' '.join(traits)}: {PERSONALITY_NOTE}. To go on, add --allow-personality")
        require(not traits or len(traits) == len(names), "--target: train traits and other targets separately")
        bounds = self.range or self._bounds(train, names)
        kind = "traits" if traits else "dimensional"
        return LabelSpec(names, kind, self.per, target=" ".join(names), range=bounds, **common)

    def _bounds(self, train: Manifest, names: tuple[str, ...]) -> tuple[float, float]:
        if self.per == "frame":
            return -1.0, 1.0
        values = clip_values(train, names)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        return next((b for b in ((0.0, 1.0), (-1.0, 1.0)) if b[0] <= low and high <= b[1]), (low, high))

    def task(self, start: Start, spec: LabelSpec, train: Manifest, by_time: bool) -> RegressConfig:
        return RegressConfig(**self.fields_of_task(start, spec, by_time), loss=self.loss, activation=self.activation)

    def targets(self, rows: Manifest, spec: LabelSpec) -> dict[str, np.ndarray]:
        """Per-clip values ``[n, K]``; per-frame ones come from the shards."""
        return {} if self.per == "frame" else {"values": clip_values(rows, spec.names)}

    def sampling_weights(self, rows: Manifest, spec: LabelSpec) -> np.ndarray | None:
        return None


TaskRecipe = ClassifyRecipe | RegressRecipe

RECIPES: dict[str, TaskRecipe] = {"classify": ClassifyRecipe(), "regress": RegressRecipe()}
