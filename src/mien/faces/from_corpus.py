"""A corpus to shards: its listing decides files, values, crop and times; the rest is `prepare`."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mien.contract import CropContract
from mien.corpora.annotation import write_annotation
from mien.corpora.corpus import Entry, Listing
from mien.corpora.record import CorpusRecord, count, read_record
from mien.corpora.table import options_of, read_corpus
from mien.data.manifest import COLUMNS, Manifest
from mien.errors import UserError
from mien.faces.options import PrepareConfig, PrepareOptions, check
from mien.faces.pipeline import Start, carry_out
from mien.faces.sources import Cut, Plan, source_of


@dataclass(frozen=True)
class CorpusPlan:
    """A corpus that has been read: `config` has its crop contract, `record` is what the shards will say."""

    plan: Plan
    config: PrepareConfig
    record: CorpusRecord


def plan_corpus(name: str, root: Path, wanted: PrepareOptions | None = None, options: Sequence[str] = ()) -> CorpusPlan:
    """Reads the official files; touches no frame.

    Args:
        wanted: overrules the corpus's crop, margin and frame rate of images where it has them.
        options: ``KEY=VALUE``, see docs/corpora.md.

    Raises:
        UserError: wrong root, option or file.
    """
    corpus, listing = read_corpus(name, root, options)
    config = config_of(listing, wanted or PrepareOptions())
    plan = _plan(root, listing, config)
    cuts = [c for s in plan.sources for c in s.cuts] + [c for _, c in plan.missing]
    names = tuple(sorted({n for c in cuts if c.targets is not None for n in c.targets.values}))
    config = replace(config, targets=names)
    check(config)
    record = CorpusRecord(
        name,
        options_of(corpus),
        listing.classes,
        listing.target_names,
        names,
        count(listing, len(plan.missing)),
        listing.problems,
    )
    return CorpusPlan(plan, config, record)


def prepare_corpus(
    planned: CorpusPlan, out: Path | str, workers: int | None = None, start: Start | None = None
) -> Manifest:
    """Prepares the clips of a corpus; see `pipeline.prepare`. ``out/corpus.json`` says what they are, ``out/annotation.parquet``
    holds the annotation of their frames, with a face or without.

    Raises:
        UserError: `out` holds another corpus, or the same one read with other options.
    """
    manifest = carry_out(planned.plan, Path(out), planned.config, workers, start, _claim(planned.record, Path(out)))
    cuts = [(s.name, c) for s in planned.plan.sources for c in s.cuts] + planned.plan.missing
    write_annotation(Path(out), {f"{name}{c.tag}": c.targets for name, c in cuts if c.targets is not None})
    return manifest


def config_of(listing: Listing, wanted: PrepareOptions) -> PrepareConfig:
    """The settings that the corpus implies. Its ready-made crops stay so, unless `wanted` has another crop: folders of whole
    frames may have been taken for them."""
    crop = wanted.crop or listing.crop
    contract = wanted.contract(crop)
    if crop == listing.crop == "none":
        contract = CropContract(contract.geometry, contract.store, verified=False, stand_in=listing.stand_in)
    first = listing.first_number if listing.image_times == "number" else None
    fps = wanted.image_fps or listing.image_fps
    return replace(wanted.config(contract), image_fps=fps, first_number=first)


def _plan(root: Path, listing: Listing, config: PrepareConfig) -> Plan:
    """One source for each path, with the cuts of all its entries."""
    cuts: dict[str, list[Cut]] = defaultdict(list)
    tags: set[tuple[str, str]] = set()
    for entry in listing.entries:
        cut = _cut(entry)
        if (entry.path, cut.tag) in tags:
            raise UserError(f"{root} lists {entry.path}{cut.tag} twice: keep one of the two lines")
        tags.add((entry.path, cut.tag))
        cuts[entry.path].append(cut)
    plan = Plan([], [], [], complete=True)
    for name, of_path in cuts.items():
        path = os.path.abspath(root / name)
        if os.path.exists(path):
            plan.sources.append(source_of(name, path, tuple(of_path), config))
        else:
            plan.missing += [(name, cut) for cut in of_path]
    return plan


def _cut(entry: Entry) -> Cut:
    taken = sorted(set(entry.values) & (set(COLUMNS.names) - {"subject", "split"}))
    assert not taken, f"columns that prepare writes itself: {taken}"
    return Cut(entry.start_s, entry.end_s, entry.values, None if entry.targets is None else entry.targets())


def _claim(record: CorpusRecord, out: Path) -> Callable[[], None]:
    def claim() -> None:
        have = read_record(out)
        if have is None and (out / "manifest.parquet").exists():
            raise UserError(f"--out {out} holds crops that are of no corpus: use another folder")
        if have is not None and (have.name, have.options) != (record.name, _plain(record)):
            raise UserError(
                f"--out {out} holds {have.name} read with {_words(have.options)}, this is {record.name} with "
                f"{_words(_plain(record))}: use another folder"
            )
        record.write(out)

    return claim


def _plain(record: CorpusRecord) -> dict:
    """Options as they come back from JSON."""
    return json.loads(json.dumps(asdict(record)["options"], default=str))


def _words(options) -> str:
    return ", ".join(f"{k}={v}" for k, v in options.items()) or "no options"


def problem_lines(problems: Sequence[str], limit: int = 20) -> list[str]:
    """What to print of a listing's problems."""
    more = [f"and {len(problems) - limit} more: see problems in corpus.json"] if len(problems) > limit else []
    return [*problems[:limit], *more]
