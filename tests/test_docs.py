"""The documents say what is true: `pytest tests/test_docs.py`."""

from __future__ import annotations

import csv
import importlib
import json
import re
import shlex
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mien.errors import UserError
from mien.options import HelpWanted, parse
from mien.recipes import index, recipe
from mien.verbs.main import VERBS, run
from tests.verbs.options import RECIPE_VERBS, class_of, lines_of, modules_of

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
INDEX = ROOT / "docs" / "index.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^    (?:.* -m )?(mien .*)$", re.MULTILINE)
MAPPED = [(page, "Paper to code") for page in sorted((ROOT / "docs" / "methods").glob("*.md"))]
MAPPED += [(ROOT / "docs" / "ss-vaerr.md", "Where it is in the code")]
# Options of benchmarks/encoders.py, by which the page of speed explains its numbers.
OF_SCRIPTS = {"--threads", "--clock", "--repeats"}
# Pages with Python that goes on from the commands of README.
PYTHON = [ROOT / "docs" / f"{name}.md" for name in ("finetune", "evaluate", "predict")]

# What README's commands get so that the whole path fits a test: two steps of a model of a few thousand weights.
TWO_STEPS = "--steps 2 --batch-size 2 --workers 0 --device cpu"
TINY = {
    "prepare": "--size 32 --workers 0 --no-audio",
    "pretrain": f"{TWO_STEPS} --size 32 --encoder.dim 16 --encoder.num-heads 2 "
    "--encoder.depths 1 1 1 --mask-ratio 0.5 --decoder-dim 16 --decoder-heads 2",
    "finetune": TWO_STEPS,
    "evaluate": "--device cpu",
    "predict": "--device cpu",
}


def fenced(text: str, language: str = "sh") -> list[str]:
    return [body for name, body in FENCED.findall(text) if name == language]


def section(page: Path, title: str) -> str:
    """The text under a heading."""
    return page.read_text().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def commands(text: str) -> list[str]:
    """Every ``mien ...`` line of the code blocks, without what is explained after it."""
    lines = [line for _, body in FENCED.findall(text) for line in body.splitlines()]
    found = [line.strip() for line in lines if line.startswith("mien ")] + INDENTED.findall(FENCED.sub("", text))
    return [re.split(r"\s{3,}|\s+#", line)[0] for line in found]


def mentioned(page: Path) -> list[str]:
    """Every ``mien ...`` between backticks; they may lack what must be given."""
    text = FENCED.sub("", page.read_text())
    if page.name == "renamed.md":  # what is typed no longer stands in the first column
        text = re.sub(r"^\|[^|]*\|", "|", text, flags=re.MULTILINE)
    return list(dict.fromkeys(re.findall(r"`(mien [a-z][^`]*)`", text)))


def read(line: str) -> None:
    """Reads the words as the command does, and does nothing else.

    Raises:
        UserError: words that the command refuses.
    """
    standing = {"N": "1", "PROTOCOL": "dfew", "|": ""}
    words = [standing.get(word, word) for word in shlex.split(line.replace("[", "").replace("]", ""))[1:]]
    verb, *rest = (word for word in words if word)
    assert verb in VERBS or verb in ("VERB", "--help", "--version")
    if verb not in VERBS:
        return
    try:
        if verb not in RECIPE_VERBS:
            parse(class_of(verb), rest, f"mien {verb}")
            return
        first = {"cross": "classify", "benchmark": "classify"}.get(verb, next(iter(index(modules_of(verb)))))
        reader = replace(importlib.import_module(f"mien.verbs.{verb}").VERB, work=lambda *given: None, show=print)
        reader.main([first if word == "RECIPE" else word for word in rest])
    except HelpWanted:
        return


LINES = [(page.relative_to(ROOT), line) for page in PAGES for line in commands(page.read_text())]
MENTIONED = [(page.relative_to(ROOT), line) for page in PAGES for line in mentioned(page)]


