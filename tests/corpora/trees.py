"""Small folders laid out as the expression corpora's authors lay them out, with drawn faces; and trees of names at full size."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from mien.corpora.crema_d import CODES, LETTERS
from mien.corpora.enterface05 import CLASSES as ENTERFACE
from mien.corpora.mafw import CLASSES
from mien.corpora.synthetic import SynthConfig, draw_clip, write_video

FRAMES = 20


@cache
def faces(subject: int = 0) -> np.ndarray:
    """[T, 64, 64, 3]."""
    return draw_clip(SynthConfig(frames=FRAMES, size=64, subjects=3), subject % 3, 0)[0]


def images(
    folder: Path, suffix: str = ".jpg", count: int = FRAMES, size: tuple[int, int] = (64, 64), subject: int = 0
) -> None:
    folder.mkdir(parents=True)
    for k in range(count):
        picture = Image.fromarray(faces(subject)[k % FRAMES])
        (picture if size == (64, 64) else picture.resize(size)).save(folder / f"{k + 1:05}{suffix}")


def video(path: Path, subject: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, faces(subject), 30, comment="recorded for a test")


def folds_of(count: int, tests: tuple[int, ...]) -> list[set[int]]:
    """Test members of each fold: consecutive stretches."""
    ends = np.cumsum((0, *tests))
    return [set(range(a, b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]


def dfew_lists(root: Path, count: int, tests: tuple[int, ...], base: int = 1) -> None:
    place = root / "EmoLabel_DataSplit"
    for fold, test in enumerate(folds_of(count, tests), 1):
        for part in ("train", "test"):
            folder = place / f"{part}(single-labeled)"
            folder.mkdir(parents=True, exist_ok=True)
            members = [i for i in range(count) if (i in test) == (part == "test")]
            rows = [f"{i + 1},{i % 7 + base}" for i in members]
            (folder / f"set_{fold}.csv").write_text("\n".join(["video_name,label", *rows, ""]))


def dfew(
    root: Path, count: int = 14, tests: tuple[int, ...] = (3, 3, 3, 3, 2), base: int = 1, length: int = FRAMES
) -> Path:
    dfew_lists(root, count, tests, base)
    for i in range(count):
        images(root / "Clip" / "jpg_256" / f"{i + 1:05}", count=length, subject=i)
    return root


def ferv39k(root: Path, counts: tuple[int, int] = (8, 4), clips: bool = True) -> Path:
    words = ("Happy", "Sad", "Neutral", "Angry", "Surprise", "Disgust", "Fear")
    names = [f"Crime/{words[i % 7]}/{i:04} {words[i % 7]}" for i in range(sum(counts))]
    lists = root / "4_setups" / "All_scenes"
    lists.mkdir(parents=True)
    (lists / "train_All.csv").write_text("\n".join(names[: counts[0]]))
    (lists / "test_All.csv").write_text("\n".join(names[counts[0] :]))
    (root / "2_ClipsforFaceCrop").mkdir()
    for i, name in enumerate(names if clips else []):
        images(root / "2_ClipsforFaceCrop" / name.split()[0], subject=i)
    return root


def mafw_lists(root: Path, count: int, tests: tuple[int, ...]) -> None:
    words = CLASSES
    for fold, test in enumerate(folds_of(count, tests), 1):
        folder = root / "Train & Test Set" / "single" / "no_caption" / f"set_{fold}"
        folder.mkdir(parents=True)
        for part in ("train", "test"):
            rows = [f"{i + 1:05}.mp4 {words[i % 11]}" for i in range(count) if (i in test) == (part == "test")]
            (folder / f"{part}.txt").write_text("\n".join(rows) + "\n")


def mafw(root: Path, suffix: str = ".png", size: tuple[int, int] = (64, 64)) -> Path:
    mafw_lists(root, 22, (5, 5, 4, 4, 4))
    for i in range(22):
        images(root / "data" / "frames" / f"{i + 1:05}", suffix, size=size, subject=i)
    return root


def crema_names(per_fold: tuple[int, ...]) -> list[str]:
    """Names with as many clips of the speakers of each fold as wanted."""
    starts, letters = (1001, 1019, 1037, 1055, 1073), list(CODES)
    sentences = ("DFA", "IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "ITS", "TSI", "WSI")
    names = []
    for start, wanted in zip(starts, per_fold, strict=True):
        actors = range(start, start + (19 if start == 1073 else 18))
        every = [f"{a}_{s}_{e}_{v}" for a, s, e, v in product(actors, sentences, letters, ("XX", "HI"))]
        names += every[:wanted]
    return names


def crema_tables(root: Path, names: list[str], counts: bool = True) -> None:
    place = root / "processedResults"
    place.mkdir(parents=True)
    head = '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"'
    votes = {n: "A:D" if k == 1 else n.split("_")[2][0] for k, n in enumerate(names)}
    rows = [f'"{k + 1}","{n}","N","60","{votes[n]}","60","{votes[n]}","60"' for k, n in enumerate(names)]
    (place / "summaryTable.csv").write_text("\n".join([head, *rows, ""]))
    people = sorted({n[:4] for n in names})
    lines = [f'{p},{20 + k},"{("Male", "Female")[k % 2]}","Asian","Not Hispanic"' for k, p in enumerate(people)]
    (root / "VideoDemographics.csv").write_text("\n".join(['"ActorID","Age","Sex","Race","Ethnicity"', *lines, ""]))
    if counts:
        head = ",".join(["", *LETTERS, "fileName", "numResponses"])
        rows = [
            f"{mode * 100_000 + k + 1},{mode},1,0,0,{k % 5},2,{n},10"
            for mode, (k, n) in product((1, 2, 3), enumerate(names))
        ]
        (place / "tabulatedVotes.csv").write_text("\n".join([head, *rows, ""]))


def crema_d(root: Path, folders: bool = False) -> Path:
    names = [f"{actor}_DFA_{code}_XX" for actor, code in product((1001, 1019), CODES)]
    crema_tables(root, names)
    for i, name in enumerate(names):
        if folders:
            images(root / "aligned" / f"{name}_aligned", subject=i)
        else:
            video(root / "VideoFlash" / f"{name}.mp4", subject=i)
    return root


def ravdess(root: Path, modality: str = "02") -> Path:
    for actor, emotion in product((1, 5), range(1, 9)):
        name = f"{modality}-01-{emotion:02}-01-01-01-{actor:02}"
        video(root / f"Actor_{actor:02}" / f"{name}.mp4", subject=actor)
    return root


def enterface_names(subjects: tuple[int, ...]) -> list[str]:
    """Paths of the release: subject 11's files are named s12, subject 23 lacks three sentences of happiness."""
    paths = []
    for subject, emotion, k in product(subjects, ENTERFACE, range(1, 6)):
        if (subject, emotion) == (23, "happiness") and k > 2:
            continue
        number = 12 if subject == 11 else subject
        name = "s_3_su_..avi" if (subject, emotion, k) == (3, "surprise", 2) else f"s{number}_{emotion[:2]}_{k}.avi"
        paths.append(f"subject {subject}/{emotion}/sentence {k}/{name}")
    return paths


def enterface05(root: Path) -> Path:
    """Two subjects, one sentence of each emotion."""
    for path in enterface_names((1, 11)):
        if "/sentence 1/" in path:
            video(root / path, subject=int("subject 11" in path))
    return root
