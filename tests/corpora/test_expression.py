from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import pytest

from mien.corpora import crema_d, dfew, enterface05, ravdess
from mien.corpora.corpus import Listing
from mien.corpora.record import read_record
from mien.corpora.table import read_corpus
from mien.corpora.text import read_xlsx
from mien.data.manifest import Manifest
from mien.data.shards import read_contract
from mien.errors import UserError
from mien.verbs.main import run
from tests.corpora import trees


def read(name: str, root: Path, *options: str) -> Listing:
    return read_corpus(name, root, options)[1]


def sizes(listing: Listing) -> list[tuple[int, int]]:
    columns = sorted(k for k in listing.entries[0].values if k.startswith("fold_"))
    parts = [[e.values[c] for e in listing.entries] for c in columns]
    return [(p.count("train"), p.count("test")) for p in parts]


def is_partition(listing: Listing) -> bool:
    """Every clip is tested in exactly one fold."""
    tested = [sum(v == "test" for k, v in e.values.items() if k.startswith("fold_")) for e in listing.entries]
    return set(tested) == {1}


def subjects_apart(listing: Listing) -> bool:
    columns = [k for k in listing.entries[0].values if k.startswith("fold_")]
    for column in columns:
        parts = {"train": set(), "test": set()}
        for entry in listing.entries:
            parts[str(entry.values[column])].add(entry.values["subject"])
        if parts["train"] & parts["test"]:
            return False
    return True


def said(listing: Listing, words: str) -> list[str]:
    return [line for line in listing.problems if words in line]


# Full size: the numbers are those of the published lists (decisions: data-set-lists), written down here a second time.


def test_dfew_at_full_size(tmp_path):
    trees.dfew_lists(tmp_path, 11_697, (2341, 2341, 2340, 2339, 2336))
    trees.images(tmp_path / "jpg_256" / "00001")
    listing = read("dfew", tmp_path)
    assert len(listing.entries) == 11_697
    assert sizes(listing) == [(9356, 2341), (9356, 2341), (9357, 2340), (9358, 2339), (9361, 2336)]
    assert is_partition(listing)
    assert not said(listing, "published")
    assert said(listing, "11696 listed clips are not in jpg_256")


def test_ferv39k_at_full_size(tmp_path):
    listing = read("ferv39k", trees.ferv39k(tmp_path, (31_088, 7_847), clips=False))
    assert Counter(e.values["split"] for e in listing.entries) == {"train": 31_088, "test": 7_847}
    assert not said(listing, "published")


def test_mafw_at_full_size(tmp_path):
    trees.mafw_lists(tmp_path, 9172, (1839, 1837, 1833, 1832, 1831))
    trees.images(tmp_path / "frames" / "00001", ".png")
    listing = read("mafw", tmp_path)
    assert sizes(listing) == [(7333, 1839), (7335, 1837), (7339, 1833), (7340, 1832), (7341, 1831)]
    assert is_partition(listing)
    assert not said(listing, "published")


def test_crema_d_at_full_size(tmp_path):
    trees.crema_tables(tmp_path, trees.crema_names((1463, 1470, 1476, 1476, 1557)), counts=False)
    listing = read("crema-d", tmp_path)
    assert sizes(listing) == [(5979, 1463), (5972, 1470), (5966, 1476), (5966, 1476), (5885, 1557)]
    assert is_partition(listing)
    assert subjects_apart(listing)
    assert not said(listing, "published")
    assert said(listing, "7442 listed clips are not there")


def test_ravdess_at_full_size(tmp_path):
    for name in ravdess.names("02"):
        path = tmp_path / f"Actor_{name[-2:]}" / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    listing = read("ravdess", tmp_path)
    assert len(listing.entries) == 1440
    assert sizes(listing) == [(1200, 240)] * 6
    assert is_partition(listing)
    assert subjects_apart(listing)
    assert Counter(e.values["label"] for e in listing.entries) == {
        c: 96 if c == "neutral" else 192 for c in ravdess.CLASSES
    }
    assert listing.problems == ()


def test_enterface05_at_full_size(tmp_path):
    for path in trees.enterface_names(enterface05.SUBJECTS):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "subject 6" / "anger").mkdir(parents=True)
    (tmp_path / "subject 6" / "anger" / "subject 6.avi").touch()
    listing = read("enterface05", tmp_path)
    assert len(listing.entries) == 1287
    assert sizes(listing) == [(1017, 270), (1017, 270), (1020, 267), (1017, 270), (1077, 210)]
    assert is_partition(listing)
    assert subjects_apart(listing)
    (eleven,) = {e.values["subject"] for e in listing.entries if "/s12_" in e.path} - {"12"}
    assert eleven == "11"
    assert len(listing.problems) == 2
    assert said(listing, "subject 6")
    assert said(listing, "malformed")[0].endswith("subject 3/surprise/sentence 2/s_3_su_..avi")


# Traps.


