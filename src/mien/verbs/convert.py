"""`mien convert FILE --as NAME --out DIR`, and back: `mien convert DIR --to official FILE`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from mien.models.convert import Conversion

Name = Literal[
    "svfap-base", "svfap-small", "mae-dfer-base", "mae-dfer-small", "mae-dfer-tiny", "videomae-base", "resnet18", "resnet50",
    "lipreading-resnet18",
]  # fmt: skip
Labels = Literal["dfew", "ferv39k", "mafw", "aff-wild2"]


@dataclass(frozen=True)
class Convert:
    """A published checkpoint to a model folder, or a model folder to the authors' form.

    SVFAP, MAE-DFER, VideoMAE; ResNets in torchvision's form and the ABAW5 models made of them; lip-reading front ends.
    Nothing in the file is run. Every tensor must fit: what is missing, left over or of another shape is listed and refused.
    """

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE|DIR")]
    """The authors' checkpoint (.pth), pre-trained or fine-tuned; with --to, a model folder, run folder or hub id."""
    as_: Annotated[Name | None, tyro.conf.arg(name="as")] = None
    """Which model it is."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Model folder to write."""
    num_classes: int | None = None
    """Classes of a classifier; must agree with the file, which is believed without it."""
    labels: Labels | None = None
    """Data set of a classifier: class names in its order, frame stride."""
    pool: Literal["summary", "tokens", "all"] | None = None
    """Tokens a classifier averages; MAE-DFER: summary (the published scripts' `region`), tokens (`org`) or all."""
    size: int | None = None
    """Side of the clips in pixels; 160 by default, 224 of ResNets, 96 of lip reading."""
    activation: Literal["relu", "swish", "prelu"] | None = None
    """Of lip reading: the file shows it only where it is PReLU, and is else taken to have ReLU."""
    prefix: str | None = None
    """Of ResNets: what stands before the names of the tensors, in files that hold several networks."""
    to: Annotated[tuple[Literal["official"], Path] | None, tyro.conf.arg(metavar="official FILE")] = None
    """Write the model folder as the authors' code would, to FILE."""


def main(argv: list[str]) -> int:
    """Runs ``mien convert`` with the arguments after the verb; returns the exit code."""
    args = tyro.cli(Convert, args=argv, prog="mien convert")
    check(args)
    from mien.models.convert import ConvertOptions, convert_official, write_official

    if args.to:
        show(write_official(str(args.source), args.to[1]), args.to[1])
        return 0
    assert args.as_
    assert args.out
    options = ConvertOptions(
        args.as_, args.num_classes, args.labels, args.pool, args.size, args.activation, args.prefix
    )
    show(convert_official(args.source, args.out, options), args.out)
    return 0


def check(args: Convert) -> None:
    """Raises UserError for options that do not go together."""
    from mien.errors import UserError

    given = [name for name, value in (("--as", args.as_), ("--out", args.out)) if value is not None]
    of_a_file = {
        "--labels": args.labels, "--num-classes": args.num_classes, "--pool": args.pool, "--size": args.size,
        "--activation": args.activation, "--prefix": args.prefix,
    }  # fmt: skip
    unused = [*given, *(name for name, value in of_a_file.items() if value is not None)]
    if args.to and unused:
        raise UserError(f"--to official writes the model folder as it is to one file: leave out {', '.join(unused)}")
    if not args.to and len(given) < 2:
        raise UserError(
            "give --as NAME and --out DIR to read a published checkpoint, or --to official FILE to write one"
        )


def show(done: Conversion, to: Path) -> None:
    print(f"{done.what}, {done.num_values:,} values -> {to}")
    for note in done.notes:
        print(f"note: {note}")
