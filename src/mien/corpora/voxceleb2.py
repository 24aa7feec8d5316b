"""VoxCeleb2: a million utterances of interviews, without labels; what SVFAP and MAE-DFER are pre-trained on.

Chung, Nagrani, Zisserman 2018. Layout ``dev/mp4/id00012/21Uxsk56VDQ/00001.mp4`` (speaker, source video, utterance; 224 x 224, 25
fps, cropped around the speaker), the same below ``test/mp4``. Both papers use the patch of rows 0-159 and columns 32-191 of
every frame, which is the crop ``voxceleb2``. Certain: layout, crop, the published counts of the development part.
MAE-DFER left out 283 files that do not decode; which, differs between copies: make the list with `mien prepare`
(rows ``unreadable``) and give it as `broken`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.corpora.corpus import Entry, Listing
from mien.corpora.files import check_root, count_problems, files, folders, missing, problem, read_list, safe_path

SOURCE = "on request: https://mm.kaist.ac.kr/datasets/voxceleb (the original link is gone)"
# Utterances, source videos, speakers: https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox2.html
COUNTS = {
    "dev": {"utterances": 1_092_009, "source videos": 145_569, "speakers": 5_994},
    "test": {"utterances": 36_237, "source videos": 4_911, "speakers": 118},
}


@dataclass(frozen=True)
class VoxCeleb2:
    """VoxCeleb2 (unlabelled talking faces)."""

    part: Literal["dev", "test"] = "dev"
    """The papers pre-train on dev."""
    broken: str | None = None
    """File that lists utterances to leave out, one a line, ending in id/video/utterance, with or without .mp4."""

    def read(self, root: Path) -> Listing:
        check_root(root, "VoxCeleb2", SOURCE)
        base = next((b for b in (f"{self.part}/mp4", "mp4", self.part, "") if _speakers(root / b)), None)
        if base is None:
            raise missing(root, f"{self.part}/mp4/id00012/...", "VoxCeleb2", SOURCE)
        broken = set() if self.broken is None else _read_broken(self.broken, root)
        return listing(utterances(root / base), self.part, base, broken)


def _speakers(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return [n for n in folders(folder) if n.startswith("id") and n[2:].isdigit()]


def utterances(folder: Path) -> Iterator[str]:
    """``id00012/21Uxsk56VDQ/00001.mp4`` of every file, in order."""
    for speaker in _speakers(folder):
        for video in folders(folder / speaker):
            for name in files(folder / speaker / video, {".mp4"}):
                yield f"{speaker}/{video}/{name}"


def _read_broken(given: str, root: Path) -> set[str]:
    """``id/video/utterance`` without the ending, of each line; what follows a space (a dummy label) is ignored."""
    lines = read_list("broken", given, root)
    paths = [safe_path(line.split()[0].strip("/"), f"broken={given}") for line in lines]
    return {"/".join(p.removesuffix(".mp4").split("/")[-3:]) for p in paths}


def listing(names: Iterable[str], part: str, base: str, broken: set[str]) -> Listing:
    """Entries of the utterances `names` below the folder `base`, and what is odd about them."""
    split, entries, left_out = "train" if part == "dev" else "test", [], set()
    speakers, videos, count = set[str](), set[str](), 0
    for name in names:
        key = name.removesuffix(".mp4")
        speaker, video, _ = key.split("/")
        count += 1
        speakers.add(speaker)
        videos.add(f"{speaker}/{video}")
        if key in broken:
            left_out.add(key)
        else:
            path = f"{base}/{name}" if base else name
            entries.append(Entry(path, {"subject": speaker, "split": split, "video": video}))
    found = {"utterances": count, "source videos": len(videos), "speakers": len(speakers)}
    lines = count_problems(f"in {part}", found, COUNTS[part])
    lines += problem("listed as broken and left out", sorted(left_out))
    lines += problem("listed as broken but not there", sorted(broken - left_out))
    return Listing(entries, crop="voxceleb2", problems=tuple(lines))
