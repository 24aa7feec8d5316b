"""`mien finetune RECIPE --init RUN|MODEL --data SHARDS --out RUN`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mien.cli.main import say_once


def main(argv: list[str]) -> int:
    from mien.recipes.finetune import ClassifyRecipe, FinetuneData, finetune
    from mien.recipes.masked import RECIPES

    encoders: Any = Literal[tuple(RECIPES)]

    @dataclass(frozen=True)
    class Finetune:
        """Train a classifier on labelled shards. Without --init it starts from random weights."""

        recipe: tyro.conf.Positional[Literal["classify"]]
        settings: Annotated[ClassifyRecipe, tyro.conf.arg(name="")]
        rows: Annotated[FinetuneData, tyro.conf.arg(name="")]
        out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
        """Folder of the run; the classifier is in its model/."""
        init: Annotated[str | None, tyro.conf.arg(metavar="RUN|MODEL")] = None
        """Pre-training run, model folder or hub id to start from."""
        encoder: encoders = "svfap-micro"  # pyright: ignore[reportInvalidTypeForm]  (made of the table of recipes above)
        """Pre-training recipe whose encoder and clip size a model from scratch has; ignored with --init."""
        device: Literal["auto", "cpu", "cuda"] = "auto"

    args = tyro.cli(Finetune, args=argv, prog="mien finetune", config=(tyro.conf.OmitSubcommandPrefixes,))
    scratch = RECIPES[args.encoder]().method
    model = finetune(
        args.settings, args.rows, args.out, args.init, scratch.encoder, scratch.size, args.device, args.recipe
    )
    say_once(f"model: {model}")
    return 0
