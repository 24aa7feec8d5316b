"""Recipes of SS-VAERR's downstream task: valence and arousal of every frame (docs/ss-vaerr.md).

    mien prepare --corpus sewa SEWA --out shards --size 96 --grey --fps 25
    mien finetune sequence-sewa --init LIRA_RUN --data shards --out RUN [--frozen first]
    mien evaluate RUN --data shards

The targets are arousal and valence, in this order, unless --target names others. Rates are per 256 segments, as everywhere: the
paper's 7e-5 to 3e-4 at batches of 3 to 20.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import tyro

from mien.data.dataset import ClipSet
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.segments import SegmentSet, StretchSet, frame_values, pixel_statistics
from mien.data.shards import Shards
from mien.errors import UserError, option, require
from mien.losses.composite import CompositeLoss, Discrete, Over
from mien.rng import generator
from mien.tasks.sequence import Frozen, Output, SequenceConfig
from mien.train.loop import TrainConfig
from mien.train.optim import OptimConfig
from mien.transforms.sequence import SequenceAugment

if TYPE_CHECKING:
    from mien.recipes.supervised import FinetuneData, Start

TARGETS = ("arousal", "valence")
MAX_CLUSTERED = 200_000  # values that k-means looks at: more change the fourth digit of a centroid and take minutes
ROUNDED = 1e-4  # ratings are written with three digits or more
LR = 1.5e-4  # middle of the paper's range, on a logarithmic scale


def optim(batch_size: int) -> OptimConfig:
    """AdamW with the paper's weight decay; cosine from the start ("initial learning rate" is all that it says)."""
    return OptimConfig(lr=LR * 256 / batch_size, min_lr=0.0, betas=(0.9, 0.999), weight_decay=1e-4)


def train(batch_size: int) -> TrainConfig:
    return TrainConfig(batch_size=batch_size, epochs=10, warmup_epochs=0)


