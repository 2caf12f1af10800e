"""Videos by PyAV, an optional package: one frame at a time, so that memory does not grow with length.

Timestamps, sample aspect ratio and colour tags are those of the source; `srbench.apps.upscale.sound` has the audio.
Frames go through 8-bit RGB. Video is coded as H.264 (VP9 in WebM, MPEG-4 in AVI) at a constant quality that leaves few
traces.

AVI knows no times, only a rate: of what is read from it a frame's time is its place in the file, and what is written to
it is coded without frames that refer to later ones, at the source's rate.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from srbench.apps.upscale.pixels import Enlarger, Pixels, resized
from srbench.apps.upscale.sound import Sound
from srbench.base.errors import InputError, UnavailableError
from srbench.base.packages import install_hint
from srbench.base.temporary import in_the_making
from srbench.images.files import open_file

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

WRITTEN = (".mp4", ".mkv", ".mov", ".m4v", ".avi", ".webm")
SUFFIXES = (*WRITTEN, ".ts", ".m2ts", ".mts", ".flv", ".mpg", ".mpeg", ".wmv", ".3gp", ".ogv", ".gif")
"""What is read."""

CODECS: dict[str, tuple[str, dict[str, str]]] = {
    ".webm": ("libvpx-vp9", {"crf": "20", "b": "0", "row-mt": "1"}),
    ".avi": ("mpeg4", {"qmin": "2", "qmax": "2", "bf": "0"}),
}
H264 = ("libx264", {"crf": "16", "preset": "medium"})
FASTEST = 240
"""Frames a second in AVI: what some files call their rate is the clock of their times."""
COLOUR_TAGS = ("color_range", "colorspace", "color_primaries", "color_trc")
CLOCKS = ("mpegts", "mpeg")
"""Containers whose times begin anywhere; what is made of them begins at zero."""


def upscale_video(
    source: Path,
    target: Path,
    enlarger: Enlarger,
    progress: Callable[[int, int], None],
    beside: Path | None = None,
) -> tuple[int, list[str]]:
    """Upscale the first video stream and keep all audio; returns the number of frames, and notes on what else changed.

    With `beside`, a second video shows every frame by bicubic on the left and by the model on the right, without audio.

    `progress(done, expected)` is called after each frame; expected is 0 where the file does not tell. The target
    appears when it is complete. Raises `UnavailableError` without PyAV, and `InputError` for a file that is no video,
    or that a player is to turn.
    """
    av = _pyav()
    open_file(source).close()  # FFmpeg would wait for a pipe for ever
    paths = [path for path in (target, beside) if path]
    for path in paths:
        if path.suffix.lower() not in WRITTEN:
            raise InputError(f"{path}: {path.suffix or 'no suffix'} is no video; write one of {', '.join(WRITTEN)}")
        path.parent.mkdir(parents=True, exist_ok=True)
    parts = {path: in_the_making(path.parent, path.suffix) for path in paths}
    try:
        with ExitStack() as files:
            reader = files.enter_context(av.open(str(source)))
            writers = []
            for path, part in parts.items():
                # In AVI a coder's lead-in, which begins before zero, would put every frame off by one place.
                options = {"avoid_negative_ts": "disabled"} if path.suffix.lower() == ".avi" else {}
                writers.append(files.enter_context(av.open(str(part), "w", container_options=options)))
            done = _Copy(reader, writers, source, enlarger).run(progress)
        for path, part in parts.items():
            os.replace(part, path)
    except av.FFmpegError as error:
        at = next((path for path, part in parts.items() if str(part) in str(error)), source)
        raise InputError(f"{at}: {error.strerror or error}") from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return done


def _pyav() -> Any:
    try:
        import av
    except ImportError:
        raise UnavailableError(f"videos need PyAV: {install_hint('video')}") from None
    return av


class _Copy:
    """One video on its way: packets in, frames through the model, packets out.

    The second writer, if there is one, gets bicubic and SR side by side.
    """

    def __init__(
        self, reader: InputContainer, writers: Sequence[OutputContainer], source: Path, enlarger: Enlarger
    ) -> None:
        if not reader.streams.video:
            raise InputError(f"{source}: holds no video")
        self.reader, self.writers, self.source, self.enlarger = reader, writers, source, enlarger
        writer = writers[0]
        self.video: Any = reader.streams.video[0]
        self.video.thread_type = "AUTO"
        suffix = Path(writer.name).suffix.lower()
        # Before the first packet, which writes the header.
        self.coded = [_video_stream(one, self.video, enlarger.scale, n) for n, one in enumerate(writers, start=1)]
        framed = reader.format.name == "mpegts"
        self.sounds = {one.index: Sound(one, writer, suffix, framed=framed) for one in reader.streams.audio}
        self.start = (reader.start_time or 0) / 1e6 if reader.format.name in CLOCKS else 0.0
        self.times = Times(self.video, by_place=reader.format.name == "avi", start=self.start)

    def run(self, progress: Callable[[int, int], None]) -> tuple[int, list[str]]:
        expected, count = _frames(self.video), 0
        for packet in self.reader.demux(self.video, *self.reader.streams.audio):
            if packet.stream.index in self.sounds:
                self.sounds[packet.stream.index].take(packet, self.start)
                continue
            self.times.see(packet)
            for frame in packet.decode():
                self._write(_pixels(frame, self.source), frame, self.times.of(frame))
                count += 1
                progress(count, expected)
        if not count:
            raise InputError(f"{self.source}: no frame in it can be decoded")
        for writer, stream in zip(self.writers, self.coded, strict=True):
            writer.mux(stream.encode(None))
        notes = [sound.note for sound in self.sounds.values() if sound.note]
        if subtitles := len(self.reader.streams.subtitles):
            notes.append(f"subtitles left out: {subtitles}")
        return count, notes

    def _write(self, lr: Pixels, frame: Any, time: float) -> None:
        sr = self.enlarger(lr)
        pictures = [sr]
        if len(self.writers) > 1:
            bicubic = resized(lr, self.enlarger.scale, (sr.shape[0], sr.shape[1]))
            pictures.append(np.concatenate([bicubic, sr], axis=1))
        for writer, stream, picture in zip(self.writers, self.coded, pictures, strict=True):
            writer.mux(_encoded(stream, picture, frame, time))


class Times:
    """When each frame is shown, in seconds: as it says, or by its place where the container tells only that."""

    def __init__(self, video: Any, *, by_place: bool, start: float) -> None:
        self._video, self._by_place, self._start = video, by_place, start
        self._step = float(1 / (video.average_rate or video.guessed_rate or 25))
        self._places: deque[int] = deque()
        self._last = -self._step

    def see(self, packet: Any) -> None:
        """Note a packet's place; of frames in the order of showing, the n-th is shown at the n-th place."""
        if self._by_place and packet.size and packet.dts is not None:
            self._places.append(packet.dts)

    def of(self, frame: Any) -> float:
        """The time of the next frame; never one that is not later than the last."""
        if self._by_place:
            told = self._places.popleft() * self._video.time_base if self._places else None
        else:
            told = None if frame.pts is None else frame.pts * frame.time_base
        time = self._last + self._step if told is None else float(told) - self._start
        self._last = time if time > self._last else self._last + self._step
        return self._last


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
    if codec == "mpeg4" and not even:
        raise InputError(f"AVI would be {stream.width}x{stream.height}, and takes even sides; write .mkv")
    stream.pix_fmt = "yuv420p" if even else "yuv444p"  # halved chroma wants even sides
    stream.codec_context.time_base = _tick(video, suffix)
    if video.codec_context.sample_aspect_ratio:
        stream.codec_context.sample_aspect_ratio = video.codec_context.sample_aspect_ratio
    for tag in COLOUR_TAGS if codec != "mpeg4" else ():
        setattr(stream.codec_context, tag, getattr(video.codec_context, tag))
    return stream


