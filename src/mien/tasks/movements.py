"""Classes or numbers of clips from the movements that `mien prepare --movements` stored: no pixels, no steps, seconds on a CPU.

stored mesh -> turned to the mean face -> principal axes \\
stored coefficients ------------------------------------> pooled over the clip -> (less the person's mean) -> linear head
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.movements import Movements
from mien.data.select import class_indices, clip_values, item_of
from mien.data.shards import Shards
from mien.errors import UserError, require
from mien.learner import LearnerConfig, Solution, TrainingData, with_period
from mien.movements.features import Shape, Track, pooled, shape_of, width
from mien.movements.names import COEFFICIENTS, NUM_POINTS
from mien.movements.options import MovementOptions
from mien.options import FLAT, HIDDEN
from mien.tasks.classify import ClassifyConfig, class_spec
from mien.tasks.clip import ClipTaskConfig
from mien.tasks.movement_heads import Classes, Head, Numbers, Target, Tried, folds_of, tried
from mien.tasks.regress import number_spec
from mien.transforms.clip import GREY_MEAN, GREY_STD, ClipSpec

UNUSED = ClipSpec(1, 1, size=0, mean=GREY_MEAN, std=GREY_STD)
"""Of a model that sees no pixels: crops of any size and colour serve it."""
MOST_MESHES = 6000
"""Meshes that the axes are found on, evenly out of all."""
FEATURES, POOLINGS = ("both", "coefficients", "mesh"), ("summary", "moments")
"""What auto chooses from; of equals the first."""


@dataclass(frozen=True)
class MovementsConfig(MovementOptions, LearnerConfig):
    """A model of movements: after training, as it was solved."""

    solved: ClassVar[bool] = True
    encoder: ClassVar[Any] = None
    spec: Annotated[LabelSpec, FLAT] = field(default_factory=LabelSpec)
    balanced: Annotated[bool, HIDDEN] = False
    """Weigh clips by the inverse frequency of their class."""

    @classmethod
    def instead_of(cls, task: Any, options: MovementOptions) -> MovementsConfig:
        """What a recipe's task learns, learned from movements. Raises UserError for a task of frames."""
        clips = isinstance(task, ClipTaskConfig) and task.spec.per == "clip"
        require(clips, "--encoder movements learns a label of each clip: take the recipe classify or regress")
        weights = isinstance(task, ClassifyConfig) and task.class_weights
        return cls(**vars(options), spec=replace(task.spec, clip=UNUSED, views=1), balanced=weights)

    @property
    def sees(self) -> ClipSpec:
        return self.spec.clip

    @property
    def width(self) -> int:
        """Numbers of a clip's vector."""
        return width(self.features, self.pooling, self.axes, self.velocities)

    def build(self) -> MovementTask:
        return MovementTask(self)

    def fitted(self, data: TrainingData) -> Self:
        """With the names and the range of the outputs. Raises UserError for shards without movements."""
        shards = data.shards[0]
        prepare_again = "prepare the videos into another folder with --movements"
        require(shards.contract.store.movements, f"{shards.root} holds no movements: {prepare_again}")
        # a video is predicted in windows as long as the training clips
        frames = int(np.median(data.manifest.column("num_frames")))
        clip = with_period(replace(self.spec.clip, num_frames=max(1, frames)), data)
        spec = replace(self.spec, clip=clip, training_data=data.origin, contract=shards.contract)
        return replace(self, spec=(class_spec if spec.classes else number_spec)(spec, data))

    def target(self, rows: Manifest) -> Target:
        """What is learned of these rows. Raises UserError for a label that the model does not know."""
        if self.spec.classes:
            labels = class_indices(rows, self.spec.column, self.spec.names)
            return Classes(labels, len(self.spec.names), self.balanced)
        return Numbers(clip_values(rows, self.spec.names))

    def targets(self, rows: Manifest) -> dict[str, np.ndarray]:
        self.target(rows)
        return {}

    def solve(self, data: TrainingData, validation: Manifest | None) -> Solution:
        """The axes of the training meshes and the head; penalty, kind of features and pooling by what is held out."""
        shards, rows = data.shards[0], data.manifest
        shape = shape_of(some_meshes(shards, rows), self.axes)
        both = rows if validation is None else Manifest(pa.concat_tables([rows.table, validation.table]))
        config = replace(self, axes=len(shape.axes))
        tracks = read_tracks(shards, both, shape)
        fits = np.arange(len(both)) < len(rows)
        found = {
            (kind, pooling): config.vectors(tracks, both, fits, kind, pooling)
            for kind, pooling in product(_choices(self.features, FEATURES), _choices(self.pooling, POOLINGS))
        }
        usable = np.asarray(np.isfinite(next(iter(found.values()))).all(axis=1))
        require(bool((usable & fits).any()), f"{shards.root}: no training clip shows its face on a third of its frames")
        on, folds = _folds(both, usable, fits, data.seed, validation is not None)
        (kind, pooling), chosen = _best(config.target(both), found, folds)
        config = replace(config, features=kind, pooling=pooling)
        head = config.target(both).fit(found[kind, pooling], np.flatnonzero(usable & fits), chosen.penalty)
        task = MovementTask(config)
        task.take(shape, head)
        name = f"{'val' if validation is not None else 'folds'}_{config.target(both).name}"
        numbers = {"penalty": chosen.penalty, "clips": float((usable & fits).sum()), "axes": float(config.axes)}
        numbers |= {name: chosen.agreement[0]} if folds else {}
        how = (
            f"chosen on {on}: {name} {chosen.agreement[0]:.3f}" if folds else "nothing is held out: the middle penalty"
        )
        return Solution(config, task, numbers, f"{kind}, {pooling}, penalty {chosen.penalty:g} ({how})")

    def vectors(self, tracks: list[Track], rows: Manifest, fits: np.ndarray, kind: str, pooling: str) -> np.ndarray:
        """``[n, F]``, NaN for clips without. The person's mean is that of the part that a row is of."""
        x = pooled(tracks, kind, pooling, self.axes, self.velocities)
        if self.per_person:
            for part in (fits, ~fits):
                x[part] = less_own_mean(x[part], np.array(rows.column("subject"), object)[part])
        return x


