"""`mien demo`: the whole path on faces drawn by code, from videos to a timeline, on a CPU in minutes."""

from __future__ import annotations

import csv
import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from mien.corpora.synthetic.options import HowMany
from mien.data.options import LabelShare
from mien.options import FLAT, Arg
from mien.options.shared import Workers
from mien.processes import apart_from_script
from mien.verbs.allocator import keep_freed_memory
from mien.verbs.command import command, function
from mien.verbs.main import STARTED_S

TARGET = "label"
# Eight frames of 64 pixels spread over clips of 32 frames: two cores have to do all of it in minutes. Short clips leave time for
# more people, which is what generalising to new people needs. The crop is tighter than usual (brows to chin): hair, hats and
# background tell drawn people apart, not their expressions (docs/lab.md).
# Every second frame is kept: the models see every fourth, and movements are read in half the time.
CLIP_FRAMES, FPS, NUM_FRAMES, STRIDE, SIZE, MARGIN = 32, 15, 8, 2, 64, -0.2
MOVING = {"classify": (TARGET,), "regress": ("valence", "arousal")}
"""What is learned from movements, by recipe."""
LOADERS = 2  # processes that read for one that trains
SEEDS = (0, 1, 2)
INITS = ("pre-trained", "from scratch")


@dataclass(frozen=True, kw_only=True)
class Demo(Workers):
    """Draw videos, read the movements of their faces, learn names from few labels, test on people never seen, predict a
    timeline; then pre-train a micro model without labels and fine-tune it, and from scratch (same budget, three seeds).

    Stopped, the same command goes on. The model of movements stays in OUT/model, the page in OUT/predict/report.html.
    """

    out: Annotated[Path, Arg(metavar="DIR")] = Path("runs/demo")
    """Folder of everything."""
    recipe: Literal["mae-dfer-micro", "svfap-micro", "videomae-micro"] = "mae-dfer-micro"
    """What is pre-trained. LGI-Former learns within these minutes; the other two need several times the steps (docs/lab.md)."""
    drawn: Annotated[HowMany, FLAT] = HowMany(720, 144)
    pretrain_steps: int = 800
    """Optimizer steps of the pre-training."""
    finetune_steps: int = 250
    """Optimizer steps of each of the six fine-tunings."""
    share: Annotated[LabelShare, FLAT] = LabelShare(label_fraction=0.5)


def show(result: dict[str, Any], options: Demo) -> None:
    print(table(result))
    print(f"{time.monotonic() - STARTED_S:.0f} s. Everything is in {options.out}:")
    for name in ("table.md", "strips.png", "predict/report.html", "model"):
        print(f"  {options.out / name}")


@contextmanager
def stage(number: int, text: str, seconds: dict[str, float]) -> Iterator[None]:
    from mien.console import console

    errors = console(errors=True)
    errors.rule(f"{number}/7 {text}", align="left")
    start = time.monotonic()
    yield
    seconds[text] = time.monotonic() - start
    errors.print(f"{seconds[text]:.0f} s")


def work(args: Demo) -> dict[str, Any]:
    """Every stage; each is skipped or continued where an earlier start got to. Returns what demo.json holds."""
    from mien.console import console
    from mien.corpora.synthetic import SynthConfig, write_clips
    from mien.faces.options import PrepareOptions
    from mien.faces.pipeline import prepare
    from mien.faces.report import show as show_counts

    out, seconds = args.out, {}
    out.mkdir(parents=True, exist_ok=True)
    with stage(1, "draw videos", seconds):
        drawn = SynthConfig(args.drawn.clips, args.drawn.subjects, frames=CLIP_FRAMES)
        labels = write_clips(out / "videos", drawn, args.processes)
    with stage(2, "prepare: find, track and crop the faces, and read their movements", seconds):
        crops = PrepareOptions(margin=MARGIN, size=SIZE, fps=FPS, audio=False, movements=True)
        show_counts(prepare([], out / "shards", crops.config(), labels, args.processes), console())
    share = f"{args.share.label_fraction:.0%} of the labels"
    with stage(3, f"learn from the movements and {share}, test on people never seen, predict a timeline", seconds):
        moved = learn_movements(args)
        show_result(args, labels)
    console().print(moving_table(moved, sum(seconds.values())), markup=False, soft_wrap=True)
    with stage(4, f"pre-train {args.recipe} without labels", seconds):
        pretrain_once(args)
    with stage(5, f"fine-tune on {share}, six times", seconds):
        finetune_all(args)
    with stage(6, "test on people never seen", seconds):
        result = compare(args) | {"movements": moved}
    with stage(7, "draw what was hidden from the pre-training", seconds):
        draw(args)
    result["seconds"] = {k: round(v) for k, v in seconds.items()}
    result["settings"] = {k: str(v) for k, v in asdict(args).items()}
    (out / "demo.json").write_text(json.dumps(result, indent=1) + "\n")
    (out / "table.md").write_text(moving_table(moved, sum(list(seconds.values())[:3])) + "\n\n" + table(result) + "\n")
    return result


