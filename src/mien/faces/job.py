"""Jobs: groups of sources that finish together, and what is on disk of them.

A job writes ``shards/<stem>.arrow`` and then ``parts/<stem>.parquet``, each under its final name only when complete. The part
lists what is finished; a shard without a part is a torn job and is removed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mien.config import digest
from mien.data.frame import VideoError
from mien.data.manifest import Manifest
from mien.data.shards import ShardWriter
from mien.errors import UserError
from mien.faces.options import PrepareConfig
from mien.faces.pack import Detector, Packer, failure
from mien.faces.sources import Source

MAX_FILES, MAX_STILLS, MAX_BYTES = 64, 1024, 256 << 20
STILLS_AT_ONCE = 16
# Jobs per worker at least, so that all stay busy to the end and little is lost when the machine stops.
JOBS_PER_WORKER = 4


@dataclass(frozen=True)
class Job:
    sources: tuple[Source, ...]
    settings: str
    """Digest of the settings that are not in the contract."""

    @property
    def stem(self) -> str:
        return digest([s.key(self.settings) for s in self.sources])

    @property
    def size(self) -> int:
        return sum(s.size for s in self.sources)


def make_jobs(sources: Sequence[Source], settings: str, workers: int) -> list[Job]:
    """Groups in order, small enough for the limits and for `JOBS_PER_WORKER`."""
    share = max(1, len(sources) // (JOBS_PER_WORKER * max(workers, 1)))
    groups: list[list[Source]] = []
    size = 0
    for source in sources:
        limit = min(share, MAX_STILLS if source.kind == "still" else MAX_FILES)
        if not groups or len(groups[-1]) >= limit or size + source.size > MAX_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(source)
        size += source.size
    return [Job(tuple(g), settings) for g in groups]


def run_job(
    job: Job, out: Path, config: PrepareConfig, detector: Detector, tick: Callable[[float], None] = lambda n: None
) -> None:
    """Prepares the sources of a job. A source that fails is a row with the reason.

    Args:
        tick: told the bytes of input done so far.
    """
    shard = out / "shards" / f"{job.stem}.arrow"
    rows: list[dict[str, Any]] = []
    with ShardWriter(shard, config.targets, config.contract.store.movements) as writer:
        packer, done = Packer(config, detector, writer), 0
        for group in _groups(job.sources):
            size = sum(s.size for s in group)

            def forward(share: float, done: int = done, size: int = size) -> None:
                tick(done + share * size)

            for source, found in _pack(packer, group, forward):
                rows += [{**row, "key": source.key(job.settings), "path": source.path} for row in found]
            done += size
            tick(done)
    if writer.num_rows == 0:
        shard.unlink()
    write_part(out, job.stem, rows)


def _groups(sources: Sequence[Source]) -> list[list[Source]]:
    """Videos one by one, stills in batches."""
    groups: list[list[Source]] = []
    for source in sources:
        batch = source.kind == "still" and groups and groups[-1][0].kind == "still"
        if batch and len(groups[-1]) < STILLS_AT_ONCE:
            groups[-1].append(source)
        else:
            groups.append([source])
    return groups


def _pack(packer: Packer, group: list[Source], tick: Callable[[float], None]):
    """(source, manifest rows) of each, whatever its file does to the libraries below."""
    try:
        if group[0].kind == "still":
            found = packer.stills(group, tick)
            return [(s, found[s.name]) for s in group]
        return [(group[0], packer.video(group[0], tick))]
    except UserError:
        raise
    except VideoError as error:
        reason, status = error.reason, error.status
    except Exception as error:  # one strange file must not end a run over thousands
        if len(group) > 1:
            return [result for s in group for result in _pack(packer, [s], tick)]
        reason, status = f"{type(error).__name__}: {error}", "unreadable"
    return [(s, [failure(s, c, status, reason) for c in s.cuts]) for s in group]


DIED = "the process that read it died"


def died(job: Job, out: Path, how: str) -> None:
    """Records the sources of a job whose process did not survive them; the next run tries them again."""
    rows, reason = [], f"{DIED} ({how})"
    for s in job.sources:
        found = [failure(s, c, "unreadable", reason) for c in s.cuts]
        rows += [{**row, "key": s.key(job.settings), "path": s.path} for row in found]
    write_part(out, job.stem, rows)


def write_part(out: Path, stem: str, rows: list[dict[str, Any]]) -> None:
    path = out / "parts" / f"{stem}.parquet"
    temporary = path.with_suffix(".tmp")
    pq.write_table(Manifest.from_rows(rows).table, temporary)
    temporary.replace(path)


def read_parts(out: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows by stem, oldest part first."""
    paths = sorted((out / "parts").glob("*.parquet"), key=lambda p: p.stat().st_mtime_ns)
    return {p.stem: pq.read_table(p).to_pylist() for p in paths}


def sweep(out: Path) -> None:
    """Removes what a killed run left half done."""
    for path in [*(out / "shards").glob("*.tmp"), *(out / "parts").glob("*.tmp")]:
        path.unlink(missing_ok=True)
    for shard in (out / "shards").glob("*.arrow"):
        if not (out / "parts" / f"{shard.stem}.parquet").exists():
            shard.unlink(missing_ok=True)


def settings_of(config: PrepareConfig) -> str:
    """Digest of everything besides the contract that changes what comes out."""
    parts = [config.every_s, config.detect_side, config.min_score, config.min_face, config.gap_s, config.fps_of_images]
    boxes = Path(config.boxes).read_text(errors="replace") if config.boxes and Path(config.boxes).is_file() else None
    corpus = [config.first_number, config.targets] if config.first_number is not None or config.targets else []
    return digest(json.dumps([*parts, config.audio, boxes, *corpus]))
