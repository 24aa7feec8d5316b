"""All folds of a benchmark: fine-tuned one after the other, scored, pooled, in two columns (`mien.scoring.folds`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mien.config import write_json
from mien.corpora.record import read_record
from mien.data.shards import Shards
from mien.encoders.table import EncoderConfig
from mien.errors import UserError, require
from mien.recipes.finetune import Validation, finetune
from mien.recipes.sequence import SequenceRecipe
from mien.recipes.supervised import ClassifyRecipe, FinetuneData, TaskRecipe
from mien.scoring.folds import COLUMNS, check_test_part, evaluation_of, has_validation, score_once, summary
from mien.scoring.options import Scoring
from mien.scoring.protocols import Protocol, chosen_folds
from mien.train.distributed import is_main, pick_device


@dataclass(frozen=True)
class Init:
    """What every fold starts from, and what it is called."""

    init: str | None = None
    encoder: EncoderConfig | None = None
    size: int = 96
    device: str = "auto"
    name: str = "classify"


def check(recipe: TaskRecipe, data: FinetuneData, protocol: Protocol) -> TaskRecipe:
    """The recipe as the protocol needs it.

    Raises:
        UserError: options that the protocol sets, a recipe of another kind, shards of another corpus.
    """
    plain = FinetuneData(data.data)
    for name in ("target", "split", "select"):
        same = getattr(data, name) == getattr(plain, name)
        require(same, f"--protocol {protocol.name} sets --{name}: leave it out")
    classifies = isinstance(recipe, ClassifyRecipe)
    wanted = "a classifier" if protocol.kind == "categorical" else "a regression"
    require(classifies == (protocol.kind == "categorical"), f"protocol {protocol.name} is {wanted}: take such a recipe")
    single = isinstance(recipe, ClassifyRecipe) and recipe.frames is not None
    require(protocol.per == "frame" or not single, f"protocol {protocol.name} is of clips: take a recipe of clips")
    record = read_record(data.data)
    if record and record.name != protocol.corpus:
        raise UserError(f"{data.data} holds {record.name}, the protocol is of {protocol.corpus}")
    if isinstance(recipe, SequenceRecipe):
        require(protocol.per == "frame", f"protocol {protocol.name} is of clips: take a recipe of clips")
        return recipe
    return replace(recipe, per=protocol.per)


def finetune_folds(
    recipe: TaskRecipe,
    data: FinetuneData,
    out: Path,
    protocol: Protocol,
    fold: str = "all",
    start: Init | None = None,
    single_run: bool = False,
) -> Path:
    """Runs the folds that are not finished, scores them, and writes ``OUT/protocol.json``.

    Args:
        fold: "all", or a number from 1.
        single_run: one run per fold for both columns: halves the cost, and the paper column is then trained without the
            held-out subjects, which it says.

    Raises:
        UserError: as `check` and `finetune`.
    """
    recipe, start = check(recipe, data, protocol), start or Init()
    shards, folds = Shards(data.data), chosen_folds(protocol, fold)
    for name in folds:  # all of them before the first is trained
        check_test_part(protocol, shards, name)
    for name in folds:
        one = single_run or has_validation(protocol, shards, name)
        for column in COLUMNS:
            model = _run(recipe, data, out / protocol.fold_name(name), protocol, name, column, start, one)
            if is_main():
                scoring = Scoring(
                    protocol.test, name, group_by=protocol.group_by, batch_size=recipe.train.batch_size,
                    fill=column == "strict",  # the paper column leaves frames without a face out, as the publication did
                )  # fmt: skip
                place = evaluation_of(out, protocol, name, column)
                score_once(model, shards, place, scoring, pick_device(start.device))
    path = out / "protocol.json"
    if is_main():
        write_json(path, summary(out, protocol, shards))
    return path


def _run(
    recipe: TaskRecipe,
    data: FinetuneData,
    place: Path,
    protocol: Protocol,
    fold: str,
    column: str,
    start: Init,
    one: bool,
) -> Path:
    """The model folder of one fold and column."""
    rows = replace(data, target=protocol.targets, split=fold)
    held = Validation("auto" if protocol.test != "val" else "held out", protocol.test, keep_last=one)
    if column == "strict" or one:
        model = finetune(recipe, replace(rows, select="best"), place / "strict", start.init, start.encoder, start.size,
                         start.device, start.name, held)  # fmt: skip
        return model if column == "strict" else place / "strict" / "last"
    reported = Validation("test", protocol.test) if protocol.published_select == "test" else None
    rows = replace(rows, select="best" if reported else "last")
    return finetune(
        recipe, rows, place / "paper", start.init, start.encoder, start.size, start.device, start.name, reported
    )
