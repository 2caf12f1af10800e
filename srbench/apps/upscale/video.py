"""Videos by PyAV, an optional package: one frame at a time, so that memory does not grow with length.

Timestamps, sample aspect ratio and colour tags are those of the source; audio packets are copied, not coded anew.
Frames go through 8-bit RGB. Video is coded as H.264 (VP9 in WebM) at a constant quality that leaves few traces.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from srbench.apps.upscale.pixels import Enlarger, Pixels, resized
from srbench.base.errors import InputError, UnavailableError
from srbench.base.packages import install_hint

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

SUFFIXES = (".mp4", ".mkv", ".mov", ".m4v", ".avi", ".webm")
CODECS: dict[str, tuple[str, dict[str, str]]] = {".webm": ("libvpx-vp9", {"crf": "20", "b": "0", "row-mt": "1"})}
H264 = ("libx264", {"crf": "16", "preset": "medium"})
COLOUR_TAGS = ("color_range", "colorspace", "color_primaries", "color_trc")


def upscale_video(
    source: Path,
    target: Path,
    enlarger: Enlarger,
    progress: Callable[[int, int], None],
    beside: Path | None = None,
) -> int:
    """Upscale the first video stream and keep all audio; returns the number of frames.

    With `beside`, a second video shows every frame by bicubic on the left and by the model on the right, without audio.

    `progress(done, expected)` is called after each frame; expected is 0 where the file does not tell. The target
    appears when it is complete. Raises `UnavailableError` without PyAV, and `InputError` for a file that is no video,
    or that a player is to turn.
    """
    av = _pyav()
    for path in filter(None, (target, beside)):
        if path.suffix.lower() not in SUFFIXES:
            raise InputError(f"{path}: {path.suffix or 'no suffix'} is no video; write one of {', '.join(SUFFIXES)}")
    unfinished = {path: path.with_name(f".{path.stem}.part{path.suffix}") for path in (target, beside) if path}
    try:
        with ExitStack() as files:
            reader = files.enter_context(av.open(str(source)))
            writers = []
            for path, part in unfinished.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                writers.append(files.enter_context(av.open(str(part), "w")))
            count = _copy(reader, writers, source, enlarger, progress)
        for path, part in unfinished.items():
            os.replace(part, path)
    except av.FFmpegError as error:
        raise InputError(f"{source}: {error}") from error
    finally:
        for part in unfinished.values():
            part.unlink(missing_ok=True)
    return count


def _pyav() -> Any:
    try:
        import av
    except ImportError:
        raise UnavailableError(f"videos need PyAV: {install_hint('video')}") from None
    return av


def _copy(
    reader: InputContainer,
    writers: Sequence[OutputContainer],
    source: Path,
    enlarger: Enlarger,
    progress: Callable[[int, int], None],
) -> int:
    """All frames of the source, larger; the second writer, if there is one, gets bicubic and SR side by side."""
    if not reader.streams.video:
        raise InputError(f"{source}: holds no video")
    video = reader.streams.video[0]
    video.thread_type = "AUTO"
    writer = writers[0]
    # Before the first packet, which writes the header.
    coded = [_video_stream(one, video, enlarger.scale, across) for across, one in enumerate(writers, start=1)]
    audio = {stream.index: writer.add_stream_from_template(stream) for stream in reader.streams.audio}
    expected, count = _frames(video), 0
    for packet in reader.demux(video, *reader.streams.audio):
        if packet.stream.index in audio:
            if packet.dts is not None:
                packet.stream = audio[packet.stream.index]
                writer.mux(packet)
            continue
        for frame in packet.decode():
            lr = _pixels(frame, source)
            sr = enlarger(lr)
            writer.mux(_encoded(coded[0], sr, frame))
            for one, stream in zip(writers[1:], coded[1:], strict=True):
                one.mux(_encoded(stream, _beside(lr, sr, enlarger), frame))
            count += 1
            progress(count, expected)
    if not count:
        raise InputError(f"{source}: no frame in it can be decoded")
    for one, stream in zip(writers, coded, strict=True):
        one.mux(stream.encode(None))
    return count


def _beside(lr: Pixels, sr: Pixels, enlarger: Enlarger) -> Pixels:
    return np.concatenate([resized(lr, enlarger.scale, (sr.shape[0], sr.shape[1])), sr], axis=1)


def _frames(video: Any) -> int:
    """How many frames a stream says it has, or its length and rate do; 0 where neither is known."""
    if video.frames or not video.duration or not video.average_rate:
        return int(video.frames)
    return round(float(video.duration * video.time_base * video.average_rate))


def _pixels(frame: Any, source: Path) -> Any:
    if frame.rotation:
        raise InputError(f"{source}: is to be turned by {frame.rotation} degrees when shown; save it upright first")
    return frame.to_ndarray(format="rgb24")


def _video_stream(writer: OutputContainer, video: Any, scale: float, across: int = 1) -> Any:
    """The stream to write, `across` pictures wide, with timing, shape of pixels and colour tags as they are read."""
    suffix = Path(writer.name).suffix.lower()
    codec, options = CODECS.get(suffix, H264)
    stream: Any = writer.add_stream(codec, rate=video.average_rate or 25, options=dict(options))
    stream.height = round(video.codec_context.height * scale)
    stream.width = round(video.codec_context.width * scale) * across
    even = stream.height % 2 == stream.width % 2 == 0
    stream.pix_fmt = "yuv420p" if even else "yuv444p"  # halved chroma wants even sides
    stream.codec_context.time_base = video.time_base
    if video.codec_context.sample_aspect_ratio:
        stream.codec_context.sample_aspect_ratio = video.codec_context.sample_aspect_ratio
    for tag in COLOUR_TAGS:
        setattr(stream.codec_context, tag, getattr(video.codec_context, tag))
    return stream


def _encoded(stream: Any, sr: Any, frame: Any) -> list[Any]:
    """The packets that a frame leads to. Back to YUV by the matrix and range by which it came."""
    from av import VideoFrame

    out: Any = VideoFrame.from_ndarray(np.ascontiguousarray(sr), format="rgb24")
    out = out.reformat(format=stream.pix_fmt, dst_colorspace=frame.colorspace, dst_color_range=frame.color_range)
    out.pts, out.time_base, out.duration = frame.pts, frame.time_base, frame.duration
    return list(stream.encode(out))
