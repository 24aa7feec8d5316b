from __future__ import annotations

import numpy as np
import pytest

from mien.data.frame import Frame
from mien.errors import UserError
from mien.faces.detect import CenterFace, Detections, FaceDetector, WholeFrame, iou, suppress
from mien.faces.faces import is_cut, resample
from mien.faces.given import GivenBoxes
from mien.faces.track import Tracker


def seen(*faces: tuple[float, float], side: float = 40.0, score: float = 0.9, ids=None) -> Detections:
    """Square faces with their centres at the given places."""
    centres = np.array(faces, np.float32).reshape(-1, 2)
    boxes = np.concatenate([centres - side / 2, centres + side / 2], 1)
    points = np.repeat(centres[:, None], 5, 1)
    return Detections(boxes, points, np.full(len(centres), score, np.float32), None if ids is None else np.array(ids))


def run(tracker: Tracker, steps: dict[int, Detections], num_frames: int, period_s: float = 0.05):
    """All frames' faces, asked for as soon as they are final."""
    out, waiting = [], []
    for index in range(num_frames):
        waiting.append(index)
        if index in steps:
            tracker.update(index, index * period_s, steps[index])
        while waiting and waiting[0] < tracker.horizon:
            out.append(tracker.at(waiting[0], waiting.pop(0) * period_s))
    tracker.end_all()
    return out + [tracker.at(i, i * period_s) for i in waiting]


def test_between_detections_the_face_moves_evenly():
    steps = {k: seen((100 + 4 * k, 50)) for k in (0, 3, 6, 9)}
    frames = run(Tracker(), steps, 10)
    assert [len(f) for f in frames] == [1] * 10
    centres = [(f[0].box[0] + f[0].box[2]) / 2 for f in frames]
    np.testing.assert_allclose(centres, 100 + 4 * np.arange(10), atol=1e-4)  # smoothing leaves straight movement alone
    assert [f[0].detected for f in frames] == [k % 3 == 0 for k in range(10)]


def test_smoothing_takes_jitter_but_not_movement():
    rng = np.random.default_rng(0)
    jitter = {3 * k: seen((100 + rng.normal(), 50)) for k in range(60)}
    frames = run(Tracker(), jitter, 178)
    raw = np.std([(d.boxes[0, 0] + d.boxes[0, 2]) / 2 for d in jitter.values()])
    smooth = np.std([(f[0].box[0] + f[0].box[2]) / 2 for f in frames])
    assert smooth < 0.75 * raw
    jump = run(Tracker(), {0: seen((100, 50)), 3: seen((100, 50)), 6: seen((125, 50)), 9: seen((125, 50))}, 10)
    where = (jump[6][0].box[0] + jump[6][0].box[2]) / 2
    assert where == pytest.approx(125, abs=0.03 * 40 + 1e-3)


def test_two_people_who_pass_each_other_keep_their_numbers_by_size():
    steps = {}
    for k in range(0, 31, 3):
        a, b = seen((40 + 6 * k, 60), side=60), seen((220 - 6 * k, 60), side=25)
        order = (a, b) if k % 2 else (b, a)  # the detector's order means nothing
        steps[k] = Detections(*(np.concatenate([getattr(d, n) for d in order]) for n in ("boxes", "points", "scores")))
    frames = run(Tracker(), steps, 31)
    sides = {
        p.track: {round(float(q.box[2] - q.box[0])) for f in frames for q in f if q.track == p.track} for p in frames[0]
    }
    assert sorted(map(sorted, sides.values())) == [[25], [60]]


def test_gaps_are_bridged_and_long_absence_is_a_new_track():
    near = {0: seen((50, 50)), 3: seen(), 6: seen((54, 50)), 9: seen((56, 50))}
    frames = run(Tracker(0.5), near, 10)
    assert [[p.track for p in f] for f in frames] == [[0]] * 10
    far = (
        {0: seen((50, 50)), 3: seen((50, 50))}
        | {k: seen() for k in range(6, 30, 3)}
        | {30: seen((50, 50)), 33: seen((50, 50))}
    )
    frames = run(Tracker(0.5), far, 34)
    tracks = [[p.track for p in f] for f in frames]
    assert tracks[:4] == [[0]] * 4
    assert tracks[4:30] == [[]] * 26
    assert tracks[30:] == [[1]] * 4


def test_a_single_weak_detection_is_dropped_and_uses_no_number():
    steps = {0: seen((50, 50), score=0.55), 3: seen(), 6: seen((200, 50)), 9: seen((200, 50)), 12: seen((200, 50))}
    frames = run(Tracker(0.1), steps, 13)
    assert {p.track for f in frames for p in f} == {0}
    assert not any(frames[:6])
    strong = run(Tracker(0.1), {0: seen((50, 50), score=0.9), 3: seen(), 6: seen()}, 7)
    assert [len(f) for f in strong] == [1, 0, 0, 0, 0, 0, 0]