def test_the_pages_hold_commands():
    assert {page.name for page, _ in LINES} >= {"README.md", "pretrain.md", "finetune.md", "prepare.md"}
    assert len(LINES) > 100
    assert len(MENTIONED) > 60


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{p.name}: {line}" for p, line in LINES])
def test_commands_of_the_pages_are_read_by_their_commands(page: Path, line: str):
    read(line)


@pytest.mark.parametrize(("page", "line"), MENTIONED, ids=[f"{p.name}: {line}" for p, line in MENTIONED])
def test_commands_between_backticks_have_the_options_they_name(page: Path, line: str):
    try:
        read(line)
    except UserError as error:
        if "is missing" not in str(error) and "received no" not in str(error):
            raise


def test_options_of_the_pages_exist():
    """Of mien; renamed.md has those of before, and scripts are asked in test_scripts.py."""
    known = {"--help", "--version"} | {option for verb in VERBS for option in lines_of(class_of(verb))}
    known |= {option for name in index() for option in lines_of(recipe(name))}
    wrong = []
    for page in PAGES:
        text = FENCED.sub("", page.read_text()) if page.name != "renamed.md" else ""
        pieces = [
            code
            for code in re.findall(r"`([^`\n]+)`", text)
            if not re.match(r"\S*(pip|python|torchrun)|THP_|MALLOC_", code)
        ]
        found = {option for code in pieces for option in re.findall(r"(?<![\w-])--[a-z][\w.-]*", code)}
        wrong += [f"{page.name}: {option}" for option in found - known - OF_SCRIPTS]
    assert wrong == []


def test_files_that_the_pages_name_exist():
    named = re.compile(r"`((?:tests|benchmarks|experiments|src|docs)/[\w./-]+\.\w+)`")
    files = {name for page in PAGES for name in named.findall(page.read_text())} - {"docs/methods/x.md"}
    assert len(files) > 20
    assert [name for name in sorted(files) if not (ROOT / name).exists()] == []


def test_the_index_has_every_page_once():
    links = re.findall(r"\]\(([^)]+)\)", INDEX.read_text())
    pages = [str(page.relative_to(INDEX.parent)) for page in INDEX.parent.rglob("*.md") if page != INDEX]
    assert [name for name in pages if links.count(name) != 1] == []


def test_the_code_that_papers_are_mapped_to_exists():
    """Every `file.py` and every name after it in the tables "Paper to code"."""
    source = ROOT / "src" / "mien"
    everything = "\n".join(path.read_text() for path in source.rglob("*.py"))
    seen = 0
    for page, title in MAPPED:
        rows = [line for line in section(page, title).splitlines() if line.startswith("|")][2:]
        for row in rows:
            for code in re.findall(r"`([^`]+)`", row.split("|")[-2]):
                if code.endswith(".py"):
                    assert (source / code).is_file(), f"{page.name}: {code}"
                elif re.fullmatch(r"[\w.]+", code):
                    owner, _, member = code.rpartition(".")
                    body = class_body(everything, owner) if owner else everything
                    assert re.search(rf"(?:def|class) {member}\b|self\.{member} =|^{member} =", body, re.M), (
                        f"{page.name}: {code}"
                    )
                    seen += 1
    assert seen > 20


def class_body(text: str, name: str) -> str:
    """Source of a class of this name; "" where there is none."""
    found = re.search(rf"^class {name}\b.*?(?=^\S(?!\s*$)|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_pictures_are_there(page: Path):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", FENCED.sub("", page.read_text()))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_the_folder_tree_is_the_one_there_is():
    tree = fenced(section(README, "The folders"), "text")[0]
    inside = tree[tree.index("src/mien/") : tree.index("tests/")]
    shown = set(re.findall(r"\b([a-z]+)/", inside)) - {"src", "mien"}
    real = {p.parent.name for p in (ROOT / "src" / "mien").glob("*/__init__.py")}
    assert shown == real
    assert {f for f in re.findall(r"\b[a-z]+\.py\b", inside)} <= {p.name for p in (ROOT / "src" / "mien").glob("*.py")}
    ignored = (ROOT / ".gitignore").read_text().split()
    for name in re.findall(r"^(\S+)", tree, re.MULTILINE):
        assert f"/{name}" in ignored or (ROOT / name).exists()