def _tick(video: Any, suffix: str) -> Fraction:
    """The unit of times: the source's, and one frame in AVI, at a rate that has a place for each of the source's.

    The shortest that MPEG-4 can code is 1/65535 s.
    """
    if suffix != ".avi":
        return Fraction(video.time_base)
    mean, base = Fraction(video.average_rate or video.guessed_rate or 25), Fraction(video.base_rate or 0)
    rate = base if mean <= base <= FASTEST else mean
    return 1 / rate.limit_denominator(1001)


def _encoded(stream: Any, sr: Any, frame: Any, time: float) -> list[Any]:
    """The packets that a frame leads to. Back to YUV by the matrix and range by which it came.

    MPEG-4 in AVI has no tags for these: players take it for BT.601 of limited range, and so that is written.
    """
    from av import VideoFrame
    from av.video.reformatter import ColorRange, Colorspace

    told = (frame.colorspace, frame.color_range)
    matrix, levels = (Colorspace.ITU601, ColorRange.MPEG) if stream.codec.name == "mpeg4" else told
    out: Any = VideoFrame.from_ndarray(np.ascontiguousarray(sr), format="rgb24")
    out = out.reformat(format=stream.pix_fmt, dst_colorspace=matrix, dst_color_range=levels)
    tick = stream.codec_context.time_base
    out.pts, out.time_base = round(time / tick), tick
    if frame.duration and frame.time_base:
        out.duration = max(1, round(frame.duration * frame.time_base / tick))
    return list(stream.encode(out))
