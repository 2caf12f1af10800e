"""How far a job is: a bar that fits the terminal, and a line a minute in a log."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from srbench.base.progress import BYTES, Bar
from srbench.base.text import duration


class Clock:
    """The time, which goes on when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.monotonic", made)
    return made


def test_a_log_has_a_line_a_minute(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("Set5 x4 bicubic", 300, "image") as bar:
        for _ in range(150):
            clock.now += 1.0
            bar.advance()
        bar.say("above")
    assert capsys.readouterr().err.splitlines() == [
        "Set5 x4 bicubic: 60 of 300 images, 1/s, about 4.0 min left",
        "Set5 x4 bicubic: 120 of 300 images, 1/s, about 3.0 min left",
        "above",
    ]


def test_what_is_not_known_is_not_told(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("film.mp4", unit="frame") as bar:
        clock.now += 61.0
        bar.to(1220, 0)
    with Bar("sets.zip", 3_000_000, BYTES, done=1_000_000) as bar:  # taken up again
        clock.now += 100.0
        bar.advance(1_000_000)
    with Bar("training", 1.0) as bar:
        bar.begin_at(0.5)
        clock.now += 100.0
        bar.to(0.75, now="step 30")
    assert capsys.readouterr().err.splitlines() == [
        "film.mp4: 1,220 frames, 20/s",
        "sets.zip: 2.0 MB of 3.0 MB, 10.0 kB/s, about 100 s left".replace("100 s", duration(100)),
        "training: 75%, about 1.7 min left, step 30",
    ]


SCRIPT = """
import time
from srbench.base.progress import Bar
with Bar("a data set of a long name x4 a-model-of-a-still-longer-name", 40, "image") as bar:
    for _ in range(40):
        time.sleep(0.03)
        bar.advance()
    bar.say("a line above")
with Bar("", 0, "image") as bar:
    bar.say("nothing to do")
with Bar("srgan-quick", 1.0) as bar:
    for part in range(1, 20):
        time.sleep(0.03)
        bar.to(part / 40, now=f"step {part}  loss 0.1" + "  another 0.2" * 20)
"""


def test_a_bar_fits_a_terminal_of_80_columns() -> None:
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stderr=theirs, env=env)
    os.close(theirs)
    shown = b""
    while part := _read(ours):
        shown += part
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    assert {"a line above", "nothing to do"} <= {line.strip() for line in lines}
    assert not any(re.match(r" *━", line) for line in lines)  # a bar without a name
    drawn = [line for line in lines if "images" in line]
    assert drawn and max(map(len, lines)) <= 80
    assert re.search(r"━.* of 40 images \d+/s +\d:\d\d:\d\d", drawn[-1]), drawn[-1]
    assert re.search(r"srgan-quick ━.* step \d+  loss 0.1.*… \d:\d\d:\d\d", text), text


def _read(file: int) -> bytes:
    try:
        return os.read(file, 65536)
    except OSError:  # the other end is closed
        return b""