def learn_movements(args: Demo) -> dict[str, Any]:
    """Scores of the models of movements on the test people."""
    from mien.data.shards import Shards
    from mien.models import load
    from mien.scoring.evaluation import evaluate
    from mien.verbs.finetune import finetune

    shards, found = Shards(args.out / "shards"), {}
    for recipe, target in MOVING.items():
        run = args.out / "movements" / recipe
        finetune(
            recipe, encoder="movements", data=args.out / "shards", out=run, target=target,
            label_fraction=args.share.label_fraction, velocities=True,
        )  # fmt: skip
        scores = evaluate(load(run), shards, run / "evaluation")
        names = ("uar",) if recipe == "classify" else tuple(f"ccc:{name}" for name in target)
        found |= {name: {"value": scores[name], "interval": list(scores.interval(name))} for name in names}
    return found


def moving_table(moved: dict[str, Any], seconds: float) -> str:
    """Markdown."""
    lines = ["", "| learned from movements | on people never seen | 95 % interval |", "|---|---:|---:|"]
    for name, score in moved.items():
        low, high = score["interval"]
        said = f"UAR of `{TARGET}`" if name == "uar" else f"CCC of `{name.partition(':')[2]}`"
        lines.append(f"| {said} | {score['value']:.3f} | {low:.3f} to {high:.3f} |")
    return "\n".join([*lines, "", f"From videos to this in {seconds:.0f} s."])


def pretrain_once(args: Demo) -> None:
    from mien.verbs.pretrain import pretrain

    # Halves of a slice over two slices, as published.
    regions = {"encoder_grid": (4, 4, 4), "encoder_region": (2, 2, 4)} if args.recipe == "mae-dfer-micro" else {}
    pretrain(
        args.recipe, data=args.out / "shards", out=args.out / "pretrain", device="cpu",
        **regions, num_frames=NUM_FRAMES, stride=STRIDE, size=SIZE,
        mask_ratio=0.75,  # of 16 tubes a slice the published 90 % would show two
        batch_size=16, steps=args.pretrain_steps, warmup_epochs=6, optim_lr=24e-3, precision="bf16",
        workers=min(args.processes, LOADERS), evaluate_every=400,
    )  # fmt: skip


def run_folder(args: Demo, init: str, seed: int) -> Path:
    return args.out / "finetune" / f"{init.replace(' ', '-')}-{seed}"


def finetune_all(args: Demo) -> None:
    """Single-threaded runs side by side: models this small gain little from more threads (docs/lab.md)."""
    spawn = multiprocessing.get_context("spawn")
    with apart_from_script(), ProcessPoolExecutor(args.processes, spawn, initializer=use_one_thread) as pool:
        runs = [pool.submit(finetune_once, args, init, seed) for seed in SEEDS for init in INITS]
        for run in runs:
            run.result()


def use_one_thread() -> None:
    import torch

    keep_freed_memory()
    torch.set_num_threads(1)


def finetune_once(args: Demo, init: str, seed: int) -> None:
    """The same settings, labels and steps for both beginnings; the seed draws labels, order and weights."""
    from mien.models import load
    from mien.recipes import recipe
    from mien.verbs.finetune import finetune

    pretrained = load(args.out / "pretrain")
    # A short run with few clips: the published augmentation needs hundreds of epochs to pay (docs/lab.md).
    finetune(
        recipe("classify").learning(encoder=pretrained.config.encoder),
        data=args.out / "shards", out=run_folder(args, init, seed), device="cpu",
        init=pretrained if init == INITS[0] else None, target=TARGET, label_fraction=args.share.label_fraction,
        num_frames=NUM_FRAMES, stride=STRIDE, size=SIZE,
        drop_path=0.0, randaugment=False, mixup=0.0, cutmix=0.0, erase=0.0, crop_area=(1.0, 1.0),
        label_smoothing=0.0, head_norm="batch",
        batch_size=32, steps=args.finetune_steps, warmup_epochs=5, seed=seed, precision="bf16", workers=0,
        optim_lr=8e-3, optim_min_lr=1e-5, optim_layer_decay=None,
    )  # fmt: skip


