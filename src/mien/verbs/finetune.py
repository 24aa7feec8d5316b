"""`mien finetune RECIPE --init RUN|MODEL --data SHARDS --out RUN`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mien.verbs.main import say_once


def main(argv: list[str]) -> int:
    from mien.errors import require
    from mien.recipes import pretrain, published, supervised
    from mien.recipes.finetune import finetune
    from mien.recipes.sequence import SequenceRecipe

    encoders: Any = Literal[tuple(pretrain.RECIPES)]
    recipes: Any = tyro.extras.subcommand_type_from_defaults(
        {name: replace(recipe(), name=name) for name, recipe in published.RECIPES.items()}, published.descriptions()
    )

    @dataclass(frozen=True)
    class Finetune:
        """Train a classifier or a regressor on labelled shards. Without --init it starts from random weights."""

        recipe: recipes  # pyright: ignore[reportInvalidTypeForm]  (made of the table of recipes above)
        """Task and settings; -released are those of the published code where it differs from the paper."""
        rows: Annotated[supervised.FinetuneData, tyro.conf.arg(name="")]
        out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
        """Folder of the run; the model is in its model/."""
        data: Annotated[Path | None, tyro.conf.arg(metavar="SHARDS")] = None
        """Shards written by `mien prepare`, with labels or of a corpus."""
        init: Annotated[str | None, tyro.conf.arg(metavar="RUN|MODEL")] = None
        """Pre-training run, model folder or hub id to start from."""
        encoder: encoders | None = None  # pyright: ignore[reportInvalidTypeForm]  (as above)
        """Pre-training recipe whose encoder and clip size a model from scratch has: svfap-micro unless named, for single
        frames byol-resnet18, for sequences lira. Ignored with --init."""
        protocol: str | None = None
        """Benchmark whose folds are run, scored and pooled (docs/protocols.md); it sets --target, --split and --select."""
        fold: str | None = None
        """With --protocol: all, or the number of one; with --train-on: the number of one."""
        single_run: bool = False
        """With --protocol: one run per fold for both columns, trained without the held-out subjects."""
        train_on: tuple[Path, ...] = ()
        """In place of --data: shards of one or several corpora, each of which a model is trained on (docs/protocols.md)."""
        test_on: tuple[Path, ...] = ()
        """With --train-on: shards on whose test part every model is scored; OUT/matrix.md has them all."""
        label_map: Path | None = None
        """With --train-on: a table of class names for each corpus (JSON or CSV), where they differ."""
        allow_contract_mismatch: bool = False
        """With --train-on: score although the crops were made in another way; it is printed beside every number."""
        device: Literal["auto", "cpu", "cuda"] = "auto"

    config = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.CascadeSubcommandArgs, tyro.conf.AvoidSubcommands)
    args = tyro.cli(Finetune, args=argv, prog="mien finetune", config=config)
    usual = "byol-resnet18" if args.recipe.num_frames == 1 else "svfap-micro"
    if isinstance(args.recipe, SequenceRecipe):
        usual = "lira"
    scratch = pretrain.RECIPES[args.encoder or usual]().method
    name = args.recipe.name
    if args.train_on or args.test_on:
        return _cross(args, scratch, name)
    require(args.label_map is None, "--label-map belongs to --train-on; mien evaluate has one of its own")
    require(not args.allow_contract_mismatch, "--allow-contract-mismatch belongs to --train-on")
    require(args.data is not None, "give --data SHARDS, or --train-on and --test-on")
    rows = replace(args.rows, data=args.data)
    if args.protocol is None:
        require(args.fold is None and not args.single_run, "--fold and --single-run belong to --protocol NAME")
        model = finetune(args.recipe, rows, args.out, args.init, scratch.encoder, scratch.size, args.device, name)
        say_once(f"model: {model}")
        return 0
    from mien.recipes.folds import Init, finetune_folds
    from mien.scoring.protocols import find_protocol
    from mien.train.distributed import is_main

    start = Init(args.init, scratch.encoder, scratch.size, args.device, name)
    protocol = find_protocol(args.protocol)
    path = finetune_folds(args.recipe, rows, args.out, protocol, args.fold or "all", start, args.single_run)
    if is_main():
        from mien.scoring.render import plain

        print(plain(path), path, sep="\n")
    return 0


def _cross(args: Any, scratch: Any, name: str) -> int:
    from mien.errors import require
    from mien.recipes.cross import cross
    from mien.recipes.folds import Init
    from mien.scoring.label_map import read_tables
    from mien.train.distributed import is_main

    require(bool(args.train_on and args.test_on), "--train-on and --test-on belong together")
    require(args.data is None and args.protocol is None, "--train-on replaces --data and --protocol: leave them out")
    require(not args.single_run, "--single-run belongs to --protocol NAME")
    tables = read_tables(args.label_map) if args.label_map else None
    start = Init(args.init, scratch.encoder, scratch.size, args.device, name)
    path = cross(
        args.recipe, args.rows, args.train_on, args.test_on, args.out, tables, args.fold or "1", start,
        args.allow_contract_mismatch,
    )  # fmt: skip
    if is_main():
        print(path.read_text(), path, sep="\n")
    return 0
