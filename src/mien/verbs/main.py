"""`mien VERB ...`: finds the verb's module and turns errors into one line for the person at the keyboard."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable

from mien import __version__
from mien.errors import Interrupted, UserError
from mien.options import HelpWanted, UnknownOption, nearest
from mien.verbs import renamed
from mien.verbs.allocator import keep_freed_memory

STARTED_S = time.monotonic()
"""When the program started, as `time.monotonic` counts."""

GROUPS = {
    "to begin with": {
        "demo": "the whole path on built-in procedural faces, in minutes, on a CPU",
        "doctor": "what this machine can do, and what is missing",
        "get": "files that others made, such as weights of the face detector",
    },
    "data": {
        "prepare": "find, track, align and crop faces: videos -> shards",
        "audit": "what parts of shards share: copies, people, sources; labels, lengths, crops",
        "synth": "draw face videos by code, with labels",
    },
    "models": {
        "pretrain": "self-supervised training on shards without labels",
        "finetune": "train a classifier or a regressor on labelled shards",
        "convert": "a published checkpoint -> a model folder, and back",
    },
    "results": {
        "predict": "a video -> timeline.csv, predictions.json, report.html",
        "evaluate": "score a model on a split: every metric with its interval, failures by name",
        "benchmark": "train and score every fold of a benchmark, by its paper's rules and strictly",
        "cross": "train on each of several corpora, test on each",
        "table": "our rows inside a paper's table: Markdown, CSV, LaTeX",
    },
    "a look inside": {
        "reconstruct": "film strips: original, masked, reconstructed",
        "embed": "features of every clip to parquet, and their t-SNE picture",
        "profile": "parameters, FLOPs and latency beside the papers' tables",
    },
}
VERBS = {verb: text for verbs in GROUPS.values() for verb, text in verbs.items()}


def usage() -> str:
    width = max(map(len, VERBS))
    lines = [f"mien {__version__}: face video to apparent expression, and to better models"]
    for title, verbs in GROUPS.items():
        lines += ["", title, *(f"  mien {verb:<{width}}  {text}" for verb, text in verbs.items())]
    return "\n".join(
        [*lines, "", "mien VERB --help lists the options of a verb that people need, --help all every one."]
    )


def say_once(text: str) -> None:
    """Prints, in the first of the processes that torchrun started."""
    from mien.train.distributed import is_main

    if is_main():
        print(text)


def run(argv: list[str]) -> int:
    """Runs one command line and returns its exit code: 0, 2 for bad input, 128 + signal when interrupted."""
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"mien {__version__}")
        return 0
    verb = argv[0]
    if verb not in VERBS:
        return _fail("mien", _no_verb(verb))
    return guarded(f"mien {verb}", lambda: _carry_out(verb, argv[1:]))


def _carry_out(verb: str, words: list[str]) -> int:
    try:
        return importlib.import_module(f"mien.verbs.{verb}").main(words)
    except UnknownOption as error:
        if now := renamed.now(verb, error.option):
            raise UserError(f"there is no option {error.option} any more: {now}") from None
        raise


def guarded(where: str, call: Callable[[], int]) -> int:
    """The exit code of a command, whose name is `where`: what goes wrong is one line on standard error."""
    try:
        return call()
    except HelpWanted as text:
        print(text)
        return 0
    except UserError as error:
        return _fail(where, str(error))
    except Interrupted as stop:
        return _fail(where, str(stop), stop.exit_code)
    except KeyboardInterrupt as stop:
        what = "stopped; what was finished is kept, run the same command again for the rest"
        return _fail(where, str(stop) or what, 130)
    except BrokenPipeError:
        return 141
    except OSError as error:
        return _fail(where, f"{error.strerror or error}: {error.filename or 'input or output'}")


def _no_verb(verb: str) -> str:
    if verb in renamed.VERBS:
        return f"there is no verb {verb} any more: {renamed.VERBS[verb]}"
    near = nearest(verb, VERBS)
    return f"there is no verb {verb}{f'; did you mean {near}?' if near else '.'} mien --help lists them"


def _fail(where: str, text: str, code: int = 2) -> int:
    print(f"{where}: {text}", file=sys.stderr)
    return code


def main() -> None:
    words = sys.argv[1:]
    if not only_movements(words):
        keep_freed_memory()
    sys.exit(run(words))


def only_movements(words: list[str]) -> bool:
    """Whether no network of torch will run, whose speed is worth memory that lies unused."""
    return words[:1] == ["predict"] and not any(word.startswith("--model") for word in words)


if __name__ == "__main__":
    main()
