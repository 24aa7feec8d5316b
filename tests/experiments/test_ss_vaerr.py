"""experiments/ss_vaerr.py: `pytest tests/experiments/test_ss_vaerr.py`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ss_vaerr
from cells import carry_out, folder, kept
from ss_vaerr import (
    PAPER_II,
    PAPER_III,
    PAPER_IV,
    PRETRAIN,
    TABLES,
    TARGETS,
    Cell,
    Pretext,
    cells_of,
    finetuning,
    jobs,
    lines_of,
    pretraining,
    scores,
    section,
    sums_of,
)

from mien.corpora.synthetic import SynthConfig
from mien.encoders.lip_reading import lip_reading_micro
from mien.recipes.sequence import TABLE_III, TABLE_IV
from mien.scoring.values import concordance
from mien.tasks.sequence import SequenceConfig


def write_predictions(path: Path, noise: float, seed: int = 0) -> dict[str, np.ndarray]:
    """Twenty people of 50 frames; what is predicted is the truth and noise."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(99).uniform(-1, 1, (1000, 2)).cumsum(0) % 1
    columns = {"subject": np.repeat([f"p{k}" for k in range(20)], 50)}
    for k, name in enumerate(TARGETS):
        columns |= {f"true_{name}": truth[:, k], f"predicted_{name}": truth[:, k] + rng.normal(0, noise, 1000)}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return columns


def read_cell(cell: Cell, out: Path) -> np.ndarray:
    """Sums ``[1, people, 9, K]``."""
    return sums_of(folder(cell, out) / "run" / "evaluation" / "predictions.parquet")[None]


def finish(cell: Cell, out: Path, noise: float) -> None:
    write_predictions(folder(cell, out) / "run" / "evaluation" / "predictions.parquet", noise, cell.seed)
    (folder(cell, out) / "done.json").write_text(json.dumps({}))


def test_every_row_of_the_papers_tables_is_a_cell():
    pretexts = {(c.start, c.frozen) for c in cells_of("pretexts")}
    assert set(PAPER_II) <= pretexts
    assert len(cells_of("pretexts")) == 28  # three seeds; one of the frozen encoders, which are not in the paper
    assert set(PAPER_III) == set(TABLE_III) == {c.loss for c in cells_of("losses")}
    assert set(PAPER_IV) == set(TABLE_IV) == {c.augment for c in cells_of("augmentations")}
    printed = [*PAPER_II.values(), *(t for pair in PAPER_III.values() for t in pair), *PAPER_IV.values()]
    assert all(len(text.split()) == 4 for text in printed)


@pytest.mark.parametrize("table", TABLES)
def test_experiments_of_all_cells_build_and_what_is_needed_comes_first(table):
    order = jobs(table)
    places = {job: i for i, job in enumerate(order)}
    for cell in cells_of(table):
        assert finetuning(cell).task.encoder == lip_reading_micro()
        assert cell.needs is None or places[cell.needs] < places[cell]
    assert len({job.name for job in order}) == len(order)
    starts = [job for job in order if isinstance(job, Pretext)]
    assert {job.start for job in starts} == ({"lira", "byol", "dino"} if table == "pretexts" else {"lira"})


def test_pretexts_share_the_encoder_of_the_cells_from_scratch():
    for start in PRETRAIN:
        assert pretraining(start, 0).method.encoder == lip_reading_micro()


def test_crops_are_of_the_micro_size():
    cropped, flipped = (finetuning(Cell("lira", augment=name)).task for name in ("crop+flip", "flip"))
    assert isinstance(cropped, SequenceConfig)
    assert isinstance(flipped, SequenceConfig)
    assert (cropped.augment.crop, cropped.augment.flip) == (ss_vaerr.CROP, 0.5)
    assert cropped.spec.clip.size == ss_vaerr.SIZE > ss_vaerr.CROP
    assert flipped.augment.crop is None


def test_a_micro_run_of_a_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ss_vaerr, "PRETRAIN", {"lira": ("lira-micro", 1)})
    monkeypatch.setattr(ss_vaerr, "TALKING", SynthConfig(6, 6, frames=50, fps=25, sound=True))
    for name in ("FINETUNE_STEPS", "FINETUNE_BATCH"):
        monkeypatch.setattr(ss_vaerr, name, 2)
    ss_vaerr.draw_data(tmp_path, 1)
    cell = Cell("lira", "first", ss_vaerr.BEST_LOSS, "flip")
    for job in (cell.needs, cell):
        assert job is not None
        carry_out(job, tmp_path)
    assert {name: score.mean for name, score in zip(TARGETS, scores(read_cell(cell, tmp_path)), strict=True)} == (
        pytest.approx(kept(cell, tmp_path), abs=1e-4)
    )


def test_scores_are_the_concordance_of_all_frames(tmp_path: Path):
    columns = write_predictions(tmp_path / "a.parquet", 0.2)
    found = scores(sums_of(tmp_path / "a.parquet")[None])
    for name, score in zip(TARGETS, found, strict=True):
        assert score.mean == pytest.approx(concordance(columns[f"true_{name}"], columns[f"predicted_{name}"])["ccc"])
        assert score.low < score.mean < score.high
    write_predictions(tmp_path / "b.parquet", 0.6, 1)
    both = [sums_of(tmp_path / f"{n}.parquet")[None] for n in "ab"]
    assert all(s.low > 0.1 and s.apart for s in scores(*both))
    assert all(s.low == s.mean == s.high == 0 and not s.apart for s in scores(both[0], both[0]))
    assert scores(np.concatenate(both))[0].mean == pytest.approx(np.mean([scores(b)[0].mean for b in both]))


def test_tables_mark_what_is_unfinished(tmp_path: Path):
    finish(Cell("scratch"), tmp_path, 0.5)
    finish(Cell("lira"), tmp_path, 0.1)
    lines = {line.split(" | ")[0] + line.split(" | ")[1]: line for line in lines_of("pretexts", tmp_path)[2:]}
    assert "unfinished" not in lines["| LiRAfine-tuned"]
    assert lines["| LiRAfine-tuned"].count(" *") == 2
    assert ".678 .737 .630 .607" in lines["| LiRAfine-tuned"]
    assert "unfinished | unfinished | 0" in lines["| DINO-ResNetfine-tuned"]
    assert "2 of 28 cells" in section("pretexts", tmp_path, 90, 2)
    finish(replace(Cell("lira"), loss="mse"), tmp_path, 0.1)
    assert sum("unfinished" in line for line in lines_of("losses", tmp_path)) == 14
