"""LiRA on real faces that talk: held-out loss, and whether the features know how far the mouth is open.

    python experiments/lira_grid.py --grid GRID/s1 --faces UNLABELLED --out runs/lira-grid --minutes 30

Prepares the training and validation sentences of one GRID speaker (never the test split) and any folder of unlabelled talking
faces, pre-trains `lira-micro` on the training sentences and the faces, and probes the frozen front end on the validation
sentences. The same command goes on where it was stopped; `--minutes` is the time of one start. Results: OUT/results.json.

The opening of the mouth is measured in the prepared crop, which is aligned on five points, so that the mouth lies in one
place: how much darker than 3/4 of its median, over the sentence, the box of the mouth is, on average over the box. An open
mouth shows its dark inside. The measure uses neither sound nor any model but the detector's; its correlation with the loudness
of the frame is given beside it. It was looked at on this one speaker, who has no beard; beards and dark lips would deceive it.
"""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mien
from mien.data.dataset import ClipSet
from mien.data.shards import Shards
from mien.data.view import Hearing, Picked
from mien.faces.align import FIVE_POINT
from mien.methods.lira import LiRA, LiRAConfig
from mien.transforms.geometry import resize
from mien.verbs.command import script

SIZE = 96
SPLIT = "lira_split"
DARK = 0.75
PENALTIES = np.logspace(0, 5, 11)
VIDEOS = {".mp4", ".mpg", ".mov", ".mkv", ".webm", ".avi"}


@dataclass(frozen=True)
class Options:
    """LiRA on one speaker of GRID and on any talking faces; see the text at the top of the file."""

    grid: Path
    """Folder of one GRID speaker: labels.csv with path and split, and the clips."""
    out: Path
    """Folder of everything."""
    faces: Path | None = None
    """Folder of unlabelled talking faces."""
    sentences: int = 150
    """Training and validation sentences that are used, from the first on."""
    steps: int = 600
    """Of the pre-training."""
    seed: int = 0
    """Of the pre-training."""
    random_seeds: int = 3
    """Encoders with random weights beside the trained one."""
    minutes: float = 30.0
    """Time of one start."""


