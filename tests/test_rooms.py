"""The shape of the source: no circle of files, no private module lent out, nothing too long to read at once."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

import mien

SOURCE = Path(mien.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))


def test_no_files_import_each_other_in_a_circle():
    graph = grimp.build_graph("mien", exclude_type_checking_imports=True)
    imports = {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
    assert len(imports) > 150
    assert list(TopologicalSorter(imports).static_order())  # raises CycleError, which names the circle


def test_no_module_is_private():
    assert not [p for p in FILES if p.stem.startswith("_") and not p.stem.startswith("__")]


def test_files_have_at_most_400_lines_and_functions_60():
    for path in FILES:
        text = path.read_text()
        assert len(text.splitlines()) <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} in {path}"
