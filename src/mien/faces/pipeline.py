"""Raw video to shards, resumable: what is finished stays finished, however the last run ended."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mien.contract import CropContract
from mien.data.manifest import Manifest
from mien.data.shards import read_contract, write_contract
from mien.errors import UserError, require
from mien.faces.faces import detector_for
from mien.faces.job import make_jobs, read_parts, settings_of, sweep
from mien.faces.labels import label_columns
from mien.faces.landmarks import landmarker_for
from mien.faces.mesh import landmarker_file
from mien.faces.options import PrepareConfig, check
from mien.faces.pack import failure_row
from mien.faces.pool import run_jobs
from mien.faces.sources import Plan, make_plan
from mien.options.shared import usable_cores


@dataclass(frozen=True)
class Begun:
    """What a run is about to do."""

    num_sources: int
    num_finished: int
    """By earlier runs."""
    num_bytes: int
    """Input still to be read."""
    notes: tuple[str, ...] = ()


Start = Callable[[Begun], Callable[[float], None]]
"""Told what begins; returns what is told each number of bytes done."""


def prepare(
    videos: Sequence[Path | str],
    out: Path | str,
    config: PrepareConfig | None = None,
    labels: Path | str | None = None,
    workers: int | None = None,
    start: Start | None = None,
) -> Manifest:
    """Finds, tracks, aligns and crops the faces of `videos` and packs them into ``out``.

    Started again with the same arguments it goes on where it stopped. A file that cannot be used is a row of the manifest
    with status and reason. Further videos may be added to a folder later, under the same contract.

    Args:
        videos: files, folders (searched through) and globs; empty = the paths of `labels`.
        labels: CSV, see `prepare.labels`.
        workers: processes (started by spawn: a script that calls this needs ``if __name__ == "__main__"``); None = one per
            core; 0 = none besides this one.
        start: for a progress bar.

    Raises:
        UserError: bad input or settings; `out` holds crops of another contract, or is being written.
    """
    config = config or PrepareConfig()
    check(config)
    plan = make_plan(videos, None if labels is None else Path(labels), config)
    return carry_out(plan, Path(out), config, workers, start)


def carry_out(
    plan: Plan,
    out: Path,
    config: PrepareConfig,
    workers: int | None = None,
    start: Start | None = None,
    claimed: Callable[[], None] | None = None,
) -> Manifest:
    """`prepare` for a plan that is made.

    Args:
        claimed: called when the folder is ours and nothing is written yet; may refuse it.
    """
    require(workers is None or workers >= 0, f"--workers {workers}: give 0 (this process alone) or more")
    detector_for(config)  # a wrong boxes file is found here, not in a worker
    landmarker_for(config.contract)  # and its weights are downloaded once
    if config.contract.store.movements:
        landmarker_file()
    with writing(out):
        claim(out, config.contract)
        if claimed is not None:
            claimed()
        sweep(out)
        settings = settings_of(config)
        finished = current_keys(read_parts(out), plan)
        todo = [s for s in plan.sources if s.key(settings) not in finished]
        workers = usable_cores() if workers is None else workers
        jobs = make_jobs(todo, settings, workers)
        num_finished = len(plan.sources) - len(todo)
        begun = Begun(len(plan.sources), num_finished, sum(j.size for j in jobs), tuple(plan.notes))
        tick = (start or silent)(begun)
        if jobs:
            run_jobs(jobs, out, config, workers, tick)
        return assemble(out, plan, settings)


def silent(begun: Begun) -> Callable[[float], None]:
    return lambda done: None


@contextlib.contextmanager
def writing(out: Path):
    """Holds the folder's lock; the system lets go of it when the process ends, however it ends."""
    try:
        for folder in ("shards", "parts"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("w")
    except OSError as error:
        raise UserError(f"--out {out}: cannot write there ({error.strerror})") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"--out {out}: another mien prepare is writing there; wait for it or stop it") from None
        yield


