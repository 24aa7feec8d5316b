"""The small ablations of SVFAP and MAE-DFER on drawn faces with micro models: one script, resumable, one table.

    python experiments/ablations.py --out runs/ablations --hours 3  runs what is missing, rewrites docs/ablations.md as it goes
    python experiments/ablations.py --out runs/ablations --table-only     rewrites the table from what is there

A cell is one variant with one seed: a pre-training run (shared by all variants that start from it) and a fine-tuning run,
each in its own folder and on one thread. Ctrl-C saves what is running; the same command goes on. All variants have their first
seed before any has its second. `--hours` bounds the processor time of all starts together: hours x workers, so the clock shows no
more on a machine that does nothing else.
"""

from __future__ import annotations

import csv
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from ablation_cells import FINETUNE_BATCH, FINETUNE_STEPS, PRETRAIN_BATCH, PRETRAIN_STEPS, SEEDS, Job, draw_data, jobs
from ablation_tables import NUM_FRAMES, SIZE, STRIDE, Ablation, Expected, Variant, ablations
from cells import Running, done, finish, folder, kept, spent
from drawn import EXPRESSIONS
from intervals import Score, counts_by_person, score, together, uar

from mien.verbs.command import script


@dataclass(frozen=True)
class Results:
    """What is finished: confusion counts ``[people, K, K]`` (rows: truth) by variant and seed, people in one order."""

    counts: dict[tuple[Variant, int], np.ndarray]

    def score(self, variant: Variant, minus: Variant | None = None) -> Score | None:
        """UAR of a variant, or the difference of two on the same seeds and resampled people; None where nothing is there."""
        pair = [variant] if minus is None else [variant, minus]
        stacks = together(*({s: found for (v, s), found in self.counts.items() if v == one} for one in pair))
        return score(*stacks) if stacks else None


def read_counts(predictions: Path) -> np.ndarray:
    """``[people, K, K]`` of a predictions.csv, people by name."""
    with open(predictions, newline="") as file:
        rows = list(csv.DictReader(file))
    names = [key.removeprefix("p_") for key in rows[0] if key.startswith("p_")]
    label, predicted, subject = ([row[c] for row in rows] for c in ("label", "predicted", "subject"))
    return counts_by_person(label, predicted, subject, names)


def read_results(tables: Iterable[Ablation], out: Path) -> Results:
    found = {}
    for job in jobs(tables, SEEDS):
        if job.kind == "finetune" and done(job, out):
            found[job.variant, job.seed] = read_counts(folder(job, out) / "run" / "evaluation" / "predictions.csv")
    return Results(found)


def shows(difference: Score | None, expected: Expected) -> str:
    """Whether the difference to the reference is what the paper found."""
    if expected in ("reference", "unknown"):
        return ""
    if difference is None:
        return "unfinished"
    seen = "better" if difference.low > 0 else "worse" if difference.high < 0 else "alike"
    if seen == expected:
        return "yes" if seen != "alike" else "yes (not told apart)"
    return "not told apart" if seen == "alike" else f"no, {seen}"


def cost(job: Job | None, costs: dict[str, float]) -> float:
    return costs.get(job.name, 0.0) if job else 0.0


def table(ablation: Ablation, results: Results, out: Path, costs: dict[str, float]) -> list[str]:
    """Markdown of one ablation."""
    reference = ablation.reference.variant
    lines = [
        f"## {ablation.title}", "", f"{ablation.source}. The paper's finding: {ablation.finding}. {ablation.note}".strip(), "",
        f"| variant | paper, UAR | {' | '.join(f'seed {s}' for s in SEEDS)} | mean (95 %) | against the reference (95 %) "
        "| paper: it is | shows here? | masked loss | s per cell |",
        "|---|---:|" + "---:|" * len(SEEDS) + "---:|---:|---|---|---:|---:|",
    ]  # fmt: skip
    for row in ablation.rows:
        cells = [Job("finetune", row.variant, seed) for seed in SEEDS]
        seeds = [seed_cell(results.counts.get((row.variant, job.seed))) for job in cells]
        difference = None if row.variant == reference else results.score(row.variant, reference)
        finished = [job for job in cells if done(job, out)]
        seconds = [cost(job, costs) + cost(job.needs, costs) for job in finished]
        losses = [r for job in finished if job.needs and (r := kept(job.needs, out).get("held_out_ratio"))]
        lines.append(
            f"| {row.label} | {row.paper} | {' | '.join(seeds)} | {results.score(row.variant) or 'unfinished'} "
            f"| {f'{difference:}' if difference else ''} | {row.expected} | {shows(difference, row.expected)} "
            f"| {f'{np.mean(losses):.3f}' if losses else ''} | {f'{np.mean(seconds):.0f}' if seconds else ''} |"
        )
    return [*lines, ""]


