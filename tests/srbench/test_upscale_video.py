"""Videos are upscaled frame by frame, with times, audio and colour as they were, in every container."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srbench.base.registry import entries
from tests.conftest import Srbench


def write_video(path: Path, frames: int, size: tuple[int, int] = (48, 64), audio: bool = True) -> None:
    """Frames of changing length with a moving bar, BT.709 tags, and a tone."""
    av = pytest.importorskip("av", reason="needs PyAV: pip install 'srbench-sr[video]'")
    from fractions import Fraction

    with av.open(str(path), "w") as writer:
        video = writer.add_stream("libx264", rate=25, options={"crf": "10"})
        video.height, video.width = size
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        video.codec_context.sample_aspect_ratio = Fraction(4, 3)
        video.codec_context.colorspace = video.codec_context.color_primaries = video.codec_context.color_trc = 1
        video.codec_context.color_range = 1
        tone = writer.add_stream("aac", rate=16000, layout="mono") if audio else None
        for index in range(frames):
            pixels = np.full((*size, 3), 60, np.uint8)
            pixels[:, index % size[1]] = (200, 90, 30)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=1)
            frame.pts, frame.time_base = index * 40 + (index % 3) * 5, Fraction(1, 1000)  # not evenly spaced
            writer.mux(video.encode(frame))
        writer.mux(video.encode(None))
        if tone is not None:
            wave = np.sin(np.arange(16000 * frames // 25) * 0.17).astype(np.float32)[None]
            for start in range(0, wave.shape[1], 1024):
                chunk = av.AudioFrame.from_ndarray(wave[:, start : start + 1024].copy(), format="fltp", layout="mono")
                chunk.sample_rate, chunk.pts = 16000, start
                writer.mux(tone.encode(chunk))
            writer.mux(tone.encode(None))


def described(path: Path) -> dict[str, Any]:
    """What PyAV sees when it plays a file."""
    import av

    with av.open(str(path)) as reader:
        video = reader.streams.video[0]
        context = video.codec_context
        seen: dict[str, Any] = {"size": (context.height, context.width), "aspect": context.sample_aspect_ratio}
        seen["tags"] = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        seen["times"] = [round(float(frame.time), 3) for frame in reader.decode(video)]
    with av.open(str(path)) as reader:
        seen["audio"] = [bytes(packet) for packet in reader.demux(audio=0)] if reader.streams.audio else []
        seen["seconds"] = round(reader.duration / 1e6, 2)
    with av.open(str(path)) as reader:
        seen["colour"] = next(reader.decode(video=0)).to_ndarray(format="rgb24").reshape(-1, 3).mean(axis=0)
    return seen


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_video_keeps_times_audio_and_colour(suffix: str, srbench: Srbench, tmp_path: Path) -> None:
    write_video(tmp_path / f"lr.{suffix}", 20)
    options = ["--model", "bicubic", "--scale", 2]
    assert srbench("upscale", tmp_path / f"lr.{suffix}", tmp_path / f"sr.{suffix}", *options) == 0
    assert "20 frames" in srbench.err
    before, after = described(tmp_path / f"lr.{suffix}"), described(tmp_path / f"sr.{suffix}")
    assert after["size"] == (96, 128)
    assert len(after["times"]) == 20
    assert after["times"] == pytest.approx(before["times"], abs=1e-3)
    assert after["seconds"] == pytest.approx(before["seconds"], abs=0.064)  # Matroska: to one packet of sound
    for same in ("aspect", "tags", "audio"):
        assert after[same] == before[same], same
    assert len(before["audio"]) > 10
    np.testing.assert_allclose(after["colour"], before["colour"], atol=1.5)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["bicubic", "srcnn"])
def test_ten_seconds_of_video(model: str, srbench: Srbench, tmp_path: Path) -> None:
    if model not in entries("models"):
        pytest.skip(f"needs {model} with its weights")
    write_video(tmp_path / "lr.mp4", 250)
    assert srbench("upscale", tmp_path / "lr.mp4", tmp_path / "sr.mp4", "--model", model) == 0
    before, after = described(tmp_path / "lr.mp4"), described(tmp_path / "sr.mp4")
    assert len(after["times"]) == 250
    assert (after["seconds"], after["audio"]) == (before["seconds"], before["audio"])


def coded(path: Path, video: str, audio: str = "", rate: int = 25, times: Sequence[int] = range(12)) -> Path:
    """A video of 12 frames, each brighter than the last, at these places of its rate, with a tone."""
    av = pytest.importorskip("av", reason="needs PyAV: pip install 'srbench-sr[video]'")
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream(video, rate=rate, options={"bf": "2"} if video in ("libx264", "mpeg4") else {})
        stream.height, stream.width = 48, 64
        stream.pix_fmt = {"gif": "rgb8"}.get(video, "yuv420p")
        tone = writer.add_stream(audio, rate=48000, layout="stereo") if audio else None
        for index, place in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + 15 * index, np.uint8), format="rgb24")
            frame.pts, frame.time_base = place, Fraction(1, rate)
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
        if tone is not None:
            wave = np.sin(np.arange(2 * 48000 * (times[-1] + 1) // rate) * 0.05).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="flt", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
            writer.mux(tone.encode(frame))
            writer.mux(tone.encode(None))
    return path


def played(path: Path) -> tuple[list[float], list[float], str, float]:
    """Times from the first frame on, brightness of each frame, the codec of the sound, and its seconds."""
    import av

    with av.open(str(path)) as reader:
        frames = [(frame.time, frame.to_ndarray(format="gray8").mean()) for frame in reader.decode(video=0)]
    with av.open(str(path)) as reader:
        codec = reader.streams.audio[0].codec_context.codec.canonical_name if reader.streams.audio else ""
        samples = sum(frame.samples / frame.sample_rate for frame in reader.decode(audio=0)) if codec else 0.0
    return [float(time - frames[0][0]) for time, _ in frames], [float(level) for _, level in frames], codec, samples


UNEVEN = (0, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 15)


@pytest.mark.parametrize(
    ("lr", "sr", "sound"),
    [
        (("a.mp4", "libx264", "aac"), "o.webm", "opus"),
        (("a.mp4", "libx264", "aac"), "o.avi", "mp3"),
        (("a.mp4", "libx264", "aac", 30, (0, 1, 3, 4, 9, 10, 12, 20, 21, 24, 25, 26)), "o.avi", "mp3"),
        (("a.mp4", "libx264", "aac"), "o.mov", "aac"),
        (("a.mp4", "mpeg4", "libmp3lame", 24, UNEVEN), "o.mkv", "mp3"),
        (("a.avi", "libx264", ""), "o.mkv", ""),
        (("a.avi", "libx264", "libmp3lame"), "o.mp4", "mp3"),
        (("a.avi", "mpeg4", "pcm_s16le"), "o.mp4", "aac"),
        (("a.avi", "mpeg4", "pcm_s16le", 25), "o.avi", "pcm_s16le"),
        (("a.avi", "mpeg4", "libmp3lame", 30), "o.avi", "mp3"),
        (("a.mkv", "libx264", "flac", 25, UNEVEN), "o.mp4", "aac"),
        (("a.mkv", "libx264", "flac", 25, UNEVEN), "o.mkv", "flac"),
        (("a.webm", "libvpx-vp9", "libopus"), "o.mp4", "aac"),
        (("a.ts", "libx264", "aac"), "o.mp4", "aac"),
        (("a.ts", "mpeg2video", "mp2"), "o.mkv", "mp2"),
        (("a.flv", "libx264", "aac", 30), "o.mp4", "aac"),
        (("a.mpg", "mpeg2video", "mp2"), "o.webm", "opus"),
        (("a.gif", "gif", "", 20), "o.mp4", ""),
        (("a.mov", "libx264", "pcm_s16le"), "o.mov", "pcm_s16le"),
    ],
)  # fmt: skip
def test_every_container_keeps_times_frames_and_sound(
    lr: tuple[Any, ...], sr: str, sound: str, srbench: Srbench, tmp_path: Path
) -> None:
    source, target = coded(tmp_path / lr[0], *lr[1:]), tmp_path / sr
    assert srbench("upscale", source, target, "--model", "nearest", "--scale", 2) == 0, srbench.err
    times, levels, codec, seconds = played(target)
    rate, places = (*lr[3:], *(25, range(12))[len(lr) - 3 :])
    assert times == pytest.approx([place / rate for place in places], abs=2e-3)
    assert levels == pytest.approx(played(source)[1], abs=3.0)
    assert codec == sound
    assert seconds == pytest.approx(played(source)[3], abs=0.08)
    assert ("sound coded anew" in srbench.err) == (played(source)[2] != sound or (lr[0] == "a.ts" and sound == "aac"))


@pytest.mark.parametrize("target", ["o.avi", "o.mp4", "o.mkv", "o.webm"])
@pytest.mark.parametrize(("matrix", "levels", "pixels"), [(1, 1, "yuv420p"), (5, 2, "yuvj420p")])
def test_colours_are_kept_whatever_the_container_can_tell_of_them(
    target: str, matrix: int, levels: int, pixels: str, srbench: Srbench, tmp_path: Path
) -> None:
    """BT.709 of limited range, and BT.601 of full range, as cameras write it."""
    av = pytest.importorskip("av", reason="needs PyAV: pip install 'srbench-sr[video]'")
    with av.open(str(tmp_path / "a.mov"), "w") as writer:
        stream = writer.add_stream("mjpeg" if levels == 2 else "libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, pixels
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, levels
        for index in range(8):
            picture = np.full((48, 64, 3), (20 + 25 * index, 40, 200 - 20 * index), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format=pixels, dst_colorspace=matrix, dst_color_range=levels)
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    assert srbench("upscale", tmp_path / "a.mov", tmp_path / target, "--model", "nearest", "--scale", 2) == 0

    def colours(path: Path) -> np.ndarray:
        with av.open(str(path)) as reader:
            frames = [frame.to_ndarray(format="rgb24") for frame in reader.decode(video=0)]
        return np.array([frame.reshape(-1, 3).mean(axis=0) for frame in frames])

    np.testing.assert_allclose(colours(tmp_path / target), colours(tmp_path / "a.mov"), atol=4.0)


@pytest.mark.parametrize("target", ["o.avi", "o.mp4", "o.mkv", "o.webm"])
def test_every_container_leaves_few_traces(target: str, photograph: Any, srbench: Srbench, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="needs PyAV: pip install 'srbench-sr[video]'")
    picture = photograph(256, 256)
    with av.open(str(tmp_path / "a.mkv"), "w") as writer:
        stream = writer.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 256, 256, "yuv444p"
        for index in range(12):
            moved = np.ascontiguousarray(np.roll(picture, 7 * index, axis=1))
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        writer.mux(stream.encode(None))

    def grey(path: Path) -> np.ndarray:
        with av.open(str(path)) as reader:
            return np.array([frame.to_ndarray(format="gray8") for frame in reader.decode(video=0)], float)

    assert srbench("upscale", tmp_path / "a.mkv", tmp_path / target, "--model", "nearest", "--scale", 2) == 0
    exact = grey(tmp_path / "a.mkv").repeat(2, axis=1).repeat(2, axis=2)
    psnr = 20 * np.log10(255 / np.sqrt(((grey(tmp_path / target) - exact) ** 2).mean()))
    assert psnr > 40.0


def test_what_is_no_video(srbench: Srbench, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs PyAV: pip install 'srbench-sr[video]'")
    (tmp_path / "torn.mp4").write_bytes(b"nothing")
    assert srbench("upscale", tmp_path / "torn.mp4", tmp_path / "sr.mp4", "--model", "nearest") == 2
    assert "Invalid data found" in srbench.err
    assert srbench("upscale", tmp_path / "torn.mp4", tmp_path / "sr.png", "--model", "nearest") == 2
    assert ".png is no video; write one of .mp4" in srbench.err
    assert not list(tmp_path.glob(".*part*"))


def test_a_video_beside_bicubic(srbench: Srbench, tmp_path: Path) -> None:
    write_video(tmp_path / "in.mp4", 3)
    words = ["upscale", tmp_path / "in.mp4", tmp_path / "out.mp4", "--model", "nearest", "--scale", "2"]
    assert srbench(*words, "--compare", tmp_path / "both.mp4") == 0, srbench.err
    assert "both.mp4: bicubic on the left, nearest on the right" in srbench.err
    import av

    with av.open(str(tmp_path / "both.mp4")) as both, av.open(str(tmp_path / "out.mp4")) as out:
        wide = [frame.to_ndarray(format="rgb24") for frame in both.decode(video=0)]
        single = [frame.to_ndarray(format="rgb24") for frame in out.decode(video=0)]
    assert len(wide) == len(single) == 3 and wide[0].shape == (96, 256, 3)
    assert np.abs(wide[2][:, 128:].astype(int) - single[2]).mean() < 3.0
    assert srbench(*words, "--compare", tmp_path / "both.png") == 2
    assert "beside in.mp4 it ends in .mp4 or" in srbench.err
