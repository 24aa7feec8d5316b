"""Scheduling of cells and what they keep: `pytest tests/experiments/test_cells.py`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cells import Running, Scheduler, between, carry_out, done, finish, folder, in_order, kept, note, spent


@dataclass(frozen=True)
class Sum:
    """Adds one to what the job before it has; a negative number cannot."""

    number: int

    @property
    def name(self) -> str:
        return f"sum/{self.number}"

    @property
    def needs(self) -> Sum | None:
        return Sum(self.number - 1) if self.number > 0 else None

    def do(self, out: Path) -> dict[str, Any]:
        if self.number < 0:
            raise ValueError("negative")
        return {"sum": kept(self.needs, out)["sum"] + 1 if self.needs else 0}


def nothing() -> None:
    """A page that is not written."""


def test_each_job_comes_once_and_after_what_it_needs():
    assert in_order([Sum(1), Sum(0), Sum(2)]) == [Sum(0), Sum(1), Sum(2)]


def test_the_scheduler_skips_what_is_done_waits_for_what_is_needed_and_keeps_to_the_budget(tmp_path: Path):
    scheduler = Scheduler([Sum(0), Sum(1), Sum(-1)], tmp_path, 2, budget_s=100.0)
    assert scheduler.next() == Sum(0)
    scheduler.running[Sum(0)] = None
    assert scheduler.next() == Sum(-1)  # the sum has to wait for the one before it
    del scheduler.running[Sum(0)]
    carry_out(Sum(0), tmp_path)
    assert scheduler.next() == Sum(1)
    scheduler.failed.append(Sum(1))
    assert scheduler.next() == Sum(-1)  # nothing has cost anything yet, so nothing is known against it
    note(tmp_path, {"job": Sum(0).name, "cpu_s": 60.0})
    assert scheduler.next() is None  # another one of 60 s does not fit into 100
    note(tmp_path, {"job": Sum(0).name, "cpu_s": 5.0})
    assert spent(tmp_path) == {Sum(0).name: 65.0}


def test_jobs_run_in_processes_of_their_own_and_the_page_follows(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    pages: list[int] = []
    write: Callable[[], None] = lambda: pages.append(sum(done(Sum(k), tmp_path) for k in (0, 1)))  # noqa: E731
    assert finish([Sum(0), Sum(-1), Sum(1)], Running(out=tmp_path), 1000.0, write) == 1
    assert kept(Sum(1), tmp_path) == {"sum": 1}
    assert sorted(pages) == pages
    assert len(pages) == 4  # after each job, and at the end
    assert "ValueError: negative" in (folder(Sum(-1), tmp_path) / "log.txt").read_text()
    out = capfd.readouterr().out
    assert "sum/-1 failed (exit code 1)" in out
    assert "[2/3]" in out
    assert finish([Sum(0), Sum(1)], Running(out=tmp_path), 1000.0, nothing) == 0  # finished before
    (folder(Sum(1), tmp_path) / "done.json").unlink()
    assert finish([Sum(1)], Running(out=tmp_path, table_only=True), 1000.0, nothing) == 0
    assert not done(Sum(1), tmp_path)


def test_what_a_job_returns_is_there_whole_or_not_at_all(tmp_path: Path):
    carry_out(Sum(0), tmp_path)
    assert json.loads((tmp_path / "sum" / "0" / "done.json").read_text()) == {"sum": 0}
    assert [p.name for p in (tmp_path / "sum" / "0").iterdir()] == ["done.json"]


def test_the_page_keeps_what_is_not_between_the_markers():
    page = "a\n<!-- losses: written by experiments/x.py -->\nold\n<!-- losses: end -->\nb\n"
    assert between(page, "losses", "experiments/x.py", "new") == page.replace("old", "new")
    with pytest.raises(SystemExit, match="no markers of pretexts"):
        between(page, "pretexts", "experiments/x.py", "new")
