"""The cells of docs/contrawarping.md: encoders that were pre-trained in different ways, probed and fine-tuned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from cells import IN_A_CELL, folder
from drawn import EXPRESSIONS, STORED, draw
from intervals import counts_by_person
from probe import probe

from mien.corpora.synthetic import SynthConfig

if TYPE_CHECKING:
    from mien.encoders.output import Pool
    from mien.train.experiment import Experiment

Table = Literal["drawn", "real"]

SEEDS = (0, 1, 2)
PRETEXTS = ("contrawarping", "byol-mild", "byol", "simsiam")
STARTS = {
    "contrawarping": "ContraWarping",
    "byol-mild": "BYOL with ContraWarping's views",
    "byol": "BYOL",
    "simsiam": "SimSiam",
    "identity": "identity (supervised)",
    "random": "random weights",
}
SIZE = 64
RESERVE_SIZE = 96  # spatial reserve pooling needs a map of 3 x 3
PRECISION: Literal["bf16"] = "bf16"  # on processors with AMX 1.1 to 1.25 times the faces a second
PROBE_FRAMES = 4  # of a drawn clip, whose features are averaged


@dataclass(frozen=True)
class Effort:
    """How much is drawn, and how long is trained."""

    faces: SynthConfig = EXPRESSIONS
    pretrain_steps: int = 800
    calibration_steps: int = 60
    """At a learning rate of 0: random weights with the batch statistics of faces."""
    finetune_steps: int = 240
    batch_size: int = 64


@dataclass(frozen=True)
class Data:
    """What a script call works on."""

    table: Table
    pretrain: tuple[str, ...]
    labelled: tuple[str, ...]
    effort: Effort = Effort()

    @property
    def by_name(self) -> dict[str, str]:
        """Folders of labelled shards."""
        return {Path(p).name: p for p in self.labelled}

    @property
    def starts(self) -> list[str]:
        """Identity is learnt of drawn people alone."""
        return [start for start in STARTS if start != "identity" or self.table == "drawn"]


@dataclass(frozen=True)
class Pretrain:
    """An encoder: a pretext, identity as a class, or fresh weights."""

    data: Data
    start: str
    seed: int

    needs = None

    @property
    def name(self) -> str:
        return f"pretrain-{self.start}/{self.seed}"

    def do(self, out: Path) -> dict[str, Any]:
        from mien.verbs.finetune import finetune
        from mien.verbs.pretrain import pretrain

        data, place = self.data, folder(self, out)
        where: Any = {"out": place / "run", "device": "cpu"}
        if self.start == "identity":
            shards = people_of(Path(data.pretrain[0]), place)
            finetune(identification(data, self.seed), data=shards, **where, target="subject")
            return {}
        experiment = pretext(data, self.start, self.seed)
        model = pretrain(experiment, data=data.pretrain, **where, by_length=data.table == "real")
        return model.provenance.metrics


def pretext(data: Data, start: str, seed: int) -> Experiment:
    """Of grey pictures. Random weights are BYOL's before its first step."""
    from mien.recipes import recipe
    from mien.transforms.clip import GREY_MEAN, GREY_STD

    usual = recipe(f"{start.removesuffix('-mild') if start in PRETEXTS else 'byol'}-micro")
    clip = replace(usual.method.clip, mean=GREY_MEAN, std=GREY_STD)
    changed = usual.learning(encoder=replace(usual.method.encoder, channels=1), clip=clip)
    if start.endswith("-mild"):
        views: Any = recipe("contrawarping-micro").method
        changed = changed.learning(first=views.first, second=views.second)
    steps = data.effort.calibration_steps if start == "random" else data.effort.pretrain_steps
    train = replace(
        usual.train, batch_size=data.effort.batch_size, steps=steps, seed=seed, evaluate_every=250, precision=PRECISION,
        **IN_A_CELL,
    )  # fmt: skip
    optim = replace(usual.optim, lr=0.0, min_lr=0.0) if start == "random" else usual.optim
    return replace(changed, train=train, optim=optim)


def identification(data: Data, seed: int) -> Experiment:
    """Who somebody is, with the encoder of the pretexts from scratch."""
    experiment = classification(data, seed, data.effort.pretrain_steps, "tokens", -1)
    return experiment.learning(encoder=pretext(data, "byol", seed).method.encoder)


