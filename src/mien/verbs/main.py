"""`mien VERB ...`: finds the verb's module and turns errors into one line for the person at the keyboard."""

from __future__ import annotations

import importlib
import sys

from mien import __version__
from mien.errors import Interrupted, UserError
from mien.verbs.allocator import keep_freed_memory

VERBS = {
    "demo": "the whole path on built-in procedural faces, in minutes, on a CPU",
    "prepare": "find, track, align and crop faces: videos -> shards",
    "pretrain": "self-supervised training on shards without labels",
    "finetune": "train a classifier or a regressor on labelled shards, or all folds of a benchmark",
    "evaluate": "score a model on a split: every metric with its interval, failures by name",
    "audit": "what parts of shards share: copies, people, sources; labels, lengths, crops",
    "table": "our rows inside a paper's table: Markdown, CSV, LaTeX",
    "predict": "a video -> timeline.csv, predictions.json, report.html",
    "reconstruct": "film strips: original, masked, reconstructed",
    "embed": "features of every clip to parquet, and their t-SNE picture",
    "profile": "parameters, FLOPs and latency beside the papers' tables",
    "convert": "a published checkpoint -> a model folder, and back",
    "synth": "draw face videos by code, with labels",
    "doctor": "what this machine can do, and what is missing",
}


def usage() -> str:
    width = max(map(len, VERBS))
    lines = [f"  mien {verb:<{width}}  {text}" for verb, text in VERBS.items()]
    return "\n".join([f"mien {__version__}: face video to apparent expression, and to better models", "", *lines, "",
                      "mien VERB --help lists the options of a verb."])  # fmt: skip


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
        print(f"mien: no verb {verb!r}; there are: {', '.join(VERBS)}", file=sys.stderr)
        return 2
    try:
        return importlib.import_module(f"mien.verbs.{verb}").main(argv[1:])
    except UserError as error:
        print(f"mien {verb}: {error}", file=sys.stderr)
        return 2
    except Interrupted as stop:
        print(f"mien {verb}: {stop}", file=sys.stderr)
        return stop.exit_code
    except KeyboardInterrupt:
        print(
            f"mien {verb}: stopped; what was finished is kept, run the same command again for the rest", file=sys.stderr
        )
        return 130
    except BrokenPipeError:
        return 141
    except OSError as error:
        print(f"mien {verb}: {error.strerror or error}: {error.filename or 'input or output'}", file=sys.stderr)
        return 2


def main() -> None:
    keep_freed_memory()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
