"""What commands and options are called now (docs/renamed.md): one line for those who type the old name."""

from __future__ import annotations

VERBS: dict[str, str] = {}
"""Of commands that are gone: what to type instead."""

FOLDS = "folds are run by mien benchmark PROTOCOL [RECIPE] --data SHARDS --out OUT"
PAIRS = "corpora are crossed by mien cross RECIPE --train-on A B --test-on A B --out OUT"
OPTIONS: dict[tuple[str, str], str] = {
    ("embed", "--model"): "the model comes first: mien embed MODEL --data SHARDS --out DIR",
    ("reconstruct", "--model"): "the model comes first: mien reconstruct MODEL --data VIDEO|SHARDS --out PNG",
    ("pretrain", "--split"): "the column with the splits is --split-column",
    ("finetune", "--split"): "the column with the splits is --split-column",
    **{("finetune", option): FOLDS for option in ("--protocol", "--fold", "--single-run")},
    **{("finetune", f"--{name}"): PAIRS for name in ("train-on", "test-on", "label-map", "allow-contract-mismatch")},
    **{("finetune", f"--w-{part}"): f"it is --loss.{part}" for part in ("ccc", "mse", "ce", "ncce")},
    ("finetune", "--ccc-over"): "it is --loss.ccc-over",
    ("finetune", "--num-classes"): "bins and clusters are --num-bins",
    ("finetune", "--fps"): "it is --frame-period-s, in seconds: 0.04 for 25 frames a second",
    ("pretrain", "--method.frame-rate"): "it is --frame-period-s, in seconds: 0.04 for 25 frames a second",
}
"""By command and old option: what to type instead."""

BENCHMARKS = ["dfew", "mafw", "crema-d", "ravdess", "enterface05"]
RECIPES = {
    **{
        f"classify-{name}": f"mien benchmark {name} runs its folds, and classify trains one model"
        for name in BENCHMARKS
    },
    "classify-avcaffe": "mien benchmark avcaffe-arousal (or -valence) runs its folds, and classify trains one model",
    **{f"classify-{name}-svfap-released": "it is classify-svfap-released" for name in ("dfew", "mafw")},
}
"""Of recipes that are gone: what to type instead."""


def now(verb: str, option: str) -> str | None:
    """What to type instead of an option that is gone; None for one that never was."""
    if (verb, option) in OPTIONS:
        return OPTIONS[verb, option]
    plain = option.replace("--method.", "--")
    return f"what the method has stands without its name before it: {plain}" if plain != option else None
