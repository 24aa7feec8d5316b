"""Models of whole tracks in `predict`: `pytest tests/timeline/test_sequences.py`."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data.labels import LabelSpec
from mien.encoders.lip_reading import LipReadingConfig
from mien.encoders.vit import ViTConfig
from mien.errors import UserError
from mien.tasks.sequence import SequenceConfig, SequenceTask
from mien.timeline import PredictConfig, predict_video
from mien.timeline.frames import CropStream
from mien.timeline.scores import score_stream
from mien.timeline.sequences import SequenceRunner, shape_of
from mien.timeline.windows import Windower
from mien.transforms.clip import ClipSpec
from tests.timeline.helpers import READY, classifier, every, face, loaded, write_video

SPEC = LabelSpec(
    ("arousal", "valence"), "dimensional", "frame", ("arousal", "valence"), (-1.0, 1.0),
    ClipSpec(20, 1, 0.04, 32, (0.4,), (0.2,)), 1, contract=READY,
)  # fmt: skip
LIPS = SequenceConfig(SPEC, LipReadingConfig(width=4), gru_hidden=8)
COLOUR = replace(SPEC, clip=replace(SPEC.clip, mean=(0.4,) * 3, std=(0.2,) * 3))
CLIPS = SequenceConfig(COLOUR, ViTConfig(dim=16, num_heads=2, depth=1), gru_hidden=8)


def model(config: SequenceConfig = LIPS) -> SequenceTask:
    """Untrained, but it answers differently to different frames."""
    torch.manual_seed(0)
    built = config.build().eval()
    with torch.no_grad():
        assert built.head is not None
        built.head.weight.mul_(5)
    return built


def rows_of(out: Path) -> list[dict[str, str]]:
    with open(out / "timeline.csv", newline="") as file:
        return list(csv.DictReader(file))


def values_of(rows: list[dict[str, str]]) -> np.ndarray:
    return np.array([[float(r["arousal"]), float(r["valence"])] for r in rows])


def whole(task: SequenceTask, video: Path) -> np.ndarray:
    """What the model says of all frames at once."""
    with CropStream(video, READY) as stream:
        frames = torch.from_numpy(np.stack([faces[0].crop for faces in stream]))
    with torch.inference_mode():
        return task.predict(task.plain_augment().apply(frames[None], {}))[0].numpy()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 seconds at 25 fps."""
    return write_video(tmp_path_factory.mktemp("sequences") / "v.mp4", every(0.04, 101))


def test_a_row_for_every_frame_with_the_values_of_the_unbroken_track(video: Path, tmp_path: Path):
    task = model()
    line = predict_video(video, {"va": loaded(task)}, tmp_path, PredictConfig(crop="none", annotate=True))
    rows = rows_of(tmp_path)
    assert line.table.num_rows == len(rows) == 101
    assert [float(r["time_s"]) for r in rows] == pytest.approx(every(0.04, 101))
    np.testing.assert_allclose(values_of(rows), whole(task, video), atol=2e-5)
    record = json.loads((tmp_path / "predictions.json").read_text())
    assert record["models"]["va"]["window_s"] is None
    meaning = {c["name"]: c["meaning"] for c in record["columns"]}
    assert "everything that it has seen of the track until time_s" in meaning["valence"]
    assert "window" not in " ".join(meaning.values())
    report = (tmp_path / "report.html").read_text()
    assert "all frames of a track from its first one on" in report
    assert (tmp_path / "annotated.mp4").stat().st_size > 1000


def test_rows_may_be_fewer_or_smoothed(video: Path, tmp_path: Path):
    task = model()
    expected = whole(task, video)
    predict_video(video, {"va": loaded(task)}, tmp_path / "few", PredictConfig(step_s=0.2, crop="none"))
    np.testing.assert_allclose(values_of(rows_of(tmp_path / "few")), expected[::5], atol=2e-5)
    predict_video(video, {"va": loaded(task)}, tmp_path / "smooth", PredictConfig(smooth_s=0.4, crop="none"))
    smooth = np.array([expected[max(0, k - 5) : k + 6].mean(0) for k in range(101)])
    np.testing.assert_allclose(values_of(rows_of(tmp_path / "smooth")), smooth, atol=2e-5)


def test_beside_a_model_of_windows(video: Path, tmp_path: Path):
    models = {"va": loaded(model()), "expr": loaded(classifier())}
    predict_video(video, models, tmp_path, PredictConfig(crop="none"))
    rows = rows_of(tmp_path)
    assert [float(r["time_s"]) for r in rows] == pytest.approx(every(0.25, 17))
    found = np.array([float(r["va_valence"]) for r in rows])
    nearest = [round(k * 0.25 / 0.04) for k in range(17)]
    np.testing.assert_allclose(found, whole(model(), video)[nearest, 1], atol=2e-5)


