"""SS-VAERR's tables on drawn, talking faces with continuous labels and micro models: what of them shows at this scale?

    python experiments/ss_vaerr.py --table pretexts --minutes 90          Tables I and II: pretexts, three seeds
    python experiments/ss_vaerr.py --table losses --minutes 90            Table III, one seed
    python experiments/ss_vaerr.py --table augmentations --minutes 90     Table IV, one seed
    python experiments/ss_vaerr.py --table-only                           rewrites docs/ss-vaerr.md from what is there

Every cell is a process on one thread in a folder of its own; Ctrl-C saves, the same command goes on; cells that are not finished
say so. `--minutes` bounds the processor time of all starts of a table together: minutes x workers, shared pre-training included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow.parquet as pq
from cells import IN_A_CELL, Running, between, done, finish, folder, in_order, spent
from drawn import draw
from intervals import RESAMPLES, BySeed, Score, draws_of, together

from mien.corpora.synthetic import SynthConfig
from mien.rng import generator
from mien.scoring.values import moments, value_rates
from mien.verbs.command import script

if TYPE_CHECKING:
    from mien.train.experiment import Experiment

Table = Literal["pretexts", "losses", "augmentations"]
Frozen = Literal["none", "first", "all"]
TABLES: tuple[Table, ...] = ("pretexts", "losses", "augmentations")
TARGETS = ("arousal", "valence")
SEEDS = (0, 1, 2)

TALKING = SynthConfig(240, 120, frames=100, fps=25, sound=True)
SIZE, CROP = 64, 54
# Steps that cost every pretext about the same processor time: 400 frames a step for LiRA, 128 in two views for BYOL, 128 in two
# large and two small ones for DINO.
PRETRAIN = {"lira": ("lira-micro", 900), "byol": ("byol-video-micro", 750), "dino": ("dino-video-micro", 640)}
FINETUNE_STEPS, FINETUNE_BATCH, SEGMENT = 300, 8, 50
BEST_LOSS = "ccc-ce-mse"  # the loss of the paper's Table IV for SEWA

STARTS = {"scratch": "from scratch", "lira": "LiRA", "byol": "Video-BYOL", "dino": "DINO-ResNet"}
FROZEN = {"none": "fine-tuned", "first": "frozen (first layer)", "all": "frozen (whole encoder; ours)"}
# Arousal and valence of SEWA, then of RECOLA, as printed.
PAPER_II = {
    ("scratch", "none"): ".588 .609 .344 .538", ("lira", "first"): ".652 .722 .602 .532", ("lira", "none"): ".678 .737 .630 .607",
    ("byol", "first"): ".593 .726 .224 .344", ("byol", "none"): ".604 .757 .307 .446",
    ("dino", "first"): ".607 .638 .269 .545", ("dino", "none"): ".648 .667 .420 .520",
}  # fmt: skip
PAPER_III = {
    "ccc": (".678 .737 .630 .607", ".652 .722 .560 .603"), "mse": (".664 .726 .399 .596", ".648 .710 .394 .596"),
    "ccc-ce": (".671 .735 .454 .625", ".650 .747 .513 .606"), "ccc-ce-mse": (".716 .731 .473 .611", ".699 .747 .469 .610"),
    "arousal-ce": (".631 .663 .675 .626", ".659 .709 .640 .668"),
    "arousal-ce-mse": (".638 .716 .664 .644", ".658 .691 .655 .605"),
    "ccc-ncce": (".633 .667 .669 .655", ".701 .741 .614 .661"), "ccc-ncce-mse": (".669 .716 .606 .669", ".633 .733 .626 .623"),
}  # fmt: skip
PAPER_IV = {
    "none": ".746 .747 .675 .626", "flip": ".713 .771 .636 .561", "crop": ".629 .738 .611 .490",
    "crop-out": ".688 .734 .612 .563", "missing": ".681 .750 .545 .587", "solarize": ".680 .741 .149 .028",
    "salt-pepper": ".678 .727 .346 .553", "crop+flip": ".637 .653 .601 .395", "crop+missing": ".617 .702 .506 .373",
    "flip+missing": ".655 .761 .649 .004", "flip+solarize": ".679 .721 .024 .037", "flip+crop-out": ".694 .685 .701 .451",
    "flip+salt-pepper": ".716 .761 .688 .445",
}  # fmt: skip


@dataclass(frozen=True)
class Pretext:
    """A pre-training run, which several cells share."""

    start: str
    seed: int

    needs = None

    @property
    def name(self) -> str:
        return f"pretrain-{self.start}/{self.seed}"

    def do(self, out: Path) -> dict[str, Any]:
        from mien.verbs.pretrain import pretrain

        experiment = pretraining(self.start, self.seed)
        run = folder(self, out) / "run"
        return pretrain(experiment, data=out / "shards", out=run, device="cpu").provenance.metrics


def pretraining(start: str, seed: int) -> Experiment:
    from mien.recipes import recipe

    name, steps = PRETRAIN[start]
    usual = recipe(name)
    train = replace(usual.train, steps=steps, seed=seed, log_every=25, evaluate_every=10**6, **IN_A_CELL)
    return replace(usual, train=train)


@dataclass(frozen=True)
class Cell:
    """A fine-tuned model and its score."""

    start: str
    frozen: Frozen = "none"
    loss: str = "ccc"
    augment: str = "none"
    seed: int = 0

    @property
    def name(self) -> str:
        return f"finetune-{self.frozen}/{self.start}_{self.loss}_{self.augment}/{self.seed}"

    @property
    def needs(self) -> Pretext | None:
        return None if self.start == "scratch" else Pretext(self.start, self.seed)

    def do(self, out: Path) -> dict[str, Any]:
        from mien.data.shards import Shards
        from mien.scoring.evaluation import evaluate
        from mien.verbs.finetune import finetune

        run, shards = folder(self, out) / "run", out / "shards"
        init = str(folder(self.needs, out) / "run") if self.needs else None
        model = finetune(finetuning(self), data=shards, out=run, device="cpu", init=init)
        result = evaluate(model, Shards(shards), run / "evaluation")
        return {name: result["per_target"][name]["ccc"] for name in TARGETS}


def finetuning(cell: Cell) -> Experiment:
    from mien.encoders.lip_reading import lip_reading_micro
    from mien.recipes.sequence import TABLE_III, TABLE_IV, sequence_micro

    usual, augment = sequence_micro(), TABLE_IV[cell.augment]
    spec = usual.task.spec
    changed = usual.learning(
        spec=replace(spec, clip=replace(spec.clip, num_frames=SEGMENT, size=SIZE)), encoder=lip_reading_micro(),
        frozen=cell.frozen, loss=TABLE_III[cell.loss], augment=replace(augment, crop=CROP) if augment.crop else augment,
    )  # fmt: skip
    train = replace(
        usual.train, batch_size=FINETUNE_BATCH, steps=FINETUNE_STEPS, seed=cell.seed, log_every=25, **IN_A_CELL
    )
    return replace(changed, train=train)


def cells_of(table: Table) -> list[Cell]:
    """The cells of a table: those of the first seed before those of the second."""
    from mien.recipes.sequence import TABLE_III, TABLE_IV

    if table == "losses":
        return [Cell("lira", frozen, loss) for loss in TABLE_III for frozen in ("none", "first")]
    if table == "augmentations":
        return [Cell("lira", "none", BEST_LOSS, augment) for augment in TABLE_IV]
    # The whole encoder frozen is our own row: it has one seed.
    kinds: tuple[Frozen, ...] = ("none", "first", "all")
    return [Cell(s, f, seed=seed) for seed in SEEDS for f in kinds[: 3 if seed == 0 else 2] for s in STARTS]


def jobs(table: Table) -> list[Any]:
    """What has to be run, in order."""
    return in_order(cells_of(table))


def draw_data(out: Path, workers: int) -> None:
    draw(out, out / "shards", TALKING, workers, corpus="synthetic", size=SIZE, grey=True, fps=TALKING.fps)


def sums_of(predictions: Path) -> np.ndarray:
    """What every metric is made of: sums ``[people, 9, K]`` of the frames of each test person, people by name."""
    table = pq.read_table(predictions)
    people = np.array(table.column("subject").to_pylist())
    truth, found = (
        np.stack([table.column(f"{kind}_{n}").to_numpy() for n in TARGETS], axis=1) for kind in ("true", "predicted")
    )
    centres = np.zeros((2, len(TARGETS)))  # both are in -1..1: nothing to take off, and the same for all cells
    return np.stack([moments(truth[people == p], found[people == p], centres) for p in sorted(set(people))])


def plain(score: Score) -> str:
    """CCC is not shown in percent."""
    return f"{score.mean:.3f} ({score.low:.3f} to {score.high:.3f})"


def scores(sums: np.ndarray, minus: np.ndarray | None = None) -> list[Score]:
    """CCC of each target from ``[seeds, people, 9, K]``, or the difference to another with the same seeds and people."""
    means, drawn = _ccc(sums)
    if minus is not None:
        less = _ccc(minus)
        means, drawn = means - less[0], drawn - less[1]
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    return [Score(*map(float, v)) for v in zip(means, low, high, strict=True)]


def _ccc(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over seeds ``[K]``, and that of resampled seeds and people ``[RESAMPLES, K]``; the draws depend on the numbers of
    seeds and people alone, so that two models are resampled alike."""
    rng = generator("ss-vaerr", 0)
    seeds, people = (draws_of(rng, n) for n in sums.shape[:2])
    each = value_rates(np.einsum("rp,spmk->rsmk", people, sums))["ccc"]
    assert len(each) == RESAMPLES
    return value_rates(sums.sum(1))["ccc"].mean(0), np.einsum("rs,rsk->rk", seeds, each) / sums.shape[0]