def _choices(option: str, every: tuple[str, ...]) -> tuple[str, ...]:
    return every if option == "auto" else (option,)


def _folds(rows: Manifest, usable: np.ndarray, fits: np.ndarray, seed: int, validated: bool) -> tuple[str, list]:
    """In words what is held out, and the folds."""
    if validated:
        held = np.flatnonzero(usable & ~fits)
        require(len(held) > 0, "no validation clip shows its face on a third of its frames")
        return "validation clips", [(np.flatnonzero(usable & fits), held)]
    used = np.flatnonzero(usable)
    people, items = ([column[i] for i in used] for column in (rows.column("subject"), rows.column("clip_id")))
    named = all(people) and len(set(people)) > 1
    folds = folds_of(people if named else [item_of(i) for i in items], seed)
    word = "people" if named else "clips (of one person, or of nobody named)"
    return f"held-out training {word}", [(used[a], used[b]) for a, b in folds]


def _best(target: Target, found: Mapping[tuple[str, str], np.ndarray], folds: list) -> tuple[tuple[str, str], Tried]:
    if not folds:
        return next(iter(found)), Tried(1e1, (float("nan"), 0.0))
    every = [(key, t) for key, x in found.items() for t in tried(target, x, folds)]
    return max(every, key=lambda pair: pair[1].agreement)


