"""`mien finetune RECIPE --init RUN|MODEL --data SHARDS --out RUN`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mien.cli.main import say_once


def main(argv: list[str]) -> int:
    from mien.encoders.tpsbt import tpsbt_base, tpsbt_micro, tpsbt_small, tpsbt_tiny
    from mien.recipes.finetune import ClassifyRecipe, FinetuneData, finetune

    encoders = {
        "base": (tpsbt_base, 160),
        "small": (tpsbt_small, 160),
        "tiny": (tpsbt_tiny, 160),
        "micro": (tpsbt_micro, 96),
    }

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
        encoder: Literal["micro", "tiny", "small", "base"] = "micro"
        """Size of a new encoder; ignored with --init."""
        device: Literal["auto", "cpu", "cuda"] = "auto"

    args = tyro.cli(Finetune, args=argv, prog="mien finetune", config=(tyro.conf.OmitSubcommandPrefixes,))
    encoder, size = encoders[args.encoder]
    model = finetune(args.settings, args.rows, args.out, args.init, encoder(), size, args.device, args.recipe)
    say_once(f"model: {model}")
    return 0
