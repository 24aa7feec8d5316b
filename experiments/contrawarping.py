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

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
from cells import Running, between, done, finish, in_order, kept, spent
from contrawarping_cells import RESERVE_SIZE, SEEDS, SIZE, STARTS, Data, Finetune, Job, Probe, Table, cells, draw_data
from intervals import BySeed, score, together, uar

from mien.options import Arg
from mien.verbs.command import script

PAPER_TABLE_1 = {"contrawarping": 34.85, "byol": 31.74, "simsiam": 25.40, "identity": 27.71}
PAPER_TABLE_2 = {"tokens": 30.92, "srp": 34.85}
PAPER_TABLE_4 = {0: 33.24, 1: 29.90, 2: 30.60, 3: 34.85, 4: 32.65}


def all_cells(data: Data) -> list[Job]:
    return in_order(job for seed in SEEDS for job in cells(data, seed))


def stack(jobs: Sequence[Job], out: Path) -> dict[int, np.ndarray]:
    """Counts of the finished ones by seed."""
    return {job.seed: np.array(kept(job, out)["counts"]) for job in jobs if done(job, out)}


def difference(found: BySeed, other: BySeed) -> str:
    """On the seeds that both have."""
    pair = together(found, other)
    return str(score(*pair)) if pair else ""


def row(label: str, paper: object, jobs: Sequence[Job], against: Sequence[Job], out: Path) -> str:
    """A line of a table: each seed, their mean, and the paired difference to a reference."""
    found = stack(jobs, out)
    seeds = " | ".join(f"{100 * uar(found[s].sum(axis=0)):.1f}" if s in found else "unfinished" for s in SEEDS)
    mean = score(*together(found)) if found else "unfinished"
    return f"| {label} | {paper} | {seeds} | {mean} | {difference(found, stack(against, out))} |"


def head(first: str, paper: str, reference: str) -> list[str]:
    seeds = " | ".join(f"seed {s}" for s in SEEDS)
    return [
        f"| {first} | {paper} | {seeds} | mean (95 %) | minus {reference} (95 %) |",
        "|---|---:|" + "---:|" * (len(SEEDS) + 2),
    ]


Kind = type[Probe] | type[Finetune]


def starts(data: Data, on: str, out: Path, kind: Kind) -> list[str]:
    """The table of what each start leads to, and ContraWarping minus each other, paired."""
    jobs = {start: [kind(data, start, s, on) for s in SEEDS] for start in data.starts}
    lines = head("start", "paper, Table 1 (F1)", STARTS["random"])
    for start, own in jobs.items():
        against = jobs["random"] if start != "random" else ()
        lines.append(row(STARTS[start], PAPER_TABLE_1.get(start, ""), own, against, out))
    lines.append("")
    mine = stack(jobs["contrawarping"], out)
    for start in data.starts:
        other = stack(jobs[start], out)
        if start not in ("contrawarping", "random") and (found := difference(mine, other)):
            seeds = len(mine.keys() & other.keys())
            lines.append(f"ContraWarping minus {STARTS[start]}: {found} points, {seeds} seed(s).")
    return [*lines, ""]


def poolings(data: Data, on: str, out: Path) -> list[str]:
    lines = [f"### {on}: pooling (paper Table 2), from ContraWarping, {RESERVE_SIZE} pixels", ""]
    for stages in (-1, 3):
        lines += head(f"frozen stages: {'none' if stages < 0 else stages}", "paper (F1)", "mean over space")
        papers = PAPER_TABLE_2 if stages == 3 else dict.fromkeys(PAPER_TABLE_2, "")
        mean = [Finetune(data, "contrawarping", s, on, "tokens", stages, RESERVE_SIZE) for s in SEEDS]
        srp = [replace(j, pool="srp") for j in mean]
        lines += [row("mean over space", papers["tokens"], mean, (), out)]
        lines += [row("SRP", papers["srp"], srp, mean, out), ""]
    return lines


def frozen_stages(data: Data, on: str, out: Path) -> list[str]:
    lines = [f"### {on}: frozen stages (paper Table 4), ContraWarping and SRP", ""]
    lines += head("stem and stages", "paper (F1)", "none frozen")
    free = [Finetune(data, "contrawarping", s, on, "srp", -1, RESERVE_SIZE) for s in SEEDS]
    lines.append(row("none frozen", "", free, (), out))
    for stages, paper in PAPER_TABLE_4.items():
        lines.append(row(f"stem + {stages}", paper, [replace(j, frozen_stages=stages) for j in free], free, out))
    return [*lines, ""]


def document(data: Data, out: Path) -> str:
    """The tables as Markdown."""
    jobs, minutes, effort = all_cells(data), sum(spent(out).values()) / 60, data.effort
    lines = [
        f"Written by `experiments/contrawarping.py {data.table}` on {date.today()}: {sum(done(j, out) for j in jobs)} of "
        f"{len(jobs)} cells are finished, {minutes:.0f} minutes of one thread. ResNet-18 of reduced width, {SIZE} pixels, "
        f"{effort.pretrain_steps} steps of {effort.batch_size} faces. UAR in %; "
        "intervals resample test people and, where several are finished, seeds.",
        "",
    ]
    for on in data.by_name:
        classes = classes_of(data, on, out)
        chance = f" Chance {100 / classes:.1f}." if classes else ""
        lines += [f"### {on}: linear probe", "", f"Frozen features.{chance}", "", *starts(data, on, out, Probe)]
        if data.table == "real":
            lines += [f"### {on}: fine-tuning", "", *starts(data, on, out, Finetune)]
            lines += [*poolings(data, on, out), *frozen_stages(data, on, out)]
    return "\n".join(lines)


def classes_of(data: Data, on: str, out: Path) -> int:
    found = stack([Probe(data, s, seed, on) for s in data.starts for seed in SEEDS], out)
    return next(iter(found.values())).shape[-1] if found else 0


@dataclass(frozen=True, kw_only=True)
class Args(Running):
    """Run the tables of docs/contrawarping.md, or go on with them."""

    table: Annotated[Table, Arg(positional=True)]
    unlabelled: tuple[Path, ...] = ()
    """real: shards that are only pre-trained on."""
    labelled: tuple[Path, ...] = ()
    """real: shards with labels and splits; their split train is pre-trained on too."""
    minutes: float = 90.0
    """Budget of processor time over all starts, per worker."""
    page: Path = Path("docs/contrawarping.md")
    """Page whose table is rewritten."""

    @property
    def data(self) -> Data:
        if self.table == "drawn":
            return Data("drawn", (str(self.out / "drawn"),), (str(self.out / "drawn"),))
        labelled, unlabelled = (tuple(str(p.resolve()) for p in ps) for ps in (self.labelled, self.unlabelled))
        return Data("real", labelled + unlabelled, labelled)


def main(args: Args) -> int:
    data = args.data

    def write() -> None:
        page = between(args.page.read_text(), args.table, "experiments/contrawarping.py", document(data, args.out))
        args.page.write_text(page)

    args.out.mkdir(parents=True, exist_ok=True)
    if args.table == "drawn" and not args.table_only:
        draw_data(args.out, args.workers, data.effort)
    return finish(all_cells(data), args, 60 * args.minutes * args.workers, write)


if __name__ == "__main__":
    script(Args, main)
