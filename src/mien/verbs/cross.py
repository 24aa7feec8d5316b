"""`mien cross RECIPE --train-on A B --test-on A B --out OUT`: a model for each corpus, a score for each pair, a matrix of all.

Of a corpus its protocol says which rows are trained on and which are scored (`--fold` where there are several); shards that are
of no corpus follow ``--target`` and ``--split-column``. What can be wrong with a pair is looked at before the first is trained.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from mien.data.options import LabelledRows
from mien.errors import require
from mien.options import FLAT, Arg
from mien.recipes import FINETUNE
from mien.verbs.finetune import Supervised, begun, plan_of
from mien.verbs.recipe import RecipeVerb

if TYPE_CHECKING:
    from mien.data.manifest import Manifest
    from mien.data.shards import Shards
    from mien.scoring.label_map import LabelMap, Tables
    from mien.scoring.options import Scoring
    from mien.train.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class Cross(Supervised):
    """Train a model on each of some corpora and score each model on each of some corpora: OUT/matrix.md and matrix.csv have all
    scores, OUT/A is the run on A, OUT/A/on-B its evaluation on B."""

    HELP: ClassVar[dict[str, tuple[str, ...]]] = {
        "what is trained on what": ("--train-on", "--test-on", "--out", "--init", "--label-map", "--fold", "--target"),
        "how long and how": ("--steps", "--epochs", "--batch-size", "--optim.lr", "--frozen", "--seed", "--device"),
    }

    train_on: Annotated[tuple[Shards | Path, ...], Arg(metavar="SHARDS")]
    """Shards of one or several corpora, each of which a model is trained on."""
    test_on: Annotated[tuple[Shards | Path, ...], Arg(metavar="SHARDS")]
    """Shards on whose test part every model is scored."""
    out: Path
    """Folder of the runs, their scores and the matrix."""
    fold: str = "1"
    """Number of the fold, for corpora that have several."""
    label_map: Path | None = None
    """A table of class names for each corpus (JSON or CSV), where they differ (docs/evaluate.md)."""
    rows: Annotated[LabelledRows, FLAT] = field(default_factory=LabelledRows)
    allow_contract_mismatch: bool = False
    """Score although the crops were made in another way; it is printed beside every number."""


@dataclass(frozen=True)
class Part:
    """Shards of one corpus, and which of their rows take part."""

    shards: Shards
    name: str
    target: tuple[str, ...]
    column: str
    test: str = "test"
    group_by: str | None = None

    def rows(self, value: str) -> Manifest:
        from mien.data.select import in_split

        return in_split(self.shards.manifest, value, self.column)


def work(options: Cross, experiment: Experiment) -> Path:
    """Trains where that is not done, scores every pair, and writes ``OUT/matrix.md``, whose path it returns, and ``.csv``.

    Raises:
        UserError: what `finetune` and `evaluate` would refuse, before anything is trained.
    """
    from mien.scoring.folds import score_once
    from mien.scoring.label_map import read_tables
    from mien.scoring.render import matrix
    from mien.train.distributed import is_main, pick_device
    from mien.train.run import run

    tables = read_tables(options.label_map) if options.label_map else None
    sources, targets = (
        [part_of(place, experiment, options) for place in places] for places in (options.train_on, options.test_on)
    )
    check_names(sources, targets)
    experiment, start = begun(options, experiment)
    plans = {(a.name, b.name): pair(a, b, tables, experiment, options) for a in sources for b in targets}
    results = []
    for a in sources:
        rows, spec = replace(options.rows, split_column=a.column), replace(experiment.task.spec, target=a.target)
        model = run(
            plan_of(options, experiment.learning(spec=spec), start, a.shards, rows),
            options.out / a.name,
            options.device,
        )
        for b in targets if is_main() else ():
            results.append(options.out / a.name / f"on-{b.name}")
            scoring, table = plans[a.name, b.name]
            score_once(model, b.shards, results[-1], scoring, pick_device(options.device), table)
    if results:
        table = matrix(results)
        (options.out / "matrix.csv").write_text(table.csv())
        (options.out / "matrix.md").write_text(table.markdown())
    return options.out / "matrix.md"


def part_of(place: Shards | Path, experiment: Experiment, options: Cross) -> Part:
    """Rows by the corpus's protocol, or by the options.

    Raises:
        UserError: several protocols, or none of the recipe's kind.
    """
    from mien.corpora.record import read_record
    from mien.data.labels import asks_for
    from mien.data.shards import Shards
    from mien.scoring.evaluation import corpus_of
    from mien.scoring.protocols import PROTOCOLS, chosen_folds

    shards, spec = Shards.of(place), experiment.task.spec
    record, name = read_record(shards.root), corpus_of(shards.root)
    if record is None:
        return Part(shards, name, spec.target, options.rows.split_column)
    found = [p for p in PROTOCOLS.values() if p.corpus == record.name and (p.kind == "categorical") == spec.classes]
    found = [p for p in found if asks_for(spec, p.targets)]
    there = ", ".join(f"{p.name} (--target {' '.join(p.targets)})" for p in found) or "none of this recipe's kind"
    require(len(found) == 1, f"protocols of {shards.root} ({record.name}): {there}; one is needed")
    (protocol,) = found
    require(protocol.per == spec.per, f"{protocol.name} is per {protocol.per}, the recipe per {spec.per}: --per")
    columns = chosen_folds(protocol, options.fold if len(protocol.folds) > 1 else "1")
    require(len(columns) == 1, "--fold all: a matrix is of one fold; give its number")
    return Part(shards, name, protocol.targets, columns[0], protocol.test, protocol.group_by)


def check_names(sources: list[Part], targets: list[Part]) -> None:
    """Raises UserError where two corpora would be called alike."""
    from mien.corpora.record import read_record

    for parts, option in ((sources, "--train-on"), (targets, "--test-on")):
        names = [p.name for p in parts]
        require(len(set(names)) == len(names), f"{option}: {', '.join(names)}; each corpus once")
    for a, b in ((a, b) for a in sources for b in targets if a.name == b.name):
        same = read_record(a.shards.root) is not None or a.shards.root.resolve() == b.shards.root.resolve()
        require(same, f"{a.shards.root} and {b.shards.root} would both be called {a.name}: rename one of the folders")


def pair(
    a: Part, b: Part, tables: Tables | None, experiment: Experiment, options: Cross
) -> tuple[Scoring, LabelMap | None]:
    """How a model of `a` is scored on `b`. Raises UserError where it cannot be."""
    from mien.data.contract import check_contract
    from mien.learner import TrainingData, with_period
    from mien.scoring.options import Scoring

    spec, rows = experiment.task.spec, a.rows("train")
    clip = with_period(spec.clip, TrainingData((a.shards,), (rows,)))
    check_contract(
        replace(spec, clip=clip, contract=a.shards.contract), b.shards.contract, options.allow_contract_mismatch
    )
    if spec.classes:
        table, target = _table(a, b, tables, spec.per), b.target[0]
    else:
        table = target = None
        require(tables is None, "--label-map is for classifiers: numbers have no names to map")
        require(a.target == b.target, f"{a.name} has {', '.join(a.target)}, {b.name} {', '.join(b.target)}")
    scoring = Scoring(
        b.test, b.column, target, b.group_by, batch_size=experiment.train.batch_size,
        allow_contract_mismatch=options.allow_contract_mismatch,
    )  # fmt: skip
    return scoring, table


def _table(a: Part, b: Part, tables: Tables | None, per: str) -> LabelMap | None:
    """Classes of the model against labels of the data; None where they are the same."""
    from mien.scoring.label_map import between

    known, labels = _classes(a, "train", per), _classes(b, b.test, per)
    if set(labels) <= set(known) and (tables is None or a.name == b.name):
        return None
    unseen = ", ".join(sorted(set(labels) - set(known)))
    require(a.name != b.name, f"{a.name}: {b.column}={b.test} has {unseen}, which no clip of {a.column}=train has")
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
    from mien.corpora.record import classes_of, read_record
    from mien.data.select import class_names, labelled

    target = part.target[0]
    classes = classes_of(read_record(part.shards.root), target)
    return classes or (class_names(labelled(part.rows(value), target), target) if per == "clip" else ())


def show(path: Path) -> None:
    """The matrix."""
    from mien.train.distributed import is_main

    if is_main():
        print(path.read_text(), path, sep="\n")


VERB = RecipeVerb("cross", Cross, FINETUNE, work, show)
main, cross = VERB.main, VERB.call
