"""`mien convert FILE --as NAME --out DIR`, and back: `mien convert DIR --to official FILE`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from mien.errors import option, require
from mien.models.options import ConvertOptions
from mien.options import FLAT, Arg
from mien.verbs.command import command, function

if TYPE_CHECKING:
    from mien.models import Model
    from mien.models.convert import Conversion


@dataclass(frozen=True, kw_only=True)
class Convert:
    """A published checkpoint to a model folder, or a model folder to the authors' form.

    SVFAP, MAE-DFER, VideoMAE; ResNets in torchvision's form and the ABAW5 models made of them; lip-reading front ends.
    Nothing in the file is run. Every tensor must fit: what is missing, left over or of another shape is listed and refused.
    """

    HELP: ClassVar = {
        "from the authors' file": ("FILE|DIR", "--as", "--out"),
        "what the file cannot say": ("--num-classes", "--labels", "--pool", "--size", "--activation", "--prefix"),
        "to the authors' form": ("--to",),
    }

    source: Annotated[Model | str, Arg(positional=True, metavar="FILE|DIR")]
    """The authors' checkpoint (.pth), pre-trained or fine-tuned; with --to, a model folder, run folder or hub id."""
    out: Annotated[Path | None, Arg(metavar="DIR")] = None
    """Model folder to write."""
    file: Annotated[ConvertOptions, FLAT] = ConvertOptions()
    to: Annotated[tuple[Literal["official"], Path] | None, Arg(metavar="official FILE")] = None
    """Write the model folder as the authors' code would, to FILE."""

    def __post_init__(self) -> None:
        given = [f.name for f in fields(ConvertOptions) if getattr(self.file, f.name) is not None]
        given += ["out"] if self.out is not None else []
        unused = ", ".join(option(name.rstrip("_")) for name in given)
        require(
            not (self.to and unused),
            f"--to official writes the model folder as it is to one file: leave out {unused}",
        )
        require(
            self.to is not None or {"as_", "out"} <= set(given),
            "give --as NAME and --out DIR to read a published checkpoint, or --to official FILE to write one",
        )


def work(options: Convert) -> Conversion:
    from mien.models.convert import convert_official, write_official

    if options.to:
        return write_official(options.source, options.to[1])
    assert options.out
    return convert_official(Path(str(options.source)), options.out, options.file)


def show(done: Conversion, options: Convert) -> None:
    print(f"{done.what}, {done.num_values:,} values -> {options.to[1] if options.to else options.out}")
    for note in done.notes:
        print(f"note: {note}")


convert = function(Convert, work)
main = command(Convert, work, show)
