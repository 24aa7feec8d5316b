"""`mien pretrain RECIPE --data SHARDS --out RUN`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from mien.data.options import Parts
from mien.options import Arg
from mien.recipes import PRETRAIN
from mien.verbs.recipe import RecipeVerb, Training, show_model

if TYPE_CHECKING:
    from mien.data.parts import Rows
    from mien.data.shards import Shards
    from mien.learner import TrainingData
    from mien.models import Model
    from mien.train.experiment import Experiment
    from mien.train.run import Plan


@dataclass(frozen=True, kw_only=True)
class Pretrain(Training, Parts):
    """Self-supervised training on prepared shards, without labels. Clips of the split "test" are never trained on. --init of a
    model of the same method and shapes goes on with all of it, else its encoder is taken.

    Stopped or killed, the same command goes on. Started by torchrun it runs on several processes.
    """

    HELP: ClassVar[dict[str, tuple[str, ...]]] = {
        "what is trained on what": ("--data", "--out", "--init"),
        "how long and how": ("--steps", "--epochs", "--batch-size", "--optim.lr", "--seed", "--device"),
        "what the model sees": ("--size", "--num-frames", "--stride", "--mask-ratio"),
    }

    data: Annotated[tuple[Shards | Path, ...], Arg(metavar="SHARDS")]
    """One or several folders written by mien prepare."""
    out: Annotated[Path, Arg(metavar="RUN")]
    """Folder of the run: checkpoints, metrics.jsonl, tensorboard, and at the end model/."""
    data_fraction: float = 1.0
    """Share of the training clips that is used, drawn by the seed. With --steps every share costs the same."""
    by_length: bool = False
    """Draw clips in proportion to their frames: for methods on single frames, where stills stand beside long tracks."""


def work(options: Pretrain, experiment: Experiment) -> Model:
    """Trains the experiment; goes on where an earlier start stopped.

    Raises:
        UserError: bad shards, another run in `out`, batch sizes that do not divide.
    """
    from mien.train.run import run

    return run(plan(options, experiment), options.out, options.device)


def plan(options: Pretrain, experiment: Experiment) -> Plan:
    from mien.data.contract import check_pretraining
    from mien.data.parts import lengths, share_of, unlabelled
    from mien.data.shards import Shards
    from mien.learner import TrainingData
    from mien.models import load
    from mien.train.run import Plan, goes_on, origin_after

    shards = tuple(Shards.of(place) for place in options.data)
    learner, seed = experiment.method, experiment.train.seed
    for folder in shards:
        check_pretraining(learner.sees, folder)
    start = load(options.init) if options.init else None
    whole = start is not None and goes_on(learner, start)
    learner = learner.continuing(start.config) if start and whole else learner
    train, held = unlabelled(shards, seed, options.split_column)
    train = share_of(train, options.data_fraction, seed)
    data = TrainingData(shards, train, seed, origin_after(start, train))
    return Plan(
        replace(experiment, learner=learner.fitted(data)), data, facts_of(options, data, start), start, whole,
        Looks(data, held), lengths(train) if options.by_length else None, split=options.split_column,
    )  # fmt: skip


def facts_of(options: Pretrain, data: TrainingData, start: Model | None) -> dict[str, Any]:
    """What names the data of a run."""
    fraction = options.data_fraction
    return {
        "shards": [str(s.root) for s in data.shards], "hashes": [s.hash for s in data.shards],
        "clips": sum(map(len, data.rows)), "split": options.split_column,
        **({"data_fraction": fraction} if fraction < 1 else {}), **({"init": start.hash} if start else {}),
        **({"by_length": True} if options.by_length else {}),
    }  # fmt: skip


@dataclass(frozen=True)
class Looks:
    """The loss on clips that are held out, and the collapse monitors."""

    data: TrainingData
    held: Rows

    def __call__(self, learner: Any, where: Any, batch_size: int) -> list[Any]:
        from mien.scoring.inference import Inference
        from mien.scoring.monitors import FEWEST_CLIPS, collapse_monitor, held_out_loss

        shards, how = self.data.shards, Inference(batch_size, where.device)
        watched = self.held if sum(map(len, self.held)) >= FEWEST_CLIPS else self.data.rows
        loss = held_out_loss(learner, shards, self.held, how)
        return [look for look in (loss, collapse_monitor(learner, shards, watched, how, where.is_main)) if look]


VERB = RecipeVerb("pretrain", Pretrain, PRETRAIN, work, show_model)
main, pretrain = VERB.main, VERB.function
