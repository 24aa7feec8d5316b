"""Alignment on 68 landmarks, given ones: the network's weights are a download. Where its package is stood in for, only what we
hand to it and take from it is tested.
"""

from __future__ import annotations

import io
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mien.contract import Store
from mien.corpora.synthetic import Placed, draw_scene, write_video
from mien.data.frame import Frame
from mien.data.manifest import Manifest
from mien.data.shards import Shards
from mien.errors import UserError
from mien.faces import landmarks
from mien.faces.align import EIGHT_OF_68, FIVE_POINT, STABLE, face_matrix, five_of, invert
from mien.faces.crop import cut
from mien.faces.faces import FaceStream
from mien.faces.given import BOX, SIXTY_EIGHT, GivenBoxes
from mien.faces.landmarks import face_alignment, landmarker_for, smoothed
from mien.faces.options import PrepareConfig, contract_for
from mien.faces.track import TrackPoint
from mien.verbs.main import run

STORE = Store(size=96, color=False, fps=25)
GIVEN_68 = contract_for("face", 0.1, boxes=True, store=STORE, landmarks=68)


def sixty_eight(five: np.ndarray) -> np.ndarray:
    """68 landmarks of a face that looks as the template does, moved to where its five points lie: six around each eye, the
    bridge, the wings of the nose, lips. What no crop uses lies in the middle of the face.
    """
    face = np.full((68, 2), 0.5)
    face[list(STABLE)] = EIGHT_OF_68
    for first, eye in ((36, FIVE_POINT[0]), (42, FIVE_POINT[1])):
        lids = [[-0.02, -0.02], [0.02, -0.02], [0.02, 0.02], [-0.02, 0.02]]
        face[[first + k for k in (1, 2, 4, 5)]] = eye + np.array(lids)
    face[30] = FIVE_POINT[2]
    return np.c_[face, np.ones(68)] @ face_matrix(five, 1, 0.0).T


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """One drawn person who walks and turns, for 40 frames at 25 a second, and the true points."""
    path = tmp_path_factory.mktemp("scene") / "scene.mp4"
    drawn = draw_scene([Placed(3, (140, 120), 120, travel=(40, 10))], 40, 25, 320, 240, seed=3)
    write_video(path, drawn.frames, 25)
    return path, drawn


def boxes_file(folder, drawn) -> str:
    lines = [",".join(("path", "time_s", *BOX, *SIXTY_EIGHT))]
    for k in range(0, len(drawn.frames), 3):
        values = [k / 25, *drawn.boxes[k, 0], *sixty_eight(drawn.points[k, 0]).ravel()]
        lines.append("scene.mp4," + ",".join(f"{v:.4f}" for v in values))
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    return str(folder / "boxes.csv")


def test_stable_points_are_numbered_from_0():
    """In 300-W's order a mirrored face swaps 36-45, 39-42, 48-54; numbered from 1 the eight would not be symmetric."""
    swap = {36: 45, 39: 42, 42: 39, 45: 36, 48: 54, 54: 48}
    order = [STABLE.index(swap.get(k, k)) for k in STABLE]
    np.testing.assert_allclose((EIGHT_OF_68 * [-1, 1] + [1, 0])[order], EIGHT_OF_68)


def test_both_templates_show_the_same_face():
    corners = EIGHT_OF_68[[STABLE.index(k) for k in (36, 39, 42, 45, 48, 54)]]
    np.testing.assert_allclose(corners[:4].reshape(2, 2, 2).mean(1), FIVE_POINT[:2])
    np.testing.assert_allclose(corners[4:], FIVE_POINT[3:])
    assert EIGHT_OF_68[0, 1] < FIVE_POINT[2, 1] < EIGHT_OF_68[1, 1] < FIVE_POINT[3, 1]
    five = FIVE_POINT * 130 + [40, -7]
    np.testing.assert_allclose(five_of(sixty_eight(five)), five)
    np.testing.assert_array_equal(five_of(five), five)