def test_dfew_label_numbering(tmp_path):
    official = read("dfew", trees.dfew(tmp_path / "a"))
    copied = read("dfew", trees.dfew(tmp_path / "b", base=0))
    assert [e.values["label"] for e in official.entries] == [e.values["label"] for e in copied.entries]
    by_path = {e.path: e.values["label"] for e in official.entries}
    assert by_path["Clip/jpg_256/00001"] == "happy"
    assert by_path["Clip/jpg_256/00007"] == "fear"
    assert said(copied, "count from 0")
    assert not said(official, "count from")
    with pytest.raises(UserError, match="two numberings"):
        dfew.label_base([0, 7], tmp_path)
    assert dfew.label_base([1, 3], tmp_path)[1] != []


def test_dfew_tells_the_time_normalised_crops(tmp_path):
    root = trees.dfew(tmp_path / "short", length=16)
    assert said(read("dfew", root), "time-normalised")
    for i in range(14):  # with both there the original-length ones are taken
        trees.images(root / "other" / f"{i + 1:05}", count=17 + i)
    both = read("dfew", root)
    assert both.entries[0].path.startswith("other/")
    assert not said(both, "time-normalised")
    assert said(read("dfew", root, "frames=Clip/jpg_256"), "time-normalised")


def test_dfew_votes(tmp_path):
    root = trees.dfew(tmp_path / "d")
    assert said(read("dfew", root), "no annotation.xlsx")
    heads = [f"{k}{c}" for k, c in enumerate(dfew.CLASSES, 1)] + ["order"]
    write_xlsx(root / "annotation.xlsx", [heads, ["2", "0", "8", "0", "", "0", "0", "3"]])
    values = {e.path[-5:]: e.values for e in read("dfew", root).entries}
    assert [values["00003"][f"votes_{c}"] for c in dfew.CLASSES] == [2, 0, 8, 0, 0, 0, 0]
    assert "votes_happy" not in values["00004"]
    (root / "annotation.csv").write_text("a,b\n1,2\n")
    assert said(read("dfew", root), "not laid out as expected (columns a, b)")