def seed_cell(counts: np.ndarray | None) -> str:
    return "unfinished" if counts is None else f"{100 * uar(counts.sum(axis=0)):.1f}"


def summary(tables: Sequence[Ablation], results: Results) -> list[str]:
    """One line per ablation: how many of the paper's comparisons show."""
    lines = [
        "| ablation | paper | shows | not told apart | the opposite | unfinished |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for ablation in tables:
        reference = ablation.reference.variant
        verdicts = [
            shows(results.score(row.variant, reference), row.expected)
            for row in ablation.rows
            if row.expected not in ("reference", "unknown")
        ]
        counts = [sum(v.startswith(start) for v in verdicts) for start in ("yes", "not", "no, ", "unfinished")]
        lines.append(f"| {ablation.title} | {ablation.source} | {' | '.join(map(str, counts))} |")
    return [*lines, ""]


def document(tables: Sequence[Ablation], out: Path, hours: float, workers: int) -> str:
    """docs/ablations.md."""
    results, costs = read_results(tables, out), spent(out)
    cells = [j for j in jobs(tables, SEEDS) if j.kind == "finetune"]
    clips, people, chance = EXPRESSIONS.clips, EXPRESSIONS.subjects, 100 / 7
    spent_h, finished = sum(costs.values()) / 3600, len(results.counts)
    head = f"""# Ablations at small scale

The papers' ablations, repeated with micro models on drawn faces: which of their findings show at this scale? Written by

    python experiments/ablations.py --hours {hours:g} --workers {workers}

on {date.today()}. {finished} of {len(cells)} cells are finished. Machine: {machine()}.
What to make of it is in the [lab book](lab.md).
{spent_h:.2f} of {hours * workers:g} core-hours are spent; other work ran beside, so times are processor time, not the clock's.

- Data: {clips} clips of {people} drawn people, the inner 60 % of the usual crop (brows to chin) at {SIZE} pixels,
  {NUM_FRAMES} frames at stride {STRIDE}. Seven expressions, scored on people never seen: UAR in %, chance {chance:.1f}.
- Pre-training: {PRETRAIN_STEPS} steps of {PRETRAIN_BATCH} clips, all but those of the test people.
- Fine-tuning: {FINETUNE_STEPS} steps of {FINETUNE_BATCH} clips of the training people; flips alone, batch norm before the head.
- Intervals: 95 %, over resampled test people and, where several seeds are finished, resampled seeds; differences are
  paired. With one seed they do not tell how much another seed would change, and with three little.
- "shows here?": yes when the interval of the difference to the reference lies on the paper's side of zero; "not told
  apart" when it holds zero.
- The paper's numbers are UAR on DFEW, fold 1, of models a hundred times larger, pre-trained on VoxCeleb2: only signs can
  be compared.
- Masked loss: on held-out clips, over that of predicting zeros; not to be compared between mask ratios or targets.
- s per cell: seconds of one thread, with the pre-training, which several rows share.

"""
    body = [line for ablation in tables for line in table(ablation, results, out, costs)]
    return head + "\n".join([*summary(tables, results), *body]).rstrip() + "\n"


def machine() -> str:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{os.cpu_count()} virtual cores, {gpu}, torch {torch.__version__}, Python {platform.python_version()}"


@dataclass(frozen=True)
class Args(Running):
    """Run the papers' ablations at small scale, or go on with them."""

    out: Path = Path("runs/ablations")
    """Folder of all runs."""
    hours: float = 3.0
    """Budget: hours x workers of processor time, over all starts."""
    table: Path = Path("docs/ablations.md")
    """Page that is rewritten."""


def main(args: Args) -> int:
    tables = ablations()

    def write() -> None:
        args.table.parent.mkdir(parents=True, exist_ok=True)
        args.table.write_text(document(tables, args.out, args.hours, args.workers))

    if not args.table_only:
        draw_data(args.out, args.workers)
    return finish(jobs(tables, SEEDS), args, args.hours * args.workers * 3600, write)


if __name__ == "__main__":
    script(Args, main)