def test_given_numbers_are_kept():
    steps = {0: seen((50, 50), (150, 50), ids=[7, 3]), 3: seen((150, 50), (50, 50), ids=[7, 3])}
    frames = run(Tracker(), steps, 4)
    assert [sorted(p.track for p in f) for f in frames] == [[3, 7]] * 4


def test_look_ahead_is_bounded():
    """Nothing waits longer than two detections or the gap."""
    tracker, waiting, most = Tracker(0.5), [], 0
    rng = np.random.default_rng(0)
    for index in range(3000):
        waiting.append(index)
        if index % 3 == 0:
            faces = [(60 * k + 30, 50) for k in range(5) if rng.random() < 0.7]
            tracker.update(index, index * 0.05, seen(*faces))
        while waiting and waiting[0] < tracker.horizon:
            tracker.at(waiting[0], waiting.pop(0) * 0.05)
        most = max(most, len(waiting))
    assert most <= 2 * 10 + 3
    assert sum(len(t.knots) for t in tracker.live) < 40


def test_overlap_and_suppression():
    a = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    np.testing.assert_allclose(iou(a, a)[0], [1, 1 / 3, 0], atol=1e-6)
    assert sorted(suppress(a, np.array([0.5, 0.9, 0.6]))) == [1, 2]


def test_detectors_follow_the_protocol():
    assert isinstance(WholeFrame(), FaceDetector)
    assert isinstance(CenterFace(), FaceDetector)
    assert isinstance(GivenBoxes({}, "").of("a"), FaceDetector)


def test_given_boxes_file(tmp_path):
    file = tmp_path / "boxes.csv"
    file.write_text("path,time_s,x0,y0,x1,y1\na.mp4,0.10,1,2,11,12\na.mp4,0.30,5,6,15,16\nb/c.mp4,0,0,0,9,9\n")
    track = GivenBoxes.read(str(file), points=False).of("a.mp4")
    found = {}
    for k in range(10):
        if track.due(k * 0.04, None):
            found[k] = track.detect(np.zeros((1, 1, 3), np.uint8), k * 0.04).boxes[0].tolist()
    assert found == {2: [1, 2, 11, 12], 7: [5, 6, 15, 16]} or found == {3: [1, 2, 11, 12], 8: [5, 6, 15, 16]}
    assert GivenBoxes.read(str(file), points=False).of("c.mp4").due(0.0, None)
    with pytest.raises(UserError, match="x_eye_l"):
        GivenBoxes.read(str(file), points=True)
    for bad, message in (
        ("a.mp4,x,1,2,3,4", "not a number"),
        ("a.mp4,0,5,2,3,4", "no area"),
        ("a.mp4,0,1,2", "not a number"),
    ):
        file.write_text(f"path,time_s,x0,y0,x1,y1\n{bad}\n")
        with pytest.raises(UserError, match=message):
            GivenBoxes.read(str(file), points=False)
    with pytest.raises(UserError, match="no such file"):
        GivenBoxes.read(str(tmp_path / "none.csv"), points=False)


def test_scene_cuts():
    rng = np.random.default_rng(0)
    dark, bright = rng.integers(0, 90, (60, 80), np.uint8), rng.integers(140, 255, (60, 80), np.uint8)
    assert is_cut(dark, bright)
    assert not is_cut(dark, np.roll(dark, 3, 1))  # a pan keeps the histogram
    assert not is_cut(dark, (dark + 10).astype(np.uint8))  # a change of light keeps the pixels near
    assert is_cut(dark, bright[:30])


def test_resampling_takes_the_nearest_frame():
    image = np.zeros((2, 2, 3), np.uint8)
    source = [Frame(t, image + k, index=k) for k, t in enumerate([0.0, 0.04, 0.08, 0.12, 0.16, 0.2])]
    slower = list(resample(source, 10))
    np.testing.assert_allclose([f.time_s for f in slower], [0, 0.1, 0.2])
    assert [int(f.image[0, 0, 0]) for f in slower] == [0, 2, 5]
    faster = list(resample(source, 50))
    np.testing.assert_allclose([f.time_s for f in faster], np.arange(11) * 0.02)
    for f in faster:
        nearest = min(abs(f.time_s - s.time_s) for s in source)
        assert abs(f.time_s - source[int(f.image[0, 0, 0])].time_s) == pytest.approx(nearest, abs=1e-9)
    assert [f.index for f in faster] == list(range(11))
