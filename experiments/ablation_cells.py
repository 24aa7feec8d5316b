"""One cell of a table: its recipes, its run folders, and the process that runs it on one thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ablation_tables import NUM_FRAMES, SIZE, STRIDE, Ablation, Pretrained, Variant
from cells import IN_A_CELL, folder, in_order
from drawn import EXPRESSIONS, STORED, draw

if TYPE_CHECKING:
    from mien.train.experiment import Experiment

SEEDS = (0, 1, 2)
PRETRAIN_STEPS, PRETRAIN_BATCH, PRETRAIN_LR = 600, 16, 24e-3
FINETUNE_STEPS, FINETUNE_BATCH, FINETUNE_LR = 700, 32, 8e-3
PRECISION: Literal["bf16"] = "bf16"  # on processors with AMX 1.45 times the clips a second of float32


def pretraining(start: Pretrained, seed: int) -> Experiment:
    """What a variant starts from."""
    from mien.encoders.vit import vit_micro
    from mien.recipes import recipe

    joint = start.recipe == "mae-dfer-vit-micro"
    usual = recipe("mae-dfer-micro" if joint else start.recipe)
    encoder = replace(vit_micro() if joint else usual.method.encoder, **dict(start.encoder))
    clip = replace(usual.method.clip, num_frames=NUM_FRAMES, stride=STRIDE, size=SIZE)
    train = replace(
        usual.train, batch_size=PRETRAIN_BATCH, steps=max(1, round(start.length * PRETRAIN_STEPS)), seed=seed,
        evaluate_every=10**6, log_every=50, precision=PRECISION, **IN_A_CELL,
    )  # fmt: skip
    changed = usual.learning(encoder=encoder, clip=clip, **dict(start.method))
    return replace(changed, name=start.recipe, train=train, optim=replace(usual.optim, lr=PRETRAIN_LR))


def finetuning(variant: Variant, seed: int) -> Experiment:
    """Without augmentation but for flips: crops change the aspect too, and with a grid of 4 x 4 patches a micro model does not
    get past that in minutes (docs/lab.md)."""
    from mien.recipes import recipe
    from mien.train.loop import TrainConfig
    from mien.train.optim import OptimConfig
    from mien.transforms.clip import UNSEEN, ClipAugment
    from mien.transforms.mix import Mix

    usual = recipe("classify")
    clip = replace(UNSEEN, num_frames=NUM_FRAMES, stride=STRIDE, size=SIZE)
    changed = usual.learning(
        spec=replace(usual.task.spec, clip=clip, views=1), encoder=pretraining(variant.start, seed).method.encoder,
        pool=variant.pool, head_norm="batch", drop_path=0.0, label_smoothing=0.0, mix=Mix(0.0, 0.0),
        augment=ClipAugment("random_resized", crop_area=(1.0, 1.0), flip=0.5),
    )  # fmt: skip
    train = TrainConfig(
        batch_size=FINETUNE_BATCH, steps=FINETUNE_STEPS, warmup_epochs=10, seed=seed, precision=PRECISION, **IN_A_CELL
    )
    return replace(changed, optim=OptimConfig(lr=FINETUNE_LR, min_lr=1e-5, betas=(0.9, 0.999)), train=train)


@dataclass(frozen=True)
class Job:
    """One run folder: the pre-training (`variant` then has nothing but its start) or the fine-tuning of a variant."""

    kind: Literal["pretrain", "finetune"]
    variant: Variant
    seed: int

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.variant.name}/{self.seed}"

    @property
    def needs(self) -> Job | None:
        if self.kind == "pretrain" or not self.variant.start.length:
            return None
        return Job("pretrain", Variant(self.variant.start), self.seed)

    def do(self, out: Path) -> dict[str, Any]:
        """Runs a job to its end, or goes on with it; returns what is kept in done.json."""
        from mien.data.shards import Shards
        from mien.scoring.evaluation import evaluate
        from mien.verbs.finetune import finetune
        from mien.verbs.pretrain import pretrain

        start, seed = self.variant.start, self.seed
        where: Any = {"data": out / "shards", "out": folder(self, out) / "run", "device": "cpu"}
        if self.kind == "pretrain":
            return pretrain(pretraining(start, seed), **where, data_fraction=start.data).provenance.metrics
        init = str(folder(self.needs, out) / "run") if self.needs else None
        labels = self.variant.labels
        model = finetune(finetuning(self.variant, seed), **where, init=init, label_fraction=labels)
        result = evaluate(model, Shards(out / "shards"), where["out"] / "evaluation")
        return {"uar": result["uar"], "war": result["war"]}


def jobs(tables: Iterable[Ablation], seeds: Sequence[int]) -> list[Job]:
    """Every job once, in the order in which to start them: all tables with the first seed, then with the second."""
    variants = dict.fromkeys(row.variant for table in tables for row in table.rows)
    return in_order(Job("finetune", v, seed) for seed in seeds for v in variants)


def draw_data(out: Path, workers: int) -> None:
    draw(out, out / "shards", EXPRESSIONS, workers, **STORED)
