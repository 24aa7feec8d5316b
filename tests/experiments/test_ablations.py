"""experiments/ablations.py: `pytest tests/experiments/test_ablations.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ablation_cells
import numpy as np
import pytest
from ablation_cells import Job, finetuning, jobs, pretraining
from ablation_tables import Variant, ablations, svfap
from ablations import Results, document, read_counts, shows
from cells import carry_out, folder, in_order, kept
from intervals import Score

TABLES = ablations()


def test_every_variant_builds_a_method_that_sees_something():
    starts = {row.variant.start for table in TABLES for row in table.rows}
    masks = {}
    for start in starts:
        method: Any = pretraining(start, 0).method
        assert finetuning(Variant(start), 0).task.encoder == method.encoder
        method.encoder.check_clip(method.clip.num_frames, method.clip.size)
        masks[start] = method.mask().num_visible
    regions = [start for start in starts if start.recipe == "mae-dfer-micro"]
    assert len({dict(start.encoder)["region"] for start in regions}) == 4
    assert len({masks[start] for start in regions}) == 1  # the same share is hidden, whatever the region
    assert len({start.name for start in starts}) == len(starts)


def test_every_table_has_one_reference_and_known_signs():
    for table in TABLES:
        assert [row.expected for row in table.rows].count("reference") == 1
        printed = {row.label: float(row.paper) for row in table.rows if row.paper.replace(".", "").isdigit()}
        best = printed[table.reference.label]
        for row in table.rows:
            if row.label in printed and row.expected in ("better", "worse"):
                assert (printed[row.label] > best) == (row.expected == "better")
            if row.label in printed and row.expected == "alike":
                assert abs(printed[row.label] - best) < 0.3


def test_all_tables_get_their_first_seed_before_any_gets_its_second():
    order = jobs(TABLES, (0, 1, 2))
    assert len(set(order)) == len(order)
    assert [job.seed for job in order] == sorted(job.seed for job in order)
    places = {job: i for i, job in enumerate(order)}
    assert all(places[job.needs] < places[job] for job in order if job.needs)
    scratch = [job for job in order if not job.variant.start.length]
    assert len(scratch) == 3 * (4 + 1)  # SVFAP with four shares of the labels, MAE-DFER with all
    assert all(job.needs is None for job in scratch)


def test_a_micro_run_of_a_variant(expressions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("PRETRAIN_STEPS", "FINETUNE_STEPS", "PRETRAIN_BATCH", "FINETUNE_BATCH"):
        monkeypatch.setattr(ablation_cells, name, 2)
    (tmp_path / "shards").symlink_to(expressions)
    variant = Variant(svfap(data=0.5), labels=0.5)
    start, cell = in_order([Job("finetune", variant, 1)])
    for job in (start, cell):
        carry_out(job, tmp_path)
    assert 0 < kept(start, tmp_path)["held_out_ratio"] < 3
    assert kept(cell, tmp_path).keys() == {"uar", "war"}
    counts = read_counts(folder(cell, tmp_path) / "run" / "evaluation" / "predictions.csv")
    results = Results({(variant, 1): counts})
    assert len(counts) == 2  # the test people
    found, nothing = results.score(variant), results.score(Variant())
    assert found is not None
    assert found.mean == pytest.approx(kept(cell, tmp_path)["uar"])
    assert nothing is None


def test_verdicts():
    better, worse, alike = Score(0.1, 0.02, 0.2), Score(-0.1, -0.2, -0.02), Score(0.0, -0.1, 0.1)
    assert [shows(d, "worse") for d in (better, worse, alike, None)] == [
        "no, better",
        "yes",
        "not told apart",
        "unfinished",
    ]
    assert [shows(d, "alike") for d in (better, alike)] == ["no, better", "yes (not told apart)"]
    assert shows(worse, "reference") == shows(worse, "unknown") == ""


def test_the_document_marks_what_is_unfinished(tmp_path: Path):
    job = Job("finetune", TABLES[0].reference.variant, 0)
    evaluation = folder(job, tmp_path) / "run" / "evaluation"
    evaluation.mkdir(parents=True)
    lines = ["item,subject,label,predicted,p_a,p_b", "1,x,a,a,1,0", "2,x,b,a,1,0", "3,y,a,a,1,0", "4,y,b,b,0,1"]
    (evaluation / "predictions.csv").write_text("\n".join(lines) + "\n")
    np.testing.assert_array_equal(read_counts(evaluation / "predictions.csv"), [[[1, 0], [1, 0]], [[1, 0], [0, 1]]])
    for finished in (job, job.needs):
        assert finished is not None
        folder(finished, tmp_path).mkdir(parents=True, exist_ok=True)
        (folder(finished, tmp_path) / "done.json").write_text(json.dumps({"held_out_ratio": 0.7}))
    text = document(TABLES, tmp_path, 3.0, 2)
    section = text.split(f"## {TABLES[0].title}")[1].split("## ")[0]
    assert "| full length | 62.63 | 75.0 | unfinished | unfinished | 75.0 (50.0 to 100.0)" in section
    assert section.count("unfinished |") > 6
    assert "| 0.700 |" in section
    assert all(f"## {table.title}" in text for table in TABLES)
