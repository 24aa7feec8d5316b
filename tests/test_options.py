"""One dataclass is command line, keywords and settings: `pytest tests/test_options.py`."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

import pytest

from mien.encoders.table import EncoderConfig
from mien.errors import UserError
from mien.faces.options import PrepareConfig
from mien.options import Arg, HelpWanted, UnknownOption, callable_of, from_keywords, help_text, leaves, nearest, parse
from mien.options.fields import hints_of, is_config
from mien.recipes import index, recipe
from mien.train.experiment import Experiment
from mien.verbs.main import VERBS
from tests.verbs.options import class_of

if TYPE_CHECKING:
    from mien.models import Model


@dataclass(frozen=True)
class Optim:
    lr: float = 1e-3
    """Peak."""
    betas: tuple[float, float] = (0.9, 0.95)
    kind: Literal["adamw", "sgd"] = "adamw"

    def __post_init__(self) -> None:
        if self.lr < 0:
            raise UserError(f"--optim.lr {self.lr:g}: give 0 or more")


@dataclass(frozen=True)
class Narrow:
    width: int = 8


@dataclass(frozen=True)
class Deep:
    depth: int = 4
    skip: bool = True


@dataclass(frozen=True)
class Where:
    device: Literal["auto", "cpu"] = "auto"


@dataclass(frozen=True)
class Draw:
    """Draw a picture.

    It is drawn with lines.
    """

    HELP: ClassVar[dict[str, tuple[str, ...]]] = {"the picture": ("OUT", "--size", "--no-frame"), "place": ("--like",)}

    out: Annotated[Path, Arg(positional=True)]
    """Picture to write,
    as PNG."""
    like: Annotated[tuple[str, ...], Arg(append=True, metavar="NAME")]
    """A picture to follow."""
    size: int = 64
    """Side in pixels."""
    grey: bool = False
    frame: bool = True
    """A line around it."""
    rate: float | None = None
    """Lines a second; as many as fit by default."""
    corners: tuple[int, ...] = ()
    edge: Literal[5, 68, "none"] | None = None
    model: Model | str | None = None
    optim: Optim = field(default_factory=Optim)
    where: Annotated[Where, Arg(flat=True)] = field(default_factory=Where)
    note: Annotated[str, Arg(hidden=True)] = ""


@dataclass(frozen=True)
class Work:
    """An experiment: a value, not a class of options."""

    net: Narrow | Deep = field(default_factory=Narrow)
    extra: Optim | None = None
    steps: int = 10


@dataclass(frozen=True)
class Several:
    files: Annotated[Path | tuple[Path, ...], Arg(positional=True)]
    named: Annotated[dict[str, float] | tuple[float, ...], Arg(append=True)] = ()


def drawn(*words: str) -> Draw:
    return parse(Draw, [*words, "--like", "x"], "mien draw")


def test_every_kind_of_value():
    assert drawn("a.png") == Draw(Path("a.png"), ("x",))
    line = (
        "--like a a.png --grey --no-frame --size -3 --rate=-1e-3 --like b --corners 1 2 -3 --edge 68 --device cpu "
        "--optim.lr 2 --optim.betas 0.1 0.2 --optim.kind sgd --model m"
    )
    got = parse(Draw, line.split(), "mien draw")
    assert got == Draw(
        Path("a.png"),
        ("a", "b"),
        -3,
        True,
        False,
        -1e-3,
        (1, 2, -3),
        68,
        "m",
        Optim(2.0, (0.1, 0.2), "sgd"),
        Where("cpu"),
    )


def test_none_is_a_word_where_none_is_a_value():
    assert drawn("a.png", "--rate", "none").rate is None
    assert drawn("a.png", "--rate", "None").rate is None
    assert drawn("a.png", "--edge", "none").edge == "none"


def test_the_last_of_two_counts_and_words_may_stand_anywhere():
    assert drawn("--size", "1", "a.png", "--size", "2").size == 2
    assert parse(Draw, ["--like", "b", "--size", "1", "--", "-a.png"], "mien draw").out == Path("-a.png")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a.png --szie 3", "there is no option --szie; did you mean --size? mien draw --help all lists every option"),
        ("a.png --lr 3", "there is no option --lr; did you mean --optim.lr?"),
        ("a.png --frame", "there is no option --frame: leave it out, it is so unless --no-frame is given."),
        ("a.png --no-grey", "there is no option --no-grey: leave it out, it is so unless --grey is given."),
        ("a.png --xyz", "there is no option --xyz. mien draw --help all lists every option"),
        ("a.png --note x", "there is no option --note"),
        ("a.png --size abc", "--size abc: give a whole number"),
        ("a.png --size", "--size: a value is missing, give a whole number"),
        ("a.png --size 1.5", "--size 1.5: give a whole number"),
        ("a.png --rate x", "--rate x: give a number or none"),
        ("a.png --edge 6", "--edge 6: give 5, 68 or none"),
        ("a.png --optim.kind lion", "--optim.kind lion: give adamw or sgd"),
        ("a.png --optim.betas 1", "--optim.betas 1: give 2 numbers"),
        ("a.png --corners 1 x", "--corners 1 x: give one or more whole numbers"),
        ("a.png --grey=yes", "--grey yes: this option takes no value, leave it out"),
        ("a.png b.png", "received b.png too much: mien draw takes OUT; mien draw --help lists the options"),
        ("a.png --optim.lr -1", "--optim.lr -1: give 0 or more"),
        ("", "OUT is missing: Picture to write, as PNG. (mien draw --help lists the options)"),
    ],
)
def test_errors_are_one_line(line: str, says: str):
    with pytest.raises(UserError) as caught:
        drawn(*line.split())
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, UnknownOption) or caught.value.option in line


def test_a_required_option_is_named_with_its_text():
    with pytest.raises(UserError, match="--like is missing: A picture to follow"):
        parse(Draw, ["a.png"], "mien draw")


def test_an_instance_has_the_options_of_what_it_holds():
    options = {leaf.option: leaf.default for leaf in leaves(Work(Deep(depth=9)))}
    assert options == {"--net.depth": 9, "--net.no-skip": True, "--steps": 10}
    assert [leaf.option for leaf in leaves(Work(extra=Optim()))][1:4] == ["--extra.lr", "--extra.betas", "--extra.kind"]


def test_several_share_a_command_line():
    line = "a.png --like b --net.no-skip --size 1 --steps 3"
    options, work = parse((Draw, Work(Deep())), line.split(), "mien draw deep")
    assert options == Draw(Path("a.png"), ("b",), size=1)
    assert work == Work(Deep(4, False), None, 3)
    with pytest.raises(AssertionError, match="two options of one name"):
        parse((Draw, Where), [], "mien draw")


def test_names_in_python():
    names = [leaf.keyword for leaf in leaves(Draw)]
    assert names[-6:] == ["model", "optim_lr", "optim_betas", "optim_kind", "device", "note"]


def test_python_takes_the_same_names():
    model: Any = type("Model", (), {})()
    got = from_keywords(Draw, ["a.png", Path("b")], {"optim_lr": 1, "corners": 3, "frame": False, "model": model})
    assert got == Draw(Path("a.png"), ("b",), optim=Optim(1.0), corners=(3,), frame=False, model=model)
    several = from_keywords(Draw, [], {"out": "a", "like": ["b", "c"], "corners": range(2), "note": "hidden"})
    assert several == Draw(Path("a"), ("b", "c"), corners=(0, 1), note="hidden")


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        (("a",), {"like": "b", "sise": 1}, "there is no keyword sise; did you mean size?"),
        (("a",), {"like": "b", "lr": 1}, "there is no keyword lr; did you mean optim_lr?"),
        (("a",), {"like": "b", "size": "abc"}, "size='abc': give a whole number"),
        (("a",), {"like": "b", "size": True}, "size=True: give a whole number"),
        (("a",), {"like": "b", "edge": [5]}, r"edge=\[5\]: give 5, 68 or none"),
        (("a",), {"like": "b", "grey": "yes"}, "grey='yes': give True or False"),
        (("a",), {"like": "b", "optim_betas": 0.5}, "optim_betas=0.5: give 2 numbers"),
        (("a",), {}, "like is missing: A picture to follow."),
        (("a", "b", "c"), {}, "received 3 values without a keyword; these may have none: out, like"),
        (("a", "b"), {"out": "c"}, "out was given twice"),
    ],
)
def test_errors_of_keywords(args: tuple[str, ...], kwargs: dict[str, Any], says: str):
    with pytest.raises(UserError, match=says):
        from_keywords(Draw, args, kwargs)


def test_one_value_and_several_are_told_apart_where_the_type_does():
    assert parse(Several, ["a"], "mien x") == Several(Path("a"))
    assert parse(Several, ["a", "b", "--named", "1"], "mien x") == Several((Path("a"), Path("b")), (1.0,))
    assert from_keywords(Several, ("a",), {"named": {"x": 1}}) == Several(Path("a"), {"x": 1.0})
    assert from_keywords(Several, (["a"],), {"named": [1, 2]}) == Several((Path("a"),), (1.0, 2.0))
    with pytest.raises(UserError, match="named={'x': 'y'}: give one or more numbers"):
        from_keywords(Several, ("a",), {"named": {"x": "y"}})


def test_a_function_of_its_options():
    draw = callable_of(Draw, lambda options: options.size, "draw")
    assert draw("a.png", "b", size=3) == 3
    assert draw.__name__ == "draw"
    parameters = inspect.signature(draw).parameters
    assert list(parameters)[:3] == ["out", "like", "size"]
    assert parameters["optim_lr"].default == 1e-3
    assert parameters["size"].kind is inspect.Parameter.KEYWORD_ONLY
    assert "    size: Side in pixels." in (draw.__doc__ or "")


def test_help_says_what_people_need(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert help_text(Draw, "mien draw") == inspect.cleandoc(
        """
        usage: mien draw OUT --like NAME [options]

        Draw a picture.

        It is drawn with lines.

        the picture
          OUT          Picture to write, as PNG. (must be given)
          --size N     Side in pixels. (default 64)
          --no-frame   A line around it. (on by default; this turns it off)

        place
          --like NAME  A picture to follow. (must be given)

        mien draw --help all lists 9 more.
        """
    )


def test_help_shows_all_where_nothing_is_chosen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert help_text(Work, "mien work") == help_text(Work, "mien work", everything=True)
    assert "more options" not in help_text(Work, "mien work")


def test_help_lists_everything_when_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(HelpWanted) as caught:
        parse((Draw, Work()), ["--size", "x", "--help", "all"], "mien draw")
    text = str(caught.value)
    assert all(leaf.option in text for target in (Draw, Work()) for leaf in leaves(target) if not leaf.arg.hidden)
    assert "more options: optim\n  --optim.lr X" in text
    assert "as many as fit by default.\n" in text  # nothing is said of None
    assert "--note" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_nearest():
    assert nearest("--step", ["--step-s", "--steps"]) in ("--steps", "--step-s")
    assert nearest("prepair", ["prepare", "predict"]) == "prepare"
    assert nearest("--verbose", []) is None


# Names that rightly are declared twice: they mean something else in each place.
SAME_NAME = {
    "out": "what each command writes: a folder of another kind, a file, or nothing",
    "data": "one folder of shards, several, or a video",
    "model": "one model that comes first; of predict several, each of which may be given a name",
    "videos": "of prepare also quoted patterns, and none where a table names them",
    "protocol": "of table it comes first",
    "fold": "of benchmark all of them by default; of evaluate and cross a single one",
    "label_map": "of evaluate one table, of cross one for each corpus",
    "labels": "of prepare a table of videos, of convert a published list of classes",
    "target": "of training the columns that are learned, of evaluation the one that is scored, of embed the one that colours",
    "split": "of embed all rows by default, of evaluate the test part",
    "split_column": "of training `split` by default, of evaluation what the model was trained with",
    "smooth_s": "seconds on both sides of a row of a timeline; of frames that are scored seconds in all",
    "crop": "of prepare the kind of crop, which the contract records, of predict whether to crop at all",
    "frames": "of prepare what pictures are, of synth and reconstruct their number",
    "clips": "of reconstruct those in the picture, of synth those that are drawn",
    "size": "side of a crop (asked, and recorded), of the clips of a published model, of what is drawn",
    "fps": "of crops (asked, and recorded), and of videos that are drawn",
    "quality": "what prepare was asked, and what the contract of the shards records",
    "subsampling": "what prepare was asked, and what the contract of the shards records",
    "movements": "what prepare was asked, and what the contract of the shards records",
    "margin": "what prepare was asked, what the contract of the shards records, and a loss's distance",
    "batch_size": "clips of an optimizer step, and clips at once where nothing is learned",
    "workers": "loaders of a training, two by default, and processes side by side, one for each core",
    "seed": "part of what an experiment is, and of a command",
    "activation": "of numbers of a clip also sigmoid, of a published model the one in its front end",
    "pool": "tokens that a task averages, and what a published model is made to average",
    "bands": "80 of log-mel energies, 40 of MFCC",
    "mask_ratio": "of training, and of a picture of what is hidden",
    "kind": "of labels, and of optimizers",
    "momentum": "of the copies that BYOL and DINO follow, and of SGD",
    "dropout": "of LiRA's predictor, and of the GRU over a video",
    "flip": "a probability with another default for clips, views of pictures and whole videos",
    "source": "of convert a checkpoint, of get where one file comes from",
    "grey": "crops without colour, and the probability of a view without colour",
    "solarize": "of a view of a picture, and of a whole video",
    "crop_area": "of a clip, and of each view of a picture, whose bounds the methods set",
    "crop_aspect": "of a clip, and of each view of a picture, whose bounds the methods set",
    "projection": "BYOL's 256 and SimSiam's 2,048 of all layers",
    "predictor_hidden": "BYOL's 4,096 and SimSiam's 512",
}


def commands() -> set[type]:
    """The options classes of all verbs and what all recipes hold, with their parts.

    Encoders are left out: each has a width and a depth of its own architecture.
    """
    found: set[type] = set()
    encoders = set(get_args(EncoderConfig))
    stack: list[Any] = [class_of(verb) for verb in VERBS] + [PrepareConfig, Experiment]
    stack += {type(recipe(name).learner) for name in index()}
    while stack:
        cls = stack.pop()
        if cls not in found | encoders:
            found.add(cls)
            stack += [part for hint in hints_of(cls).values() for part in parts(hint)]
    return found


def parts(hint: Any) -> list[type]:
    """The dataclasses in a type."""
    inner = [part for arg in get_args(hint) if not isinstance(arg, Arg) for part in parts(arg)]
    return [hint, *inner] if is_config(hint) else inner


def declared() -> dict[str, set[str]]:
    """Classes that declare each option, by its name."""
    owners: dict[str, set[str]] = {}
    for cls in commands():
        options = {f.name for f in fields(cls) if not parts(hints_of(cls)[f.name])}
        for owner in (c for c in cls.__mro__ if is_config(c)):
            for name in vars(owner).get("__annotations__", {}).keys() & options:
                owners.setdefault(name, set()).add(owner.__qualname__)
    return owners


def test_every_option_is_declared_once():
    twice = {name: sorted(owners) for name, owners in declared().items() if len(owners) > 1}
    assert {name: owners for name, owners in twice.items() if name not in SAME_NAME} == {}
    assert sorted(SAME_NAME) == sorted(twice)
