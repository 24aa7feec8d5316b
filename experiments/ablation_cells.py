"""One cell of a table: its recipes, its run folders, and the process that runs it on one thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ablation_tables import NUM_FRAMES, SIZE, STRIDE, Ablation, Pretrained, Variant
from cells import folder

SEEDS = (0, 1, 2)
CLIPS, SUBJECTS, CLIP_FRAMES = 1500, 300, 32
# The inner 60 % of the usual crop: brows to chin. A micro model does not find the expression among hair, clothes and
# background in minutes (docs/lab.md).
MARGIN, STORE_SIZE = -0.2, 96
PRETRAIN_STEPS, PRETRAIN_BATCH, PRETRAIN_LR = 600, 16, 24e-3
FINETUNE_STEPS, FINETUNE_BATCH, FINETUNE_LR = 700, 32, 8e-3
PRECISION: Literal["bf16"] = "bf16"  # on processors with AMX 1.45 times the clips a second of float32


def recipe_of(start: Pretrained, seed: int) -> Any:
    """The pre-training recipe of a variant."""
    from mien.encoders.vit import vit_micro
    from mien.recipes.masked import RECIPES

    joint = start.recipe == "mae-dfer-vit-micro"
    recipe = RECIPES["mae-dfer-micro" if joint else start.recipe]()
    encoder = replace(vit_micro() if joint else recipe.method.encoder, **dict(start.encoder))
    clip = {"num_frames": NUM_FRAMES, "stride": STRIDE, "size": SIZE}
    method = replace(recipe.method, encoder=encoder, **clip, **dict(start.method))
    train = replace(
        recipe.train, batch_size=PRETRAIN_BATCH, steps=max(1, round(start.length * PRETRAIN_STEPS)), seed=seed, workers=0,
        evaluate_every=10**6, save_every_s=60.0, log_every=50, precision=PRECISION,
    )  # fmt: skip
    return replace(recipe, name=start.recipe, method=method, train=train, optim=replace(recipe.optim, lr=PRETRAIN_LR))


def classify_recipe(variant: Variant, seed: int) -> Any:
    """Without augmentation but for flips: crops change the aspect too, and with a grid of 4 x 4 patches a micro model does not
    get past that in minutes (docs/lab.md)."""
    from mien.recipes.finetune import ClassifyRecipe
    from mien.train.loop import TrainConfig
    from mien.train.optim import OptimConfig

    return ClassifyRecipe(
        num_frames=NUM_FRAMES, stride=STRIDE, views=1, pool=variant.pool, head_norm="batch", drop_path=0.0,
        randaugment=False, mixup=0.0, cutmix=0.0, erase=0.0, label_smoothing=0.0, crop_area=(1.0, 1.0),
        optim=OptimConfig(lr=FINETUNE_LR, min_lr=1e-5, betas=(0.9, 0.999)),
        train=TrainConfig(
            batch_size=FINETUNE_BATCH, steps=FINETUNE_STEPS, warmup_epochs=10, seed=seed, workers=0, save_every_s=60.0,
            precision=PRECISION,
        ),
    )  # fmt: skip


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
        from mien.models import load
        from mien.recipes.finetune import FinetuneData, finetune
        from mien.recipes.pretrain import pretrain
        from mien.scoring.evaluation import evaluate

        run, shards, start = folder(self, out) / "run", out / "shards", self.variant.start
        recipe = recipe_of(start, self.seed)
        if self.kind == "pretrain":
            model = pretrain(recipe, [shards], run, "cpu", fraction=start.data)
            return load(model).provenance.metrics
        data = FinetuneData(shards, label_fraction=self.variant.labels)
        init = str(folder(self.needs, out) / "run") if self.needs else None
        finetune(classify_recipe(self.variant, self.seed), data, run, init, recipe.method.encoder, SIZE, "cpu")
        result = evaluate(load(run), Shards(shards), run / "evaluation")
        return {"uar": result["uar"], "war": result["war"]}


def jobs(tables: Iterable[Ablation], seeds: Sequence[int]) -> list[Job]:
    """Every job once, in the order in which to start them: all tables with the first seed, then with the second."""
    variants = list(dict.fromkeys(row.variant for table in tables for row in table.rows))
    pairs = [Job("finetune", v, seed) for seed in seeds for v in variants]
    return list(dict.fromkeys(j for job in pairs for j in (job.needs, job) if j))


def draw_data(out: Path, workers: int) -> None:
    from mien.contract import Store
    from mien.corpora.synthetic import SynthConfig, write_clips
    from mien.faces.options import PrepareConfig, contract_for
    from mien.faces.pipeline import prepare

    if (out / "shards" / "manifest.parquet").is_file():
        return
    print(f"drawing {CLIPS} clips of {SUBJECTS} people, finding their faces", flush=True)
    labels = write_clips(out / "videos", SynthConfig(CLIPS, SUBJECTS, frames=CLIP_FRAMES), workers)
    contract = contract_for("face", MARGIN, store=Store(size=STORE_SIZE))
    prepare([], out / "shards", PrepareConfig(contract, audio=False), labels, workers)
