"""Writes small trees in the official layouts of the dimensional, personality and unlabelled corpora, with drawn faces.

The annotation that a tree holds is computed by plain formulas (`wave`), so that tests can say by hand what a frame's target is.
"""

from __future__ import annotations

import csv
import pickle
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from mien.corpora.synthetic import SynthConfig, draw_clip, write_video
from mien.data.manifest import Manifest
from mien.data.shards import Clip, Shards
from mien.faces.from_corpus import CorpusPlan, plan_corpus, prepare_corpus
from mien.faces.options import PrepareOptions

FPS = 25
FRAMES = 16
TRAITS = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")


@cache
def faces(subject: int = 0) -> np.ndarray:
    """[16, 96, 96, 3] of one of two drawn people."""
    return draw_clip(SynthConfig(frames=FRAMES, size=96, fps=FPS), subject % 2, 0)[0]


def wave(times_s: np.ndarray | float, phase: float) -> np.ndarray:
    """A rating in -0.9 to 0.9 that is nowhere constant."""
    return 0.9 * np.sin(2.0 * np.asarray(times_s, np.float64) + phase)


def video(path: Path, subject: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, faces(subject), FPS)
    return path


def images(folder: Path, numbers: Iterable[int], subject: int = 0) -> Path:
    """``00001.jpg`` and so on: image n is the frame n of the person."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        Image.fromarray(faces(subject)[number % FRAMES]).save(folder / f"{number:05d}.jpg", quality=95)
    return folder


def text(path: Path, lines: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def touch(root: Path, names: Iterable[str]) -> None:
    """Empty files: names are all that a count needs."""
    made: set[Path] = set()
    for name in names:
        path = root / name
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        path.touch()


def planned(name: str, root: Path, *options: str) -> CorpusPlan:
    return plan_corpus(name, root, PrepareOptions(size=96), options)


def prepared(name: str, root: Path, out: Path, *options: str) -> tuple[Manifest, Shards]:
    manifest = prepare_corpus(planned(name, root, *options), out, workers=0)
    return manifest, Shards(out)


def by_source(manifest: Manifest) -> dict[str, dict]:
    """Rows of the first track of each source."""
    return {row["source"]: row for row in reversed(manifest.rows())}


def clip_of(shards: Shards, row: Mapping) -> Clip:
    return shards.clip(row["shard"], row["row"])


def write_voxceleb2(root: Path) -> Path:
    large = np.stack([np.asarray(Image.fromarray(f).resize((224, 224))) for f in faces()])
    for name in ("id00012/21Uxsk56VDQ/00001.mp4", "id00012/2DLq_Kkc1r8/00016.mp4", "id09272/u7VNkYraCw0/00027.mp4"):
        path = root / "dev/mp4" / name
        path.parent.mkdir(parents=True)
        write_video(path, large, FPS)
        text(path.with_suffix(".txt"), ["Identity  : \tid00012", "", "FRAME \tX \tY \tW \tH"])
    return root


def write_lrs3(root: Path) -> Path:
    for i, name in enumerate(("pretrain/00j9bKdiOjk/50001", "trainval/0Fi83BHQsMA/00002", "test/0Fn9ZGrTaVU/00001")):
        video(root / f"{name}.mp4", i)
        text(root / f"{name}.txt", ["Text:  WELL IT IS SO", "Conf:  5", "Ref:   00j9bKdiOjk"])
    return root


def write_ratings(path: Path, names: Sequence[str], protocol: int = 2, traits: Sequence[str] = (*TRAITS, "interview")):
    """Trait to name to number: the n-th name of the t-th trait has (n + t) / 16."""
    ratings = {t: {name: (n + k) % 16 / 16 for n, name in enumerate(names)} for k, t in enumerate(traits)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(ratings, protocol))
    return ratings


PEOPLE = {"training": "JTmq4k4uQCY", "validation": "-2qsCrkXdWs", "test": "9KAqOrdiZ4I"}


def write_first_impressions(root: Path) -> Path:
    """Three parts of two clips of one video each, in nested folders as the archives unpack."""
    for i, (part, person) in enumerate(PEOPLE.items()):
        names = [f"{person}.00{n}.mp4" for n in (0, 3)]
        write_ratings(root / f"annotations/annotation_{part}.pkl", names, protocol=i)
        for n, name in enumerate(names):
            video(root / f"{part}-{n}/{part}80_01" / name, i)
    return root


WEREWOLF = ("01_02_003", "07_01_200", "30_09_001")


def write_werewolf(root: Path, frames: bool = True, names: Sequence[str] = WEREWOLF) -> Path:
    """Sessions 1, 7 and 30; ratings of the n-th clip are n / 4, (n + 1) / 4, (n + 2) / 4."""
    rows = [[n, n.split("_")[0], *[(i + k) % 5 / 4 for k in range(3)], "开心"] for i, n in enumerate(names)]
    header = ["VideoName", "Session", "Mean_P_1_2", "Mean_A_1_2", "Mean_D_1_2", "Categorical"]
    text(root / "labels/PAD all.csv", [",".join(map(str, row)) for row in [header, *rows]])
    for i, name in enumerate(names):
        if frames:
            images(root / "features" / f"{name}_aligned", range(1, 9), i)
        else:
            video(root / "Werewolf-XL_Speaker_Video" / f"{name}.mp4", i)
    return root


AROUSAL = ("Excited", "Wide-awake", "Neutral", "Dull", "Calm")
VALENCE = ("Pleasant", "Pleased", "Neutral", "Unsatisfied", "Unpleasant")


def write_avcaffe_texts(root: Path, people: Sequence[str], tasks: int, val: Sequence[str]) -> None:
    videos = [f"{p}_task_{t}" for p in people for t in range(1, tasks + 1)]
    for target, words in (("arousal", AROUSAL), ("valence", VALENCE)):
        text(root / f"ground_truths/{target}.txt", [f"{v}, {words[i % 5]}" for i, v in enumerate(videos)])
    for k, target in enumerate(("mental_demand", "effort", "temporal_demand")):
        text(root / f"ground_truths/{target}.txt", [f"{v}, {(i + k) % 22}" for i, v in enumerate(videos)])
    text(root / "info/val.txt", val)
    text(root / "info/train.txt", [p for p in people if p not in val])
    text(root / "info/public_face_ids.txt", people[:1])
    text(root / "info/no_audio_files.txt", [f"{people[0]}_task_1_002.avi"])


def write_avcaffe(root: Path, crops: bool = False, people: Sequence[str] = ("aiim001", "aiim003")) -> Path:
    write_avcaffe_texts(root, people, 2, ["aiim001"])
    for i, person in enumerate(people):
        for task, segment in ((1, 1), (1, 2), (2, 1)):
            name = f"{person}/task_{task}/{person}_task_{task}_{segment:03d}"
            if crops:
                images(root / "images/shorter_segments_face" / name, range(1, 9), i)
            else:
                video(root / "videos/shorter_segments" / f"{name}.avi", i)
    return root


EXPRESSIONS = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"


def write_aff_wild2(root: Path, first: int = 1, train: Sequence[str] = ("video1_left", "video1_right")) -> Path:
    """Twelve annotated frames a track; no face in frames 3, 4 and 9 (from 0); frame 6 has no label."""
    for part, names in (("Train_Set", train), ("Validation_Set", ["12-24-1920x1080"])):
        for name in names:
            labels = [-1 if i == 6 else (i + len(name)) % 8 for i in range(12)]
            text(root / f"Annotations/EXPR_Recognition_Challenge/{part}/{name}.txt", [EXPRESSIONS, *map(str, labels)])
            pairs = ["-5,-5" if i == 6 else f"{wave(i / 30, 0):.3f},{wave(i / 30, 1):.3f}" for i in range(12)]
            text(root / f"Annotations/VA_Estimation_Challenge/{part}/{name}.txt", ["valence,arousal", *pairs])
            images(root / "cropped_aligned" / name, [i + first for i in range(12) if i not in (3, 4, 9)])
    return root


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], separator: str = ";") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator, quoting=csv.QUOTE_NONE, quotechar=None).writerows([header, *rows])
    return path


def sewa_rows(name: str, seconds: float = 1.0) -> list[list[object]]:
    times = np.round(np.arange(0, seconds, 0.1), 6)
    return [[f"'{name}'", f"{t:.6f}", *[f"{wave(t, k):.6f}" for k in range(3)]] for t in times.tolist()]


SEWA_HEADER = ("name", "timestamp", "arousal", "valence", "liking")


def write_sewa(root: Path, labelled_test: bool = False) -> Path:
    for i, name in enumerate(("Train_DE_01", "Devel_HU_02", "Test_CN_03")):
        if labelled_test or not name.startswith("Test"):
            write_table(root / f"labels/{name}.csv", SEWA_HEADER, sewa_rows(name))
        video(root / f"video/{name}.avi", i)
    return root


RECOLA_HEADER = ("time", "FM1 ", "FM2 ", "FM3 ", "FF1 ", "FF2 ", "FF3")


def recola_rows(phase: float, count: int) -> list[list[object]]:
    """Six raters around `wave`, their mean is wave + 0.025."""
    times = [round(0.04 * i, 2) for i in range(count)]
    return [[t, *[f"{wave(t, phase) + 0.01 * k:.6f}" for k in range(6)]] for t in times]


def write_recola(root: Path, people: Sequence[str] = ("P16", "P28", "P45"), count: int = 25) -> Path:
    for i, name in enumerate(people):
        for phase, target in enumerate(("valence", "arousal")):
            base = root / "RECOLA-Annotation/emotional_behaviour"
            write_table(base / target / f"{name}.csv", RECOLA_HEADER, recola_rows(phase, count))
            gold = [[f"{0.04 * k:.2f}", f"{wave(0.04 * k, phase + 2):.6f}"] for k in range(count)]
            write_table(base / "gold_standard" / target / f"{name}.csv", ("time", "gold standard"), gold, ",")
        video(root / f"RECOLA-Video-recordings/{name}.mp4", i)
    return root


def write_avec2016(root: Path) -> Path:
    for i, name in enumerate(("train_1", "dev_1", "test_1")):
        for phase, target in enumerate(("valence", "arousal")):
            lines = [
                "% comment",
                "@relation gold",
                "",
                "@attribute Instance_name string",
                "@attribute frameTime numeric",
            ]
            lines += ["@attribute GoldStandard numeric", "", "@data"]
            lines += [f"'{name}',{0.04 * k:.2f},{wave(0.04 * k, phase):.6f}" for k in range(25)]
            if name != "test_1":
                text(root / f"ratings_gold_standard/{target}/{name}.arff", lines)
        video(root / f"recordings_video/{name}.mp4", i)
    return root
