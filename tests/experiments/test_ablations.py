"""The pure parts of experiments/ablations.py: `pytest tests/test_ablations.py`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ablation_cells import Job, jobs, recipe_of
from ablation_tables import Pretrained, Variant, ablations
from ablations import Results, document, read_counts, shows
from cells import Scheduler, Score, folder, note, spent, uar

TABLES = ablations()


def confusions(rng: np.random.Generator, right: float, people: int = 40, classes: int = 3) -> np.ndarray:
    """[people, K, K]: two clips of each class a person, of which the share `right` is recognised."""
    counts = np.zeros((people, classes, classes), np.int64)
    for person in range(people):
        for truth in np.repeat(np.arange(classes), 2):
            counts[person, truth, truth if rng.uniform() < right else (truth + 1) % classes] += 1
    return counts


def test_every_variant_builds_a_method_that_sees_something():
    starts = {row.variant.start for table in TABLES for row in table.rows}
    masks = {}
    for start in starts:
        method = recipe_of(start, 0).method
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


def test_the_scheduler_skips_what_is_done_waits_for_what_is_needed_and_keeps_to_the_budget(tmp_path: Path):
    first, second = Variant(), Variant(Pretrained("mae-dfer-micro"))
    order = [j for v in (first, second) for j in (Job("pretrain", v, 0), Job("finetune", v, 0))]
    scheduler = Scheduler(order, tmp_path, 2, budget_s=100.0)
    assert scheduler.next() == order[0]
    scheduler.running[order[0]] = None
    assert scheduler.next() == order[2]  # the fine-tuning of the first has to wait
    del scheduler.running[order[0]]
    folder(order[0], tmp_path).mkdir(parents=True)
    (folder(order[0], tmp_path) / "done.json").write_text("{}")
    note(tmp_path, {"job": order[0].name, "cpu_s": 60.0})
    assert scheduler.next() == order[1]  # fine-tuning has cost nothing yet, so nothing is known against it
    scheduler.failed.append(order[1])
    assert scheduler.next() is None  # another pre-training of 60 s does not fit into 100
    note(tmp_path, {"job": order[0].name, "cpu_s": 5.0})
    assert spent(tmp_path) == {order[0].name: 65.0}


def test_means_and_intervals():
    rng = np.random.default_rng(0)
    good, bad, missing = Variant(), Variant(labels=0.5), Variant(labels=0.1)
    results = Results({(v, s): confusions(rng, p) for v, p in ((good, 0.8), (bad, 0.5)) for s in (0, 1, 2)})
    score, difference = results.score(good), results.score(good, bad)
    assert score is not None
    assert difference is not None
    means = [uar(results.counts[good, s].sum(axis=0)) for s in (0, 1, 2)]
    assert score.mean == pytest.approx(np.mean(means))
    assert score.low < score.mean < score.high
    assert score.low > 0.6
    assert score.high < 0.95
    assert difference.low > 0.15
    same = results.score(good, good)
    assert same == Score(0.0, 0.0, 0.0)
    assert results.score(missing) is None


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
