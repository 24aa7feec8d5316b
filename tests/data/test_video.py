from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.audio import read_audio
from mien.data.frame import Frame, VideoError, read_image
from mien.data.video import Clock, FrameReader, images_in, probe, read_frames
from tests.data.video_files import pictures, set_matrix, write, write_packets, write_sound


def numbers(path: Path, **kwargs) -> list[int]:
    """Which of `pictures` each decoded frame is."""
    return [round(float(np.median(f.image[..., 0])) / 6) for f in FrameReader(path, **kwargs)]


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "libx264"), ("mov", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4"), ("mpg", "mpeg1video")],
)
def test_frames_and_times_of_a_constant_rate(tmp_path, suffix, codec):
    path = write(tmp_path / f"a.{suffix}", pictures(10), codec=codec)
    times = [f.time_s for f in read_frames(path)]
    np.testing.assert_allclose(times, np.arange(10) * 0.04, atol=1e-3)
    assert np.abs(np.array(numbers(path)) - np.arange(10)).max() <= 1  # of 6 levels each: lossy
    info = probe(path)
    assert (info.width, info.height, info.has_audio, info.origin) == (96, 64, False, "recorded")
    assert info.fps == pytest.approx(25, rel=0.01)


def test_variable_rate_keeps_the_containers_times(tmp_path):
    stamps = [0, 40, 47, 200, 210, 900]
    path = write(tmp_path / "vfr.mkv", pictures(6), stamps)
    np.testing.assert_allclose([f.time_s for f in read_frames(path)], np.array(stamps) / 1000, atol=1e-3)


def test_time_zero_is_the_start_of_the_container(tmp_path):
    path = write(tmp_path / "late.mkv", pictures(3), [5000, 5040, 5080])
    np.testing.assert_allclose([f.time_s for f in read_frames(path)], [0, 0.04, 0.08], atol=1e-3)


class Stamp:
    def __init__(self, pts: int | None, dts: int | None = None):
        self.pts, self.dts, self.time_base = pts, dts, 0.001


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([0, 40, 40, 80], [0, 0.04, 0.041, 0.08]),  # a duplicate
        ([0, 40, 30, 80], [0, 0.04, 0.041, 0.08]),  # disorder
        ([0, None, 80], [0, 0.04, 0.08]),  # a missing stamp
        ([9000, 9040, 0, 40], [9.0, 9.04, 9.08, 9.12]),  # the clock starts again
    ],
)
def test_clock_repairs(stamps, expected):
    clock = Clock(0.0, 0.04)
    np.testing.assert_allclose([clock(Stamp(s)) for s in stamps], expected, atol=1e-9)  # type: ignore[arg-type]


