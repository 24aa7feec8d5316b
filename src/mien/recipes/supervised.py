"""Supervised recipes: what a run may override, and the task, targets and sampling that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from mien.data.frames import FrameSampling
from mien.data.manifest import Manifest
from mien.data.select import class_indices, class_names, clip_values, vote_shares
from mien.encoders._api import Pool
from mien.encoders._table import EncoderConfig
from mien.losses.regression import RegressionLoss
from mien.models import ModelFolder
from mien.recipes.sequence import SequenceRecipe
from mien.tasks._clip import OverTime
from mien.tasks.classify import ClassifyConfig
from mien.tasks.regress import RegressConfig
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig
from mien.transforms.augment import Augment
from mien.transforms.mix import Mix
from mien.transforms.randaugment import RandAugment
from mien.types import (
    GREY_MEAN,
    GREY_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    PERSONALITY_NOTE,
    LabelSpec,
    UserError,
    option,
    require,
)

TRAITS = ("extraversion", "agreeableness", "conscientiousness", "neuroticism", "openness", "interview")


@dataclass(frozen=True)
class FinetuneData:
    """Which rows are trained on."""

    data: tyro.conf.Suppress[Path] = Path()
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

    @property
    def pixels(self) -> dict[str, Any]:
        """Colour or grey, and the statistics of the pixels that the encoder knows: what `LabelSpec` wants."""
        if self.folder:
            known = getattr(self.folder.config, "spec", self.folder.config)
            return {"color": self.encoder.channels == 3, "mean": known.mean, "std": known.std}
        if self.encoder.channels == 1:
            return {"color": False, "mean": GREY_MEAN, "std": GREY_STD}
        return {"color": True, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}


def training_augment(recipe: FinetuneRecipe, size: int, spec: LabelSpec) -> Augment:
    return Augment(
        size=size, crop="random_resized", crop_area=recipe.crop_area, crop_aspect=recipe.crop_aspect, flip=recipe.flip,
        erase=recipe.erase, mean=spec.mean, std=spec.std, grey=not spec.color,
        randaugment=RandAugment() if recipe.randaugment else None,
    )  # fmt: skip


def trained_encoder(recipe: FinetuneRecipe, config: EncoderConfig) -> EncoderConfig:
    """The encoder with what the recipe says of it: stochastic depth of Transformers, frozen stages of convolutions.

    Raises:
        UserError: stages to freeze, and an encoder without.
    """
    values = {"drop_path": recipe.drop_path, "frozen_stages": recipe.frozen_stages}
    has = {f.name for f in fields(config)} & values.keys()
    staged = "frozen_stages" in has or recipe.frozen_stages == -1
    require(staged, f"--frozen-stages {recipe.frozen_stages}: this encoder has none; --frozen freezes all of it")
    return replace(config, **{name: values[name] for name in has})


@dataclass(frozen=True)
class FinetuneRecipe:
    """What every supervised recipe has, with the published values (SVFAP 4.1.2; decisions: fine-tuning-settings)."""

    name: tyro.conf.Suppress[str] = ""
    """On the command line."""
    per: Literal["clip", "frame"] = "clip"
    """frame: every frame has a target of its own, in columns of the shards."""
    num_frames: int = 16
    stride: int = 4
    size: int | None = None
    """Pixels; None takes the size of the encoder's pre-training, or of a new encoder's recipe."""
    test_resize: int | None = None
    """At evaluation and prediction resize to this side and keep the middle --size pixels; None resizes to --size."""
    views: int = 2
    pool: Pool | None = None
    """Tokens that are averaged; None takes what suits the encoder (LGI-Former: summary, others: tokens). srp keeps where in the
    frame they are."""
    over_time: OverTime = "mean"
    """transformer: one block over the moments of a clip, by which image encoders see an order (SVFAP 4.2.3);
    gru: a bidirectional GRU, for the lip-reading front end."""
    head_norm: Literal["layer", "batch", "none"] = "layer"
    """batch: where all clips look alike (one camera, one person) or the model is small; none: as published after SRP."""
    drop_path: float = 0.1
    """Of Transformers."""
    frozen: bool = False
    frozen_stages: int = -1
    """Of ResNets: 0 freezes the stem, n the stages 1 to n too, with the statistics of their BatchNorm; -1 nothing."""
    randaugment: bool = True
    erase: float = 0.25
    flip: float = 0.5
    """0 where left and right carry the label."""
    crop_area: tuple[float, float] = (0.08, 1.0)
    crop_aspect: tuple[float, float] = (0.75, 4 / 3)
    evaluations: int = 20
    """With --select best: how many times in the run it looks."""
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(lr=1e-3, min_lr=1e-6, betas=(0.9, 0.999), layer_decay=0.75)
    )
    train: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=lambda: TrainConfig(batch_size=96))

    def __post_init__(self) -> None:
        for name in ("num_frames", "stride", "views", "evaluations"):
            require(getattr(self, name) >= 1, f"{option(name)} {getattr(self, name)}: give 1 or more")
        for name in ("erase", "flip"):
            require(0 <= getattr(self, name) <= 1, f"{option(name)} {getattr(self, name):g}: give a number from 0 to 1")
        require(0 <= self.drop_path < 1, f"--drop-path {self.drop_path:g}: give a number from 0 to below 1")
        low, high = self.crop_area
        require(0 < low <= high <= 1, f"--crop-area {low:g} {high:g}: give two rising numbers above 0 and up to 1")
        low, high = self.crop_aspect
        require(0 < low <= high, f"--crop-aspect {low:g} {high:g}: give two rising numbers above 0")
        require(-1 <= self.frozen_stages <= 4, f"--frozen-stages {self.frozen_stages}: give -1 (none) to 4")

    def fields_of_task(self, start: Start, spec: LabelSpec, by_time: bool) -> dict[str, Any]:
        """What `ClipTaskConfig` wants."""
        return {
            "spec": spec, "encoder": trained_encoder(self, start.encoder),
            "pool": self.pool or start.encoder.pools[0], "over_time": self.over_time, "head_norm": self.head_norm,
            "frozen": self.frozen,
            "by_time": by_time, "augment": training_augment(self, spec.size, spec), "test_resize": self.test_resize,
        }  # fmt: skip


@dataclass(frozen=True)
class ClassifyRecipe(FinetuneRecipe):
    """Classification with the whole published recipe, of clips or of their frames (frames are not mixed)."""

    frames: FrameSampling | None = None
    """Train on single frames in place of clips, and which; needs --per frame and --num-frames 1."""
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
        clips = self.soft_labels or self.balanced_sampling
        require(not clips or self.per == "clip", "--soft-labels and --balanced-sampling are for --per clip")
        single = self.per == "frame" and self.num_frames == 1
        require(self.frames is None or single, "this recipe is of single frames: leave --per and --num-frames out")

    def label_spec(self, train: Manifest, data: FinetuneData, common: dict[str, Any]) -> LabelSpec:
        """Names of the classes of frames are the corpus's, which `resolve` knows."""
        require(len(data.target) == 1, f"--target {' '.join(data.target)}: a classifier has one label column")
        names = class_names(train, data.target[0]) if self.per == "clip" else ()
        return LabelSpec(names, per=self.per, target=data.target[0], **common)

    def task(self, start: Start, spec: LabelSpec, train: Manifest, by_time: bool) -> ClassifyConfig:
        mixed = self.per == "clip" and (self.mixup or self.cutmix)
        mix = Mix(mixup_alpha=self.mixup, cutmix_alpha=self.cutmix) if mixed else None
        weights: tuple[float, ...] = ()
        if self.class_weights and self.per == "clip":
            labels = class_indices(train, spec.target, spec.names)
            weights = inverse_shares(np.bincount(labels, minlength=len(spec.names)))
        common = self.fields_of_task(start, spec, by_time)
        return ClassifyConfig(**common, label_smoothing=self.label_smoothing, mix=mix, class_weights=weights)

    def targets(self, rows: Manifest, spec: LabelSpec) -> dict[str, np.ndarray]:
        """What the loader brings along with each clip; classes of frames come from the shards."""
        if self.per == "frame":
            return {}
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


