"""Protocols against the corpora they are of, and the papers' rows against what is known of them otherwise."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from mien.corpora.corpus import Listing
from mien.corpora.table import CORPORA, read_corpus
from mien.scoring.metrics import CLASS_METRICS
from mien.scoring.protocols import PROTOCOLS, Protocol
from mien.scoring.render import number, protocol_table
from mien.scoring.values import VALUE_METRICS
from mien.verbs.main import run
from tests.corpora import dimensional, trees

TREES = {
    "dfew": trees.dfew,
    "ferv39k": trees.ferv39k,
    "mafw": trees.mafw,
    "crema-d": lambda root: trees.crema_d(root, folders=True),
    "ravdess": trees.ravdess,
    "enterface05": trees.enterface05,
    "werewolf-xl": dimensional.write_werewolf,
    "avcaffe": dimensional.write_avcaffe,
    "first-impressions": dimensional.write_first_impressions,
    "aff-wild2": dimensional.write_aff_wild2,
    "sewa": dimensional.write_sewa,
    "recola": dimensional.write_recola,
}


@pytest.fixture(scope="module")
def listings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Listing]:
    """What each protocol's corpus says of a small tree."""
    roots: dict[str, Path] = {}
    found = {}
    for name, protocol in PROTOCOLS.items():
        if protocol.corpus not in roots:
            root = tmp_path_factory.mktemp(protocol.corpus) / "root"
            roots[protocol.corpus] = TREES[protocol.corpus](root) or root
        found[name] = read_corpus(protocol.corpus, roots[protocol.corpus], protocol.options)[1]
    return found


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_finds_its_columns(name: str, listings: dict[str, Listing]):
    protocol, listing = PROTOCOLS[name], listings[name]
    assert protocol.corpus in CORPORA
    columns = {k for e in listing.entries for k in e.values}
    frame_targets = {t for e in listing.entries if e.targets for t in e.targets().values}
    wanted = frame_targets if protocol.per == "frame" else columns
    assert set(protocol.targets) <= wanted
    assert {protocol.group_by} - {None} <= columns
    parts = [
        e.values[fold] for fold in protocol.folds for e in listing.entries
    ]  # small trees lack the people of some folds
    assert {"train", protocol.test} <= set(parts) <= {"train", "val", "test"}


@pytest.mark.parametrize("name", [n for n, p in PROTOCOLS.items() if len(p.folds) > 1])
def test_folds_are_disjoint_and_complete(name: str, listings: dict[str, Listing]):
    """Each clip is tested once and trained on in all other folds; what should be apart is apart."""
    protocol, entries = PROTOCOLS[name], listings[name].entries
    for entry in entries:
        parts = [entry.values[f] for f in protocol.folds]
        assert parts.count("test") == 1
        assert parts.count("train") == len(parts) - 1
    for fold in protocol.folds if protocol.independent else ():
        key = "subject" if protocol.independent == "subjects" else protocol.independent
        sides = [{e.values[key] for e in entries if e.values[fold] == part} for part in ("train", "test")]
        assert not sides[0] & sides[1]


@pytest.mark.parametrize("name", [n for n, p in PROTOCOLS.items() if p.independent == "subjects" and len(p.folds) == 1])
def test_single_splits_keep_people_apart(name: str, listings: dict[str, Listing]):
    protocol, entries = PROTOCOLS[name], listings[name].entries
    sides = [
        {e.values["subject"] for e in entries if e.values[protocol.folds[0]] == p} for p in ("train", protocol.test)
    ]
    assert sides[0]
    assert not sides[0] & sides[1]


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_metrics_and_rows_belong_together(protocol: Protocol):
    known = CLASS_METRICS if protocol.kind == "categorical" else VALUE_METRICS
    for metric in protocol.metrics:
        name, _, target = metric.partition(":")
        assert name in known
        assert not target or target in protocol.targets
    for row in protocol.published:
        assert set(row.values) <= set(protocol.metrics)
        assert row.source
    used = {m for row in protocol.published for m in row.values}
    assert used == set(protocol.metrics) or not protocol.published


def test_the_papers_own_averages_come_out():
    """SVFAP Table 16: the printed average is the mean of the five traits (which traits stand in which column)."""
    for row in PROTOCOLS["first-impressions"].published:
        traits = [v for k, v in row.values.items() if k.startswith("ccc:")]
        if traits:
            assert row.values["ccc"] == pytest.approx(statistics.fmean(traits), abs=2e-3), row.method


def test_no_concordance_is_above_its_correlation():
    """|CCC| <= |PCC| always; one printed row breaks this, and says so."""
    for row in PROTOCOLS["werewolf-xl"].published:
        worse = [t for t in ("arousal", "valence", "dominance") if row.values[f"ccc:{t}"] > row.values[f"pcc:{t}"]]
        assert bool(worse) == ("as printed" in row.method)


@pytest.mark.parametrize(
    ("name", "method", "numbers"),
    [
        ("dfew", "MAE-DFER", ("63.41", "74.43")), ("dfew", "SVFAP-B", ("62.83", "74.27")),
        ("mafw", "SVFAP-B", ("41.19", "54.28")), ("ferv39k", "MAE-DFER", ("43.12", "52.07")),
        ("crema-d", "VO-LSTM", ("-", "66.80")), ("avcaffe-valence", "SVFAP-B", ("41.49",)),
        ("sewa", "SS-VAERR backbone", ("0.678", "0.737")), ("aff-wild2-expr", "Res-50, ContraWarping", ("37.57",)),
    ],
)  # fmt: skip
def test_rows_are_printed_as_in_the_paper(name: str, method: str, numbers: tuple[str, ...]):
    table = protocol_table(PROTOCOLS[name], [])
    row = next(r for r in table.rows if r[0] == method)
    assert row[2 : 2 + len(numbers)] == numbers


def test_formats(capsys: pytest.CaptureFixture[str]):
    assert number(0.62834, "uar", 2) == "62.83"
    assert number(0.62834, "ccc:arousal", 3) == "0.628"
    assert number(None, "uar", 2) == number(float("nan"), "uar", 2) == "-"
    assert run(["table", "crema-d", "--format", "latex"]) == 0
    latex = capsys.readouterr().out
    assert r"\begin{tabular}{lllll}" in latex
    assert r"SVFAP-B & video & 77.31 & 77.37 & SVFAP Table 11 \\" in latex
    assert run(["table", "crema-d", "--format", "csv"]) == 0
    assert "MAE-DFER,video,77.33,77.38,MAE-DFER Table 8" in capsys.readouterr().out
