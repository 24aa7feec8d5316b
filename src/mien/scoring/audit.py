"""What could make a number on these shards mean less than it seems: the same clip, person or source video on both sides of a
split, few or short clips, poor crops.

Exact duplicates have the same bytes in the same frames. Near-duplicates look alike (`NEAR`) and move alike (`MOVES`) in
`NUM_FRAMES` frames at the same places of the clip; both are measured on the low frequencies of each frame's cosine transform,
without its mean and contrast. Looks alone would call most clips of one speaker in one studio copies. That finds re-encoded,
resized, brighter or darker copies; it finds neither mirrored ones nor parts of a clip cut elsewhere.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import simplejpeg
from PIL import Image
from scipy.fft import dctn

from mien.config import write_json
from mien.corpora.record import read_record
from mien.data.manifest import Manifest
from mien.data.select import item_of
from mien.data.shards import Clip, Shards
from mien.errors import UserError

NUM_FRAMES = 8
SIDE, LOW = 32, 8  # a frame is shrunk to 32 x 32, and 8 x 8 of its frequencies are looked at
# All measured on recorded and drawn clips (docs/audit.md).
NEAR = 0.985
"""Least cosine of what two clips look like, for a near-duplicate."""
MOVES = 0.9
"""Least correlation of how their frames differ from the clip's mean."""
STILL, STILL_NEAR = 0.02, 0.998
"""Below this length of that difference a clip is a still, which has to look more alike."""
SHOWN = 20
SHARED_COLUMNS = ("subject", "source", "video")
QUALITY = ("score", "face_px", "sharpness", "yaw")


@dataclass(frozen=True)
class Leak:
    """Something that two parts share.

    Args:
        what: "exact copy", "near-duplicate", "subject", "source" or "video".
        parts: names of the two, such as ``("fold_1=train", "fold_1=test")`` or two folders.
        names: what is shared; pairs of clips as "a = b".
    """

    what: str
    parts: tuple[str, str]
    names: tuple[str, ...]

    def __str__(self) -> str:
        words = {"exact copy": "exact copies", "near-duplicate": "near-duplicates"}.get(self.what, f"{self.what}s")
        count = f"{len(self.names)} {self.what if len(self.names) == 1 else words}"
        return f"{count} in both {self.parts[0]} and {self.parts[1]}"


def split_columns(manifest: Manifest) -> list[str]:
    """Columns that say which part a row belongs to and that are filled in."""
    names = [n for n in manifest.table.column_names if n == "split" or n.startswith("fold_")]
    return [n for n in names if any(manifest.column(n))]


def leaks(shards: Shards, column: str) -> list[Leak]:
    """What the parts of one split column share: subjects, source videos and exact copies; nothing is decoded."""
    if column not in shards.manifest.table.column_names:
        return []
    return _in_column(_Folder("", shards.manifest, fingerprints(shards)), column)


@dataclass(frozen=True)
class _Folder:
    """A folder's rows, the `fingerprints` of its clips, and the ids and signatures of those that could be decoded."""

    name: str
    manifest: Manifest
    marks: dict[str, str]
    looks: tuple[list[str], Looks] | None = None

    @classmethod
    def of(cls, path: Path, near: bool) -> _Folder:
        shards = Shards(path)
        return cls(str(path), shards.manifest, fingerprints(shards), _signed(shards) if near else None)


@dataclass(frozen=True)
class _Part:
    """Rows of a folder."""

    name: str
    rows: list[dict[str, Any]]
    folder: _Folder

    def values(self, column: str) -> set[str]:
        return {str(r[column]) for r in self.rows if r.get(column)}

    def marks(self) -> list[tuple[str, str]]:
        """(fingerprint, clip id) of the clips that have one."""
        ids = (r["clip_id"] for r in self.rows)
        return [(self.folder.marks[i], i) for i in ids if i in self.folder.marks]

    def looks(self) -> tuple[list[str], Looks]:
        """Clip ids and signatures."""
        assert self.folder.looks is not None
        ids, looks = self.folder.looks
        wanted = {r["clip_id"] for r in self.rows}
        index = [k for k, i in enumerate(ids) if i in wanted]
        return [ids[k] for k in index], looks.take(index)


