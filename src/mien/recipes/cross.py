"""Cross-corpus: a model for each corpus that is trained on, a score for each pair, a matrix of all.

Of a corpus its protocol says which rows are trained on and which are scored (`--fold` where there are several); shards that are
of no corpus follow ``--target`` and ``--split``. What can be wrong with a pair is looked at before the first is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mien.corpora.record import read_record
from mien.data.contract import check_contract
from mien.data.labels import LabelSpec
from mien.data.manifest import Manifest
from mien.data.select import class_names, in_split, labelled
from mien.data.shards import Shards
from mien.errors import require
from mien.recipes.finetune import classes_of, finetune, start_from
from mien.recipes.folds import Init, score_once
from mien.recipes.supervised import ClassifyRecipe, FinetuneData, Start, TaskRecipe
from mien.scoring.evaluation import corpus_of
from mien.scoring.label_map import LabelMap, Tables, between
from mien.scoring.options import Scoring
from mien.scoring.protocols import PROTOCOLS, Protocol, chosen_folds
from mien.scoring.render import matrix
from mien.train.distributed import is_main


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


def part_of(root: Path, recipe: TaskRecipe, data: FinetuneData, fold: str) -> Part:
    """Rows by the corpus's protocol, or by the options.

    Raises:
        UserError: several protocols, or none of the recipe's kind.
    """
    record, name = read_record(root), corpus_of(root)
    if record is None:
        return Part(Shards(root), name, data.target, data.split)
    kinds = ("categorical",) if isinstance(recipe, ClassifyRecipe) else ("dimensional", "traits")
    found = [p for p in PROTOCOLS.values() if p.corpus == record.name and p.kind in kinds]
    if data.target != FinetuneData().target:
        found = [p for p in found if p.targets == data.target]
    there = ", ".join(f"{p.name} (--target {' '.join(p.targets)})" for p in found) or "none of this recipe's kind"
    require(len(found) == 1, f"protocols of {root} ({record.name}): {there}; one is needed")
    protocol: Protocol = found[0]
    require(protocol.per == recipe.per, f"{protocol.name} is per {protocol.per}, the recipe per {recipe.per}: --per")
    split = chosen_folds(protocol, fold if len(protocol.folds) > 1 else "1")
    require(len(split) == 1, "--fold all: a matrix is of one fold; give its number")
    return Part(Shards(root), name, protocol.targets, split[0], protocol.test, protocol.group_by)


def cross(
    recipe: TaskRecipe,
    data: FinetuneData,
    train_on: Sequence[Path],
    test_on: Sequence[Path],
    out: Path,
    tables: Tables | None = None,
    fold: str = "1",
    start: Init | None = None,
    allow_mismatch: bool = False,
) -> Path:
    """Trains where that is not done, scores every pair, and writes ``OUT/matrix.md`` and ``.csv``.

    ``OUT/<A>`` is the run on A, ``OUT/<A>/on-<B>`` its evaluation on B.

    Args:
        data: --target and --split of shards that are of no corpus, --label-fraction and --select of all.
        tables: class names of each corpus to common ones; None where all have the same.

    Raises:
        UserError: what `finetune` and `evaluate` would refuse, before anything is trained.
    """
    start = start or Init()
    sources, targets = ([part_of(root, recipe, data, fold) for root in roots] for roots in (train_on, test_on))
    for parts, option in ((sources, "--train-on"), (targets, "--test-on")):
        names = [p.name for p in parts]
        require(len(set(names)) == len(names), f"{option}: {', '.join(names)}; each corpus once")
    for a, b in ((a, b) for a in sources for b in targets if a.name == b.name):
        same = read_record(a.shards.root) is not None or a.shards.root.resolve() == b.shards.root.resolve()
        require(same, f"{a.shards.root} and {b.shards.root} would both be called {a.name}: rename one of the folders")
    begin = start_from(start.init, start.encoder, start.size)
    plans = {(a.name, b.name): pair(a, b, tables, recipe, begin, allow_mismatch) for a in sources for b in targets}
    results = []
    for a in sources:
        rows = replace(data, data=a.shards.root, target=a.target, split=a.split)
        model = finetune(
            recipe, rows, out / a.name, start.init, start.encoder, start.size, start.device, start.name
        )  # fmt: skip
        for b in targets if is_main() else ():
            results.append(out / a.name / f"on-{b.name}")
            scoring, table = plans[a.name, b.name]
            scoring = replace(scoring, batch_size=recipe.train.batch_size)
            score_once(model, b.shards, results[-1], scoring, start.device, table)
    if results:
        table = matrix(results)
        (out / "matrix.csv").write_text(table.csv())
        (out / "matrix.md").write_text(table.markdown())
    return out / "matrix.md"


def pair(
    a: Part, b: Part, tables: Tables | None, recipe: TaskRecipe, begin: Start, allow_mismatch: bool
) -> tuple[Scoring, LabelMap | None]:
    """How a model of `a` is scored on `b`. Raises UserError where it cannot be."""
    spec = LabelSpec((), size=recipe.size or begin.size, contract=a.shards.contract, **begin.pixels)
    check_contract(spec, b.shards.contract, allow_mismatch)
    table = None
    if isinstance(recipe, ClassifyRecipe):
        table = _table(a, b, tables, recipe.per)
    else:
        require(tables is None, "--label-map is for classifiers: numbers have no names to map")
        require(a.target == b.target, f"{a.name} has {', '.join(a.target)}, {b.name} {', '.join(b.target)}")
    target = b.target[0] if isinstance(recipe, ClassifyRecipe) else None
    return Scoring(b.test, b.split, target, b.group_by, allow_contract_mismatch=allow_mismatch), table


def _table(a: Part, b: Part, tables: Tables | None, per: str) -> LabelMap | None:
    """Classes of the model against labels of the data; None where they are the same."""
    known, labels = _classes(a, "train", per), _classes(b, b.test, per)
    if set(labels) <= set(known) and (tables is None or a.name == b.name):
        return None
    unseen = ", ".join(sorted(set(labels) - set(known)))
    require(a.name != b.name, f"{a.name}: {b.split}={b.test} has {unseen}, which no clip of {a.split}=train has")
    require(
        tables is not None,
        f"{b.name} has the classes {', '.join(labels)}, {a.name} {', '.join(known)}: say with --label-map what is what",
    )
    require(per == "clip", "--label-map is for models per clip")
    assert tables is not None
    table = between(tables, a.name, b.name)
    table.check(set(labels), known)
    return table


def _classes(part: Part, value: str, per: str) -> tuple[str, ...]:
    classes = classes_of(read_record(part.shards.root), part.target[0])
    return classes or (class_names(labelled(part.rows(value), part.target[0]), part.target[0]) if per == "clip" else ())