@dataclass(frozen=True)
class SequenceRecipe:
    """An encoder per frame, a GRU, the composite loss. Defaults are what SS-VAERR pins, or our choice (docs/ss-vaerr.md)."""

    name: tyro.conf.Suppress[str] = ""
    """On the command line."""
    num_frames: int = 200
    """Of a training segment: 200 for SEWA, 500 for RECOLA in the paper. Prediction takes whole videos."""
    fps: float = 25.0
    """Rate at which videos are seen, whatever they were filmed at."""
    size: int | None = None
    """Pixels; None takes the size of the encoder's pre-training, or of a new encoder's recipe."""
    w_ccc: tuple[float, ...] = (1.0,)
    """Weight of 1 - CCC: one for all targets, or one for each."""
    w_mse: tuple[float, ...] = (0.0,)
    """Of the mean squared error."""
    w_ce: tuple[float, ...] = (0.0,)
    """Of the cross entropy of uniform bins."""
    w_ncce: tuple[float, ...] = (0.0,)
    """Of the cost-sensitive cross entropy of k-means clusters."""
    ccc_over: Over = "batch"
    """Take the concordance over the batch, or the mean of that of its segments."""
    num_classes: int = 20
    """Bins, and clusters, of each target."""
    output: Output = "regression"
    """What is predicted where numbers and classes are trained."""
    frozen: Frozen = "none"
    """first: the 3-D convolution, which is the paper's "frozen"; all: the whole encoder."""
    gru_layers: int = 2
    gru_hidden: int = 512
    bidirectional: bool = False
    """Look ahead too: better founded, but prediction has to wait for the end of the video."""
    dropout: float = 0.0
    feature_norm: Literal["none", "batch"] = "none"
    """batch: normalise each frame's features before the GRU; where the model is small or all faces look alike."""
    activation: Literal["none", "tanh"] = "none"
    """Of the numbers; tanh keeps them within --range."""
    delay_s: float = 0.0
    """Seconds that raters are late: targets are shifted by it in training, predictions in evaluation."""
    statistics: Literal["own", "encoder"] = "own"
    """Normalise pixels by the mean and deviation of the training videos, as the paper does, or by what the encoder was given."""
    range: tuple[float, float] = (-1.0, 1.0)
    """Of the targets: bins divide it, and predictions are cut to it."""
    crop: int | None = None
    """Side of random crops (the middle at evaluation): 80 for RECOLA, 110 for SEWA in Table IV."""
    enlarge: bool = False
    """Enlarge crops to --size again."""
    flip: float = 0.0
    squares: float = 0.0
    """Share of the picture under five black squares."""
    squares_prob: float = 1.0
    missing: float = 0.0
    """Share of black frames."""
    solarize: float = 0.0
    """Share of solarised frames."""
    salt_pepper: float = 0.0
    """Share of noisy pixels."""
    evaluations: int = 10
    """With --select best: how many times in the run it looks."""
    optim: OptimConfig = field(default_factory=lambda: optim(8))
    train: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=lambda: train(8))

    per: ClassVar[Literal["frame"]] = "frame"
    stride: ClassVar[int] = 1
    views: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for name in ("num_frames", "evaluations", "gru_layers", "gru_hidden"):
            require(getattr(self, name) >= 1, f"{option(name)} {getattr(self, name)}: give 1 or more")
        for name in ("flip", "squares", "squares_prob", "missing", "solarize", "salt_pepper"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{option(name)} {value:g}: give a number from 0 to 1")
        require(1 <= self.fps <= 1000, f"--fps {self.fps:g}: give 1 to 1000 frames per second")
        require(self.num_classes >= 2, f"--num-classes {self.num_classes}: give 2 or more")
        require(0 <= self.dropout < 1, f"--dropout {self.dropout:g}: give a number from 0 to below 1")
        require(abs(self.delay_s) <= 10, f"--delay-s {self.delay_s:g}: give -10 to 10 seconds")
        require(self.range[0] < self.range[1], f"--range {self.range[0]:g} {self.range[1]:g}: give two rising numbers")

    @property
    def loss(self) -> CompositeLoss:
        return CompositeLoss(self.w_ccc, self.w_mse, self.w_ce, self.w_ncce, self.ccc_over)

    def label_spec(self, train: Manifest, data: FinetuneData, common: dict[str, Any]) -> LabelSpec:
        names = TARGETS if data.target == ("label",) else data.target
        self.loss.check(len(names))
        fields: dict[str, Any] = {**common, "frame_period_s": 1 / self.fps}
        return LabelSpec(names, "dimensional", "frame", target=" ".join(names), range=self.range, **fields)

    def task(self, start: Start, spec: LabelSpec, train: Manifest, by_time: bool) -> SequenceConfig:
        """Without what `from_data` adds. Frames are always picked by time."""
        augment = SequenceAugment(
            size=spec.size, crop=self.crop, enlarge=self.enlarge, random=self.crop is not None, flip=self.flip,
            squares=self.squares, squares_prob=self.squares_prob, missing=self.missing, solarize=self.solarize,
            salt_pepper=self.salt_pepper, mean=spec.mean, std=spec.std, grey=not spec.color,
        )  # fmt: skip
        return SequenceConfig(
            spec, start.encoder, self.gru_layers, self.gru_hidden, self.bidirectional, self.dropout,
            self.feature_norm, self.activation,
            self.loss, Discrete(self.range, self.num_classes), self.output, self.frozen, self.delay_s, augment,
        )  # fmt: skip

    def from_data(self, task: SequenceConfig, shards: Shards, train: Manifest) -> SequenceConfig:
        """With the statistics and the clusters of the training videos, which the config then holds.

        Raises:
            UserError: shards without the targets, or nothing annotated.
        """
        clips, spec, seed = StretchSet(shards, train), task.spec, self.train.seed
        values = frame_values(clips, spec.names, self.delay_s)
        blank = [n for n, known in zip(spec.names, np.isfinite(values).sum(0), strict=True) if known < 2]
        late = f" that lies {self.delay_s:g} s (--delay-s) from another of its track" if self.delay_s else ""
        require(not blank, f"{', '.join(blank)}: no training frame is annotated{late}")
        self.check_range(values, spec.names)
        if self.loss.uses("ncce"):
            found = tuple(clusters(column, self.num_classes, seed) for column in values.T)
            task = replace(task, discrete=replace(task.discrete, centroids=found))
        if self.statistics == "own":
            mean, std = (tuple(round(v, 4) for v in s) for s in pixel_statistics(clips, not spec.color, seed))
            augment = replace(task.augment, mean=mean, std=std)
            task = replace(task, spec=replace(spec, mean=mean, std=std), augment=augment)
        return task

    def check_range(self, values: np.ndarray, names: tuple[str, ...]) -> None:
        """Raises UserError for targets ``[n, K]`` beyond --range: predictions are cut to it, and bins end there."""
        for name, column in zip(names, values.T, strict=True):
            known = column[np.isfinite(column)]
            low, high = float(known.min()), float(known.max())
            require(
                self.range[0] - ROUNDED <= low and high <= self.range[1] + ROUNDED,
                f"{name} is {low:g} to {high:g} in training, beyond --range {self.range[0]:g} {self.range[1]:g}: "
                "give the range of the ratings' scale",
            )

    def items(self, shards: Shards, rows: Manifest) -> ClipSet:
        return SegmentSet(shards, rows, self.num_frames / self.fps)

    def targets(self, rows: Manifest, spec: LabelSpec) -> dict[str, np.ndarray]:
        """They come from the shards."""
        return {}

    def sampling_weights(self, rows: Manifest, spec: LabelSpec) -> np.ndarray | None:
        return None


def clusters(values: np.ndarray, number: int, seed: int) -> tuple[float, ...]:
    """Rising k-means centroids of the annotated values ``[n]``.

    Raises:
        UserError: fewer different values than clusters.
    """
    from sklearn.cluster import KMeans

    known = values[np.isfinite(values)].astype(np.float64)
    different = len(np.unique(known))
    if different < number:
        raise UserError(
            f"{different} different values cannot make {number} clusters: give --num-classes {different} or fewer"
        )
    known = generator("k-means", seed).permutation(known)[:MAX_CLUSTERED]
    means: Any = KMeans(number, random_state=seed)  # one start, by k-means++
    found = means.fit(known[:, None]).cluster_centers_[:, 0]
    return tuple(float(f"{c:.6g}") for c in np.sort(found))


def sequence() -> SequenceRecipe:
    """Valence and arousal of every frame: front end, GRU and the concordance alone (SS-VAERR's Tables I and II)."""
    return SequenceRecipe()


def sequence_sewa() -> SequenceRecipe:
    """SEWA, best row of SS-VAERR's Table III: concordance 0.5, bins 0.25, squares 0.25; segments of 200 frames.

    mien finetune sequence-sewa --protocol sewa --init LIRA_RUN --data SHARDS --out OUT
    Expected CCC, arousal / valence: 0.716 / 0.731 (Table III); with --flip 0.5 0.713 / 0.771 (Tables I, IV).
    """
    return replace(SequenceRecipe(), **TABLE_III["ccc-ce-mse"])


def sequence_recola() -> SequenceRecipe:
    """RECOLA, best row of SS-VAERR's Table III: bins for arousal alone (1 : 0.66 and 0.34); segments of 500 frames.

    mien finetune sequence-recola --protocol recola --init LIRA_RUN --data SHARDS --out OUT
    Expected CCC, arousal / valence, on the development set: 0.675 / 0.626 (Tables I, III and IV).
    """
    batch = 4
    return replace(SequenceRecipe(), **TABLE_III["arousal-ce"], num_frames=500, optim=optim(batch), train=train(batch))


def sequence_micro() -> SequenceRecipe:
    """Ours, for two CPU cores: short segments, a small GRU, a higher rate."""
    recipe = SequenceRecipe(num_frames=40, gru_layers=1, gru_hidden=64, feature_norm="batch", activation="tanh")
    return replace(recipe, optim=replace(recipe.optim, lr=2e-3 * 256 / 8))


TABLE_III: dict[str, dict[str, tuple[float, ...]]] = {
    "ccc": {},
    "mse": {"w_ccc": (0.0,), "w_mse": (1.0,)},
    "ccc-ce": {"w_ccc": (0.5,), "w_ce": (0.5,)},
    "ccc-ce-mse": {"w_ccc": (0.5,), "w_ce": (0.25,), "w_mse": (0.25,)},
    "arousal-ce": {"w_ccc": (0.66, 1.0), "w_ce": (0.34, 0.0)},
    "arousal-ce-mse": {"w_ccc": (0.66, 1.0), "w_ce": (0.17, 0.0), "w_mse": (0.17, 0.0)},
    "ccc-ncce": {"w_ccc": (0.5,), "w_ncce": (0.5,)},
    "ccc-ncce-mse": {"w_ccc": (0.5,), "w_ncce": (0.25,), "w_mse": (0.25,)},
}  # fmt: skip
"""The loss weights of every row of SS-VAERR's Table III, for arousal and valence."""

TABLE_IV: dict[str, dict[str, Any]] = {
    "none": {},
    "flip": {"flip": 0.5},
    "crop": {"crop": 80},
    "crop-out": {"squares": 0.25},
    "missing": {"missing": 0.2},
    "solarize": {"solarize": 0.2},
    "salt-pepper": {"salt_pepper": 0.05},
    "crop+flip": {"crop": 80, "flip": 0.5},
    "crop+missing": {"crop": 80, "missing": 0.2},
    "flip+missing": {"flip": 0.5, "missing": 0.2},
    "flip+solarize": {"flip": 0.5, "solarize": 0.2},
    "flip+crop-out": {"flip": 0.5, "squares": 0.25},
    "flip+salt-pepper": {"flip": 0.5, "salt_pepper": 0.05},
}
"""The augmentations of every row of Table IV, for frames of 96 pixels."""

RECIPES: dict[str, Callable[[], SequenceRecipe]] = {
    recipe.__name__.replace("_", "-"): recipe for recipe in (sequence, sequence_sewa, sequence_recola, sequence_micro)
}
