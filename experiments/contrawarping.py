"""ContraWarping beside SimSiam, BYOL, identity pre-training and random weights: the tables of docs/contrawarping.md.

    python experiments/contrawarping.py drawn --out runs/contrawarping --minutes 90
    python experiments/contrawarping.py real --out runs/real --unlabelled SHARDS... --labelled SHARDS... --minutes 90
    python experiments/contrawarping.py drawn --out runs/contrawarping --table-only

drawn: faces made by code, where within a person only the expression changes; a linear probe on frozen features. real: the
same pretexts on stills and frames of `--unlabelled` and `--labelled` (their split "train" only), then a linear probe and
fine-tuning on each of `--labelled`, with the paper's Tables 2 (pooling) and 4 (frozen stages). Everything is seen in grey.
Every cell is a process on one thread in a folder of its own; Ctrl-C saves, the same command goes on; cells that are not
finished say so. `--minutes` bounds the processor time of all starts together.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from cells import Scheduler, between, done, finish, folder, kept, score, spent, uar

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
PAPER_TABLE_1 = {"contrawarping": 34.85, "byol": 31.74, "simsiam": 25.40, "identity": 27.71}
PAPER_TABLE_2 = {"tokens": 30.92, "srp": 34.85}
PAPER_TABLE_4 = {0: 33.24, 1: 29.90, 2: 30.60, 3: 34.85, 4: 32.65}
CLIPS, SUBJECTS, CLIP_FRAMES = 1500, 300, 32
# Brows to chin, as in the ablations: of whole heads of 64 pixels even supervised training reads little expression (docs/lab.md).
MARGIN, SIZE, STORE_SIZE = -0.2, 64, 96
PRETRAIN_STEPS, PRETRAIN_BATCH = 800, 64
RESERVE_SIZE = 96  # spatial reserve pooling needs a map of 3 x 3
CALIBRATION_STEPS = 60  # at a learning rate of 0: random weights with the batch statistics of faces
FINETUNE_STEPS, FINETUNE_BATCH = 240, 64
PRECISION: Literal["bf16"] = "bf16"  # on processors with AMX 1.1 to 1.25 times the faces a second
PROBE_FRAMES = 4  # of a drawn clip, whose features are averaged
PENALTIES = (0.001, 0.01, 0.1, 1.0)  # inverse strength of the probe's L2 penalty; chosen on held-out training people


@dataclass(frozen=True)
class Data:
    """What a script call works on."""

    table: Table
    pretrain: tuple[str, ...]
    labelled: tuple[str, ...]

    @property
    def by_name(self) -> dict[str, str]:
        """Folders of labelled shards."""
        return {Path(p).name: p for p in self.labelled}


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
        from mien.models import load
        from mien.recipes.finetune import FinetuneData, finetune
        from mien.recipes.pretrain import RECIPES, pretrain

        run = folder(self, out) / "run"
        pretext = self.start.removesuffix("-mild") if self.start in PRETEXTS else "byol"
        recipe = RECIPES[f"{pretext}-micro"]()
        method: Any = grey(recipe.method)
        if self.start.endswith("-mild"):
            views: Any = RECIPES["contrawarping-micro"]().method
            method = replace(method, first=views.first, second=views.second)
        train = replace(
            recipe.train, batch_size=PRETRAIN_BATCH, seed=self.seed, workers=0, evaluate_every=250, save_every_s=60.0,
            precision=PRECISION,
            steps=PRETRAIN_STEPS if self.start != "random" else CALIBRATION_STEPS,
        )  # fmt: skip
        if self.start == "identity":
            data = FinetuneData(people_of(Path(self.data.pretrain[0]), folder(self, out)), ("subject",))
            task = classify(self.seed, PRETRAIN_STEPS, "tokens", -1)
            finetune(task, data, run, None, method.encoder, SIZE, "cpu")
            return {}
        optim = recipe.optim if self.start != "random" else replace(recipe.optim, lr=0.0, min_lr=0.0)
        pretrain(
            replace(recipe, train=train, optim=optim, method=method),
            [Path(p) for p in self.data.pretrain], run, "cpu", by_length=self.data.table == "real",
        )  # fmt: skip
        return load(run).provenance.metrics


def grey(method: Any) -> Any:
    from mien.transforms.clip import GREY_MEAN, GREY_STD

    return replace(method, encoder=replace(method.encoder, channels=1), mean=GREY_MEAN, std=GREY_STD)


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


def classify(seed: int, steps: int, pool: Any, frozen_stages: int, size: int = SIZE) -> Any:
    """Fine-tuning of single frames: SGD as in the released configuration, small crops, flips."""
    from mien.recipes.supervised import ClassifyRecipe
    from mien.train.loop import TrainConfig
    from mien.train.optim import OptimConfig

    return ClassifyRecipe(
        num_frames=1, stride=1, size=size, views=1, pool=pool,
        head_norm="none" if pool == "srp" else "batch", frozen_stages=frozen_stages,
        randaugment=False, mixup=0.0, cutmix=0.0, erase=0.0, label_smoothing=0.0, crop_area=(0.6, 1.0), crop_aspect=(1.0, 1.0),
        optim=OptimConfig(kind="sgd", lr=0.08, min_lr=1e-4, weight_decay=1e-3),
        train=TrainConfig(batch_size=FINETUNE_BATCH, steps=steps, seed=seed, workers=0, save_every_s=60.0, precision=PRECISION),
    )  # fmt: skip


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

        shards = Shards(self.data.by_name[self.on])
        model: Any = load(folder(self.needs, out) / "run").module
        frames = PROBE_FRAMES if self.data.table == "drawn" else 1
        return probe(model, shards, frames)


def probe(model: Any, shards: Any, frames: int) -> dict[str, Any]:
    """Confusion counts by person of multinomial logistic regression on standardised mean features."""
    rows = shards.manifest.ok()
    labels, people = (np.array(rows.column(c)) for c in ("label", "subject"))
    train = np.array(rows.column("split")) == "train"
    test = np.array(rows.column("split")) == "test"
    features = features_of(model, shards, rows, frames)
    best = max(PENALTIES, key=lambda c: held_out_uar(features[train], labels[train], people[train], c))
    predicted = fitted(features[train], labels[train], best).predict(features[test])
    return {"counts": by_person(labels[test], predicted, people[test]), "C": best}


def fitted(features: np.ndarray, labels: np.ndarray, penalty: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = LogisticRegression(C=penalty, max_iter=500, class_weight="balanced")
    return make_pipeline(StandardScaler(), regression).fit(features, labels)


def held_out_uar(features: np.ndarray, labels: np.ndarray, people: np.ndarray, penalty: float) -> float:
    """Mean recall over four folds of training people."""
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold

    predicted = labels.copy()
    for a, b in GroupKFold(4).split(features, labels, people):
        predicted[b] = fitted(features[a], labels[a], penalty).predict(features[b])
    return float(balanced_accuracy_score(labels, predicted))


def features_of(model: Any, shards: Any, rows: Any, frames: int) -> np.ndarray:
    """Mean over space and over `frames` frames spread over the clip, ``[n, D]``; evaluation mode."""
    import torch

    from mien.data.dataset import ClipSet
    from mien.data.loader import EvalLoader, prepare_batch
    from mien.data.view import View

    views = {"clip": View(1, 1, "test", model.plain_augment())}
    found = np.zeros((len(rows), model.config.encoder.dim), np.float64)
    with torch.inference_mode():
        for batch in EvalLoader(ClipSet(shards, rows), views, 128, num_views=frames, workers=0):
            tokens = model.encoder(prepare_batch(batch, views, "cpu")["clip"]).tokens
            np.add.at(found, batch["index"].numpy(), tokens.mean(dim=1).numpy() / frames)
    return found


def by_person(truth: np.ndarray, predicted: np.ndarray, people: np.ndarray) -> list[Any]:
    """Confusion counts ``[people, K, K]`` as lists, classes and people by name."""
    names, persons = sorted(set(truth) | set(predicted)), sorted(set(people))
    counts = np.zeros((len(persons), len(names), len(names)), int)
    for t, p, who in zip(truth, predicted, people, strict=True):
        counts[persons.index(who), names.index(t), names.index(p)] += 1
    return counts.tolist()


@dataclass(frozen=True)
class Finetune:
    """All weights, or those above the frozen stages, trained on the labels."""

    data: Data
    start: str
    seed: int
    on: str
    pool: str = "tokens"
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
        from mien.models import load
        from mien.recipes.finetune import FinetuneData, finetune
        from mien.scoring.evaluation import evaluate

        run, shards = folder(self, out) / "run", Path(self.data.by_name[self.on])
        recipe = classify(self.seed, FINETUNE_STEPS, self.pool, self.frozen_stages, self.size)
        finetune(recipe, FinetuneData(shards), run, str(folder(self.needs, out) / "run"), None, SIZE, "cpu")
        evaluate(load(run), Shards(shards), run / "evaluation")
        table = pq.read_table(run / "evaluation" / "predictions.parquet").to_pydict()
        return {"counts": by_person(*(np.array(table[c], dtype=str) for c in ("label", "predicted", "subject")))}


Job = Pretrain | Probe | Finetune


def cells(data: Data, seed: int) -> Iterator[Job]:
    """Everything of one seed, in the order in which to run it."""
    starts = [s for s in STARTS if s != "identity" or data.table == "drawn"]
    for start in starts:
        yield Pretrain(data, start, seed)
        for on in data.by_name:
            yield Probe(data, start, seed, on)
    if data.table == "drawn":
        return
    for on in data.by_name:
        for start in starts:
            yield Finetune(data, start, seed, on)
        for stages in (-1, 0, 1, 2, 3, 4):
            for pool in ("srp", "tokens") if stages in (-1, 3) else ("srp",):
                yield Finetune(data, "contrawarping", seed, on, pool, stages, RESERVE_SIZE)


def all_cells(data: Data) -> list[Job]:
    return list(dict.fromkeys(job for seed in SEEDS for job in cells(data, seed)))


def stack(jobs: Sequence[Job], out: Path) -> dict[int, np.ndarray]:
    """Counts of the finished ones by seed."""
    return {job.seed: np.array(kept(job, out)["counts"]) for job in jobs if done(job, out)}


def row(label: str, paper: str, jobs: Sequence[Job], against: Sequence[Job] | None, out: Path) -> str:
    """A line of a table: each seed, their mean, and the paired difference to a reference."""
    found, other = stack(jobs, out), stack(against, out) if against else {}
    seeds = " | ".join(f"{100 * uar(found[s].sum(axis=0)):.1f}" if s in found else "unfinished" for s in SEEDS)
    mean = str(score(np.stack(list(found.values())))) if found else "unfinished"
    both = sorted(set(found) & set(other))
    difference = str(score(np.stack([found[s] for s in both]), np.stack([other[s] for s in both]))) if both else ""
    return f"| {label} | {paper} | {seeds} | {mean} | {difference} |"


def head(first: str, paper: str, reference: str) -> list[str]:
    seeds = " | ".join(f"seed {s}" for s in SEEDS)
    return [
        f"| {first} | {paper} | {seeds} | mean (95 %) | minus {reference} (95 %) |",
        "|---|---:|" + "---:|" * (len(SEEDS) + 2),
    ]


def starts_table(data: Data, on: str, out: Path, kind: type[Probe] | type[Finetune]) -> list[str]:
    lines = head("start", "paper, Table 1 (F1)", "random weights")
    reference = [kind(data, "random", s, on) for s in SEEDS]
    for start, label in STARTS.items():
        if start == "identity" and data.table != "drawn":
            continue
        jobs = [kind(data, start, s, on) for s in SEEDS]
        paper = str(PAPER_TABLE_1.get(start, ""))
        lines.append(row(label, paper, jobs, None if start == "random" else reference, out))
    return lines


def versus(data: Data, on: str, out: Path, kind: type[Probe] | type[Finetune]) -> list[str]:
    """ContraWarping minus each other start, paired."""
    lines = []
    mine = stack([kind(data, "contrawarping", s, on) for s in SEEDS], out)
    for start in STARTS:
        other = stack([kind(data, start, s, on) for s in SEEDS], out)
        both = sorted(set(mine) & set(other))
        if start not in ("contrawarping", "random") and both:
            result = score(np.stack([mine[s] for s in both]), np.stack([other[s] for s in both]))
            lines.append(f"ContraWarping minus {STARTS[start]}: {result} points, {len(both)} seed(s).")
    return lines


def document(data: Data, out: Path) -> str:
    """The tables as Markdown."""
    jobs, costs = all_cells(data), spent(out)
    finished = sum(done(j, out) for j in jobs)
    lines = [
        f"Written by `experiments/contrawarping.py {data.table}` on {date.today()}: {finished} of {len(jobs)} cells are "
        f"finished, {sum(costs.values()) / 60:.0f} minutes of one thread. ResNet-18 of reduced width, {SIZE} pixels, "
        f"{PRETRAIN_STEPS} steps of {PRETRAIN_BATCH} faces. UAR in %; "
        "intervals resample test people and, where several are finished, seeds.",
        "",
    ]
    for on in data.by_name:
        classes = classes_of(data, on, out)
        chance = f" Chance {100 / classes:.1f}." if classes else ""
        lines += [f"### {on}: linear probe", "", f"Frozen features.{chance}", ""]
        lines += [*starts_table(data, on, out, Probe), "", *versus(data, on, out, Probe), ""]
        if data.table == "drawn":
            continue
        lines += [
            f"### {on}: fine-tuning",
            "",
            *starts_table(data, on, out, Finetune),
            "",
            *versus(data, on, out, Finetune),
            "",
        ]
        lines += [f"### {on}: pooling (paper Table 2), from ContraWarping, {RESERVE_SIZE} pixels", ""]
        for stages in (-1, 3):
            lines += head("frozen stages: " + ("none" if stages < 0 else str(stages)), "paper (F1)", "mean over space")
            gap = [Finetune(data, "contrawarping", s, on, "tokens", stages, RESERVE_SIZE) for s in SEEDS]
            srp = [replace(j, pool="srp") for j in gap]
            papers = [f"{PAPER_TABLE_2[p]}" if stages == 3 else "" for p in ("tokens", "srp")]
            lines += [row("mean over space", papers[0], gap, None, out), row("SRP", papers[1], srp, gap, out), ""]
        lines += [
            f"### {on}: frozen stages (paper Table 4), ContraWarping and SRP",
            "",
            *head("stem and stages", "paper (F1)", "none frozen"),
        ]
        free = [Finetune(data, "contrawarping", s, on, "srp", -1, RESERVE_SIZE) for s in SEEDS]
        lines.append(row("none frozen", "", free, None, out))
        for stages, paper in PAPER_TABLE_4.items():
            lines.append(
                row(f"stem + {stages}", str(paper), [replace(j, frozen_stages=stages) for j in free], free, out)
            )
        lines.append("")
    return "\n".join(lines)


def classes_of(data: Data, on: str, out: Path) -> int:
    found = stack([Probe(data, s, seed, on) for s in STARTS for seed in SEEDS], out)
    return next(iter(found.values())).shape[-1] if found else 0


def draw(out: Path, workers: int) -> Path:
    """Shards of drawn faces, once."""
    from mien.contract import Store
    from mien.corpora.synthetic import SynthConfig, write_clips
    from mien.faces.options import PrepareConfig, contract_for
    from mien.faces.pipeline import prepare

    if not (out / "drawn" / "manifest.parquet").is_file():
        print(f"drawing {CLIPS} clips of {SUBJECTS} people, finding their faces", flush=True)
        labels = write_clips(out / "videos", SynthConfig(CLIPS, SUBJECTS, frames=CLIP_FRAMES), workers)
        contract = contract_for("face", MARGIN, store=Store(size=STORE_SIZE))
        prepare([], out / "drawn", PrepareConfig(contract, audio=False), labels, workers)
    return out / "drawn"


@dataclass(frozen=True)
class Args:
    """Run the tables of docs/contrawarping.md, or go on with them."""

    table: tyro.conf.Positional[Table]
    out: Path
    """Folder of all runs."""
    unlabelled: tuple[Path, ...] = ()
    """real: shards that are only pre-trained on."""
    labelled: tuple[Path, ...] = ()
    """real: shards with labels and splits; their split train is pre-trained on too."""
    minutes: float = 90.0
    """Budget of processor time over all starts, per worker."""
    workers: int = 2
    page: Path = Path("docs/contrawarping.md")
    table_only: bool = False
    """Only rewrite the page from what is finished."""


def main() -> int:
    args = tyro.cli(Args)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.table == "drawn":
        shards = str(draw(args.out, args.workers))
        data = Data("drawn", (shards,), (shards,))
    else:
        labelled = tuple(str(p.resolve()) for p in args.labelled)
        data = Data("real", labelled + tuple(str(p.resolve()) for p in args.unlabelled), labelled)

    def write() -> None:
        page = between(args.page.read_text(), args.table, "experiments/contrawarping.py", document(data, args.out))
        args.page.write_text(page)

    if args.table_only:
        write()
        return 0
    return finish(Scheduler(all_cells(data), args.out, args.workers, 60 * args.minutes * args.workers), write)


if __name__ == "__main__":
    sys.exit(main())