def claim(out: Path, contract: CropContract) -> None:
    """Makes the folder one of this contract, or refuses."""
    if not (out / "contract.json").exists():
        write_contract(out, contract)
        return
    have = read_contract(out)
    if have != contract:
        raise UserError(
            f"--out {out} holds crops made in another way: {differences(have, contract)}. "
            "Use the same options, or another folder"
        )


def differences(have: CropContract, want: CropContract) -> str:
    pairs = []
    for part in ("geometry", "store"):
        a, b = asdict(getattr(have, part)), asdict(getattr(want, part))
        pairs += [f"{k} is {a[k]!r} there and {b[k]!r} here" for k in a if a[k] != b[k]]
    if have.stand_in != want.stand_in:
        pairs.append("they are ready-made crops of another kind (raw video would be cropped in another way)")
    return ", ".join(pairs) or "one is verified, the other assumed"


def current_keys(parts: dict[str, list[dict[str, Any]]], plan: Plan) -> set[str]:
    """Keys of finished work.

    Raises:
        UserError: a name now stands for another file while the old one is still there: two folders prepared into one.
    """
    paths = {s.name: s.path for s in plan.sources}
    keys = set()
    for row in (r for rows in parts.values() for r in rows):
        if row["status"] != "unreadable":  # tried again: permissions, memory or the disk may be better now
            keys.add(row["key"])
        now = paths.get(row["source"], row["path"])
        if now != row["path"] and Path(row["path"]).exists():
            raise UserError(
                f"{row['source']} was {row['path']} and is now {now}: prepare the two into different folders, "
                "or give a folder that holds both"
            )
    return keys


def assemble(out: Path, plan: Plan, settings: str) -> Manifest:
    """The manifest of everything finished in the folder, with the labels as they are now; old versions are deleted."""
    wanted = {s.name: s.key(settings) for s in plan.sources}
    parts = read_parts(out)
    latest = {row["source"]: row["key"] for rows in parts.values() for row in rows}
    if not plan.complete:
        wanted |= {name: latest[name] for name in sorted(latest) if name not in wanted}
    chosen: dict[str, list[dict[str, Any]]] = {}
    stale = []
    for stem, rows in parts.items():
        kept = [r for r in rows if wanted.get(r["source"]) == r["key"]]
        by_source: dict[str, list[dict[str, Any]]] = {}
        for row in kept:
            by_source.setdefault(row["source"], []).append(row)
        chosen |= by_source
        if not kept:
            stale.append(stem)
    rows = [row for name in wanted for row in chosen.get(name, [])]
    rows += [failure_row(name, cut, "unreadable", "file not found") for name, cut in plan.missing]
    manifest = Manifest.from_rows(with_labels(rows, plan, out))
    manifest.write(out)
    for stem in stale:  # only now: until here the manifest on the disk named them
        (out / "parts" / f"{stem}.parquet").unlink()
        (out / "shards" / f"{stem}.arrow").unlink(missing_ok=True)
    return manifest


def with_labels(rows: list[dict[str, Any]], plan: Plan, out: Path) -> list[dict[str, Any]]:
    """Rows with their label columns: those of this run's labels file, else (files of earlier runs) as they were."""
    now = {(s.name, c.tag): c.labels for s in plan.sources for c in s.cuts}
    now |= {(name, c.tag): c.labels for name, c in plan.missing}
    before: dict[str, Mapping[str, str | float | None]] = {}
    if (out / "manifest.parquet").exists():
        old = Manifest.read(out)
        columns = [*old.labels, "subject", "split"]
        before = {r["clip_id"]: {c: None if r[c] is None else str(r[c]) for c in columns} for r in old.rows()}
    values = [now.get((r["source"], r["cut"]), before.get(r["clip_id"], {})) for r in rows]
    inner = ("key", "path", "cut")
    clean = [{k: v for k, v in r.items() if k not in inner} for r in rows]
    return [row | labels for row, labels in zip(clean, label_columns(values), strict=True)]