def listing(options: Options, path: Path) -> int:
    """Writes the videos that may be seen: validation sentences are held out, test sentences are not even prepared."""
    with (options.grid / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [r for r in rows if r["split"] in ("train", "val")][: options.sentences]
    hidden = {Path(r["path"]).stem for r in rows} - {Path(r["path"]).stem for r in kept if r["split"] == "train"}
    lines = [(options.grid / r["path"], "grid", "train" if r["split"] == "train" else "test") for r in kept]
    for video in sorted(options.faces.iterdir()) if options.faces else []:
        if video.suffix.lower() in VIDEOS and not any(word in hidden for word in video.stem.split("_")):
            lines.append((video, video.stem, "train"))
    text = "".join(f"{video.resolve()},{subject},{split}\n" for video, subject, split in lines)
    path.write_text(f"path,subject,{SPLIT}\n" + text)
    return len(lines)


@contextmanager
def time_limit(minutes: float) -> Iterator[None]:
    """After the time as if Ctrl-C had been pressed: preparation and training save and stop."""
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def opening(frames: np.ndarray) -> np.ndarray:
    """uint8 [T, S, S] aligned faces to [T]; see the module's docstring."""
    (left, top), (right, bottom) = FIVE_POINT[3] - (0.02, 0.0), FIVE_POINT[4] + (0.02, 0.21)
    box = frames[:, int(top * SIZE) : int(bottom * SIZE), int(left * SIZE) : int(right * SIZE)].astype(np.float64)
    return np.clip(DARK - box / np.median(box), 0, None).mean((1, 2))


def loudness(clip: Any) -> np.ndarray:
    """Logarithm of the level of each frame's sound, [T]; NaN where there is none."""
    found = Hearing(0.04, joined=False).cut(clip, Picked(np.arange(len(clip)), clip.numbers("times_s")))
    level = np.log(np.sqrt(np.mean((found["sound"] / 32768) ** 2, axis=1)) + 1e-3)
    return np.where(found["heard"], level, np.nan)


@dataclass(frozen=True)
class Sentence:
    frames: np.ndarray
    """uint8 [T, S, S, 1]."""
    opening: np.ndarray
    loudness: np.ndarray
    held_out: bool


def sentences(shards: Shards) -> list[Sentence]:
    """Whole sentences of GRID; of several faces in one, the first."""
    rows = shards.manifest.ok().where(lambda r: r["subject"] == "grid" and r["track"] == 0 and r["num_frames"] >= 25)
    clips, found = ClipSet(shards, rows), []
    for index, row in enumerate(rows.rows()):
        clip = clips[index]
        frames = np.empty((len(clip), SIZE, SIZE, 1), np.uint8)
        clips.read(index, clip, np.arange(len(clip)), frames, strict=False)
        found.append(Sentence(frames, opening(frames[..., 0]), loudness(clip), row[SPLIT] == "test"))
    return found


@torch.inference_mode()
def features(model: LiRA, sentence: Sentence) -> np.ndarray:
    """Front end, mean over space: [T, D]."""
    plain = model.plain_augment()
    drawn = {k: torch.from_numpy(v[None]) for k, v in plain.draw(np.random.default_rng(0)).items()}
    return model.features(plain.apply(torch.from_numpy(sentence.frames[None]), drawn))[0].numpy()


def random_model(config: LiRAConfig, seed: int, data: list[Sentence]) -> LiRA:
    """Random weights with the batch statistics of these faces, so that no layer is starved."""
    torch.manual_seed(seed)
    model = config.build()
    model.encoder.train()
    for sentence in data:
        features(model, sentence)
    return model.eval()


def pixels(sentence: Sentence) -> np.ndarray:
    """The crop shrunk to 16 x 16, [T, 256]."""
    small = resize(torch.from_numpy(sentence.frames[None]), 16)
    return small[0, ..., 0].flatten(1).numpy().astype(np.float64)


def probe(inputs: list[np.ndarray], data: list[Sentence], name: str) -> dict[str, float]:
    """Ridge regression from single frames, its penalty chosen inside the training sentences; scored on held-out ones."""
    train = [k for k, s in enumerate(data) if not s.held_out]
    test = [k for k, s in enumerate(data) if s.held_out]

    def stacked(which: list[int]) -> tuple[np.ndarray, np.ndarray]:
        x, y = (np.concatenate(v) for v in ([inputs[k] for k in which], [getattr(data[k], name) for k in which]))
        known = np.isfinite(y)
        return x[known], y[known]

    model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(*stacked(train))
    x, y = stacked(test)
    guess = model.predict(x)
    r2 = 1 - np.mean((guess - y) ** 2) / np.var(y)
    return {"r": round(float(np.corrcoef(guess, y)[0, 1]), 4), "r2": round(float(r2), 4), "frames": len(y)}


def probes(model: LiRA, data: list[Sentence], seeds: int) -> dict[str, Any]:
    """Opening and loudness from trained and random front ends and from pixels."""
    kinds = {"trained": [features(model.eval(), s) for s in data], "pixels 16x16": [pixels(s) for s in data]}
    for seed in range(seeds):
        other = random_model(model.config, seed, [s for s in data if not s.held_out][:20])
        kinds[f"random {seed}"] = [features(other, s) for s in data]
    return {kind: {n: probe(x, data, n) for n in ("opening", "loudness")} for kind, x in kinds.items()}


def agreement(data: list[Sentence]) -> float:
    """Median over sentences of the correlation of opening and loudness."""
    pairs = [(s.opening[k], s.loudness[k]) for s in data for k in [np.isfinite(s.loudness)] if k.sum() > 20]
    return round(float(np.median([np.corrcoef(a, b)[0, 1] for a, b in pairs])), 3)


def held_out(run: Path) -> dict[str, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if "held_out_loss" in line][-1]
    return {k: round(v, 4) for k, v in last.items() if k == "step" or k.startswith("held_out")}


def run(options: Options) -> dict[str, Any]:
    options.out.mkdir(parents=True, exist_ok=True)
    table, folder = options.out / "videos.csv", options.out / f"run-{options.seed}"
    count = listing(options, table)
    shards = mien.prepare(labels=table, out=options.out / "shards", size=SIZE, grey=True, fps=25.0, workers=0)
    train = {"batch_size": 16, "steps": options.steps, "seed": options.seed, "workers": 1}
    often = {"evaluate_every": 100, "save_every_steps": 100}
    model = mien.pretrain(
        "lira-micro", data=shards, out=folder, device="cpu", split_column=SPLIT, **train, **often
    ).module
    assert isinstance(model, LiRA)
    data = sentences(shards)
    return {
        "videos": count,
        "sentences": {"train": sum(not s.held_out for s in data), "held out": sum(s.held_out for s in data)},
        "steps": options.steps,
        "seed": options.seed,
        "loss": held_out(folder),
        "opening and loudness": agreement(data),
        "probes": probes(model, data, options.random_seeds),
    }


def main(options: Options) -> None:
    torch.set_num_threads(1)
    with time_limit(options.minutes):
        results = run(options)
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    script(Options, main)