def _in_column(folder: _Folder, column: str) -> list[Leak]:
    """What any two parts of a split column share."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in folder.manifest.rows():
        if row[column]:
            found[str(row[column])].append(row)
    order = {"train": 0, "val": 1, "test": 2}
    parts = [_Part(f"{column}={k}", found[k], folder) for k in sorted(found, key=lambda k: order.get(k, 3))]
    return [leak for a, b in combinations(parts, 2) for leak in _shared(a, b, SHARED_COLUMNS)]


def _shared(a: _Part, b: _Part, columns: Sequence[str]) -> Iterator[Leak]:
    names = a.name, b.name
    for column in columns:
        if both := a.values(column) & b.values(column):
            yield Leak(column, names, tuple(sorted(both)))
    seen = dict(reversed(a.marks()))  # the first clip with a mark
    exact = [f"{seen[mark]} = {i}" for mark, i in b.marks() if mark in seen]
    if exact:
        yield Leak("exact copy", names, tuple(exact))
    if a.folder.looks is None or b.folder.looks is None:
        return
    (first, looks), (second, others) = a.looks(), b.looks()
    pairs = [f"{first[i]} = {second[j]}" for i, j in near_pairs(looks, others)]
    if near := tuple(p for p in pairs if p not in set(exact)):
        yield Leak("near-duplicate", names, near)


def verdict(found: Sequence[Leak]) -> str:
    """One line: what is shared between training and test, worst first."""
    order = ("exact copy", "near-duplicate", "video", "source", "subject")
    worst = sorted(found, key=lambda leak: (order.index(leak.what), leak.parts))
    if not worst:
        return "no clip, source or subject is in two parts"
    return "; ".join(str(leak) for leak in worst[:4]) + (f"; {len(worst) - 4} more" if len(worst) > 4 else "")


def fingerprints(shards: Shards) -> dict[str, str]:
    """Clip id to a hash of the stored bytes of a few of its frames and of their number; clips that cannot be read have none."""
    found = {}
    for row, clip in _clips(shards):
        text = hashlib.sha256(str(len(clip)).encode())
        for k in _positions(len(clip)):
            text.update(clip.jpeg(k))
        found[row["clip_id"]] = text.hexdigest()
    return found


def _clips(shards: Shards) -> Iterator[tuple[dict[str, Any], Clip]]:
    for row in shards.manifest.ok().rows():
        try:
            yield row, shards.clip(row["shard"], row["row"])
        except (UserError, pa.ArrowException, OSError):
            continue


def _positions(count: int) -> list[int]:
    return [int(count * (2 * k + 1) / (2 * NUM_FRAMES)) for k in range(NUM_FRAMES)]


@dataclass(frozen=True)
class Looks:
    """Signatures of n clips: `appearance` and `motion` ``[n, D]`` of length 1, `moves` ``[n]`` the length of motion before."""

    appearance: np.ndarray
    motion: np.ndarray
    moves: np.ndarray

    def take(self, index: Sequence[int]) -> Looks:
        rows = np.asarray(index, np.int64)
        return Looks(self.appearance[rows], self.motion[rows], self.moves[rows])


def signatures(clips: Sequence[np.ndarray]) -> Looks:
    """Of frame signatures ``[n][NUM_FRAMES, LOW² - 1]``."""
    values = np.stack(clips) if len(clips) else np.zeros((0, NUM_FRAMES, LOW * LOW - 1), np.float32)
    motion = values - values.mean(axis=1, keepdims=True)
    moves = np.linalg.norm(motion, axis=(1, 2))
    flat = [v.reshape(len(values), -1).astype(np.float32) for v in (values, motion)]
    return Looks(flat[0] / np.sqrt(NUM_FRAMES), flat[1] / np.maximum(moves, 1e-9)[:, None], moves / np.sqrt(NUM_FRAMES))


def clip_signature(clip: Clip) -> np.ndarray:
    """float32 ``[NUM_FRAMES, LOW² - 1]``. Raises ValueError when a frame cannot be decoded."""
    return np.stack(
        [frame_signature(simplejpeg.decode_jpeg(clip.jpeg(k), "GRAY")[..., 0]) for k in _positions(len(clip))]
    )


def frame_signature(grey: np.ndarray) -> np.ndarray:
    """float32 ``[LOW² - 1]`` of length 1 (0 for a frame of one colour) of a grey picture ``[H, W]``."""
    small = np.asarray(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    low = np.asarray(dctn(small, norm="ortho"))[:LOW, :LOW].ravel()[1:]
    length = np.linalg.norm(low)
    return (low / length if length > 1 else np.zeros_like(low)).astype(np.float32)


def near_pairs(first: Looks, second: Looks) -> Iterator[tuple[int, int]]:
    """Indices of clips that are near-duplicates."""
    for start in range(0, len(first.moves), 1024):
        part = first.take(range(start, min(start + 1024, len(first.moves))))
        alike = part.appearance @ second.appearance.T
        still = (part.moves[:, None] < STILL) & (second.moves[None] < STILL) & (alike >= STILL_NEAR)
        for i, j in zip(*np.nonzero((alike >= NEAR) & (still | (part.motion @ second.motion.T >= MOVES))), strict=True):
            yield start + int(i), int(j)


def _signed(shards: Shards) -> tuple[list[str], Looks]:
    """Clip ids and signatures of the clips that can be decoded."""
    ids, values = [], []
    for row, clip in _clips(shards):
        try:
            values.append(clip_signature(clip))
        except ValueError:
            continue
        ids.append(row["clip_id"])
    return ids, signatures(values)


def audit(paths: Sequence[Path], near: bool = True) -> dict[str, Any]:
    """Everything about one or several folders of shards (data set first, then what was pre-trained on): what parts and folders
    share, label distribution, clip lengths, crop quality.

    Args:
        near: look for near-duplicates as well, which decodes a few frames of each clip.

    Raises:
        UserError: a folder that holds no shards.
    """
    folders = [_Folder.of(path, near) for path in paths]
    found = [leak for f in folders for column in split_columns(f.manifest) for leak in _in_column(f, column)]
    for a, b in combinations([_Part(f.name, f.manifest.rows(), f) for f in folders], 2):
        corpora = {record.name for record in (read_record(a.name), read_record(b.name)) if record}
        columns = SHARED_COLUMNS if len(corpora) < 2 else ()  # names of people and files mean nothing across corpora
        found += _shared(a, b, columns)
    return {
        "verdict": verdict(found),
        "leaks": [{**asdict(leak), "count": len(leak.names)} for leak in found],
        "near_thresholds": {"appearance": NEAR, "motion": MOVES} if near else None,
        "folders": [{"shards": f.name, **_within(f), **describe(f.manifest)} for f in folders],
    }


def _within(folder: _Folder) -> dict[str, Any]:
    """Copies in the same folder: no leak where they are in the same part, and yet worth knowing."""
    marks = folder.marks
    result: dict[str, Any] = {"exact_copies": sum(c - 1 for c in Counter(marks.values()).values())}
    if folder.looks is not None:
        ids, looks = folder.looks
        pairs = [(ids[a], ids[b]) for a, b in near_pairs(looks, looks) if a < b]
        pairs = [p for p in pairs if item_of(p[0]) != item_of(p[1]) and marks.get(p[0]) != marks.get(p[1])]
        result |= {"near_duplicates": len(pairs), "near_duplicate_pairs": [f"{a} = {b}" for a, b in pairs[:SHOWN]]}
    return result


def describe(manifest: Manifest) -> dict[str, Any]:
    """Counts, label distribution, lengths and quality of one manifest."""
    rows = manifest.rows()
    good = [r for r in rows if r["status"] == "ok"]
    parts = {c: dict(Counter(str(r[c] or "none") for r in rows)) for c in split_columns(manifest)}
    labels: dict[str, dict[str, dict[str, int]]] = {}
    for column in (parts or {"all": {}}) if "label" in manifest.table.column_names else ():
        table: dict[str, Counter[str]] = defaultdict(Counter)
        for r in rows:
            table[str(r[column] or "none") if parts else "all"][str(r["label"])] += 1
        labels[column] = {part: dict(sorted(counts.items())) for part, counts in table.items()}
    return {
        "rows": len(rows),
        "failed": len(rows) - len(good),
        "subjects": len({r["subject"] for r in rows if r["subject"]}),
        "parts": parts,
        "labels": labels,
        "frames": _spread([r["num_frames"] for r in good]),
        "seconds": _spread([(r["end_s"] or 0) - (r["start_s"] or 0) for r in good]),
        "quality": {name: _spread([r[name] for r in good if r[name] is not None]) for name in QUALITY},
    }


def _spread(values: list[float]) -> dict[str, float] | None:
    """Least, 5 %, median, 95 %, greatest; None without values."""
    known = [v for v in values if v == v]
    if not known:
        return None
    numbers = np.percentile(known, (0, 5, 50, 95, 100)).round(4).tolist()
    return dict(zip(("min", "p5", "median", "p95", "max"), numbers, strict=True))


def write_audit(result: dict[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, result)