def test_every_dependency_is_in_third_party():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    table = re.findall(r"^\| ([\w.-]+) \|", (ROOT / "THIRD_PARTY.md").read_text(), re.MULTILINE)
    assert {re.split(r"[<>=!~ \[]", name)[0].lower() for name in wanted} <= {name.lower() for name in table}


def test_citation_is_valid():
    """The required fields of Citation File Format 1.2.0, for the software and for each reference."""
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cff["cff-version"] == "1.2.0"
    assert cff["type"] == "software"
    assert cff["license"] == "Apache-2.0"
    for work in [cff, *cff["references"]]:
        assert work["title"]
        assert work["authors"]
        assert all({"given-names", "family-names"} <= set(a) or "name" in a for a in work["authors"])
    assert cff["message"]
    titles = " ".join(r["title"] for r in cff["references"])
    assert all(name in titles for name in ("SVFAP", "MAE-DFER", "Spatial Reserve Pooling", "SS-VAERR"))
    assert cff["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def draw_own_videos(folder: Path) -> None:
    """Eight drawn clips of four people, with a table like the one README shows."""
    assert (
        run(["synth", "--out", str(folder), "--clips", "8", "--subjects", "4", "--frames", "24", "--workers", "1"]) == 0
    )
    with open(folder / "labels.csv", newline="") as file:
        drawn = [row for row in csv.DictReader(file)]
    header = fenced(section(README, "Your own data"), "csv")[0].splitlines()[0].split(",")
    labels = ("smile", "neutral")
    with open(folder / "labels.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        for i, row in enumerate(drawn):
            label = labels[(i + i // 4) % 2]
            writer.writerow({**{k: row[k] for k in ("path", "subject", "split")}, "label": label})


def test_your_own_data_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """README's commands, sizes made small by options put after them; then the Python of README and of three pages."""
    monkeypatch.chdir(tmp_path)
    draw_own_videos(tmp_path / "videos")
    shutil.copy(min((tmp_path / "videos" / "clips").glob("*.mp4")), tmp_path / "my.mp4")
    lines = [line for line in fenced(section(README, "Your own data"))[0].splitlines() if line]
    verbs = [line.split()[1] for line in lines]
    assert verbs == ["prepare", "finetune", "evaluate", "pretrain", "finetune", "evaluate", "predict"]
    for line, verb in zip(lines, verbs, strict=True):
        assert run([*shlex.split(line, comments=True)[1:], *TINY[verb].split()]) == 0, line
    evaluation = json.loads((tmp_path / "runs/classify/model/evaluation/evaluation.json").read_text())
    assert evaluation["num_videos"] == 2
    with open(tmp_path / "out/my/timeline.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert all(abs(float(r["p_smile"]) + float(r["p_neutral"]) - 1) < 1e-3 for r in rows)
    assert "trained only on drawn faces" in (tmp_path / "out/my/report.html").read_text()
    names: dict[str, Any] = {}
    shutil.copy(tmp_path / "my.mp4", tmp_path / "talk.mp4")
    for code in [
        *fenced(section(README, "Your own data"), "python"),
        *(c for p in PYTHON for c in fenced(p.read_text(), "python")),
    ]:
        exec(code, names)
        assert names["model"].spec.names == ("neutral", "smile")
    assert names["clips"].shape[1:] == (3, 16, 32, 32)
    assert names["logits"].shape == (1, 2)
    assert names["scores"].record["num_videos"] == 2
    assert (tmp_path / "out" / "talk" / "report.html").is_file()