def read(cells: Sequence[Cell], out: Path) -> BySeed:
    """Sums of the finished ones."""
    ready = [c for c in cells if done(c, out)]
    return {c.seed: sums_of(folder(c, out) / "run" / "evaluation" / "predictions.parquet") for c in ready}


def shown(cells: Sequence[Cell], out: Path, reference: Sequence[Cell] = ()) -> list[str]:
    """The scores of both targets, the number of seeds, and the differences to a reference on the seeds that both have."""
    found = read(cells, out)
    if not found:
        return ["unfinished"] * 2 + ["0"] + [""] * 2
    texts = [*map(plain, scores(*together(found))), str(len(found))]
    pair = together(found, read(reference, out))
    return [*texts, *([plain(s) + (" *" if s.apart else "") for s in scores(*pair)] if pair else ["", ""])]


HEAD = "arousal (95 %) | valence (95 %) | seeds | arousal against {0} | valence against {0} | paper: SEWA, RECOLA"
RULE = "---:|---:|---:|---:|---:|---"


def lines_of(table: Table, out: Path) -> list[str]:
    """Markdown of a table."""
    if table == "pretexts":
        lines = [f"| start | | {HEAD.format('scratch')} |", f"|---|---|{RULE}|"]
        for frozen, start in ((f, s) for f in FROZEN for s in STARTS):
            cells, scratch = ([Cell(s, frozen, seed=k) for k in SEEDS] for s in (start, "scratch"))  # type: ignore[arg-type]
            texts = shown(cells, out, () if start == "scratch" else scratch)
            paper = PAPER_II.get((start, frozen), "")
            lines.append(f"| {STARTS[start]} | {FROZEN[frozen]} | {' | '.join(texts)} | {paper} |")
        return lines
    if table == "losses":
        lines = [f"| loss | | {HEAD.format('ccc')} |", f"|---|---|{RULE}|"]
        for cell in cells_of(table):
            texts = shown([cell], out, () if cell.loss == "ccc" else [replace(cell, loss="ccc")])
            paper = PAPER_III[cell.loss][cell.frozen == "first"]
            lines.append(f"| {cell.loss} | {FROZEN[cell.frozen]} | {' | '.join(texts)} | {paper} |")
        return lines
    lines = [f"| augmentation | {HEAD.format('none')} |", f"|---|{RULE}|"]
    for cell in cells_of(table):
        texts = shown([cell], out, () if cell.augment == "none" else [replace(cell, augment="none")])
        lines.append(f"| {cell.augment} | {' | '.join(texts)} | {PAPER_IV[cell.augment]} |")
    return lines