def test_a_slow_and_a_fast_video_are_seen_at_the_models_rate(tmp_path: Path):
    """A disc that moves with time: at 12.5 and 50 fps the values at the same times are about those at 25."""
    task, found = model(), {}
    for fps in (12.5, 25, 50):
        video = write_video(tmp_path / f"{fps}.mp4", every(1 / fps, round(2 * fps) + 1))
        predict_video(video, {"va": loaded(task)}, tmp_path / f"{fps}", PredictConfig(crop="none", step_s=0.16))
        found[fps] = values_of(rows_of(tmp_path / f"{fps}"))
    assert len(found[12.5]) == len(found[25]) == len(found[50]) == 13
    assert np.abs(found[50] - found[25]).max() < 0.1 * np.ptp(found[25], axis=0).max()
    assert np.abs(found[12.5] - found[25]).max() < 0.5 * np.ptp(found[25], axis=0).max()


def test_stretches_that_ended_are_forgotten():
    """A hundred people pass by, one after the other."""
    runner = SequenceRunner(model())
    windower, most = Windower([shape_of(runner.model)], 0.04), 0

    class Runner:
        see, forget = runner.see, runner.forget

        def __call__(self, moments):
            return [{"va": v} for v in runner(moments)]

    def frames():
        nonlocal most
        for k in range(500):
            most = max(most, len(runner._lines))
            yield [face(k * 0.04, k // 5)]

    rows = list(score_stream(frames(), windower, Runner(), 16))  # pyright: ignore[reportArgumentType]
    assert len(rows) == 500
    assert most < 12


def test_two_tracks_one_of_them_with_a_gap():
    """Every stretch starts anew, whatever lies between its frames in the stream."""
    task, rng = model(), np.random.default_rng(0)
    times = {0: [k * 0.04 for k in range(60)], 1: [k * 0.04 for k in (*range(5, 30), *range(45, 60))]}
    grey = {(track, t): int(rng.integers(256)) for track, ts in times.items() for t in ts}
    stream = [[face(t, track, grey[track, t]) for track in (0, 1) if t in times[track]] for t in times[0]]
    runner, windower = SequenceRunner(task), Windower([shape_of(task)], 0.04)

    class Runner:
        see, forget = runner.see, runner.forget

        def __call__(self, moments):
            return [{"va": v} for v in runner(moments)]

    rows = list(score_stream(stream, windower, Runner(), 16))  # pyright: ignore[reportArgumentType]
    assert len(rows) == 60 + 25 + 15
    for track, parts in {0: [times[0]], 1: [times[1][:25], times[1][25:]]}.items():
        for part in parts:
            frames = torch.stack([torch.full((8, 8, 3), grey[track, t], dtype=torch.uint8) for t in part])
            with torch.inference_mode():
                expected = task.predict(task.plain_augment().apply(frames[None], {}))[0].numpy()
            ours = [
                r.values["va"]
                for r in rows
                if r.moment.track == track and part[0] - 1e-6 <= r.moment.time_s <= part[-1] + 1e-6
            ]
            np.testing.assert_allclose(np.stack(ours), expected, atol=1e-5)


def test_an_encoder_of_clips(video: Path, tmp_path: Path):
    task = model(CLIPS)
    predict_video(video, {"va": loaded(task)}, tmp_path, PredictConfig(crop="none"))
    with CropStream(video, READY) as stream:
        frames = torch.from_numpy(np.stack([faces[0].crop for faces in stream]))
    expected = torch.cat(list(task.predict_track([frames]))).numpy()
    np.testing.assert_allclose(values_of(rows_of(tmp_path)), expected, atol=2e-5)


def test_what_must_know_the_end_is_refused(video: Path, tmp_path: Path):
    with pytest.raises(UserError, match="both directions"):
        predict_video(
            video, {"va": loaded(model(replace(LIPS, bidirectional=True)))}, tmp_path, PredictConfig(crop="none")
        )


def test_memory_does_not_grow_with_the_video():
    """Of a track of 10,000 frames nothing is kept but the last few."""
    task = model()
    runner, windower = SequenceRunner(task), Windower([shape_of(task)], 0.04)
    held = []
    for k in range(10_000):
        one = [face(k * 0.04, 0, k % 256)]
        runner.see(one)
        moments = windower.push(one)
        if k % 64 == 0 and moments:
            runner(moments)
        line = runner._lines[0][0]
        held.append(len(line.values) + len(line.stream._frames))
    assert max(held) < 4096 + 200
