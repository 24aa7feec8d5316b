"""The options of a command: one frozen dataclass is its command line, its Python keywords and its settings.

A field is an option, the text below it is its help, its type says what may be given, and its default what holds without it::

    @dataclass(frozen=True)
    class Draw:
        \"\"\"Draw a picture.\"\"\"

        HELP: ClassVar[dict[str, tuple[str, ...]]] = {"the picture": ("out", "--size")}

        out: Annotated[Path, Arg(positional=True)]
        \"\"\"Picture to write.\"\"\"
        size: int = 64
        \"\"\"Side in pixels.\"\"\"
        frame: bool = True
        \"\"\"A line around the picture.\"\"\"

    parse(Draw, ["a.png", "--size", "32", "--no-frame"], "mien draw")   # Draw(Path("a.png"), 32, False)
    draw = callable_of(Draw, work, "draw")                              # draw("a.png", size=32, frame=False) -> work(Draw(...))

Dataclasses nest: ``optim: OptimConfig`` gives ``--optim.lr`` and the keyword ``optim_lr``; marked ``FLAT`` its fields
appear without a prefix. In place of a class an instance may be given, whose values are then the defaults, and a tuple of
classes and instances that share one command line.
"""

from mien.options.calls import callable_of, from_keywords
from mien.options.fields import FLAT, HIDDEN, Arg, build, leaves
from mien.options.help import help_text
from mien.options.parse import HelpWanted, UnknownOption, nearest, parse

__all__ = [
    "FLAT",
    "HIDDEN",
    "Arg",
    "HelpWanted",
    "UnknownOption",
    "build",
    "callable_of",
    "from_keywords",
    "help_text",
    "leaves",
    "nearest",
    "parse",
]
