"""Each person scored by a model of all others: leave one subject out, for learners that are solved in seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import track

from mien.config import write_json
from mien.console import console
from mien.data.manifest import Manifest
from mien.data.parts import not_test, with_targets
from mien.errors import require
from mien.learner import TrainingData
from mien.scoring.evaluation import UNSEEN, adapted_rows, corpus_of, failures, write_table
from mien.scoring.inference import Inference
from mien.scoring.kind import Scored
from mien.scoring.options import Scoring
from mien.scoring.predictions import Predictions, pooled
from mien.scoring.scores import Scores
from mien.scoring.table import KINDS


def check_people(rows: Manifest) -> None:
    """Raises UserError for rows that cannot be divided by person."""
    people = rows.column("subject")
    bare = sum(not p for p in people)
    require(not bare, f"--folds subject: {bare} of {len(rows)} training clips name no person (column subject)")
    require(len(set(people)) > 1, "--folds subject: all training clips show one person; at least two are needed")


def score_subjects(learner: Any, data: TrainingData, column: str, out: Path) -> Scores:
    """Solves the learner without each person in turn and predicts that person's clips; writes ``evaluation.json``,
    ``predictions.parquet`` and a picture to `out`. Names of classes are those of all rows; everything else that is learned or
    chosen comes from the other people. Clips without a face count as errors.

    Args:
        learner: a config that is `solved`, before it is fitted.
        data: the rows of everybody (`check_people`).
        column: of the manifest, whose rows "test" are left out.
    """
    whole = learner.fitted(data)
    spec, shards, rows = whole.spec, data.shards[0], data.manifest
    kind, folds, parts = KINDS[spec.kind], [], []
    failed = not_test(with_targets(shards.manifest, spec), column).where(lambda r: r["status"] != "ok")
    people = sorted(set(rows.column("subject")))
    for person in track(people, "people", console=console(errors=True), transient=True):
        others = rows.where(lambda r, p=person: r["subject"] != p)
        fold = replace(data, rows=(others,), classes=spec.names if spec.classes else ())
        solution = learner.fitted(fold).solve(fold, None)
        last = person == people[-1]  # who has no clip with a face is in nobody's fold
        missing = failed.where(lambda r, p=person, e=last: r["subject"] == p or (e and r["subject"] not in people))
        held = rows.where(lambda r, p=person: r["subject"] == p)
        scored = Scored(solution.module, spec, shards, held, missing)
        parts.append(kind.predict(scored, Scoring(), Inference()))
        folds.append({"subject": person, "rows": len(held), "chosen": solution.words, "solved": solution.numbers})
    result = _result(whole, data, failed, pooled(parts), folds)
    _write(result, pooled(parts), out)
    return Scores(result)


def _result(whole: Any, data: TrainingData, failed: Manifest, found: Predictions, folds: list[Any]) -> dict[str, Any]:
    spec, shards = whole.spec, data.shards[0]
    audit = f"{adapted_rows(whole, data.manifest)}no person is in the part that their model was trained on"
    return KINDS[spec.kind].score(found, spec, data.seed) | {
        "kind": spec.kind, "per": spec.per, "failed": failures(failed, found, UNSEEN), "left_out": {}, "target": spec.column,
        "split": f"leave one of {len(folds)} people out", "contract_mismatch": None, "audit": audit,
        "per_person": whole.per_person,
        "corpus": corpus_of(shards.root), "folds": folds, "data": str(shards.root), "data_hash": shards.hash,
    }  # fmt: skip


def _write(result: dict[str, Any], found: Predictions, out: Path) -> None:
    kind = KINDS[result["kind"]]
    out.mkdir(parents=True, exist_ok=True)
    write_table(out, kind.table(found, tuple(result["names"])), result["per"])
    kind.draw(result, found, out, "")
    write_json(out / "evaluation.json", result)
