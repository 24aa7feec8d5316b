"""experiments/contrawarping.py: `pytest tests/experiments/test_contrawarping.py`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from cells import carry_out, done, folder, kept
from contrawarping import Args, all_cells, document, main
from contrawarping_cells import (
    PRETEXTS,
    STARTS,
    Data,
    Effort,
    Finetune,
    Job,
    Pretrain,
    Probe,
    classification,
    identification,
    people_of,
    pretext,
)

from mien.data.shards import Shards
from mien.models import load
from tests.experiments.conftest import FEW

MICRO = Effort(FEW, pretrain_steps=2, calibration_steps=1, finetune_steps=2, batch_size=8)
DRAWN = Data("drawn", ("shards/drawn",), ("shards/drawn",))
SCORE = re.compile(r"\d+\.\d \(\d+\.\d to \d+\.\d\)")


def line_of(page: str, label: str) -> list[str]:
    """Cells of the first line of a table that starts so."""
    line = next(text for text in page.splitlines() if text.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_seed_has_every_start_and_what_is_needed_comes_first():
    jobs = all_cells(DRAWN)
    assert len(jobs) == 3 * 2 * len(STARTS)
    assert len({job.name for job in jobs}) == len(jobs)
    places = {job: i for i, job in enumerate(jobs)}
    assert all(places[job.needs] < places[job] for job in jobs if job.needs)
    assert [job.seed for job in jobs] == sorted(job.seed for job in jobs)
    real = all_cells(replace(DRAWN, table="real"))
    assert not any(job.start == "identity" for job in real)
    frozen = {(j.pool, j.frozen_stages) for j in real if isinstance(j, Finetune) and j.size == 96}
    assert frozen == {("srp", n) for n in range(-1, 5)} | {("tokens", -1), ("tokens", 3)}


def test_pretexts_are_of_grey_faces_and_differ_in_what_they_are_named_for():
    learners: dict[str, Any] = {start: pretext(DRAWN, start, 0).method for start in PRETEXTS}
    assert all(learner.encoder.channels == learner.clip.channels == 1 for learner in learners.values())
    assert len({learner.encoder for learner in learners.values()}) == 1
    mild, warped, usual = (learners[name] for name in ("byol-mild", "contrawarping", "byol"))
    assert (mild.first, mild.second) == (warped.first, warped.second) != (usual.first, usual.second)
    assert replace(mild, first=usual.first, second=usual.second) == usual
    still = pretext(DRAWN, "random", 0)
    assert (still.optim.lr, still.optim.min_lr, still.train.steps) == (0.0, 0.0, 60)
    assert still.learner == usual


def test_fine_tuning_is_of_single_frames_with_the_head_of_its_pooling():
    reserve: Any = classification(DRAWN, 0, 240, "srp", 3, 96).task
    mean: Any = classification(DRAWN, 0, 240, "tokens", 3, 96).task
    assert (reserve.head_norm, mean.head_norm) == ("none", "batch")
    assert (reserve.spec.clip.num_frames, reserve.spec.clip.size, reserve.frozen_stages) == (1, 96, 3)
    assert reserve.spec.clip.mean == ()  # left to the encoder that it starts from
    assert identification(DRAWN, 0).task.encoder == pretext(DRAWN, "byol", 0).method.encoder


def test_identity_is_learnt_of_no_test_person(expressions: Path, tmp_path: Path):
    view = people_of(expressions, tmp_path)
    before, after = (pq.read_table(place / "manifest.parquet") for place in (expressions, view))
    tested = {r["subject"] for r in before.to_pylist() if r["split"] == "test"}
    assert tested
    assert not tested & set(after["subject"].to_pylist())
    assert set(after["split"].to_pylist()) == {"train"}
    assert len(Shards(view).manifest.ok()) == len(after)


def test_a_micro_run_and_its_page(expressions: Path, tmp_path: Path):
    """The main path: pretexts, identity and random weights; probes; fine-tuning; both tables with what is unfinished."""
    page, shards = tmp_path / "page.md", (str(expressions),)
    drawn, real = Data("drawn", shards, shards, MICRO), Data("real", shards, shards, MICRO)
    run = [Probe(drawn, start, 0, "drawn") for start in ("contrawarping", "byol-mild", "identity", "random")]
    tuned: list[Job] = [Finetune(real, "contrawarping", 0, "drawn", pool, 3, 96) for pool in ("srp", "tokens")]
    for job in (*run, *tuned):
        for each in (job.needs, job):
            if each is not None and not done(each, tmp_path):
                carry_out(each, tmp_path)
    assert "held_out_warped_cosine" in kept(Pretrain(drawn, "contrawarping", 0), tmp_path)
    for job in (*run, *tuned):
        assert np.shape(kept(job, tmp_path)["counts"]) == (2, 7, 7)  # two test people
    encoder = load(folder(Pretrain(drawn, "contrawarping", 0), tmp_path) / "run")
    assert encoder.config.warp.layout == "face"  # crops that are all aligned alike

    text = document(drawn, tmp_path)
    assert "8 of 36 cells are finished" in text
    assert "2 steps of 8 faces" in text
    assert "Frozen features. Chance 14.3." in text
    label, paper, *seeds, mean, difference = line_of(text, "ContraWarping")
    assert (label, paper, seeds[1:]) == ("ContraWarping", "34.85", ["unfinished"] * 2)
    assert float(seeds[0]) == pytest.approx(float(mean.split()[0]))
    assert difference.count("to") == 1
    assert line_of(text, "SimSiam")[2:] == ["unfinished"] * 4 + [""]
    assert line_of(text, "random weights")[-1] == ""
    assert "ContraWarping minus identity (supervised): " in text
    assert "ContraWarping minus SimSiam" not in text

    text = document(real, tmp_path)
    pooling = text.split("frozen stages: 3")[1]
    assert SCORE.fullmatch(line_of(pooling, "mean over space")[5])
    assert line_of(pooling, "SRP")[6] != ""
    assert line_of(text, "stem + 3")[1] == "34.85"
    assert line_of(text, "none frozen")[2:] == ["unfinished"] * 4 + [""]

    page.write_text("before\n<!-- drawn: written by experiments/contrawarping.py -->\n<!-- drawn: end -->\nafter\n")
    (tmp_path / "drawn").symlink_to(expressions)
    assert main(Args(table="drawn", out=tmp_path, page=page, table_only=True)) == 0
    assert page.read_text().startswith("before\n")
    assert "8 of 36 cells" in page.read_text()