TURNS = {
    "none": ((1, 0, 0, 1), lambda x: x),
    "90 clockwise": ((0, 1, -1, 0), lambda x: np.rot90(x, -1)),
    "180": ((-1, 0, 0, -1), lambda x: np.rot90(x, 2)),
    "270 clockwise": ((0, -1, 1, 0), lambda x: np.rot90(x, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda x: x[:, ::-1]),
}


@pytest.mark.parametrize("name", TURNS)
def test_display_matrix_is_applied_to_every_view_of_a_frame(tmp_path, name):
    matrix, turn = TURNS[name]
    plain = write(tmp_path / "a.mp4", pictures(2))
    upright = next(read_frames(plain)).image
    frame = next(read_frames(set_matrix(plain, matrix)))
    small = frame.small(48)
    expected = turn(upright)
    np.testing.assert_array_equal(frame.image, expected)
    assert frame.size == (expected.shape[1], expected.shape[0])
    assert max(small.shape[:2]) == 48
    reference = np.asarray(
        Image.fromarray(np.ascontiguousarray(expected)).resize(small.shape[1::-1], Image.Resampling.BOX)
    )
    assert np.abs(small.astype(int) - reference).mean() < 4


@pytest.mark.parametrize(("width", "height"), [(97, 63), (35, 41)])
def test_odd_sizes(tmp_path, width, height):
    path = write(tmp_path / "odd.mkv", pictures(3, width, height), codec="ffv1", pixels="yuv444p")
    assert [f.image.shape for f in read_frames(path)] == [(height, width, 3)] * 3


def test_a_cut_off_tail_gives_what_decodes_and_says_so(tmp_path):
    path = write(tmp_path / "a.mp4", pictures(30), fps=5)
    whole = path.read_bytes()
    # The index lies at the end of the file: move it to the front as a recorder does, then cut the data.
    import av

    fast = tmp_path / "fast.mp4"
    with av.open(str(path)) as source, av.open(str(fast), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = fast.read_bytes()
    fast.write_bytes(data[: data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2])
    reader = read_frames(fast)
    count = sum(1 for _ in reader)
    assert 5 < count < 25
    assert reader.problem
    path.write_bytes(whole[: len(whole) // 2])  # without its index nothing can be had
    with pytest.raises(VideoError, match="not a readable video"):
        probe(path)


def test_a_damaged_middle_is_passed_over(tmp_path):
    path = write(tmp_path / "a.avi", pictures(30), codec="mjpeg", pixels="yuvj420p")
    data = bytearray(path.read_bytes())
    chunk = data.index(b"00dc", len(data) // 2)
    size = int.from_bytes(data[chunk + 4 : chunk + 8], "little")
    data[chunk + 8 : chunk + 8 + size] = bytes(size)
    path.write_bytes(data)
    reader = read_frames(path)
    times = np.array([f.time_s for f in reader])
    assert len(times) == 29
    np.testing.assert_allclose(np.diff(times).max(), 0.08, atol=1e-6)  # the others keep their times
    assert reader.problem == "1 packets cannot be decoded"


def test_what_is_no_video(tmp_path):
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video " * 50)
    sound = write_sound(tmp_path / "sound.mp4")
    with pytest.raises(VideoError, match="zero bytes") as zero:
        probe(tmp_path / "zero.mp4")
    assert zero.value.status == "empty"
    with pytest.raises(VideoError, match="not a readable video"):
        probe(tmp_path / "text.mp4")
    with pytest.raises(VideoError, match="sound only"):
        next(read_frames(sound))
    with pytest.raises(VideoError, match="file not found"):
        probe(tmp_path / "nowhere.mp4")


def test_gif_times_are_those_of_its_frames(tmp_path):
    images = [Image.fromarray(p).convert("P") for p in pictures(4)]
    durations = [100, 50, 200, 100]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=durations)
    times = [f.time_s for f in read_frames(tmp_path / "a.gif")]
    np.testing.assert_allclose(times, [0, 0.1, 0.15, 0.35], atol=0.011)
    assert next(read_frames(tmp_path / "a.gif")).image.shape == (64, 96, 3)


def test_a_part_is_the_same_frames_whether_sought_or_read(tmp_path):
    frames = pictures(40)
    path = write(tmp_path / "long.mp4", [frames[k % 40] for k in range(200)])  # 8 s: the seek is used
    whole = [(f.time_s, f.image) for f in read_frames(path)]
    part = [(f.time_s, f.image, f.index) for f in read_frames(path, 6.0, 6.5)]
    expected = [(t, i) for t, i in whole if 6.0 <= t < 6.5]
    assert [t for t, _, _ in part] == [t for t, _ in expected]
    assert [k for _, _, k in part] == list(range(len(expected)))
    for (_, a, _), (_, b) in zip(part, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_folder_of_images(tmp_path):
    for k in (10, 2, 1):
        Image.fromarray(np.full((8, 8, 3), k, np.uint8)).save(tmp_path / f"frame_{k}.png")
    (tmp_path / "notes.txt").write_text("x")
    assert [p.stem for p in images_in(tmp_path)] == ["frame_1", "frame_2", "frame_10"]
    frames = list(read_frames(tmp_path, fps=10))
    assert [int(f.image[0, 0, 0]) for f in frames] == [1, 2, 10]
    np.testing.assert_allclose([f.time_s for f in frames], [0, 0.1, 0.2])
    (tmp_path / "frame_1.png").write_bytes(b"broken")
    reader = read_frames(tmp_path, fps=10)
    assert [round(f.time_s, 3) for f in reader] == [0.1, 0.2]
    assert reader.problem == "1 of 3 images cannot be read"
    assert probe(tmp_path, 10).duration_s == pytest.approx(0.3)


def test_images_with_alpha_palette_grey_and_16_bits(tmp_path):
    alpha = np.zeros((4, 4, 4), np.uint8)
    alpha[:2] = (10, 20, 30, 255)
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    assert read_image(tmp_path / "alpha.png")[0, 0].tolist() == [10, 20, 30]
    assert read_image(tmp_path / "alpha.png")[3, 3].tolist() == [255, 255, 255]
    Image.fromarray(alpha[..., :3]).convert("P").save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png").shape == (4, 4, 3)
    Image.fromarray(np.full((4, 4), 512, np.uint16)).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png")[0, 0].tolist() == [2, 2, 2]


def test_origin_is_read_from_the_comment(tmp_path):
    assert probe(write(tmp_path / "a.mp4", pictures(2), comment="mien synth seed=1")).origin == "drawn"
    assert probe(write(tmp_path / "b.mp4", pictures(2), comment="holidays")).origin == "recorded"


def test_sound_is_16_khz_mono_on_the_pictures_clock(tmp_path):
    path = write(tmp_path / "a.mkv", pictures(50), sound_s=2.0)
    sound = read_audio(path)
    assert sound.samples.dtype == np.int16
    assert len(sound.samples) == pytest.approx(32000, abs=2100)
    part = sound.between(0.5, 1.0)
    assert len(part.samples) == 8000
    assert part.start_s == pytest.approx(0.5, abs=1e-4)
    spectrum = np.abs(np.fft.rfft(part.samples.astype(float)))
    assert np.argmax(spectrum) * 16000 / 8000 == pytest.approx(440, abs=4)
    assert len(sound.between(5.0, 6.0).samples) == 0
    assert len(read_audio(write(tmp_path / "mute.mp4", pictures(2))).samples) == 0


@pytest.mark.parametrize("scale", [1.0, 1.005, 0.995])
def test_sound_of_a_clock_that_runs_wrong_stays_in_place(tmp_path, scale: float):
    """Packets of 1,000 samples whose stamps lie `scale` as far apart; a click is stamped at 20 s."""
    stamps = [round(1000 * k * scale) for k in range(400)]
    path = write_packets(tmp_path / "a.mkv", stamps, click=20 * 16_000)
    sound = read_audio(path)
    clicked = np.flatnonzero(sound.samples > 10_000)[0]
    assert sound.start_s + clicked / 16_000 == pytest.approx(20.0, abs=0.06)


def test_frame_from_an_array():
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    frame = Frame(1.5, image)
    assert frame.size == (80, 60)
    assert frame.small(40).shape == (30, 40, 3)
    assert frame.small(100) is image
    later = frame.at(2.0, 7)
    assert (later.time_s, later.index, later.image is image) == (2.0, 7, True)


def test_two_threads_may_convert_frames_of_one_video(tmp_path):
    """A swscale context is not to be shared: crop and detector once stood still for ever here, or crashed (docs/lab.md)."""
    path = write(tmp_path / "a.mp4", pictures(60))
    frames = list(read_frames(path))
    with ThreadPoolExecutor(2) as pool:
        whole = [pool.submit(lambda f=f: f.image) for f in frames]
        small = [pool.submit(f.small, 64) for f in frames]
        shapes = {(w.result(timeout=60).shape, s.result(timeout=60).shape) for w, s in zip(whole, small, strict=True)}
    assert len(shapes) == 1
    alone = [f.image for f in read_frames(path)]
    assert all(np.array_equal(w.result(), a) for w, a in zip(whole, alone, strict=True))
