"""`mien benchmark PROTOCOL [RECIPE] --data SHARDS --init MODEL --out OUT`: all folds of a published benchmark, in two columns.

**paper**: trained on the whole training list, and the epoch taken that the publication took. **strict**: the best epoch on
held-out training subjects (the official validation part where there is one that is not reported on), and the test list touched
once, by those weights. Where there is such a validation part both columns come from one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from mien.data.options import LabelledRows, LabelShare
from mien.options import FLAT, Arg
from mien.recipes import FINETUNE
from mien.verbs.finetune import Supervised, begun, plan_of
from mien.verbs.recipe import RecipeVerb

if TYPE_CHECKING:
    from mien.data.shards import Shards
    from mien.models import Model
    from mien.scoring.protocols import Protocol
    from mien.train.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class Benchmark(Supervised):
    """Train, score and pool the folds of a published benchmark, in two columns: by the paper's rules, and strictly, with nothing
    chosen on test data. The protocol sets the target, the split and what is selected; without a RECIPE its usual one is taken.

    Stopped, the same command goes on; folds that are finished are not trained again.
    """

    HELP: ClassVar[dict[str, tuple[str, ...]]] = {
        "what is trained on what": ("--data", "--init", "--out", "--fold", "--single-run"),
        "how long and how": ("--steps", "--epochs", "--batch-size", "--optim.lr", "--frozen", "--seed", "--device"),
        "what the model sees": ("--size", "--num-frames", "--stride"),
    }

    data: Annotated[Shards | Path, Arg(metavar="SHARDS")]
    """Shards of the protocol's corpus (mien prepare --corpus)."""
    out: Annotated[Path, Arg(metavar="OUT")]
    """Folder of the runs, their scores and protocol.json."""
    fold: str = "all"
    """all, or the number of one."""
    single_run: bool = False
    """One run per fold for both columns: half the cost, and the paper column is then trained without the held-out subjects, which
    it says."""
    share: Annotated[LabelShare, FLAT] = field(default_factory=LabelShare)


def work(name: str, options: Benchmark, experiment: Experiment) -> Path:
    """Runs the folds that are not finished, scores them, and writes ``OUT/protocol.json``, whose path it returns.

    Raises:
        UserError: no such protocol, a recipe of another kind, shards of another corpus, what `mien finetune` refuses.
    """
    from mien.config import write_json
    from mien.data.shards import Shards
    from mien.scoring.folds import check_test_part, summary
    from mien.scoring.protocols import chosen_folds, find_protocol
    from mien.train.distributed import is_main

    protocol, shards = find_protocol(name), Shards.of(options.data)
    experiment, columns = fitting(experiment, protocol, shards), chosen_folds(protocol, options.fold)
    for column in columns:  # all of them before the first is trained
        check_test_part(protocol, shards, column)
    experiment, start = begun(options, experiment)
    for column in columns:
        _fold(options, experiment, start, shards, protocol, column)
    path = options.out / "protocol.json"
    if is_main():
        write_json(path, summary(options.out, protocol, shards))
    return path


def fitting(experiment: Experiment, protocol: Protocol, shards: Shards) -> Experiment:
    """The experiment with the protocol's targets.

    Raises:
        UserError: other targets, another kind of recipe, shards of another corpus.
    """
    from mien.corpora.record import read_record
    from mien.data.labels import asks_for
    from mien.errors import require

    spec, title = experiment.task.spec, f"protocol {protocol.name}"
    wanted = "a classifier" if protocol.classes else "a regression"
    require(spec.classes == protocol.classes, f"{title} is {wanted}: take such a recipe")
    require(protocol.per == "frame" or spec.per == "clip", f"{title} is of clips: take a recipe of clips")
    require(asks_for(spec, protocol.targets), f"{title} sets --target: leave it out")
    record = read_record(shards.root)
    same = record is None or record.name == protocol.corpus
    require(same, f"{shards.root} holds {record and record.name}, the protocol is of {protocol.corpus}")
    return experiment.learning(spec=replace(spec, target=protocol.targets, per=protocol.per))


def _fold(
    options: Benchmark, experiment: Experiment, start: Model | None, shards: Shards, protocol: Protocol, column: str
) -> None:
    """Both columns of one fold."""
    from mien.scoring.folds import COLUMNS, evaluation_of, has_validation, score_once
    from mien.scoring.options import Scoring
    from mien.train.distributed import is_main, pick_device

    place = options.out / protocol.fold_name(column)
    one = options.single_run or has_validation(protocol, shards, column)
    for kind in COLUMNS:
        model = _trained(options, experiment, start, shards, protocol, column, kind, place, one)
        # the paper column leaves frames without a face out, as the publication did
        scoring = Scoring(
            protocol.test, column, group_by=protocol.group_by, batch_size=experiment.train.batch_size,
            fill=kind == "strict",
        )  # fmt: skip
        if is_main():
            score_once(
                model, shards, evaluation_of(options.out, protocol, column, kind), scoring, pick_device(options.device)
            )


def _trained(
    options: Benchmark,
    experiment: Experiment,
    start: Model | None,
    shards: Shards,
    protocol: Protocol,
    column: str,
    kind: str,
    place: Path,
    one: bool,
) -> Model:
    """The model of one fold and column."""
    from mien.data.parts import Validation
    from mien.models import load
    from mien.train.run import run

    share = options.share.label_fraction
    if kind == "strict" or one:
        held = Validation("auto" if protocol.test != "val" else "held out", protocol.test, keep_last=one)
        rows = LabelledRows(split_column=column, select="best", label_fraction=share)
        model = run(plan_of(options, experiment, start, shards, rows, held), place / "strict", options.device)
        return model if kind == "strict" else load(place / "strict" / "last")
    reported = Validation("test", protocol.test) if protocol.published_select == "test" else None
    rows = LabelledRows(split_column=column, select="best" if reported else "last", label_fraction=share)
    return run(plan_of(options, experiment, start, shards, rows, reported), place / "paper", options.device)


def usual(words: Sequence[str]) -> str:
    """Recipe of a protocol."""
    from mien.scoring.protocols import find_protocol

    return find_protocol(words[0]).recipe


def show(path: Path) -> None:
    """Both columns of ``protocol.json``."""
    from mien.scoring.render import plain
    from mien.train.distributed import is_main

    if is_main():
        print(plain(path), path, sep="\n")


VERB = RecipeVerb("benchmark", Benchmark, FINETUNE, work, show, ("PROTOCOL",), usual)
main, benchmark = VERB.main, VERB.function
