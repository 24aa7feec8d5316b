"""`mien cross RECIPE --train-on A B --test-on A B --out OUT`: a model for each corpus, a score for each pair, a matrix of all.

Of a corpus its protocol says which rows are trained on and which are scored (`--fold` where there are several); shards that are
of no corpus follow ``--target`` and ``--split-column``. What can be wrong with a pair is looked at before the first is trained.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from mien.data.options import LabelledRows
from mien.options import FLAT, Arg
from mien.options.shared import Mismatch
from mien.recipes import FINETUNE
from mien.verbs.finetune import Supervised, begun, plan_of
from mien.verbs.recipe import RecipeVerb

if TYPE_CHECKING:
    from mien.data.shards import Shards
    from mien.scoring.cross import Part
    from mien.scoring.label_map import LabelMap, Tables
    from mien.scoring.options import Scoring
    from mien.train.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class Cross(Supervised, Mismatch):
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


def work(options: Cross, experiment: Experiment) -> Path:
    """Trains where that is not done, scores every pair, and writes ``OUT/matrix.md``, whose path it returns, and ``.csv``.

    Raises:
        UserError: what `finetune` and `evaluate` would refuse, before anything is trained.
    """
    from mien.data.shards import Shards
    from mien.scoring.cross import check_names, part_of
    from mien.scoring.folds import score_once
    from mien.scoring.label_map import read_tables
    from mien.scoring.render import matrix
    from mien.train.distributed import is_main, pick_device
    from mien.train.run import run

    tables = read_tables(options.label_map) if options.label_map else None
    sources, targets = (
        [part_of(Shards.of(p), experiment.task.spec, options.rows.split_column, options.fold) for p in places]
        for places in (options.train_on, options.test_on)
    )
    check_names(sources, targets)
    experiment, start = begun(options, experiment)
    plans = {a.name: plans_of(a, targets, experiment, options, tables) for a in sources}
    results = []
    for a in sources:
        rows, spec = replace(options.rows, split_column=a.split), replace(experiment.task.spec, target=a.target)
        plan = plan_of(options, experiment.learning(spec=spec), start, a.shards, rows)
        model = run(plan, options.out / a.name, options.device)
        for b, (scoring, table) in zip(targets, plans[a.name], strict=True) if is_main() else ():
            results.append(options.out / a.name / f"on-{b.name}")
            score_once(model, b.shards, results[-1], scoring, pick_device(options.device), table)
    if results:
        matrix(results).write(options.out, "matrix", ("markdown", "csv"))
    return options.out / "matrix.md"


def plans_of(
    a: Part, targets: list[Part], experiment: Experiment, options: Cross, tables: Tables | None
) -> list[tuple[Scoring, LabelMap | None]]:
    """How a model of `a` is scored on each of the targets. Raises UserError where it cannot be."""
    from mien.learner import TrainingData, with_period
    from mien.scoring.cross import pair

    spec, allowed = experiment.task.spec, options.allow_contract_mismatch
    clip = with_period(spec.clip, TrainingData((a.shards,), (a.rows("train"),)))
    spec = replace(spec, clip=clip, contract=a.shards.contract)
    found = [pair(a, b, spec, tables, allowed) for b in targets]
    return [(replace(scoring, batch_size=experiment.train.batch_size), table) for scoring, table in found]


def show(path: Path) -> None:
    """The matrix."""
    from mien.train.distributed import is_main

    if is_main():
        print(path.read_text(), path, sep="\n")


VERB = RecipeVerb("cross", Cross, FINETUNE, work, show)
main, cross = VERB.main, VERB.function
