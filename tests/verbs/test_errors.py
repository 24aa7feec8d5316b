"""Bad input gives one clear line on stderr, exit code 2 and no traceback: `pytest tests/verbs/test_errors.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.verbs.main import run

ONE_STEP = "--steps 1 --batch-size 2 --workers 0 --device cpu"
PRETRAIN = f"pretrain svfap-micro --data SHARDS --out new --size 32 --mask-ratio 0.5 {ONE_STEP}"
REGIONS = f"pretrain mae-dfer-micro --data SHARDS --out new {ONE_STEP}"
FINETUNE = f"finetune classify --data SHARDS --out new --size 32 {ONE_STEP}"

# What is typed (SHARDS is a folder of real shards), and what the line has to say.
REFUSED = [
    ("prepare nowhere.mp4 --out new", "nowhere.mp4: no such file"),
    ("prepare empty --out new", "empty holds no videos"),
    ("prepare --out new", "nothing to prepare"),
    ("prepare broken.mp4 --out new --workers 0", "no face in any of the inputs"),
    ("prepare broken.mp4 --out new --size -5", "--size -5; allowed 16 to 1024"),
    ("prepare broken.mp4 --out new --margin -1", "--margin -1; allowed"),
    ("prepare broken.mp4 --out new --fps 0", "--fps 0; allowed"),
    ("prepare broken.mp4 --out new --quality 101", "--quality 101; allowed 1 to 100"),
    ("prepare broken.mp4 --out new --detect-side 0", "--detect-side 0; allowed"),
    ("prepare broken.mp4 --out new --min-score 1", "--min-score 1; allowed"),
    ("prepare broken.mp4 --out new --min-face 0", "--min-face 0; allowed"),
    ("prepare broken.mp4 --out new --gap-s -1", "--gap-s -1; allowed"),
    ("prepare broken.mp4 --out new --labels nowhere.csv", "nowhere.csv: no such file"),
    ("prepare broken.mp4 --out new --labels table.csv", "has no column path; it has: name"),
    ("prepare broken.mp4 --out new --boxes nowhere.csv", "nowhere.csv: no such file"),
    ("prepare broken.mp4 --out table.csv", "table.csv: cannot write there"),
    ("pretrain svfap-micro --data nowhere --out new", "nowhere is not there: give a folder written by `mien prepare"),
    ("pretrain svfap-micro --data empty --out new", "empty has no manifest.parquet"),
    (f"{PRETRAIN} --steps 0", "steps 0"),
    (f"{PRETRAIN} --steps -3", "steps -3"),
    (f"{PRETRAIN} --batch-size 0", "--batch-size 0"),
    (f"{PRETRAIN} --epochs -1 --steps none", "--epochs -1"),
    (f"{PRETRAIN} --batch-size 5 --accumulate 2", "batch size 5 is not divisible"),
    (f"{PRETRAIN} --out full", "full is not empty and holds no run: give a new folder"),
    ("finetune classify --data nowhere --out new", "nowhere is not there"),
    ("finetune classify --data empty --out new", "empty has no manifest.parquet"),
    (f"{FINETUNE} --target mood", "no column 'mood' in the manifest; label columns here: label"),
    (f"{FINETUNE} --split-column fold", "no column 'fold'"),
    (f"{FINETUNE} --init nowhere", "nowhere is not there: give a model folder, a run folder, or a hub id"),
    (f"{FINETUNE} --init empty", "empty holds no model"),
    (f"{FINETUNE} --label-fraction 0", "--label-fraction 0.0: give a number above 0"),
    (f"{FINETUNE} --label-fraction -2", "--label-fraction -2.0"),
    (f"{FINETUNE} --size 96", "crops are 32 px, the model needs 96 px; prepare it again with --size 96"),
    ("evaluate nowhere --data SHARDS", "nowhere is not there"),
    ("evaluate empty --data SHARDS", "empty holds no model"),
    ("predict broken.mp4 --model nowhere --out new", "nowhere is not there"),
    ("predict --model empty --out new", "VIDEO is missing: Video files, folders"),
    ("predict broken.mp4 --out new", "broken.mp4: not a readable video"),
    ("predict broken.mp4 --out new --baseline 5-2", "--baseline 5-2: give auto, none, or seconds"),
    ("predict broken.mp4 --out new --smile-from 2", "--smile-from 2: give a number above 0 and below 1"),
    ("predict broken.mp4 --out new --thresholds 2", "--thresholds"),
    ("predict broken.mp4 --model empty --out new --step-s 0", "--step-s 0; allowed"),
    ("reconstruct nowhere --data broken.mp4 --out a.png", "nowhere is not there"),
    ("reconstruct empty --data broken.mp4 --out a.txt", "--out a.txt; allowed are pictures"),
    ("reconstruct empty --data broken.mp4 --out a.png --clips 0", "--clips 0; allowed 1 or more"),
    ("reconstruct empty --data broken.mp4 --out a.png --frames -1", "--frames -1; allowed 1 or more"),
    ("synth --out new --clips 0", "--clips 0: allowed are 1 to"),
    ("synth --out new --subjects -1", "--subjects -1: allowed are"),
    ("synth --out new --frames 2", "--frames 2: allowed are 16 to"),
    ("synth --out new --size 8", "--size 8: allowed are 64 to"),
    ("synth --out new --workers 0", "--workers 0: allowed are"),
    ("synth --out new --seed -1", "--seed -1: allowed are"),
    ("synth --out table.csv --clips 1", "cannot make a folder there"),
]

# Options that are not there, values that cannot be read.
MISTYPED = [
    ("prepare a.mp4 --out new --szie 96", "--size"),
    ("pretrain svfap-micro --data SHARDS --out new --stpes 5", "--steps"),
    ("finetune classify --data SHARDS --out new --tagret label", "--target"),
    ("evaluate empty --data SHARDS --splt test", "--split"),
    ("predict a.mp4 --model empty --out new --step 1", "--step-s"),
    ("reconstruct empty --data a.mp4 --out a.png --mask-ration 0.9", "--mask-ratio"),
    ("synth --out new --clipz 3", "--clips"),
    ("demo --pretrain-step 3", "--pretrain-steps"),
    ("doctor --verbose", "mien doctor --help all"),
    ("pretrain svfap-huge --data SHARDS --out new", "svfap-base"),
    ("finetune regres --data SHARDS --out new", "classify"),
    ("prepare a.mp4 --out new --crop round", "--crop round: give face, box, voxceleb2 or none"),
    ("prepare a.mp4 --out new --size big", "--size big: give a whole number"),
    ("prepare a.mp4", "--out is missing: Folder to write to."),
]

# Values of single options: one line as well.
SETTINGS = [
    (f"{PRETRAIN} --accumulate 0", "accumulate"),
    (f"{PRETRAIN} --workers -1", "workers"),
    (f"{PRETRAIN} --log-every 0", "log-every"),
    (f"{PRETRAIN} --evaluate-every 0", "evaluate-every"),
    (f"{PRETRAIN} --save-every-steps 0", "save-every-steps"),
    (f"{PRETRAIN} --warmup-epochs -1", "warmup-epochs"),
    (f"{PRETRAIN} --seed -1", "seed"),
    (f"{PRETRAIN} --optim.lr -1", "lr"),
    (f"{PRETRAIN} --mask-ratio 1.5", "mask ratio 1.5"),
    (f"{PRETRAIN} --mask-ratio -1", "mask ratio -1"),
    (f"{PRETRAIN} --mask-ratio nan", "mask ratio nan"),
    (f"{PRETRAIN} --decoder-dim 0", "decoder of width 0"),
    (f"{PRETRAIN} --encoder.depths 0 1 1", "encoder depth 0 1 1"),
    (f"{PRETRAIN} --encoder.tube 0 16 16", "tubes of 0x16x16"),
    (f"{PRETRAIN} --encoder.channels 2", "2 channels"),
    (f"{PRETRAIN} --std 0 1 1", "std above 0"),
    (f"{REGIONS} --encoder.region 0 1 2", "regions of 0x1x2"),
    (f"{REGIONS} --encoder.grid 4 4 4", "do not divide"),
    (f"{REGIONS} --encoder.no-intra-region --encoder.no-local-global", "leave one of them on"),
    (f"{PRETRAIN} --num-frames 10", "multiple of 8"),
    (f"{PRETRAIN} --size 40", "40"),
    (f"{PRETRAIN} --size 96", "crops of 32 px"),
    (f"{PRETRAIN} --stride 0", "stride"),
    (f"{PRETRAIN} --encoder.num-heads 3", "3 heads"),
    (f"{PRETRAIN} --out table.csv", "table.csv"),
    (f"{FINETUNE} --num-frames 10", "multiple of 8"),
    (f"{FINETUNE} --stride 0", "stride"),
    (f"{FINETUNE} --size -32", "-32"),
    (f"{FINETUNE} --views 0 --select best", "views"),
    (f"{FINETUNE} --crop-area 2 3", "crop-area"),
    (f"{FINETUNE} --drop-path 2", "drop-path"),
    (f"{FINETUNE} --mixup -1", "mixup"),
    (f"{FINETUNE} --label-smoothing 2", "label-smoothing"),
    (f"{FINETUNE} --erase 2", "erase"),
    ("synth --out new --clips 1 --frames 16 --size 64 --workers 1 --picture a.txt", "--picture a.txt"),
    ("prepare broken.mp4 --out new --workers -2", "--workers -2"),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with what people point at by mistake."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    (tmp_path / "table.csv").write_text("name\nx\n")
    return tmp_path


def words(line: str, shards: Path) -> list[str]:
    return [str(shards) if word == "SHARDS" else word for word in line.split()]


@pytest.mark.parametrize(("line", "says"), [*REFUSED, *SETTINGS], ids=[line for line, _ in [*REFUSED, *SETTINGS]])
def test_bad_input_is_one_line(line: str, says: str, here: Path, shards: Path, capsys: pytest.CaptureFixture[str]):
    assert run(words(line, shards)) == 2
    errors = capsys.readouterr().err.strip()
    assert says in errors
    assert errors.startswith(f"mien {line.split()[0]}: ")
    assert "\n" not in errors


@pytest.mark.parametrize(("line", "says"), MISTYPED, ids=[line for line, _ in MISTYPED])
def test_mistyped_options_are_explained(
    line: str, says: str, here: Path, shards: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(words(line, shards)) == 2
    errors = capsys.readouterr().err
    assert says in errors
    assert errors.startswith(f"mien {line.split()[0]}: ")
    assert errors.count("\n") == 1
    assert sorted(p.name for p in here.iterdir()) == ["broken.mp4", "empty", "full", "table.csv"]


def test_a_refused_run_leaves_nothing_in_the_way(here: Path, shards: Path):
    assert run(words(f"{PRETRAIN} --steps 0", shards)) == 2
    assert run(words(PRETRAIN, shards)) == 0