def write_xlsx(path: Path, rows: list[list[str]]) -> None:
    """As Excel does it: texts in a shared table, empty cells left out."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    texts, lines = [], []
    for r, row in enumerate(rows, 1):
        cells = ""
        for c, value in enumerate(row):
            if not value.isdigit() and value:
                cells += f'<c r="{chr(65 + c)}{r}" t="s"><v>{len(texts)}</v></c>'
                texts.append(value)
            elif value:
                cells += f'<c r="{chr(65 + c)}{r}"><v>{value}</v></c>'
        lines.append(f'<row r="{r}">{cells}</row>')
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("xl/sharedStrings.xml", f"<sst {space}>{''.join(f'<si><t>{t}</t></si>' for t in texts)}</sst>")
        sheet = f"<worksheet {space}><sheetData>{''.join(lines)}</sheetData></worksheet>"
        book.writestr("xl/worksheets/sheet1.xml", sheet)


def test_damaged_excel_file(tmp_path):
    (tmp_path / "annotation.xlsx").write_text("no")
    with pytest.raises(UserError, match="not an Excel file"):
        read_xlsx(tmp_path / "annotation.xlsx")


@pytest.mark.parametrize("line", ["Crime/Angry/0063 3", "Crime/Angry/0063 Happy", "Crime/../0063 Angry", "0063 Angry"])
def test_ferv39k_lists_of_other_projects_are_refused(tmp_path, line):
    root = trees.ferv39k(tmp_path, (1, 1), clips=False)
    (root / "4_setups" / "All_scenes" / "train_All.csv").write_text(line)
    with pytest.raises(UserError, match="line 1"):
        read("ferv39k", root)


def test_mafw_tells_face_frames_from_others(tmp_path):
    official = read("mafw", trees.mafw(tmp_path / "a"))
    jpgs = read("mafw", trees.mafw(tmp_path / "b", ".jpg"))
    whole = read("mafw", trees.mafw(tmp_path / "c", size=(128, 72)))
    assert [x.crop for x in (official, jpgs, whole)] == ["none", "none", "face"]
    assert said(official, "likely, not certain")
    assert said(jpgs, "not png")
    assert said(whole, "whole frames (128x72 png)")
    assert whole.stand_in == official.stand_in
    assert official.classes.index("contempt") == 7


def test_crema_d_votes(tmp_path):
    root = trees.crema_d(tmp_path / "c")
    counted = read("crema-d", root).entries[1].values
    assert [counted[f"votes_{c}"] for c in crema_d.CLASSES] == [2, 1, 0, 0, 1, 2]
    assert read("crema-d", root, "votes=voice").entries[1].values["votes_anger"] == 1
    (root / "processedResults" / "tabulatedVotes.csv").unlink()
    listing = read("crema-d", root)
    tied = listing.entries[1].values
    assert [tied[f"votes_{c}"] for c in crema_d.CLASSES] == [0.5, 0.5, 0, 0, 0, 0]
    assert (tied["subject"], tied["age"], tied["sex"]) == ("1001", 20.0, "male")
    assert said(listing, "no tabulatedVotes.csv")


def test_crema_d_names_broken_and_stray_files(tmp_path):
    names = ["1015_DFA_ANG_XX", *crema_d.BROKEN]
    trees.crema_tables(tmp_path, names)
    (tmp_path / "VideoFlash").mkdir()
    for name in names:
        (tmp_path / "VideoFlash" / f"{name}.flv").touch()
    (tmp_path / "VideoFlash" / crema_d.STRAY).touch()
    (tmp_path / "VideoFlash" / "1002_DFA_ANG_XX.flv").touch()
    listing = read("crema-d", tmp_path)
    assert listing.entries[0].path == "VideoFlash/1015_DFA_ANG_XX.flv"
    assert said(listing, "stray file")
    assert all(name in said(listing, "broken in the release")[0] for name in crema_d.BROKEN)
    assert said(listing, "in no table: 1002_DFA_ANG_XX")


def test_ravdess_never_mixes_the_two_modalities(tmp_path):
    root = trees.ravdess(tmp_path / "r", "01")
    listing = read("ravdess", root)
    assert said(listing, "picture-with-sound")
    there = [e for e in listing.entries if (root / e.path).exists()]
    assert len(there) == 16
    moved = root / "Actor_24" / "02-01-01-01-01-01-01.mp4"  # in the folder of another actor
    moved.parent.mkdir()
    (root / "Actor_01" / "01-01-01-01-01-01-01.mp4").rename(moved)
    listing = read("ravdess", root)
    (there,) = [e for e in listing.entries if (root / e.path).exists()]
    assert (there.values["subject"], there.values["sex"]) == ("01", "male")
    assert said(listing, "15 of them are there in the other modality")
    (root / "Actor_24" / "02-02-01-01-01-01-01.mp4").touch()  # song
    assert len([e for e in read("ravdess", root).entries if (root / e.path).exists()]) == 1


def test_enterface05_missing_clips_are_named(tmp_path):
    for path in trees.enterface_names((1, 2)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    next((tmp_path / "subject 1" / "anger" / "sentence 3").iterdir()).unlink()
    listing = read("enterface05", tmp_path)
    assert "subject 1/anger/sentence 3" in said(listing, "are not there")[0]
    assert len(listing.entries) == 43 * 30


# Prepared.


CASES = {
    "dfew": (trees.dfew, 14, "none"),
    "ferv39k": (trees.ferv39k, 12, "none"),
    "mafw": (trees.mafw, 22, "none"),
    "crema-d": (lambda root: trees.crema_d(root, folders=True), 12, "none"),
    "ravdess": (trees.ravdess, 16, "face"),
    "enterface05": (trees.enterface05, 12, "face"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_tree_is_prepared_trained_on_and_scored(name, tmp_path):
    make, count, crop = CASES[name]
    root, out = make(tmp_path / "root"), tmp_path / "shards"
    words = ["--size", "96", "--workers", "0", "--min-face", "8", "--no-audio"]
    code = run(["prepare", "--corpus", name, str(root), "--out", str(out), *words])
    assert code == 0
    manifest = Manifest.read(out)
    rows = manifest.ok().rows()
    assert len({r["source"] for r in rows}) == count
    record = read_record(out)
    assert record is not None
    assert {r["label"] for r in rows} <= set(record.classes)
    assert all(r["num_frames"] == trees.FRAMES for r in rows)
    contract = read_contract(out)
    assert contract.geometry.crop == crop
    assert contract.verified == (crop == "face")
    assert (contract.stand_in is None) == (crop == "face")
    column = "split" if name == "ferv39k" else "fold_1"
    words = [
        "--data",
        str(out),
        "--split-column",
        column,
        "--steps",
        "1",
        "--batch-size",
        "2",
        "--workers",
        "0",
        "--device",
        "cpu",
    ]
    assert run(["finetune", "classify", "--out", str(tmp_path / "run"), *words]) == 0
    words = ["--data", str(out), "--split-column", column, "--device", "cpu", "--out", str(tmp_path / "scores")]
    assert run(["evaluate", str(tmp_path / "run"), *words]) == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dfew", "looked for EmoLabel_DataSplit"), ("ferv39k", "looked for 4_setups"), ("mafw", "looked for single/no_caption"),
        ("crema-d", "looked for processedResults"), ("ravdess", "looked for speech clips"),
        ("enterface05", "looked for subject 1"),
    ],
)  # fmt: skip
def test_wrong_root_is_one_line(name, words, tmp_path, capsys):
    (tmp_path / "holiday").mkdir()
    assert run(["prepare", "--corpus", name, str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_missing_list_is_one_line(tmp_path):
    root = trees.dfew(tmp_path / "d")
    (root / "EmoLabel_DataSplit" / "test(single-labeled)" / "set_3.csv").unlink()
    with pytest.raises(UserError, match=r"set_3\.csv: no such file"):
        read("dfew", root)
