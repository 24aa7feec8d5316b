"""Self-supervised recipes and the command that runs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from mien.console import console
from mien.data.contract import check_pretraining
from mien.data.dataset import ClipSet
from mien.data.loader import ClipLoader, prepare_batch
from mien.data.manifest import Manifest
from mien.data.select import hold_out, median_fps, origin_of
from mien.data.shards import Shards
from mien.errors import UserError, require
from mien.methods.lira import LiRAConfig
from mien.methods.mae_dfer import MAEDFERConfig
from mien.methods.table import MethodConfig
from mien.models import Model, Provenance, load, save_model
from mien.recipes import contrastive, lira, masked
from mien.recipes.experiment import PretrainRecipe, open_run
from mien.rng import generator
from mien.scoring.inference import Inference
from mien.scoring.monitors import FEWEST_CLIPS, collapse_monitor, held_out_loss
from mien.train.distributed import World, world
from mien.train.loop import Evaluator, TrainConfig, fit

HELD_OUT_SHARE = 0.05  # of the subjects or sources, where the manifest names no test split


RECIPES = {**masked.RECIPES, **contrastive.RECIPES, **lira.RECIPES}


def check_sound(clips: ClipSet) -> None:
    """Raises UserError where no clip has sound. Looks until one does."""
    heard = any(len(clips[i].numbers("audio")) for i in range(len(clips)))
    require(
        heard, "no clip to train on has sound, which LiRA learns from: prepare videos that have it, without --no-audio"
    )


def training_rows(shards: Sequence[Shards], seed: int, split: str = "split") -> tuple[list[Manifest], list[Manifest]]:
    """(train, held out) rows of each folder. The test split is never trained on, labels or not.

    Held out are the rows of the split ``test``; where no folder names one, a share of the subjects or sources of each.
    """
    ok = [s.manifest.ok() for s in shards]
    if not any(len(m) for m in ok):
        raise UserError("no clip with a face in the shards: look at manifest.parquet, column reason")
    if split != "split" and not any(split in m.table.column_names for m in ok):
        raise UserError(f"no column {split!r} in any manifest; label columns: {', '.join(ok[0].labels) or 'none'}")
    if any(split in m.table.column_names and "test" in m.column(split) for m in ok):
        train = [m.where(lambda r: r.get(split) != "test") for m in ok]
        return train, [m.where(lambda r: r.get(split) == "test") for m in ok]
    pairs = [hold_out(m, HELD_OUT_SHARE, seed) if _groups(m) > 1 else (m, m.take([])) for m in ok]
    return [a for a, _ in pairs], [b for _, b in pairs]


def data_fraction(rows: Sequence[Manifest], fraction: float, seed: int) -> list[Manifest]:
    """A random part of each folder's clips, at least one (SVFAP Table 1). Of one seed, smaller parts lie in larger ones.

    Raises:
        UserError: a fraction outside (0, 1].
    """
    require(0 < fraction <= 1, f"--data-fraction {fraction:g}: give a number above 0 and up to 1")
    orders = [generator("data fraction", seed, k).permutation(len(m)) for k, m in enumerate(rows)]
    counts = [max(1, round(fraction * len(m))) for m in rows]
    return [m.take(sorted(order[:n])) for m, order, n in zip(rows, orders, counts, strict=True)]


def lengths(rows: Sequence[Manifest]) -> np.ndarray:
    """Frames of each clip, in the order of a `ClipSet` of these rows."""
    return np.array([n for m in rows for n in m.column("num_frames")], float)


def frame_period_s(rows: Sequence[Manifest]) -> float:
    """Seconds between neighbouring frames, the median over clips: what the stride of pre-training means in time."""
    return 1 / median_fps(Manifest(pa.concat_tables(m.table.select(["fps"]) for m in rows)))


def _groups(manifest: Manifest) -> int:
    return len({row["subject"] or row["source"] for row in manifest.rows()})


def goes_on(method: MethodConfig, init: Model) -> bool:
    """Whether a model is of this method and of its shapes, so that its decoder or heads can be taken too."""
    if type(init.config) is not type(method):
        return False
    with torch.device("meta"):
        wanted = method.build().state_dict()
    return {k: v.shape for k, v in wanted.items()} == {k: v.shape for k, v in init.module.state_dict().items()}


def as_trained(method: MethodConfig, before: Any) -> MethodConfig:
    """The method with what the weights it goes on from were trained to: a decoder knows its tokens in one order."""
    if isinstance(method, MAEDFERConfig) and isinstance(before, MAEDFERConfig):
        return replace(method, decoder_order=before.decoder_order)
    return method


def start_from(learner: Any, init: Model, whole: bool) -> str:
    """Gives the learner the weights of a model: all where it `goes_on` (`whole`), else those of the encoder. Says which.

    Raises:
        UserError: an encoder of another shape.
    """
    if whole:
        learner.load_state_dict(init.module.state_dict())
        order = getattr(learner.config, "decoder_order", "raster")
        return f"goes on from {init.path}, all weights" + (f"; decoder in {order} order" if order != "raster" else "")
    weights: Any = init.module.encoder
    load = getattr(learner, "load_encoder", learner.encoder.load_state_dict)
    try:
        load(weights.state_dict())
    except RuntimeError:
        here, there = learner.config.encoder, init.config.encoder
        raise UserError(
            f"--init {init.path} holds the encoder {there}; the recipe has {here}: they must agree"
        ) from None
    return f"starts from the encoder of {init.path}; everything else is new"


def pretrain(
    recipe: PretrainRecipe,
    data: Sequence[Path],
    out: Path,
    device: str = "auto",
    split: str = "split",
    fraction: float = 1.0,
    init: str | None = None,
    by_length: bool = False,
) -> Path:
    """Trains `recipe` on the shards of `data`; goes on where an earlier start stopped.

    Args:
        init: a model or run that it starts from, instead of random weights: its encoder, and of the same method all of it.
        fraction: share of the training clips that is used. Give the recipe `steps` to train parts at equal cost.
        by_length: draw clips in proportion to their frames, with replacement: for methods on single frames where stills stand
            beside long tracks.

    Returns:
        the model folder ``out/model``.

    Raises:
        UserError: bad shards, another run in `out`, batch sizes that do not divide.
    """
    name, shards = recipe.name, [Shards(path) for path in data]
    for folder in shards:
        check_pretraining(recipe.method, folder)
    recipe = replace(recipe, method=contrastive.for_crops(recipe.method, [s.contract.geometry for s in shards]))
    start = load(init) if init else None
    whole = start is not None and goes_on(recipe.method, start)
    if start and whole:
        recipe = replace(recipe, method=as_trained(recipe.method, start.config))
    train, held = training_rows(shards, recipe.train.seed, split)
    train = data_fraction(train, fraction, recipe.train.seed)
    if isinstance(recipe.method, LiRAConfig):
        check_sound(ClipSet(shards, train))
    info = {
        "shards": [str(p) for p in data], "hashes": [s.hash for s in shards],
        "clips": sum(map(len, train)), "split": split,
    }  # fmt: skip
    info |= ({"data_fraction": fraction} if fraction < 1 else {}) | ({"init": start.hash} if start else {})
    info |= {"by_length": True} if by_length else {}
    with world(device) as where:
        config = recipe.train
        per_rank = micro_batch(config, where.size)
        if where.is_main:
            open_run(out, name, recipe, info)
        where.barrier()
        torch.manual_seed(config.seed)
        learner = recipe.method.build()
        said = start_from(learner, start, whole) if start else ""
        if said and where.is_main:
            print(said, flush=True)
        clips, views = ClipSet(shards, train), learner.views()
        loader = ClipLoader(
            clips, views, per_rank, config.seed, rank=where.rank, world=where.size, accumulate=config.accumulate,
            workers=config.workers, weights=lengths(train) if by_length else None, pin=where.device.type == "cuda",
        )  # fmt: skip
        watched = held if sum(map(len, held)) >= FEWEST_CLIPS else train
        how = Inference(per_rank, where.device)
        looks = (
            held_out_loss(learner, shards, held, how), collapse_monitor(learner, shards, watched, how, where.is_main)
        )  # fmt: skip
        evaluators = [Evaluator(config.evaluate_every, look) for look in looks if look]
        batches = prepared(loader, views, where)
        fit(learner, batches, len(clips), recipe.optim, config, out, where, evaluators, label=name)
        if where.is_main:
            learner.eval()
            before = start.provenance if start else Provenance()
            origin = origin_of(train)
            provenance = Provenance(
                contracts=before.contracts + tuple(s.contract for s in shards), init=start.hash if start else "",
                training_data=origin if not start or before.training_data == origin else "mixed",
                data=before.data + tuple(info["hashes"]), recipe=name, experiment=open_run(out, name, recipe, info),
                frame_period_s=next((v.frame_period_s for v in views.values() if v.frame_period_s), frame_period_s(train)),
                metrics={k: v for e in evaluators for k, v in e.call(learner).items()},
            )  # fmt: skip
            save_model(out / "model", learner, recipe.method, provenance)
        where.barrier()
    return out / "model"


def micro_batch(config: TrainConfig, processes: int) -> int:
    """Clips per process and micro-batch. Raises UserError when the global batch does not divide."""
    parts = processes * config.accumulate
    if config.batch_size % parts:
        raise UserError(
            f"batch size {config.batch_size} is not divisible by {processes} process(es) x {config.accumulate} micro-batches"
        )
    return config.batch_size // parts


def prepared(loader: ClipLoader, views: dict[str, Any], where: World) -> Any:
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
