"""Worker processes that survive a worker's death.

The pools of the standard library give up when one process is killed by a signal; here the job is split until the file that did
it stands alone, is recorded with the reason, and the rest goes on.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import cast

from mien.errors import UserError
from mien.faces.faces import detector_for
from mien.faces.job import Job, died, run_job
from mien.faces.options import PrepareConfig
from mien.processes import apart_from_script


@dataclass
class Slot:
    """A worker and what it is doing."""

    process: BaseProcess
    pipe: Connection
    job: Job | None = None
    ready: bool = False
    done: float = 0.0


def run_jobs(
    jobs: Sequence[Job], out: Path, config: PrepareConfig, workers: int, tick: Callable[[float], None]
) -> None:
    """Runs the jobs.

    Args:
        workers: processes; 0 = in this one (a file that crashes the interpreter then ends the run).
        tick: told each number of bytes done since the last call.
    """
    if workers == 0:
        _run_here(jobs, out, config, tick)
        return
    queue, slots = deque(jobs), []
    workers = min(workers, sum(len(job.sources) for job in jobs))  # a job whose worker dies is split into its sources
    try:
        while queue or any(s.job for s in slots):
            while queue and len(slots) < workers:
                slots.append(_start(out, config))
            for slot in slots:
                if slot.job is None and queue:
                    _give(slot, queue)
            for pipe in wait([s.pipe for s in slots if s.job]):
                slot = next(s for s in slots if s.pipe is pipe)
                if not _listen(slot, tick):
                    slots.remove(slot)
                    _bury(slot, queue, out, tick)
    finally:
        for slot in slots:
            _stop(slot)


def _run_here(jobs, out: Path, config: PrepareConfig, tick: Callable[[float], None]) -> None:
    detector = detector_for(config)
    for job in jobs:
        seen = 0.0

        def forward(done: float) -> None:
            nonlocal seen
            tick(done - seen)
            seen = done

        run_job(job, out, config, detector, forward)


def _start(out: Path, config: PrepareConfig) -> Slot:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, out, config), daemon=True)
    with apart_from_script():
        process.start()
    theirs.close()  # so that its death is an end of file here
    return Slot(process, cast(Connection, ours))


def _give(slot: Slot, queue: deque[Job]) -> None:
    slot.job, slot.done = queue.popleft(), 0.0
    with contextlib.suppress(BrokenPipeError):  # found dead by _listen
        slot.pipe.send(slot.job)


def _listen(slot: Slot, tick: Callable[[float], None]) -> bool:
    """Takes one message; False when the worker is dead."""
    try:
        kind, value = slot.pipe.recv()
    except (EOFError, ConnectionResetError):
        return False
    slot.ready = True
    if kind == "error":
        raise UserError(value)
    if kind == "done":
        slot.job = None
    if kind == "tick":
        tick(value - slot.done)
        slot.done = value
    return True


def _bury(slot: Slot, queue: deque[Job], out: Path, tick: Callable[[float], None]) -> None:
    job = slot.job
    _stop(slot)
    assert job is not None
    if not slot.ready:
        raise UserError(f"the worker processes do not start (exit code {slot.process.exitcode}): try --workers 0")
    tick(-slot.done)
    if len(job.sources) > 1:
        queue.extendleft(reversed([replace(job, sources=(s,)) for s in job.sources]))
        return
    code = slot.process.exitcode or 0
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    died(job, out, how)
    tick(job.size)


def _stop(slot: Slot) -> None:
    slot.pipe.close()
    slot.process.terminate()
    slot.process.join()


def _work(pipe: Connection, out: Path, config: PrepareConfig) -> None:
    """A worker: jobs in, progress out; ends when the parent does, however that died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides

    def tell(kind: str, value: float | str = 0.0) -> None:
        try:
            pipe.send((kind, value))
        except OSError:  # not an error of the file in hand: that would be recorded as one
            raise SystemExit from None

    tell("ready")
    try:
        detector = detector_for(config)
        while True:
            run_job(pipe.recv(), out, config, detector, lambda done: tell("tick", done))
            tell("done")
    except EOFError:
        return
    except UserError as error:
        tell("error", str(error))
    except OSError as error:
        tell("error", f"cannot write to {out}: {error}")
