"""`mien prepare VIDEOS... --out SHARDS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from mien.errors import require
from mien.faces.options import PrepareOptions
from mien.options import FLAT, Arg, HelpWanted
from mien.options.shared import Workers
from mien.verbs.command import command, function

if TYPE_CHECKING:
    from rich.console import Console

    from mien.data.manifest import Manifest
    from mien.data.shards import Shards


@dataclass(frozen=True, kw_only=True)
class Prepare(Workers):
    """Find, track, align and crop the faces of videos, and pack them into a folder to train on: shards.

    Stopped, the same command goes on.
    """

    HELP: ClassVar = {
        "what goes in": ("VIDEO", "--labels", "--corpus", "--boxes", "--frames"),
        "what comes out": ("--out", "--crop", "--size", "--grey", "--fps", "--no-audio"),
        "how it runs": ("--workers",),
    }

    videos: Annotated[tuple[str, ...], Arg(positional=True, metavar="VIDEO")] = ()
    """Files, folders (searched through) or quoted globs; without any, the paths of --labels. With --corpus: its folder."""
    out: Annotated[Path, Arg(metavar="SHARDS")]
    """Folder to write to."""
    labels: Annotated[Path | None, Arg(metavar="CSV")] = None
    """Table with the columns path, optionally start_s and end_s (cuts), subject, split; every other column is a label."""
    corpus: str | None = None
    """A benchmark by name (docs/corpora.md): files, labels and folds are read from its folder as its authors lay it out."""
    corpus_options: Annotated[tuple[str, ...], Arg(metavar="KEY=VALUE", append=True)] = ()
    """What is uncertain or optional in the corpus's format; again for several. `help` lists those of the corpus."""
    crops: Annotated[PrepareOptions, FLAT] = PrepareOptions()

    def __post_init__(self) -> None:
        if self.corpus is None:
            require(not self.corpus_options, "--corpus-options goes with --corpus NAME")
            return
        for option, value in (("--labels", self.labels), ("--frames", self.crops.frames)):
            require(value is None, f"{option} does not go with --corpus: the corpus says what its files are")


def work(options: Prepare) -> Shards:
    from mien.console import console
    from mien.data.shards import Shards
    from mien.faces.report import show as show_counts

    lines = console()
    if options.corpus is not None and "help" in options.corpus_options:
        raise HelpWanted(corpus_help(options.corpus))
    manifest = from_videos(options, lines) if options.corpus is None else from_corpus(options, options.corpus, lines)
    show_counts(manifest, lines)
    nothing = f"no face in any of the inputs: nothing to train on in {options.out} (reasons above)"
    require(len(manifest.ok()) > 0, nothing)
    return Shards(options.out)


def from_videos(options: Prepare, lines: Console) -> Manifest:
    from mien.faces.pipeline import prepare

    config = options.crops.config()
    lines.print(f"crops: {config.contract.describe()}")
    with bar(lines) as start:
        return prepare(options.videos, options.out, config, options.labels, options.workers, start)


def from_corpus(options: Prepare, name: str, lines: Console) -> Manifest:
    from mien.faces.from_corpus import plan_corpus, prepare_corpus, problem_lines

    roots = options.videos
    require(len(roots) == 1, f"--corpus {name} wants one folder, its root; received {len(roots)}")
    planned = plan_corpus(name, Path(roots[0]), options.crops, options.corpus_options)
    record = planned.record
    lines.print(f"{name}: {record.counts['clips']} clips listed, {record.counts['missing']} of them missing")
    for line in problem_lines(record.problems):
        lines.print(f"  {line}")
    lines.print(f"crops: {planned.config.contract.describe()}")
    with bar(lines) as start:
        return prepare_corpus(planned, options.out, options.workers, start)


def corpus_help(name: str) -> str:
    """The options of a corpus."""
    from mien.corpora.options import describe
    from mien.corpora.table import CORPORA, make_corpus

    make_corpus(name)  # a wrong name is an error with the names there are
    return f"{name}: {describe(CORPORA[name])}; see docs/corpora.md"


def bar(lines: Console):
    """A progress bar over the bytes of the inputs, as the context manager that `prepare` wants."""
    from contextlib import contextmanager

    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from mien.faces.pipeline import Begun

    @contextmanager
    def shown():
        text = TextColumn("{task.description}", markup=False)
        with Progress(text, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=lines) as progress:

            def start(begun: Begun) -> Callable[[float], None]:
                for note in begun.notes:
                    lines.print(note)
                before = f" ({begun.num_finished} finished before)" if begun.num_finished else ""
                size = begun.num_bytes
                text = f"{begun.num_sources} files{before}"
                task = progress.add_task(text, total=max(size, 1), completed=0 if size else 1)
                return lambda done: progress.advance(task, done)

            yield start

    return shown()


def show(shards: Shards, options: Prepare) -> None:
    print(f"{options.out}: {len(shards.manifest.ok())} clips")


prepare = function(Prepare, work)
main = command(Prepare, work, show)
