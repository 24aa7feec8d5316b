"""LRS3-TED: spoken sentences from talks, without affect labels; what SS-VAERR is pre-trained on.

Afouras, Chung, Zisserman 2018. Layout ``{pretrain,trainval,test}/<talk>/00001.mp4`` with a transcript ``00001.txt`` beside, which
is not read. The licence forbids derivatives: shards made of it must not be given away. Certain: layout. Counts are the paper's;
later editions removed talks. SS-VAERR says "LRS3" and not which parts: all by default, `parts` says otherwise.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mien.corpora.corpus import Entry, Listing
from mien.corpora.files import across, check_root, chosen, count_problems, files, folders, missing, problem

SOURCE = "on request: https://mmai.io/datasets/lip_reading (LRS3-TED)"
# Utterances: arXiv 1809.00496, Table 1.
COUNTS = {"pretrain": 118_516, "trainval": 31_982, "test": 1_321}


@dataclass(frozen=True)
class LRS3:
    """LRS3-TED (unlabelled talking faces)."""

    parts: str = "pretrain,trainval,test"
    """Folders to take; test becomes the split test, the others train."""

    def read(self, root: Path) -> Listing:
        check_root(root, "LRS3", SOURCE)
        parts = chosen("parts", self.parts, COUNTS)
        there = [p for p in parts if (root / p).is_dir()]
        if not there:
            raise missing(root, " or ".join(f"{p}/<talk>/00001.mp4" for p in parts), "LRS3", SOURCE)
        talks = {part: folders(root / part) for part in there}
        entries = [e for part in there for e in _entries(root, part, talks[part])]
        found = Counter(e.path.split("/")[0] for e in entries)
        lines = problem("parts missing", [p for p in parts if p not in there])
        lines += count_problems("utterances", found, {p: COUNTS[p] for p in there})
        # pretrain and trainval share talks by design; both are training data
        train = {t for part in there if part != "test" for t in talks[part]}
        lines += across({"train": train, "test": talks.get("test", [])}, "talks")
        return Listing(entries, crop="face", problems=tuple(lines))


def _entries(root: Path, part: str, talks: list[str]) -> list[Entry]:
    """A talk has one speaker as a rule, so it is the subject."""
    split = "test" if part == "test" else "train"
    values = [(talk, {"subject": talk, "split": split}) for talk in talks]
    return [Entry(f"{part}/{t}/{name}", v) for t, v in values for name in files(root / part / t, {".mp4"})]
