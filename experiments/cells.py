"""Cells of tables as resumable processes of one thread, and the page that shows them."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

IN_A_CELL: dict[str, Any] = {"workers": 0, "save_every_s": 60.0}
"""Of every training: it reads in its own thread, and loses at most a minute when it is stopped."""


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


def in_order(cells: Iterable[Any]) -> list[Any]:
    """Every job once, each after the one that it needs."""
    return list(dict.fromkeys(job for cell in cells for job in (cell.needs, cell) if job))


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


@dataclass(frozen=True, kw_only=True)
class Running:
    """Options of every script of cells."""

    out: Path
    """Folder of all runs."""
    workers: int = 2
    """Single-thread runs side by side."""
    table_only: bool = False
    """Only rewrite the page from what is finished."""


def finish(todo: Sequence[Any], running: Running, budget_s: float, write: Callable[[], None]) -> int:
    """Runs what is missing while the budget of processor time lasts, and rewrites the page after each job; returns the exit
    code."""
    out, scheduler = running.out, Scheduler(todo, running.out, running.workers, budget_s)

    def after(job: Any) -> None:
        write()
        if done(job, out):
            finished, minutes = sum(done(j, out) for j in todo), sum(spent(out).values()) / 60
            result = {k: v for k, v in kept(job, out).items() if not isinstance(v, list)}
            print(f"[{finished}/{len(todo)}] {minutes:.0f} min  {job.name}  {result}", flush=True)

    if not running.table_only:
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
            carry_out(job, out)
        except Interrupted as stop:
            sys.exit(stop.exit_code)
        finally:
            note(out, {"job": job.name, "cpu_s": round(time.process_time(), 1)})


def carry_out(job: Job, out: Path) -> None:
    """Runs a job and keeps what it returns."""
    place = folder(job, out)
    place.mkdir(parents=True, exist_ok=True)
    result = job.do(out)
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


def between(text: str, table: str, script: str, content: str) -> str:
    """A page with new content between the markers of a table."""
    start, end = f"<!-- {table}: written by {script} -->", f"<!-- {table}: end -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"the page has no markers of {table}: {start} and {end}")
    return f"{before}{start}\n{content}\n{end}{after}"
