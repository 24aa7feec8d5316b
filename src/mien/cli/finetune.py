"""`mien finetune RECIPE --init RUN|MODEL --data SHARDS --out RUN`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mien.cli.main import say_once


def main(argv: list[str]) -> int:
    from mien.recipes import masked, supervised
    from mien.recipes.finetune import finetune

    encoders: Any = Literal[tuple(masked.RECIPES)]
    recipes: Any = tyro.extras.subcommand_type_from_defaults(supervised.RECIPES)

    @dataclass(frozen=True)
    class Finetune:
        """Train a classifier or a regressor on labelled shards. Without --init it starts from random weights."""

        recipe: recipes  # pyright: ignore[reportInvalidTypeForm]  (made of the table of recipes above)
        rows: Annotated[supervised.FinetuneData, tyro.conf.arg(name="")]
        out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
        """Folder of the run; the model is in its model/."""
        init: Annotated[str | None, tyro.conf.arg(metavar="RUN|MODEL")] = None
        """Pre-training run, model folder or hub id to start from."""
        encoder: encoders = "svfap-micro"  # pyright: ignore[reportInvalidTypeForm]  (as above)
        """Pre-training recipe whose encoder and clip size a model from scratch has; ignored with --init."""
        device: Literal["auto", "cpu", "cuda"] = "auto"

    config = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.CascadeSubcommandArgs, tyro.conf.AvoidSubcommands)
    args = tyro.cli(Finetune, args=argv, prog="mien finetune", config=config)
    scratch = masked.RECIPES[args.encoder]().method
    name = next(name for name in supervised.RECIPES if name in argv)
    model = finetune(args.recipe, args.rows, args.out, args.init, scratch.encoder, scratch.size, args.device, name)
    say_once(f"model: {model}")
    return 0