@pytest.mark.parametrize(("angle", "scale", "margin"), [(0.0, 80, 0.0), (0.6, 300, 0.2), (-1.0, 33, -0.1)])
def test_the_transform_recovers_a_known_similarity(angle, scale, margin):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rng = np.random.default_rng(0)
    points = rng.normal(200, 50, (68, 2))  # what is not stable must not matter
    points[list(STABLE)] = EIGHT_OF_68 @ turn.T + [70, 31]
    matrix = face_matrix(points, 96, margin, "sixty-eight-1")
    # A pixel p of the crop shows the face at ((p / 96) - 0.5) (1 + 2 margin) + 0.5.
    pixels = rng.uniform(0, 96, (9, 2))
    expected = ((pixels / 96 - 0.5) * (1 + 2 * margin) + 0.5) @ turn.T + [70, 31]
    np.testing.assert_allclose(np.c_[pixels, np.ones(9)] @ matrix.T, expected, atol=1e-8)
    np.testing.assert_allclose(np.c_[expected, np.ones(9)] @ invert(matrix).T, pixels, atol=1e-8)


def test_the_template_is_part_of_the_contract(tmp_path):
    five, more = contract_for("face", store=STORE), contract_for("face", store=STORE, landmarks=68)
    assert (five.geometry.template, more.geometry.template) == ("five-point-1", "sixty-eight-1")
    assert five.geometry.hash != more.geometry.hash
    for kind in ("box", "none", "voxceleb2"):
        with pytest.raises(UserError, match="--landmarks 68 is for --crop face"):
            contract_for(kind, landmarks=68)
    with pytest.raises(UserError, match="68 points"):
        cut(np.zeros((9, 9, 3), np.uint8), np.zeros(4), np.full((68, 2), np.nan), more)


def steps_of(tracks: dict[int, dict[int, np.ndarray]], count: int):
    """`count` frames; ``tracks[t][k]`` are the points of track t on frame k."""
    for k in range(count):
        found = [TrackPoint(t, np.zeros(4), of[k], 1.0, True) for t, of in tracks.items() if k in of]
        yield Frame(k / 25, np.zeros((2, 2, 3), np.uint8), index=k), found


def test_smoothing_is_the_mean_of_twelve_frames_without_lag():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(40, 68, 2))
    out = list(smoothed(steps_of({7: dict(enumerate(noise))}, 40)))
    assert [f.index for f, _ in out] == list(range(40))
    got = np.stack([p[0].points for _, p in out])
    for k in (6, 20, 33):  # both means of twelve frames that touch the frame evenly, halved
        expected = (noise[k - 6 : k + 6].mean(0) + noise[k - 5 : k + 7].mean(0)) / 2
        np.testing.assert_allclose(got[k], expected)
    np.testing.assert_allclose(got[[0, -1]], noise[[0, -1]])
    np.testing.assert_allclose(got[1], noise[:3].mean(0) * 0.75 + noise[1] * 0.25)
    assert got[6:34].std() < 0.4 * noise.std()


def test_smoothing_keeps_straight_movement_and_keeps_people_apart():
    line = {k: np.full((68, 2), 3.0 * k) for k in range(5, 30)}
    other = {k: np.full((68, 2), -50.0) for k in [*range(11), *range(14, 30)]}
    out = list(smoothed(steps_of({0: line, 1: other}, 30)))
    assert [[p.track for p in points] for _, points in out] == [
        [t for t, of in ((0, line), (1, other)) if k in of] for k in range(30)
    ]
    for frame, points in out:
        for p in points:
            np.testing.assert_allclose(p.points, line[frame.index] if p.track == 0 else -50.0)
    assert list(smoothed(iter([]))) == []
    assert len(list(smoothed(steps_of({0: line}, 3)))) == 3


def test_given_landmarks_end_to_end(scene, tmp_path):
    """The command on a drawn clip: the crops agree with those on five points, frame by frame."""
    path, drawn = scene
    boxes, out = boxes_file(tmp_path, drawn), tmp_path / "out"
    words = [
        "--boxes",
        boxes,
        "--landmarks",
        "68",
        "--grey",
        "--size",
        "96",
        "--fps",
        "25",
        "--margin",
        "0.1",
        "--workers",
        "0",
    ]
    assert run(["prepare", str(path), "--out", str(out), *words]) == 0
    shards = Shards(out)
    assert shards.contract == GIVEN_68
    row = Manifest.read(out).rows()[0]
    assert (row["num_frames"], row["status"]) == (40, "ok")
    clip = shards.clip(row["shard"], row["row"])
    points = clip.numbers("points").reshape(40, 5, 2)
    truth = drawn.points[:40, 0]
    eyes = np.linalg.norm(truth[:, 1] - truth[:, 0], axis=1).mean()
    # The drawn face's own proportions are not the template's: its five points are met on average only.
    assert np.linalg.norm((points - truth).mean(1), axis=1).max() < 0.05 * eyes
    pictures = [np.asarray(Image.open(io.BytesIO(bytes(clip.jpeg(k))))) for k in range(40)]
    assert {p.shape for p in pictures} == {(96, 96)}
    for k in (0, 13, 25, 39):
        five = cut(drawn.frames[k], drawn.boxes[k, 0], truth[k], contract_for("face", 0.1, store=STORE))[..., 0]
        assert np.abs(pictures[k].astype(float) - five).mean() < 6, k


