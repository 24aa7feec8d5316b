"""``corpus.json`` in a folder of shards: which corpus they hold, its classes in order, what was counted, what was odd."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mien.corpora.corpus import Listing
from mien.errors import UserError

FILE = "corpus.json"


@dataclass(frozen=True)
class CorpusRecord:
    """What `mien prepare --corpus` leaves beside the manifest.

    Args:
        name: of the corpus. options: in force.
        classes: in the published order; () without classes.
        targets: names of the dimensional targets. frame_targets: those that are columns of the shards.
        counts: "clips", "missing" (named by the official files, not there), and of `label`, `split` and each fold how many.
        problems: as printed.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    frame_targets: tuple[str, ...] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def write(self, root: Path) -> None:
        temporary = root / f"{FILE}.tmp"
        temporary.write_text(
            json.dumps(asdict(self), indent=1, ensure_ascii=False, default=str) + "\n", encoding="utf-8"
        )
        temporary.replace(root / FILE)


def read_record(root: Path | str) -> CorpusRecord | None:
    """The record of a folder of shards; None where they were not made of a corpus.

    Raises:
        UserError: a damaged file.
    """
    path = Path(root) / FILE
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        lists = {k: tuple(data[k]) for k in ("classes", "targets", "frame_targets", "problems")}
        return CorpusRecord(data["name"], data["options"], counts=data["counts"], **lists)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: {error}; run mien prepare --corpus again") from None


def classes_of(record: CorpusRecord | None, target: str) -> tuple[str, ...]:
    """A corpus's classes of a target, in their published order; () where it says none."""
    if record is None or target not in ("label", record.options.get("target"), *record.frame_targets):
        return ()
    return record.classes


def count(listing: Listing, missing: int) -> dict[str, Any]:
    """How many clips there are, in all and by label, split and part of each fold."""
    columns = sorted({k for e in listing.entries for k in e.values if k in ("label", "split") or k.startswith("fold_")})
    found: dict[str, Any] = {"clips": len(listing.entries), "missing": missing}
    for name in columns:
        found[name] = dict(Counter(str(e.values.get(name) or "none") for e in listing.entries).most_common())
    return found
