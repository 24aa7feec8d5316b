"""What these scripts share: cells of tables as resumable processes of one thread; intervals over seeds and people."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mien.rng import generator

RESAMPLES = 2000


class Job(Protocol):
    """A cell of a table, or a run that several cells start from. Hashable; it goes to the process that runs it."""

    @property
    def name(self) -> str:
        """Its folder below the folder of all runs; jobs of equal first part cost about the same."""
        ...

    @property
    def needs(self) -> Any:
        """The job that must be done before, or None."""
        ...

    def do(self, out: Path) -> dict[str, Any]:
        """Runs it to its end, or goes on with it; returns what is kept in done.json."""
        ...


def folder(job: Job, out: Path) -> Path:
    return out / job.name


def done(job: Job, out: Path) -> bool:
    return (folder(job, out) / "done.json").is_file()


def kept(job: Job, out: Path) -> dict[str, Any]:
    """What a finished job returned."""
    return json.loads((folder(job, out) / "done.json").read_text())


@dataclass
class Scheduler:
    """Starts what is ready in the order of the list, `workers` at a time, while the budget of processor time lasts."""

    todo: Sequence[Any]
    out: Path
    workers: int
    budget_s: float

    def __post_init__(self) -> None:
        self.running: dict[Any, Any] = {}
        self.failed: list[Any] = []
        self.signal: int | None = None

    def run(self, after: Callable[[Any], None]) -> None:
        """Until nothing is left, the budget is spent or a signal comes; calls `after` when a job has ended."""
        previous = {s: signal.signal(s, self._stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            while True:
                self._start()
                if not self.running:
                    return
                time.sleep(0.5)
                for job in [j for j, process in self.running.items() if not process.is_alive()]:
                    self._end(job, after)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: Any) -> None:
        if self.signal is None:
            self.signal = number
            for process in self.running.values():
                process.terminate()

    def _start(self) -> None:
        while self.signal is None and len(self.running) < self.workers and (job := self.next()):
            context = multiprocessing.get_context("spawn")
            self.running[job] = process = context.Process(target=work, args=(job, self.out))
            process.start()

    def next(self) -> Any:
        """The first job that is not done, not running, did not fail and has what it needs; None when none fits the budget."""
        ready = (j for j in self.todo if not done(j, self.out) and j not in self.running and j not in self.failed)
        job = next((j for j in ready if j.needs is None or done(j.needs, self.out)), None)
        if job is None:
            return None
        costs = spent(self.out)
        due = sum(self._cost(j, costs) for j in (*self.running, job))
        return job if sum(costs.values()) + due <= self.budget_s else None

    def _cost(self, job: Job, costs: dict[str, float]) -> float:
        """A guess: the mean of its kind so far."""
        same = [s for name, s in costs.items() if name.split("/")[0] == job.name.split("/")[0]]
        return sum(same) / len(same) if same else 0.0

    def _end(self, job: Job, after: Callable[[Any], None]) -> None:
        process = self.running.pop(job)
        if not done(job, self.out) and self.signal is None:
            self.failed.append(job)
            print(
                f"{job.name} failed (exit code {process.exitcode}): see {folder(job, self.out) / 'log.txt'}", flush=True
            )
        after(job)


def finish(scheduler: Scheduler, write: Callable[[], None]) -> int:
    """Runs what is missing and rewrites the page after each job; returns the exit code."""

    def after(job: Any) -> None:
        write()
        if done(job, scheduler.out):
            finished = sum(done(j, scheduler.out) for j in scheduler.todo)
            minutes = sum(spent(scheduler.out).values()) / 60
            result = {k: v for k, v in kept(job, scheduler.out).items() if not isinstance(v, list)}
            print(f"[{finished}/{len(scheduler.todo)}] {minutes:.0f} min  {job.name}  {result}", flush=True)

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    scheduler.run(after)
    write()
    if scheduler.signal is not None:
        print("stopped; what was finished is kept, the same command goes on", file=sys.stderr)
        return 128 + scheduler.signal
    return 1 if scheduler.failed else 0


def work(job: Job, out: Path) -> None:
    """A process of its own, on one thread; Ctrl-C reaches it from the parent only, as SIGTERM, upon which runs save."""
    os.setpgrp()
    place = folder(job, out)
    place.mkdir(parents=True, exist_ok=True)
    log = os.open(place / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    import torch

    from mien.errors import Interrupted
    from mien.verbs.allocator import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)
    with open(place / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a job whose parent was killed goes on; nobody runs it beside
        if done(job, out):
            return
        try:
            result = job.do(out)
        except Interrupted as stop:
            sys.exit(stop.exit_code)
        finally:
            note(out, {"job": job.name, "cpu_s": round(time.process_time(), 1)})
        temporary = place / "done.tmp"
        temporary.write_text(json.dumps(result) + "\n")
        temporary.replace(place / "done.json")


def note(out: Path, entry: dict[str, Any]) -> None:
    """Appends to what was spent; one short line is written at once, so workers do not mix."""
    with open(out / "spent.jsonl", "a") as file:
        file.write(json.dumps(entry) + "\n")


def spent(out: Path) -> dict[str, float]:
    """Seconds of processor time by job, all starts together."""
    total: dict[str, float] = {}
    if (out / "spent.jsonl").is_file():
        for line in (out / "spent.jsonl").read_text().splitlines():
            entry = json.loads(line)
            total[entry["job"]] = total.get(entry["job"], 0.0) + entry["cpu_s"]
    return total


@dataclass(frozen=True)
class Score:
    """Interval of a mean over seeds: 95 %, percentiles of resampled seeds and test people."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """In percent."""
        return f"{100 * self.mean:.1f} ({100 * self.low:.1f} to {100 * self.high:.1f})"

    @property
    def apart(self) -> bool:
        """A difference that is told apart from zero."""
        return self.low > 0 or self.high < 0


def uar(counts: np.ndarray) -> np.ndarray:
    """Mean recall ``[...]`` of confusion counts ``[..., K, K]`` (rows: truth)."""
    support = counts.sum(axis=-1)
    recall = np.divide(
        counts.diagonal(axis1=-2, axis2=-1), support, out=np.full(support.shape, np.nan), where=support > 0
    )
    return np.nanmean(recall, axis=-1)


def resample(counts: np.ndarray) -> np.ndarray:
    """Counts ``[seeds, people, K, K]`` to ``[RESAMPLES, K, K]``: seeds and people drawn with replacement. The draws depend on
    the numbers of seeds and people alone, so two variants are resampled alike."""
    rng = generator("ablations", 0)
    weights = [draws_of(rng, n) for n in counts.shape[:2]]
    by_person = np.einsum("rs,sp...->rp...", weights[0], counts)
    return np.einsum("rp,rpkl->rkl", weights[1], by_person)


def draws_of(rng: np.random.Generator, number: int) -> np.ndarray:
    """How often each of `number` is drawn, ``[RESAMPLES, number]``."""
    return rng.multinomial(number, np.full(number, 1 / number), size=RESAMPLES).astype(float)


def score(counts: np.ndarray, minus: np.ndarray | None = None) -> Score:
    """UAR of ``[seeds, people, K, K]`` (seeds averaged), or the difference to another on the same seeds and people."""

    def mean(stack: np.ndarray) -> float:
        return float(np.mean([uar(c.sum(axis=0)) for c in stack]))

    value, drawn = mean(counts), uar(resample(counts))
    if minus is not None:
        value, drawn = value - mean(minus), drawn - uar(resample(minus))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Score(value, float(low), float(high))


def between(text: str, table: str, script: str, content: str) -> str:
    """A page with new content between the markers of a table."""
    start, end = f"<!-- {table}: written by {script} -->", f"<!-- {table}: end -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"the page has no markers of {table}: {start} and {end}")
    return f"{before}{start}\n{content}\n{end}{after}"
