"""Sound beside an upscaled video: copied where the container holds its codec, else coded anew in the container's usual
one, else left out; `Sound.note` says so in the latter cases.
"""

from __future__ import annotations

from typing import Any

MPEG4 = ("aac", "mp3", "ac3", "eac3", "alac")
PCM = ("pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_u8")
HOLDS = {
    ".mp4": MPEG4,
    ".m4v": MPEG4,
    ".mov": (*MPEG4, *PCM),
    ".avi": ("mp3", "ac3", "pcm_s16le", "pcm_u8"),
    ".webm": ("opus", "vorbis"),
}
"""What players expect in a container; Matroska, which is not here, holds what its muxer says."""

USUAL = {".avi": "libmp3lame", ".webm": "libopus", ".mp4": "aac", ".m4v": "aac", ".mov": "aac", ".mkv": "aac"}
RATES = {"libmp3lame": (44100, 48000, 32000), "libopus": (48000, 24000, 16000, 12000, 8000)}
"""Samples a second that a coder takes; the first where the source has others."""

BIT_RATE = 192_000


class Sound:
    """One audio stream on its way from one container to the other."""

    def __init__(self, source: Any, writer: Any, suffix: str, *, framed: bool) -> None:
        """`framed` says that packets carry headers which other containers do not want, as AAC's in MPEG-TS do."""
        self._source, self._writer, self.note = source, writer, ""
        codec = source.codec_context.codec.canonical_name
        holds = HOLDS.get(suffix, writer.supported_codecs)
        self._copied = codec in holds and not (framed and codec == "aac")
        self._out: Any = None
        if self._copied:
            self._out = writer.add_stream_from_template(source)
            return
        usual = USUAL[suffix]
        try:
            rates = RATES.get(usual, (source.rate,))
            rate = source.rate if source.rate in rates else rates[0]
            self._out = writer.add_stream(usual, rate=rate, layout="mono" if source.channels == 1 else "stereo")
            self._out.bit_rate = BIT_RATE
        except ValueError:  # this build of FFmpeg has no such coder
            self.note = f"sound left out: {suffix} does not hold {codec}, and there is no coder for {usual} here"
        else:
            self.note = f"sound coded anew: {suffix} does not hold {codec} as it is, so it is {usual} now"

    def take(self, packet: Any, start: float) -> None:
        """Pass a packet on; an empty one ends the stream. Times are `start` seconds earlier."""
        if self._out is None:
            return
        if self._copied:
            self._copy(packet, start)
            return
        for frame in packet.decode():
            if frame.pts is not None:
                frame.pts -= round(start / frame.time_base)
            self._writer.mux(self._out.encode(frame))
        if packet.size == 0:
            self._writer.mux(self._out.encode(None))

    def _copy(self, packet: Any, start: float) -> None:
        if packet.dts is None:
            return
        shift = round(start / packet.time_base)
        packet.dts -= shift
        packet.pts = packet.dts if packet.pts is None else packet.pts - shift
        packet.stream = self._out
        self._writer.mux(packet)
