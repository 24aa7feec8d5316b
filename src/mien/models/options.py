"""What a published checkpoint cannot say about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from mien.errors import UserError, require
from mien.options import Arg

Name = Literal[
    "svfap-base", "svfap-small", "mae-dfer-base", "mae-dfer-small", "mae-dfer-tiny", "videomae-base", "resnet18", "resnet50",
    "lipreading-resnet18",
]  # fmt: skip
"""Keys of `convert_options.PUBLISHED` and `CONVOLUTIONAL`."""
Labels = Literal["dfew", "ferv39k", "mafw", "aff-wild2"]
"""Keys of `convert_options.LABELS`."""


@dataclass(frozen=True)
class ConvertOptions:
    """What the file cannot say about itself."""

    as_: Annotated[Name | None, Arg(metavar="NAME")] = None
    """Which model it is."""
    labels: Labels | None = None
    """Data set of a classifier: class names in its order, frame stride."""
    num_classes: int | None = None
    """Classes of a classifier; must agree with the file, which is believed without it."""
    pool: Literal["summary", "tokens", "all"] | None = None
    """Tokens that a classifier averages; by default summary of MAE-DFER (its scripts' `region`), else tokens (`org`)."""
    size: int | None = None
    """Side of the clips in pixels; 160 by default, 224 of ResNets, 96 of lip reading."""
    activation: Literal["relu", "swish", "prelu"] | None = None
    """Of lip reading: the file shows it only where it is PReLU, and is else taken to have ReLU."""
    prefix: str | None = None
    """Of ResNets: what stands before the names of the tensors, for files that hold several networks; the only one by default."""

    def __post_init__(self) -> None:
        for option, value, names in (("--as", self.as_, get_args(Name)), ("--labels", self.labels, get_args(Labels))):
            require(value is None or value in names, f"{option} {value}: give one of {', '.join(names)}")
        lips, resnet = self.as_ == "lipreading-resnet18", self.as_ in ("resnet18", "resnet50")
        require(self.activation is None or lips, f"--activation {self.activation}: it is of lipreading-resnet18")
        require(self.prefix is None or resnet, f"--prefix {self.prefix}: it is of resnet18 and resnet50")
        n = self.num_classes
        require(n is None or n >= 1, f"--num-classes {n}: give 1 or more")

    @property
    def name(self) -> str:
        """Which model the file is."""
        if self.as_ is None:
            raise UserError(f"give --as NAME, one of {', '.join(get_args(Name))}")
        return self.as_

    def unused(self, source: str) -> list[str]:
        """A note on the options of classifiers that were given for a file without classes."""
        given = {"--num-classes": self.num_classes, "--labels": self.labels, "--pool": self.pool}
        unused = [option for option, value in given.items() if value is not None]
        return [f"{source} is a pre-training model without classes: {', '.join(unused)} not used"] if unused else []
