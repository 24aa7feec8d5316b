"""Cross-corpus: a model for each corpus that is trained on, a score for each pair, a matrix of all. What can be wrong with a pair
is looked at before the first is trained (`mien.scoring.cross`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mien.data.labels import LabelSpec
from mien.recipes.finetune import finetune, start_from
from mien.recipes.folds import Init
from mien.recipes.supervised import ClassifyRecipe, FinetuneData, TaskRecipe
from mien.scoring.cross import check_names, pair, part_of
from mien.scoring.folds import score_once
from mien.scoring.label_map import Tables
from mien.scoring.render import matrix
from mien.train.distributed import is_main, pick_device


def cross(
    recipe: TaskRecipe,
    data: FinetuneData,
    train_on: Sequence[Path],
    test_on: Sequence[Path],
    out: Path,
    tables: Tables | None = None,
    fold: str = "1",
    start: Init | None = None,
    allow_mismatch: bool = False,
) -> Path:
    """Trains where that is not done, scores every pair, and writes ``OUT/matrix.md`` and ``.csv``.

    ``OUT/<A>`` is the run on A, ``OUT/<A>/on-<B>`` its evaluation on B.

    Args:
        data: --target and --split of shards that are of no corpus, --label-fraction and --select of all.
        tables: class names of each corpus to common ones; None where all have the same.

    Raises:
        UserError: what `finetune` and `evaluate` would refuse, before anything is trained.
    """
    start = start or Init()
    kinds = ("categorical",) if isinstance(recipe, ClassifyRecipe) else ("dimensional", "traits")
    target = data.target if data.target != FinetuneData().target else None
    sources, targets = (
        [part_of(root, kinds, recipe.per, target, data.split, fold) for root in roots] for roots in (train_on, test_on)
    )
    check_names(sources, targets)
    begin, plans = start_from(start.init, start.encoder, start.size), {}
    for a in sources:
        spec = LabelSpec((), kinds[0], recipe.per, size=recipe.size or begin.size, contract=a.shards.contract,
                         **begin.pixels)  # fmt: skip
        plans |= {(a.name, b.name): pair(a, b, spec, tables, allow_mismatch) for b in targets}
    results = []
    for a in sources:
        rows = replace(data, data=a.shards.root, target=a.target, split=a.split)
        model = finetune(
            recipe, rows, out / a.name, start.init, start.encoder, start.size, start.device, start.name
        )  # fmt: skip
        for b in targets if is_main() else ():
            results.append(out / a.name / f"on-{b.name}")
            scoring, table = plans[a.name, b.name]
            scoring = replace(scoring, batch_size=recipe.train.batch_size)
            score_once(model, b.shards, results[-1], scoring, pick_device(start.device), table)
    if results:
        matrix(results).write(out, "matrix", ("markdown", "csv"))
    return out / "matrix.md"
