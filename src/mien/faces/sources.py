"""What is to be prepared: files, folders, globs and the paths of a labels file, each under one name."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mien.config import digest
from mien.corpora.corpus import FrameTargets
from mien.data.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, images_in, natural_key
from mien.errors import UserError
from mien.faces.labels import LabelRow, read_labels
from mien.faces.options import PrepareConfig

Kind = Literal["video", "clip", "still"]


@dataclass(frozen=True)
class Cut:
    """A labelled stretch; None = from the beginning, to the end."""

    start_s: float | None = None
    end_s: float | None = None
    labels: Mapping[str, str | float | None] = field(default_factory=dict)
    targets: FrameTargets | None = None

    @property
    def identity(self) -> list[Any]:
        """What decides the clips that come of it."""
        return [self.start_s, self.end_s, *([] if self.targets is None else [self.targets.digest])]

    @property
    def tag(self) -> str:
        """Goes into the clip id."""
        if self.start_s is None and self.end_s is None:
            return ""
        return f"#{self.start_s or 0.0:.12g}-{'' if self.end_s is None else format(self.end_s, '.12g')}"


@dataclass(frozen=True)
class Source:
    """One file or folder of images.

    Args:
        name: what the manifest calls it.
        path: absolute.
        size: bytes. time: of the last change, nanoseconds.
    """

    name: str
    path: str
    kind: Kind
    size: int
    time: int
    cuts: tuple[Cut, ...] = (Cut(),)

    def key(self, settings: str) -> str:
        """Names the work: another file, other cuts or other settings are other work; other labels are not."""
        return digest([self.name, self.size, self.time, settings, [c.identity for c in self.cuts]])


@dataclass
class Plan:
    sources: list[Source]
    missing: list[tuple[str, Cut]]
    """Labelled files that are not there: (name, stretch)."""
    notes: list[str]
    complete: bool = False
    """The folder holds this and nothing else: what earlier runs put there beside it leaves the manifest."""


def make_plan(videos: Sequence[Path | str], labels: Path | None, config: PrepareConfig) -> Plan:
    """Raises UserError when there is nothing to do, or an input does not exist."""
    rows = read_labels(labels) if labels is not None else []
    if not videos and labels is None:
        raise UserError("nothing to prepare: give files, folders or globs, or --labels CSV with their paths")
    found = _unique_names([f for v in videos for f in _expand(str(v), config)])
    plan = Plan([], [], [])
    cuts: dict[str, list[Cut]] = defaultdict(list)
    bases = [Path(v) for v in videos if Path(v).is_dir()] + ([labels.parent] if labels is not None else [])
    outside = 0
    for row in rows:
        cut = Cut(row.start_s, row.end_s, row.values)
        path = _resolve(row, bases)
        if path is None:
            plan.missing.append((row.path, cut))
        elif str(path) in found or not videos:
            found.setdefault(str(path), row.path)
            if cut.tag in {
                c.tag for c in cuts[str(path)]
            }:  # one file under two spellings of its path, or 0 and nothing
                raise UserError(
                    f"--labels {labels}: line {row.line} labels {row.path}{cut.tag} a second time; keep one"
                )
            cuts[str(path)].append(cut)
        else:
            outside += 1
    if outside:
        plan.notes.append(f"{outside} labelled rows are of files not among the inputs: left out")
    plan.sources = [source_of(name, path, tuple(cuts.get(path, [Cut()])), config) for path, name in found.items()]
    return plan


def _resolve(row: LabelRow, bases: list[Path]) -> Path | None:
    for path in [Path(row.path)] if Path(row.path).is_absolute() else [b / row.path for b in bases]:
        if path.exists():
            return Path(os.path.abspath(path))
    return None


def source_of(name: str, path: str, cuts: tuple[Cut, ...], config: PrepareConfig) -> Source:
    place = Path(path)
    if place.is_dir():
        stats = [p.stat() for p in images_in(place)]
        return Source(
            name, path, "clip", sum(s.st_size for s in stats), max((s.st_mtime_ns for s in stats), default=0), cuts
        )
    stat = place.stat()
    still = config.frames == "stills" and place.suffix.lower() in IMAGE_SUFFIXES
    if still and any(c.tag for c in cuts):
        raise UserError(f"{name} is a picture: it has no start_s and end_s")
    return Source(name, path, "still" if still else "video", stat.st_size, stat.st_mtime_ns, cuts)


def _expand(given: str, config: PrepareConfig) -> list[tuple[str, str, str]]:
    """(name, absolute path, folder it came from) for one input."""
    path = Path(given)
    if path.is_dir():
        found = [(_below(p, path), os.path.abspath(p), given) for p in _in_folder(path, config)]
        if not found:
            raise UserError(_nothing_in(given, path, config))
        return found
    if path.exists():
        return [(given, os.path.abspath(given), "")]
    matches = sorted(glob.glob(given, recursive=True))
    if not matches:
        raise UserError(f"{given}: no such file or folder, and no file matches it")
    return [f for m in matches for f in ([(m, os.path.abspath(m), "")] if not Path(m).is_dir() else _expand(m, config))]


def _below(path: Path, folder: Path) -> str:
    """A folder of images given by itself goes by its own name."""
    return str(path.relative_to(folder)) if path != folder else path.resolve().name


def _in_folder(folder: Path, config: PrepareConfig) -> list[Path]:
    """Videos below a folder, and its images as `--frames` says, in natural order."""
    suffixes = VIDEO_SUFFIXES | (IMAGE_SUFFIXES if config.frames == "stills" else set())
    found = []
    for root, folders, files in os.walk(folder):
        folders.sort(key=lambda n: natural_key(Path(n)))
        kept = [Path(root, f) for f in files if Path(f).suffix.lower() in suffixes and not f.startswith(".")]
        found += sorted(kept, key=natural_key)
        if config.frames == "clip" and any(Path(f).suffix.lower() in IMAGE_SUFFIXES for f in files):
            found.append(Path(root))
    return found


def _nothing_in(given: str, path: Path, config: PrepareConfig) -> str:
    images = config.frames is None and any(p.suffix.lower() in IMAGE_SUFFIXES for p in path.rglob("*"))
    if images:
        return (
            f"{given} holds images and no videos: say --frames clip (each folder of images is a clip) "
            "or --frames stills (each image by itself)"
        )
    return f"{given} holds no videos; looked for {' '.join(sorted(VIDEO_SUFFIXES))}"


def _unique_names(found: list[tuple[str, str, str]]) -> dict[str, str]:
    """absolute path -> name; a name that two folders share takes its folder in front."""
    paths: dict[str, set[str]] = defaultdict(set)
    for name, path, _ in found:
        paths[name].add(path)
    return {p: name if len(paths[name]) == 1 else os.path.join(folder, name) for name, p, folder in found}
