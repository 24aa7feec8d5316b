"""`mien pretrain RECIPE --data SHARDS --out RUN`."""

from dataclasses import dataclass, fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mien.verbs.main import say_once


def main(argv: list[str]) -> int:
    from mien.recipes.pretrain import RECIPES, pretrain

    recipes: Any = tyro.extras.subcommand_type_from_defaults(
        {name: exact(recipe()) for name, recipe in RECIPES.items()}
    )

    @dataclass(frozen=True)
    class Pretrain:
        """Self-supervised training on prepared shards, without labels. Clips of the split "test" are never trained on.

        Stopped or killed, the same command goes on. Started by torchrun it runs on several processes.
        """

        recipe: recipes  # pyright: ignore[reportInvalidTypeForm]  (made of the table of recipes above)
        """Method, encoder and settings."""
        data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="SHARDS")]
        """One or several folders written by `mien prepare`."""
        out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
        """Folder of the run: checkpoints, metrics.jsonl, tensorboard, and at the end model/."""
        init: str | None = None
        """Start from the encoder of this model or run instead of random weights: a converted ResNet, a recogniser of subjects."""
        split: str = "split"
        """Manifest column whose rows "test" are held out."""
        data_fraction: float = 1.0
        """Share of the training clips that is used, drawn by the seed. With `--steps` every share costs the same."""
        by_length: bool = False
        """Draw clips in proportion to their frames: for methods on single frames, where stills stand beside long tracks."""
        device: Literal["auto", "cpu", "cuda"] = "auto"

    # The recipe says which method and encoder: their fields are options, not subcommands to choose another.
    config = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.CascadeSubcommandArgs)
    args = tyro.cli(Pretrain, args=argv, prog="mien pretrain", config=config)
    model = pretrain(
        plain(args.recipe), args.data, args.out, args.device, args.split, args.data_fraction, args.init, args.by_length
    )
    say_once(f"model: {model}")
    return 0


def exact(recipe: Any) -> Any:
    """The recipe with types that name its one method, encoder and so on: their fields are options and not subcommands."""
    method = recipe.method
    parts = [(name, type(part), part) for name, part in fields_of(method).items() if is_dataclass(part)]
    kind = make_dataclass(type(method).__name__, parts, bases=(type(method),), frozen=True)
    narrow = kind(**fields_of(method))
    return make_dataclass("Recipe", [("method", kind, narrow)], bases=(type(recipe),), frozen=True)(
        **fields_of(recipe) | {"method": narrow}
    )


def plain(recipe: Any) -> Any:
    """The inverse of `exact`."""
    kind, method = type(recipe).__bases__[0], recipe.method
    return kind(**fields_of(recipe) | {"method": type(method).__bases__[0](**fields_of(method))})


def fields_of(config: Any) -> dict[str, Any]:
    return {f.name: getattr(config, f.name) for f in fields(config)}
