"""`mien finetune RECIPE --data SHARDS --init MODEL --out RUN`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from mien.data.options import LabelledRows
from mien.errors import require
from mien.movements.options import ENCODER, MovementOptions
from mien.options import FLAT, Arg
from mien.options.shared import Personality
from mien.recipes import FINETUNE, PRETRAIN
from mien.verbs.recipe import RecipeVerb, Training, show_model

if TYPE_CHECKING:
    from mien.data.manifest import Manifest
    from mien.data.parts import Validation
    from mien.data.shards import Shards
    from mien.models import Model
    from mien.train.experiment import Experiment
    from mien.train.run import Plan

SCRATCH_SIZE = 96
"""Pixels of a model from scratch whose recipe names none."""


@dataclass(frozen=True, kw_only=True)
class Supervised(Training, Personality):
    """What runs with labels have besides."""

    encoder: Annotated[str | None, Arg(metavar="RECIPE")] = None
    """Without --init: which encoder a model from scratch has: movements (of shards prepared with --movements), or that of a
    pre-training recipe. By default a small one that suits the task."""
    movements: Annotated[MovementOptions, FLAT] = field(default_factory=MovementOptions)


@dataclass(frozen=True, kw_only=True)
class Finetune(Supervised):
    """Train a classifier or a regressor on labelled shards. Without --init it starts from random weights."""

    HELP: ClassVar[dict[str, tuple[str, ...]]] = {
        "what is trained on what": ("--data", "--target", "--init", "--out", "--split-column", "--label-fraction", "--folds"),
        "how long and how": (
            "--steps", "--epochs", "--batch-size", "--optim.lr", "--frozen", "--select", "--seed", "--device",
        ),
        "what the model sees": ("--encoder", "--size", "--num-frames", "--stride", "--features", "--pooling", "--per-person"),
    }  # fmt: skip

    data: Annotated[Shards | Path, Arg(metavar="SHARDS")]
    """Shards written by mien prepare, with labels or of a corpus."""
    out: Annotated[Path, Arg(metavar="RUN")]
    """Folder of the run; the model is in its model/."""
    rows: Annotated[LabelledRows, FLAT] = field(default_factory=LabelledRows)


def work(options: Finetune, experiment: Experiment) -> Model:
    """Trains on the labelled rows of shards; a run that was finished before is left as it is.

    Raises:
        UserError: bad shards, columns, splits or weights; another run in `out`.
    """
    from mien.data.shards import Shards
    from mien.scoring.subjects import check_people
    from mien.train.run import run

    experiment, start = begun(options, experiment)
    folds, shards = options.rows.folds, Shards.of(options.data)
    require(
        not folds or experiment.task.solved,
        "--folds subject is for --encoder movements; mien benchmark trains the others by fold",
    )
    plan = plan_of(options, experiment, start, shards, options.rows)
    if folds:
        check_people(plan.data.manifest)
    model = run(plan, options.out, options.device)
    if folds:
        by_subject(options, experiment, plan)
    return model


def by_subject(options: Finetune, experiment: Experiment, plan: Plan) -> None:
    """Scores each person by a model of the others, prints and writes it; what was written before is printed."""
    import json

    from mien.scoring.scores import Scores
    from mien.scoring.subjects import score_subjects
    from mien.train.distributed import is_main
    from mien.verbs.evaluate import show

    if not is_main():
        return
    path = options.out / "folds" / "evaluation.json"
    if path.is_file():
        scores = Scores(json.loads(path.read_text()))
    else:
        scores = score_subjects(experiment.task, plan.data, options.rows.split_column, path.parent)
    show(scores)


def begun(options: Supervised, experiment: Experiment) -> tuple[Experiment, Model | None]:
    """The experiment with the encoder it starts from, and the model that has the encoder's weights.

    Raises:
        UserError: no such model or recipe.
    """
    from mien.models import load
    from mien.recipes import recipe
    from mien.tasks.movements import MovementsConfig
    from mien.transforms.clip import ClipSpec

    learner = experiment.task
    require(not (options.init and options.encoder), "--encoder is for training without --init, which brings its own")
    named = options.init == ENCODER and not Path(ENCODER).exists()
    require(
        not named, f"--init {ENCODER}: movements are no weights to start from; to learn from them: --encoder {ENCODER}"
    )
    plain = options.encoder == ENCODER or options.movements == MovementOptions()
    require(plain, f"--features, --pooling, --axes, --velocities and --per-person go with --encoder {ENCODER}")
    if options.encoder == ENCODER:
        return replace(experiment, learner=MovementsConfig.instead_of(learner, options.movements)), None
    if options.init:
        start = load(options.init)
        reads = isinstance(start.config, MovementsConfig)
        instead = f"--encoder {ENCODER} in place of --init"
        require(not reads, f"{start.path} reads movements, it has no encoder to start from: {instead}")
        return replace(experiment, learner=learner.begun(start.config.encoder, start.config.sees)), start
    if options.encoder:
        other = recipe(options.encoder, PRETRAIN).learner
        return replace(experiment, learner=learner.begun(other.encoder, other.sees)), None
    seen = ClipSpec.usual(learner.encoder.channels, SCRATCH_SIZE)
    return replace(experiment, learner=learner.begun(learner.encoder, seen)), None


def plan_of(
    options: Supervised,
    experiment: Experiment,
    start: Model | None,
    shards: Shards,
    rows: LabelledRows,
    validate: Validation | None = None,
) -> Plan:
    """The run on the rows that `rows` name.

    Args:
        experiment: `begun`.
        validate: what ``select="best"`` looks at.

    Raises:
        UserError: shards that cannot serve the model, labels it cannot learn.
    """
    from mien.corpora.record import classes_of, read_record
    from mien.data.contract import check_finetuning
    from mien.data.labels import refuse_personality
    from mien.data.parts import Validation, labelled_rows
    from mien.learner import TrainingData, with_period
    from mien.scoring.table import KINDS
    from mien.train.run import Plan, origin_after

    validate, record, learner = validate or Validation(), read_record(shards.root), experiment.task
    seed, spec = experiment.train.seed, learner.spec
    train, validation = labelled_rows(shards, spec, rows, seed, validate)
    data = TrainingData((shards,), (train,), seed, origin_after(start, [train]), classes_of(record, spec.column))
    if learner.encoder is not None:
        learner.sees.check(learner.encoder)
        check_finetuning(replace(spec, clip=with_period(spec.clip, data), contract=shards.contract), shards)
    learner = learner.fitted(data)
    refuse_personality("--target", learner.spec, options.allow_personality)
    if validation:
        learner.targets(validation)  # a class without training clips is found here
    say_contracts(start, shards)
    best = validation is not None
    settings = (
        validation if validate.on != "test" else None
    )  # a publication's epoch, but nobody's penalty, comes from its test
    return Plan(
        replace(experiment, learner=learner), data, facts_of(data, rows, start, record, validate), start,
        looks=Looks(shards, validation), keep_best=KINDS[learner.spec.kind].chosen_by(learner.spec) if best else None,
        keep_last=validate.keep_last, split=rows.split_column, validation=settings,
    )  # fmt: skip


def facts_of(data: Any, rows: LabelledRows, start: Model | None, record: Any, validate: Validation) -> dict[str, Any]:
    """What names the data of a run."""
    shards = data.shards[0]
    return {
        "shards": str(shards.root), "hash": shards.hash, "clips": len(data.manifest), "split": rows.split_column,
        "label_fraction": rows.label_fraction, "select": rows.select, "init": start.hash if start else "",
        **({"corpus": record.name} if record else {}),
        **({"folds": rows.folds} if rows.folds else {}),
        **({"selected_on": validate.on, "keep_last": validate.keep_last} if validate != type(validate)() else {}),
    }  # fmt: skip


@dataclass(frozen=True)
class Looks:
    """Scores on held-out training subjects."""

    shards: Shards
    rows: Manifest | None

    def __call__(self, learner: Any, where: Any, batch_size: int) -> list[Any]:
        from mien.scoring.inference import Inference
        from mien.scoring.table import KINDS

        how, rows = Inference(batch_size, where.device), self.rows
        kind = KINDS[learner.spec.kind]
        return [lambda model: kind.validate(model, self.shards, rows, how)] if rows else []


def say_contracts(start: Model | None, shards: Shards) -> None:
    """Fine-tuning across crop geometries is allowed; it is said, and recorded in the model."""
    from mien.console import console
    from mien.data.contract import is_known

    before = start.provenance.contracts if start else ()
    if not is_known(before, shards):
        crops = ", ".join(c.describe() for c in before)
        note = f"note: pre-trained on crops {crops}; fine-tuned on {shards.contract.describe()}"
        console(errors=True).print(note, soft_wrap=True)


VERB = RecipeVerb("finetune", Finetune, FINETUNE, work, show_model)
main, finetune = VERB.main, VERB.function