def compare(args: Demo) -> dict[str, Any]:
    """UAR of each run on the test people, with intervals over people, and the paired difference."""
    import numpy as np

    from mien.data.shards import Shards
    from mien.models import load
    from mien.scoring.evaluation import evaluate
    from mien.scoring.metrics import bootstrap, paired_bootstrap

    shards = Shards(args.out / "shards")
    rows: dict[str, Any] = {}
    tables = {}
    for init in INITS:
        runs = [run_folder(args, init, seed) for seed in SEEDS]
        uars = [evaluate(load(r), shards, r / "evaluation")["uar"] for r in runs]
        tables[init] = [row for r in runs for row in read_csv(r / "evaluation" / "predictions.csv")]
        rows[init] = {"uar": uars, "mean": float(np.mean(uars))}
    first = tables[INITS[0]]
    names = sorted({row[k] for found in tables.values() for row in found for k in ("label", "predicted")} - {""})
    people = [row["subject"] for row in first]
    truth = np.array([names.index(row["label"]) for row in first])
    known = [*names, ""]  # the last: a clip that could not be predicted
    guesses = [np.array([known.index(row["predicted"]) for row in tables[init]]) for init in INITS]
    for init, predicted in zip(INITS, guesses, strict=True):
        interval = bootstrap(truth, predicted, len(names), 0, people)["uar"]
        rows[init] |= {"low": interval.low, "high": interval.high}
    gain = paired_bootstrap(truth, guesses[0], guesses[1], len(names), 0, people)
    counts = {"videos": len(first) // len(SEEDS), "people": len(set(people)), "chance": 1 / len(names)}
    return {"target": TARGET, "rows": rows, "gain_low": gain.low, "gain_high": gain.high, **counts}


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        f"UAR of `{result['target']}` on {result['videos']} videos of {result['people']} drawn people never seen "
        f"(chance {100 * result['chance']:.1f} %)",
        "",
        f"| encoder | {' | '.join(f'seed {s}' for s in SEEDS)} | mean | 95 % interval |",
        "|---|" + "---:|" * (len(SEEDS) + 2),
    ]
    for init, row in result["rows"].items():
        cells = [f"{100 * v:.1f} %" for v in [*row["uar"], row["mean"]]]
        lines.append(f"| {init} | {' | '.join(cells)} | {100 * row['low']:.1f} to {100 * row['high']:.1f} % |")
    first, second = (result["rows"][init]["mean"] for init in INITS)
    low, high = 100 * result["gain_low"], 100 * result["gain_high"]
    verdict = "pre-training helps" if low > 0 else "pre-training hurts" if high < 0 else "no difference is shown"
    lines += [
        "",
        f"Difference {100 * (first - second):+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}: {verdict}.",
    ]
    return "\n".join(lines)


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def show_result(args: Demo, labels: Path) -> None:
    """The classifier in OUT/model, and the page of one held-out video: its movements, and their name."""
    import shutil

    from mien.models import load
    from mien.timeline import PredictConfig
    from mien.timeline.pipeline import predict_video

    model = args.out / "model"
    shutil.copytree(args.out / "movements" / "classify" / "model", model, dirs_exist_ok=True)
    video = next(labels.parent / row["path"] for row in read_csv(labels) if row["split"] == "test")
    predict_video(video, {"demo": load(model)}, args.out / "predict", PredictConfig(movements=True))


def draw(args: Demo) -> None:
    from mien.data.shards import Shards
    from mien.models import load
    from mien.timeline.strips import clips_of_shards, draw_strips, reconstruct

    pretrained: Any = load(args.out / "pretrain").module
    clips = clips_of_shards(Shards(args.out / "shards"), pretrained, 2, seed=0)
    strips = reconstruct(pretrained, clips, None, seed=0)
    draw_strips(strips, [c.title for c in clips], 8).save(args.out / "strips.png")


demo = function(Demo, work)
main = command(Demo, work, show)