def classification(data: Data, seed: int, steps: int, pool: Pool, frozen_stages: int, size: int = SIZE) -> Experiment:
    """Fine-tuning of single frames: SGD as in the released configuration, small crops, flips."""
    from mien.recipes import recipe
    from mien.train.loop import TrainConfig
    from mien.train.optim import OptimConfig
    from mien.transforms.clip import UNSEEN, ClipAugment
    from mien.transforms.mix import Mix

    usual = recipe("classify")
    clip = replace(UNSEEN, num_frames=1, stride=1, size=size)
    changed = usual.learning(
        spec=replace(usual.task.spec, clip=clip, views=1), pool=pool, head_norm="none" if pool == "srp" else "batch",
        frozen_stages=frozen_stages, label_smoothing=0.0, mix=Mix(0.0, 0.0),
        augment=ClipAugment("random_resized", crop_area=(0.6, 1.0), crop_aspect=(1.0, 1.0), flip=0.5),
    )  # fmt: skip
    train = TrainConfig(batch_size=data.effort.batch_size, steps=steps, seed=seed, precision=PRECISION, **IN_A_CELL)
    return replace(changed, optim=OptimConfig(kind="sgd", lr=0.08, min_lr=1e-4, weight_decay=1e-3), train=train)


def people_of(shards: Path, place: Path) -> Path:
    """The shards without the test people, the rest called training: nobody can be recognised who was never seen."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    view = place / "people"
    if not (view / "manifest.parquet").is_file():
        view.mkdir(parents=True, exist_ok=True)
        for name in ("contract.json", "shards"):
            if not (view / name).exists():
                (view / name).symlink_to((shards / name).resolve())
        table = pq.read_table(shards / "manifest.parquet")
        keep = np.array(table["split"].to_pylist()) != "test"
        table = table.filter(pa.array(keep))
        table = table.set_column(
            table.column_names.index("split"), "split", pa.array(["train"] * len(table), pa.string())
        )
        pq.write_table(table, view / "manifest.parquet")
    return view


@dataclass(frozen=True)
class Probe:
    """A linear classifier on frozen features."""

    data: Data
    start: str
    seed: int
    on: str

    @property
    def needs(self) -> Pretrain:
        return Pretrain(self.data, self.start, self.seed)

    @property
    def name(self) -> str:
        return f"probe/{self.on}/{self.start}/{self.seed}"

    def do(self, out: Path) -> dict[str, Any]:
        from mien.data.shards import Shards
        from mien.models import load

        frames = PROBE_FRAMES if self.data.table == "drawn" else 1
        model = load(folder(self.needs, out) / "run").module
        return probe(model, Shards(Path(self.data.by_name[self.on])), frames)


@dataclass(frozen=True)
class Finetune:
    """All weights, or those above the frozen stages, trained on the labels."""

    data: Data
    start: str
    seed: int
    on: str
    pool: Pool = "tokens"
    frozen_stages: int = -1
    size: int = SIZE

    @property
    def needs(self) -> Pretrain:
        return Pretrain(self.data, self.start, self.seed)

    @property
    def name(self) -> str:
        return f"finetune/{self.on}/{self.start}-{self.pool}-{self.frozen_stages}-{self.size}/{self.seed}"

    def do(self, out: Path) -> dict[str, Any]:
        import pyarrow.parquet as pq

        from mien.data.shards import Shards
        from mien.scoring.evaluation import evaluate
        from mien.verbs.finetune import finetune

        run, shards = folder(self, out) / "run", Path(self.data.by_name[self.on])
        steps = self.data.effort.finetune_steps
        experiment = classification(self.data, self.seed, steps, self.pool, self.frozen_stages, self.size)
        model = finetune(experiment, data=shards, out=run, device="cpu", init=str(folder(self.needs, out) / "run"))
        evaluate(model, Shards(shards), run / "evaluation")
        table = pq.read_table(run / "evaluation" / "predictions.parquet").to_pydict()
        label, predicted, subject = (map(str, table[c]) for c in ("label", "predicted", "subject"))
        return {"counts": counts_by_person(label, predicted, subject).tolist()}


Job = Pretrain | Probe | Finetune


def cells(data: Data, seed: int) -> Iterator[Job]:
    """Everything of one seed, in the order in which to run it."""
    for start in data.starts:
        for on in data.by_name:
            yield Probe(data, start, seed, on)
    if data.table == "drawn":
        return
    for on in data.by_name:
        for start in data.starts:
            yield Finetune(data, start, seed, on)
        for stages in (-1, 0, 1, 2, 3, 4):
            for pool in ("srp", "tokens") if stages in (-1, 3) else ("srp",):
                yield Finetune(data, "contrawarping", seed, on, pool, stages, RESERVE_SIZE)


def draw_data(out: Path, workers: int, effort: Effort) -> None:
    draw(out, out / "drawn", effort.faces, workers, **STORED)