def test_a_file_of_five_points_is_not_enough(tmp_path):
    file = tmp_path / "boxes.csv"
    file.write_text("path,time_s,x0,y0,x1,y1,x_0,y_0\na.mp4,0,1,2,30,40,5,5\n")
    with pytest.raises(UserError, match=r"no column x_1, y_1, .*\.\.\., y_67; .*68 points"):
        GivenBoxes.read(str(file), True, SIXTY_EIGHT)


def test_a_landmarker_is_asked_on_every_frame(scene):
    """Through the real detector and tracker, to crops on what the landmarker says, without its jitter from frame to frame."""
    path, drawn = scene
    asked = []

    def truth(image: np.ndarray, box: np.ndarray) -> np.ndarray:
        k = len(asked)
        asked.append((image.shape, np.abs(box - drawn.boxes[k, 0]).max() / (box[3] - box[1])))
        return sixty_eight(drawn.points[k, 0]) + (2 if k % 2 else -2)

    config = PrepareConfig(contract_for("face", store=STORE, landmarks=68))
    samples = [faces[0] for faces in FaceStream(path, config, landmarker=truth) if faces]
    assert len(samples) == len(asked) == 40
    assert {shape for shape, _ in asked} == {(240, 320, 3)}
    assert max(off for _, off in asked) < 0.3
    found = np.stack([s.points for s in samples])
    off = found - [five_of(sixty_eight(drawn.points[k, 0])) for k in range(40)]
    np.testing.assert_allclose(off[[0, -1]], np.full((2, 5, 2), [[[-2]], [[2]]]), atol=1e-6)
    assert np.abs(off[6:-6]).max() < 1
    assert all(np.isfinite(s.yaw) and s.crop.shape == (96, 96, 1) for s in samples)


@pytest.fixture
def fresh():
    """The network is kept per process."""
    face_alignment.cache_clear()
    yield
    face_alignment.cache_clear()


def test_without_the_extra_the_error_names_it(scene, tmp_path, monkeypatch, capsys, fresh):
    monkeypatch.setitem(sys.modules, "face_alignment", None)  # importing it fails, also where it is installed
    assert run(["prepare", str(scene[0]), "--out", str(tmp_path / "out"), "--landmarks", "68"]) == 2
    assert "mien[face-alignment]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert landmarker_for(GIVEN_68) is None  # given landmarks need no package
    assert landmarker_for(contract_for("face")) is None


def package(create) -> ModuleType:
    module = ModuleType("face_alignment")
    vars(module).update(LandmarksType=SimpleNamespace(TWO_D=1), FaceAlignment=create)
    return module


def test_weights_that_cannot_be_had_are_an_error_with_a_way_out(monkeypatch, fresh):
    def create(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setitem(sys.modules, "face_alignment", package(create))
    with pytest.raises(UserError, match=r"mien\[face-alignment\].*no route to host.*--boxes"):
        landmarker_for(contract_for("face", landmarks=68))


def test_what_the_package_is_asked(monkeypatch, fresh):
    """Made once, without a detector of its own, and given the box of our detector."""
    made, asked = [], []

    class FaceAlignment:
        def __init__(self, kind, **options):
            made.append((kind, options))

        def get_landmarks_from_image(self, image, detected_faces):
            asked.append((image.shape, detected_faces))
            return [np.arange(136, dtype=np.float32).reshape(68, 2)]

    monkeypatch.setitem(sys.modules, "face_alignment", package(FaceAlignment))
    contract = contract_for("face", landmarks=68)
    find = landmarker_for(contract)
    assert find is landmarker_for(contract) is landmarks.face_alignment()
    box = np.array([1.0, 2, 30, 40])
    assert find is not None
    points = find(np.zeros((50, 60, 3), np.uint8), box)
    np.testing.assert_array_equal(points, np.arange(136).reshape(68, 2))
    assert (asked[0][0], asked[0][1][0] is box) == ((50, 60, 3), True)
    assert [(kind, options["face_detector"]) for kind, options in made] == [(1, "folder")]
