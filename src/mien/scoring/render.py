"""Our rows inside a paper's table, and a matrix over corpora: Markdown, CSV, LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import UserError, require
from mien.scoring.metrics import CLASS_METRICS
from mien.scoring.protocols import Protocol, find_protocol
from mien.scoring.scores import number_of
from mien.scoring.table import KINDS

TITLES = {
    "uar": "UAR", "war": "WAR", "macro_f1": "macro F1", "macro_f1_present": "macro F1 (present)", "weighted_f1": "weighted F1",
    "ccc": "CCC", "ccc_biased": "CCC (biased)", "pcc": "PCC", "mae": "MAE", "one_minus_mae": "1 - MAE", "rmse": "RMSE",
}  # fmt: skip
ENDINGS = {"markdown": "md", "csv": "csv", "latex": "tex"}


@dataclass(frozen=True)
class Table:
    """Cells as text; the first `num_published` rows are printed by others."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    num_published: int = 0

    def markdown(self) -> str:
        lines = [f"**{self.title}**", "", _pipes(self.header), "|---" * len(self.header) + "|"]
        lines += [_pipes(r) for r in self.rows]
        return "\n".join([*lines, *(["", *(f"- {n}" for n in self.notes)] if self.notes else [])]) + "\n"

    def csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return text.getvalue()

    def write(self, folder: Path, name: str, formats: Sequence[str] = ("markdown", "csv", "latex")) -> None:
        """``NAME.md``, ``NAME.csv`` and ``NAME.tex`` in the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for form in formats:
            (folder / f"{name}.{ENDINGS[form]}").write_text(getattr(self, form)())

    def latex(self) -> str:
        """A table environment with booktabs rules; our rows are below a rule of their own."""
        body = [" & ".join(map(_tex, r)) + r" \\" for r in self.rows]
        if 0 < self.num_published < len(body):
            body.insert(self.num_published, r"\midrule")
        notes = [rf"\par\footnotesize {_tex(n)}" for n in self.notes]
        lines = [
            r"\begin{table}", r"\centering", rf"\caption{{{_tex(self.title)}}}",
            rf"\begin{{tabular}}{{{'l' * len(self.header)}}}", r"\toprule", " & ".join(map(_tex, self.header)) + r" \\",
            r"\midrule",
            *body, r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}",
        ]  # fmt: skip
        return "\n".join(lines) + "\n"


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


_TEX = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"} | {
    c: f"\\{c}" for c in "&%$#_{}"
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in text).replace("±", r"$\pm$")


def title_of(metric: str) -> str:
    name, _, target = metric.partition(":")
    return f"{TITLES[name]} {target}" if target else TITLES[name]


def number(value: float | None, metric: str, digits: int) -> str:
    """As the papers print it: percent without sign, or a fraction; a dash for none."""
    if value is None or value != value:
        return "-"
    return f"{100 * value:.{digits}f}" if metric.partition(":")[0] in CLASS_METRICS else f"{value:.{digits}f}"


def read_result(path: Path) -> dict[str, Any]:
    """The JSON of a run of folds or of an evaluation, from the file or its folder (of an evaluation, model or run).

    Raises:
        UserError: neither is there, or it is damaged.
    """
    names = ("protocol.json", "evaluation.json", "evaluation/evaluation.json", "model/evaluation/evaluation.json")
    file = path if path.is_file() else next((path / n for n in names if (path / n).is_file()), None)
    require(file is not None, f"{path} holds no protocol.json and no evaluation.json: give a result of mien finetune "
                              "--protocol or of mien evaluate")  # fmt: skip
    assert file is not None
    try:
        result = json.loads(file.read_text())
        if not isinstance(result, dict) or not ({"columns", "provenance"} & set(result)):
            raise ValueError("it is no result")
    except ValueError as error:
        raise UserError(f"{file} is damaged or not ours: {error}") from None
    return {**result, "file": str(file)}


def protocol_table(protocol: Protocol, results: Sequence[Path]) -> Table:
    """The published rows, then two of ours (paper protocol, strict protocol) for each result.

    Raises:
        UserError: a result of another protocol, or without a number of it.
    """
    published = [
        (r.method, r.modality, *(_printed(r.values.get(m), m, protocol) for m in protocol.metrics), r.source)
        for r in protocol.published
    ]
    ours: list[tuple[str, ...]] = []
    notes = [f"Published: {protocol.selection}."]
    for path in results:
        rows, said = _ours(protocol, path)
        ours += rows
        notes += said
    header = ("method", "modality", *map(title_of, protocol.metrics), "source")
    return Table(protocol.title, header, (*published, *ours), tuple(dict.fromkeys(notes)), len(published))


def _printed(value: float | None, metric: str, protocol: Protocol) -> str:
    """Published percentages are percentages already."""
    return "-" if value is None else f"{value:.{2 if metric.partition(':')[0] in CLASS_METRICS else protocol.digits}f}"


def _ours(protocol: Protocol, path: Path) -> tuple[list[tuple[str, ...]], list[str]]:
    result, name = read_result(path), path.parent.name if path.is_file() else path.name
    if "columns" not in result:
        return _single(protocol, result, name)
    if result["protocol"] != protocol.name:
        raise UserError(f"{path} is a result of {result['protocol']}, not of {protocol.name}")
    rows, notes = [], []
    for kind, column in result["columns"].items():
        if "pooled" not in column:
            continue
        cells = [_cell(protocol, column, m) for m in protocol.metrics]
        mark = ", CHOSEN ON TEST DATA" if column["chosen_on_test"] else ""
        rows.append((f"{name} (ours)", "video", *cells, f"{kind} protocol{mark}"))
        notes.append(f"{name}, {kind} protocol: {column['selection']}.")
        if lost := column["pooled"]["num_failed"]:
            notes.append(f"{name}, {kind} protocol: {lost} could not be predicted and are counted as failures.")
        if note := _filled(protocol, column):
            notes.append(f"{name}, {kind} protocol: {note}.")
        if column["missing_folds"]:
            notes.append(f"{name}, {kind} protocol: without {', '.join(column['missing_folds'])}: not comparable yet.")
        if any(f["contract_mismatch"] for f in column["folds"]):
            notes.append(f"{name}, {kind} protocol: CONTRACT MISMATCH, crops were made in another way.")
        notes += [f"{name}, {f['fold']}: audit: {f['audit']}." for f in column["folds"]]
    require(bool(rows), f"{path} has no finished fold")
    return rows, notes + (
        [] if result["corpus_checked"] else [f"{name}: the shards do not say that they hold {protocol.corpus}."]
    )


def _filled(protocol: Protocol, column: dict[str, Any]) -> str:
    """What became of annotated frames without a face, where classes of frames are scored."""
    if KINDS[protocol.kind].units[protocol.per] != "frames":
        return ""
    count = column["pooled"].get("num_filled", 0)
    if not count:
        return "annotated frames without a face are left out, or there are none"
    return f"{count} annotated frames without a face got the prediction before them"


def _cell(protocol: Protocol, column: dict[str, Any], metric: str) -> str:
    text = number(number_of(column["pooled"], metric), metric, protocol.digits)
    mean = column["mean_of_folds"][metric]
    if len(protocol.folds) == 1 or mean["std"] is None:
        return text
    spread = number(mean["std"], metric, protocol.digits)
    return f"{text} (folds {number(mean['mean'], metric, protocol.digits)} ± {spread})"


def _single(protocol: Protocol, result: dict[str, Any], name: str) -> tuple[list[tuple[str, ...]], list[str]]:
    """One evaluation: one fold at most, selection unknown."""
    values = [number_of(result, m) for m in protocol.metrics]
    if None in values:
        raise UserError(
            f"{result['file']} has no {', '.join(map(title_of, protocol.metrics))}: it is of another kind of model"
        )
    cells = [number(v, m, protocol.digits) for v, m in zip(values, protocol.metrics, strict=True)]
    notes = [
        f"{name}: one evaluation on {result['split']}; how its epoch was chosen is not recorded. Audit: {result['audit']}."
    ]
    if len(protocol.folds) > 1:
        notes.append(f"{name}: one of {len(protocol.folds)} folds, not comparable with the pooled rows.")
    if result["contract_mismatch"]:
        notes.append(f"{name}: CONTRACT MISMATCH ({result['contract_mismatch']}).")
    if result["num_failed"]:
        notes.append(f"{name}: {result['num_failed']} could not be predicted and are counted as failures.")
    return [(f"{name} (ours)", "video", *cells, result["split"])], notes


def matrix(results: Sequence[Path], metric: str | None = None) -> Table:
    """Rows: what a model was trained on; columns: what it was tested on.

    Raises:
        UserError: results of different kinds, folds instead of evaluations, or two for one cell.
    """
    found = [read_result(p) for p in results]
    require(all("provenance" in r for r in found), "the matrix is of evaluations: give results of mien evaluate")
    kinds = {r["kind"] for r in found}
    require(len(kinds) == 1, f"results of different kinds: {', '.join(sorted(kinds))}")
    names = (metric,) if metric else KINDS[kinds.pop()].headline
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for r in found:
        key = (r["trained_on"] or Path(r["provenance"]["model"]).parent.name, r["corpus"])
        require(key not in cells, f"two results for a model of {key[0]} on {key[1]}: give one of them")
        cells[key] = r
    models, tests = (list(dict.fromkeys(k[i] for k in cells)) for i in (0, 1))
    rows = []
    for model in models:
        texts = [" / ".join(_of(cells.get((model, test)), m) for m in names) for test in tests]
        rows.append((model, *(t if t.strip("- /") else "-" for t in texts)))
    classes = [
        f"{m} on {t}: {len(r['names'])} {KINDS[r['kind']].what}, {r['num_videos']} videos"
        for (m, t), r in cells.items()
    ]
    title = f"{' / '.join(map(title_of, names))}, rows: trained on, columns: tested on"
    return Table(title, ("trained on", *tests), tuple(rows), tuple(classes))


def _of(result: dict[str, Any] | None, metric: str) -> str:
    value = number_of(result, metric) if result else None
    if result is not None and value is None:
        raise UserError(f"{result['file']} has no metric {metric}")
    return number(value, metric, 2 if metric.partition(":")[0] in CLASS_METRICS else 3)


def plain(path: Path) -> str:
    """The two columns of a ``protocol.json``, for the terminal: pooled with interval, then the mean of folds."""
    result = read_result(path)
    protocol = find_protocol(result["protocol"])
    lines = [result["title"]]
    for kind, column in result["columns"].items():
        mark = " (CHOSEN ON TEST DATA)" if column["chosen_on_test"] else ""
        lines.append(f"{kind} protocol{mark}: {column['selection']}")
        if column["missing_folds"]:
            lines.append(f"  not yet: {', '.join(column['missing_folds'])}")
        for m in protocol.metrics if "pooled" in column else ():
            name, _, target = m.partition(":")
            part = column["pooled"]["per_target"][target] if target else column["pooled"]
            low, high = (number(v, m, protocol.digits) for v in part[f"{name}_95"])
            lines.append(f"  {title_of(m)}: {_cell(protocol, column, m)}, 95 % {low} to {high}")
        if "pooled" in column and (note := _filled(protocol, column)):
            lines.append(f"  {note}")
        unit = KINDS[protocol.kind].units[protocol.per]
        for f in column.get("folds", ()):
            lines.append(f"  {f['fold']}: {f['num_videos']} {unit}, {f['num_failed']} failed; audit: {f['audit']}")
    return "\n".join(lines)
