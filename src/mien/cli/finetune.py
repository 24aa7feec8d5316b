"""`mien finetune RECIPE --init RUN|MODEL --data SHARDS --out RUN`."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mien.cli.main import say_once


def main(argv: list[str]) -> int:
    from mien.recipes import pretrain, published, supervised
    from mien.recipes.finetune import finetune
    from mien.types import require

    encoders: Any = Literal[tuple(pretrain.RECIPES)]
    recipes: Any = tyro.extras.subcommand_type_from_defaults(
        {name: recipe() for name, recipe in published.RECIPES.items()}, published.descriptions()
    )

    @dataclass(frozen=True)
    class Finetune:
        """Train a classifier or a regressor on labelled shards. Without --init it starts from random weights."""

        recipe: recipes  # pyright: ignore[reportInvalidTypeForm]  (made of the table of recipes above)
        """Task and settings; -released are those of the published code where it differs from the paper."""
        rows: Annotated[supervised.FinetuneData, tyro.conf.arg(name="")]
        out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
        """Folder of the run; the model is in its model/."""
        init: Annotated[str | None, tyro.conf.arg(metavar="RUN|MODEL")] = None
        """Pre-training run, model folder or hub id to start from."""
        encoder: encoders = "svfap-micro"  # pyright: ignore[reportInvalidTypeForm]  (as above)
        """Pre-training recipe whose encoder and clip size a model from scratch has; ignored with --init."""
        protocol: str | None = None
        """Benchmark whose folds are run, scored and pooled (docs/protocols.md); it sets --target, --split and --select."""
        fold: str | None = None
        """With --protocol: all, or the number of one."""
        single_run: bool = False
        """With --protocol: one run per fold for both columns, trained without the held-out subjects."""
        device: Literal["auto", "cpu", "cuda"] = "auto"

    config = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.CascadeSubcommandArgs, tyro.conf.AvoidSubcommands)
    args = tyro.cli(Finetune, args=argv, prog="mien finetune", config=config)
    scratch = pretrain.RECIPES[args.encoder]().method
    name = next(name for name in published.RECIPES if name in argv)
    if args.protocol is None:
        require(args.fold is None and not args.single_run, "--fold and --single-run belong to --protocol NAME")
        model = finetune(args.recipe, args.rows, args.out, args.init, scratch.encoder, scratch.size, args.device, name)
        say_once(f"model: {model}")
        return 0
    from mien.protocols.table import find_protocol
    from mien.recipes.folds import Init, finetune_folds

    start = Init(args.init, scratch.encoder, scratch.size, args.device, name)
    protocol = find_protocol(args.protocol)
    path = finetune_folds(args.recipe, args.rows, args.out, protocol, args.fold or "all", start, args.single_run)
    if os.environ.get("RANK", "0") == "0":
        from mien.protocols.render import plain

        print(plain(path), path, sep="\n")
    return 0