class MovementTask(nn.Module):
    """``model(x [B, F])`` of clips' vectors returns the head's outputs ``[B, K]``."""

    whole_tracks = False
    template: Tensor
    mean: Tensor
    axes: Tensor
    centre: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, config: MovementsConfig):
        super().__init__()
        self.config = config
        auto = "auto" in (config.features, config.pooling)
        count, wide = len(config.spec.names), 1 if auto else config.width
        flat = 3 * NUM_POINTS
        for name, size in {
            "template": (NUM_POINTS, 3), "mean": (flat,), "axes": (config.axes, flat), "centre": (wide,), "scale": (wide,),
            "weight": (count, wide), "bias": (count,),
        }.items():  # fmt: skip
            self.register_buffer(name, torch.zeros(size))

    @property
    def spec(self) -> LabelSpec:
        return self.config.spec

    @property
    def encoder(self) -> nn.Module:
        raise UserError("a model of movements has no encoder to start from: train anew with --encoder movements")

    @property
    def shape(self) -> Shape:
        return Shape(*(b.double().cpu().numpy() for b in (self.template, self.mean, self.axes)))

    def take(self, shape: Shape, head: Head) -> None:
        """Becomes what was solved."""
        for name, value in (vars(shape) | vars(head)).items():
            setattr(self, name, torch.from_numpy(np.asarray(value, np.float32)).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.centre) / self.scale @ self.weight.T + self.bias

    def predict(self, x: Tensor) -> Tensor:
        """Probabilities, or values cut to their range, ``[B, K]`` of clips' vectors ``[B, F]``."""
        outputs = self(x)
        if self.spec.classes:
            return outputs.softmax(dim=-1)
        return outputs if self.spec.range is None else outputs.clamp(*self.spec.range)

    def vectors(self, shards: Shards, rows: Manifest) -> np.ndarray:
        """``[n, F]`` of manifest rows, NaN where too little of a face is seen.

        Raises:
            UserError: shards without movements; with --per-person, nobody with several clips.
        """
        tracks = read_tracks(shards, rows, self.shape)
        return self.config.vectors(tracks, rows, np.ones(len(rows), bool), self.config.features, self.config.pooling)

    @torch.inference_mode()
    def predict_rows(self, shards: Shards, rows: Manifest) -> np.ndarray:
        """``[n, K]``, NaN where `vectors` has none."""
        return self._predicted(self.vectors(shards, rows))

    @torch.inference_mode()
    def predict_movements(self, clips: Sequence[tuple[np.ndarray, Movements]]) -> np.ndarray:
        """The same of clips' times [T] in seconds and movements; not for models with the person's own mean."""
        config, shape = self.config, self.shape
        assert not config.per_person
        tracks = [track_of(times_s, moves, shape) for times_s, moves in clips]
        return self._predicted(pooled(tracks, config.features, config.pooling, config.axes, config.velocities))

    def _predicted(self, vectors: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(vectors.astype(np.float32)).to(self.weight.device)
        return self.predict(x).double().cpu().numpy()


def read_tracks(shards: Shards, rows: Manifest, shape: Shape) -> list[Track]:
    """Coefficients and places on the axes of every frame of each row."""
    found = []
    for name, row in zip(rows.column("shard"), rows.column("row"), strict=True):
        clip = shards.clip(name, row)
        found.append(track_of(clip.numbers("times_s"), clip.movements(), shape))
    return found


def track_of(times_s: np.ndarray, moves: Movements, shape: Shape) -> Track:
    """Of one clip, whose frames are at times [T]."""
    seen = moves.seen
    values = np.zeros((len(seen), len(COEFFICIENTS) + len(shape.axes)))
    if seen.any():
        values[seen] = np.concatenate([moves.coefficients[seen], shape.places(moves.mesh[seen])], axis=1)
    return Track(times_s, seen, values)


def some_meshes(shards: Shards, rows: Manifest) -> np.ndarray:
    """Seen meshes ``[n, 478, 3]``, evenly out of those of the rows. Raises UserError where there is none."""
    every, parts = max(1, -(-sum(rows.column("num_frames")) // MOST_MESHES)), []
    for name, row in zip(rows.column("shard"), rows.column("row"), strict=True):
        stored = shards.clip(name, row).movements()
        parts.append(stored.mesh[stored.seen][len(parts) % every :: every].astype(np.float32))
    found = np.concatenate(parts)
    require(len(found) > 0, f"{shards.root}: no training clip shows its face well enough for a mesh")
    return found


def less_own_mean(x: np.ndarray, people: np.ndarray) -> np.ndarray:
    """``[n, F]`` less the mean over the person's clips. Raises UserError where nobody has several clips."""
    if not len(x):
        return x
    counts = {p: int((people == p).sum()) for p in set(people) if p}
    several = any(n > 1 for n in counts.values())
    require(
        several, "--per-person: nobody of these rows has several clips (column subject): there is no mean to take off"
    )
    x = x.copy()
    for person in counts:
        own = people == person
        known = own & np.isfinite(x).all(axis=1)
        if known.any():
            x[own] -= x[known].mean(0)
    return x