def inverse_shares(counts: np.ndarray) -> tuple[float, ...]:
    """Weight of each class [K]: mean 1 over what was counted."""
    return tuple((counts.sum() / (len(counts) * np.maximum(counts, 1))).round(6).tolist())


@dataclass(frozen=True)
class RegressRecipe(FinetuneRecipe):
    """Dimensions of affect or traits: mean squared error, 30 epochs, no mixing, as HiCMAE (decisions: regression-settings)."""

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


TaskRecipe = ClassifyRecipe | RegressRecipe | SequenceRecipe


def single_frames() -> ClassifyRecipe:
    """The ABAW5 solution: classes of single frames (decisions: single-frame-settings). Rates are per 256 images:
    0.005 at its batch of 128."""
    return ClassifyRecipe(
        per="frame", num_frames=1, stride=1, size=224, test_resize=256, views=1, pool="srp", head_norm="none", frozen_stages=3,
        frames=FrameSampling(), drop_path=0.0, randaugment=False, erase=0.0, crop_area=(0.6, 1.0), crop_aspect=(1.0, 1.0),
        label_smoothing=0.0, mixup=0.0, cutmix=0.0, evaluations=2,
        optim=OptimConfig(kind="sgd", lr=1e-2, min_lr=2e-5, warmup_from=0.1, momentum=0.9, weight_decay=0.01),
        # 8,000 steps, not epochs; 1 in 80 of them is warm-up
        train=TrainConfig(batch_size=128, steps=8000, epochs=80, warmup_epochs=1),
    )  # fmt: skip


RECIPES: dict[str, TaskRecipe] = {
    "classify": ClassifyRecipe(), "regress": RegressRecipe(), "frames": single_frames(), "sequence": SequenceRecipe(),
}  # fmt: skip
