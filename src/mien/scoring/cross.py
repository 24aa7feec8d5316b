"""Cross-corpus: how a model of one corpus is scored on another, found out before it is trained.

Of a corpus its protocol says which rows are trained on and which are scored (`--fold` where there are several); shards that are
of no corpus follow ``--target`` and ``--split-column``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mien.corpora.record import classes_of, read_record
from mien.data.contract import check_contract
from mien.data.labels import LabelSpec, asks_for
from mien.data.manifest import Manifest
from mien.data.select import class_names, in_split, labelled
from mien.data.shards import Shards
from mien.errors import require
from mien.scoring.evaluation import corpus_of
from mien.scoring.label_map import LabelMap, Tables, between
from mien.scoring.options import Scoring
from mien.scoring.protocols import PROTOCOLS, chosen_folds


@dataclass(frozen=True)
class Part:
    """Shards of one corpus, and which of their rows take part."""

    shards: Shards
    name: str
    target: tuple[str, ...]
    split: str
    test: str = "test"
    group_by: str | None = None

    def rows(self, value: str) -> Manifest:
        return in_split(self.shards.manifest, value, self.split)

    def classes(self, value: str, per: str) -> tuple[str, ...]:
        """Of the corpus, or of the clips of a part of the rows."""
        target = self.target[0]
        known = classes_of(read_record(self.shards.root), target)
        return known or (class_names(labelled(self.rows(value), target), target) if per == "clip" else ())


def part_of(shards: Shards, spec: LabelSpec, split_column: str, fold: str = "1") -> Part:
    """Rows by the corpus's protocol for models of this spec, or by the options.

    Args:
        spec: its target is that of shards of no corpus; where it names one, it chooses between protocols.

    Raises:
        UserError: several protocols, or none of the recipe's kind.
    """
    root, per = shards.root, spec.per
    record, name = read_record(root), corpus_of(root)
    if record is None:
        return Part(shards, name, spec.target, split_column)
    found = [p for p in PROTOCOLS.values() if p.corpus == record.name and p.classes == spec.classes]
    found = [p for p in found if asks_for(spec, p.targets)]
    there = ", ".join(f"{p.name} (--target {' '.join(p.targets)})" for p in found) or "none of this recipe's kind"
    require(len(found) == 1, f"protocols of {root} ({record.name}): {there}; one is needed")
    (protocol,) = found
    require(protocol.per == per, f"{protocol.name} is per {protocol.per}, the recipe per {per}: --per")
    folds = chosen_folds(protocol, fold if len(protocol.folds) > 1 else "1")
    require(len(folds) == 1, "--fold all: a matrix is of one fold; give its number")
    return Part(shards, name, protocol.targets, folds[0], protocol.test, protocol.group_by)


def check_names(sources: Sequence[Part], targets: Sequence[Part]) -> None:
    """Raises UserError where two corpora would have one name."""
    for parts, option in ((sources, "--train-on"), (targets, "--test-on")):
        names = [p.name for p in parts]
        require(len(set(names)) == len(names), f"{option}: {', '.join(names)}; each corpus once")
    for a, b in ((a.shards, b.shards) for a in sources for b in targets if a.name == b.name):
        same = read_record(a.root) is not None or a.root.resolve() == b.root.resolve()
        require(same, f"{a.root} and {b.root} would both be called {corpus_of(a.root)}: rename one of the folders")


def pair(
    a: Part, b: Part, spec: LabelSpec, tables: Tables | None, allow_mismatch: bool = False
) -> tuple[Scoring, LabelMap | None]:
    """How a model of `a`, of this kind and for such crops, is scored on `b`. Raises UserError where it cannot be."""
    check_contract(spec, b.shards.contract, allow_mismatch)
    table, target = None, None
    if spec.classes:
        table, target = _label_map(a, b, tables, spec.per), b.target[0]
    else:
        require(tables is None, "--label-map is for classifiers: numbers have no names to map")
        require(a.target == b.target, f"{a.name} has {', '.join(a.target)}, {b.name} {', '.join(b.target)}")
    return Scoring(b.test, b.split, target, b.group_by, allow_contract_mismatch=allow_mismatch), table


def _label_map(a: Part, b: Part, tables: Tables | None, per: str) -> LabelMap | None:
    """Classes of the model against labels of the data; None where they are the same."""
    known, labels = a.classes("train", per), b.classes(b.test, per)
    if set(labels) <= set(known) and (tables is None or a.name == b.name):
        return None
    unseen = ", ".join(sorted(set(labels) - set(known)))
    require(a.name != b.name, f"{a.name}: {b.split}={b.test} has {unseen}, which no clip of {a.split}=train has")
    have = f"{b.name} has the classes {', '.join(labels)}, {a.name} {', '.join(known)}"
    require(tables is not None, f"{have}: say with --label-map what is what")
    require(per == "clip", "--label-map is for models per clip")
    assert tables is not None
    table = between(tables, a.name, b.name)
    table.check(set(labels), known)
    return table
