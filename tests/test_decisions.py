"""docs/decisions.md holds what the code cites, and the code holds what it names; nothing outside the repository is cited."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "decisions.md"
FOLDERS = ("src", "tests", "docs", "runs", "experiments", "benchmarks", "scripts")
SUFFIXES = {".py", ".md", ".txt", ".toml", ".json", ".css", ".html", ".js"}
WORDS = ("measured", "read", "paper", "inferred", "memory", "assumed", "certain", "ours")
CITED = re.compile(r"\bdecisions: ([a-z0-9-]+(?:, [a-z0-9-]+)*)(?=[);])")
OUTSIDE = re.compile(r"\b(?:official|design|style|peers|ideas)\.md\b|\bpapers/|\bshared/")


def slug(heading: str) -> str:
    """The anchor that a heading has on GitHub."""
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the repository but this one."""
    inside = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    for path in (*ROOT.glob("*.md"), *inside):
        if path.suffix in SUFFIXES and "__pycache__" not in path.parts and path != Path(__file__):
            yield path.relative_to(ROOT), path.read_text()


HEADINGS = re.findall(r"^#{2,3} (.+)$", PAGE.read_text(), re.MULTILINE)
DECISIONS = dict(part.split("\n", 1) for part in re.split(r"^#{2,3} ", PAGE.read_text(), flags=re.MULTILINE)[1:])
DECISIONS = {heading: text for heading, text in DECISIONS.items() if "**Code.**" in text}


def test_anchors_are_different_and_in_the_contents():
    anchors = [slug(heading) for heading in HEADINGS if heading != "Contents"]
    assert len(set(anchors)) == len(anchors) > 70
    listed = re.findall(r"^ *- \[(.+)\]\(#(.+)\)$", PAGE.read_text(), re.MULTILINE)
    assert listed == [(heading, slug(heading)) for heading in HEADINGS if heading != "Contents"]


def test_what_is_cited_is_there():
    known, seen, wrong = {slug(heading) for heading in HEADINGS}, 0, []
    for path, text in texts():
        names = [name for found in CITED.findall(text) for name in found.split(", ")]
        names += re.findall(r"\bdecisions\.md#([a-z0-9-]+)", text)
        names += re.findall(r"\]\(#([^)]+)\)", text) if path == PAGE.relative_to(ROOT) else []
        wrong += [f"{path}: {name}" for name in names if name not in known]
        # a citation is closed on its line, or the names above would miss it
        wrong += [f"{path}: {line.strip()}" for line in text.splitlines() if "(decisions:" in CITED.sub("", line)]
        seen += len(names)
    assert wrong == []
    assert seen > 100


@pytest.mark.parametrize("heading", DECISIONS)
def test_a_decision_names_code_that_exists(heading: str):
    """Every path of it, and before a path the classes, functions and constants in that file."""
    names: list[str] = []
    sure, code = (
        re.search(rf"\*\*{what}\.\*\*(.*?)(?:\n- |\n\n|\Z)", DECISIONS[heading], re.DOTALL)
        for what in ("How sure", "Code")
    )
    assert sure
    assert any(re.search(rf"\b{word}\b", sure[1].lower()) for word in WORDS)
    assert code
    for token in re.findall(r"`([^`]+)`", code[1]):
        if "/" not in token:
            names.append(token)
            continue
        assert (ROOT / token).is_file(), token
        source = (ROOT / token).read_text()
        missing = [n for n in names if not all(re.search(rf"\b{part}\b", source) for part in n.split("."))]
        assert missing == [], token
        names = []
    assert names == []


def test_nothing_outside_the_repository_is_cited():
    found = [f"{path}: {line.strip()}" for path, text in texts() for line in text.splitlines() if OUTSIDE.search(line)]
    assert found == []