def section(table: Table, out: Path, minutes: float, workers: int) -> str:
    """What stands between the markers of a table."""
    cells, costs = cells_of(table), spent(out)
    seconds = sum(costs.get(j.name, 0.0) for j in jobs(table))
    finished = sum(done(c, out) for c in cells)
    note = (
        f"Written on {date.today()} by `python experiments/ss_vaerr.py --table {table} --minutes {minutes:g} --workers "
        f"{workers}`: {finished} of {len(cells)} cells are finished, in {seconds / 60:.0f} minutes of processor time. "
        "An asterisk: the interval of the difference does not hold zero."
    )
    return "\n".join([note, "", *lines_of(table, out)])


@dataclass(frozen=True)
class Args(Running):
    """Run SS-VAERR's tables at small scale, or go on with them."""

    table: Table = "pretexts"
    """One of the paper's."""
    out: Path = Path("runs/ss_vaerr")
    """Folder of all runs; the tables share it."""
    minutes: float = 90.0
    """Budget of the table: minutes x workers of processor time, over all starts."""
    page: Path = Path("docs/ss-vaerr.md")
    """Page whose table is rewritten."""


def main(args: Args) -> int:
    todo = jobs(args.table)

    def write() -> None:
        page = args.page.read_text()
        for table in TABLES if args.table_only else (args.table,):
            page = between(page, table, "experiments/ss_vaerr.py", section(table, args.out, args.minutes, args.workers))
        args.page.write_text(page)

    if not args.table_only:
        draw_data(args.out, args.workers)
    # what other tables have spent is not this one's
    own = {j.name for j in todo}
    elsewhere = sum(s for name, s in spent(args.out).items() if name not in own)
    return finish(todo, args, args.minutes * args.workers * 60 + elsewhere, write)


if __name__ == "__main__":
    script(Args, main)
