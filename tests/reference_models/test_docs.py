"""Every command of the pages on models, upscaling and studies, run as it is written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as pil

from srbench.cli import main
from srbench.study.answers import Answers
from srbench.study.make import read_study
from tests.reference_models.test_weights import small
from tests.srbench.test_upscale import write_video

DOCS = Path(__file__).parents[2] / "docs"
FACTORY = """
import torch

def make():
    return torch.nn.Upsample(scale_factor=2)
"""


def commands(page: str) -> list[str]:
    """The lines of a page's unnamed code blocks."""
    blocks = re.findall(r"^```\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("mynet.py").write_text(FACTORY)
    torch.save(small().state_dict(), "RRDB_ESRGAN_x4.pth")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    pil.fromarray(pixels).save("photo.jpg")
    Path("photos").mkdir()
    pil.fromarray(pixels).save("photos/one.png")
    return tmp_path


@pytest.mark.parametrize("page", ["models.md", "upscale.md", "study.md"])
def test_commands_run_as_written(page: str, workplace: Path) -> None:
    if page == "models.md":
        pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'srbench[onnx]'")
    if page == "upscale.md":
        write_video(workplace / "film.mp4", 4)
    lines = commands(page)
    assert len(lines) >= 4
    for line in lines:
        program, *words = shlex.split(line)
        assert program == "srbench"
        if words[:2] == ["study", "serve"]:  # it would never return; the browser's test serves the same page
            _answer(Path(words[2]))
            continue
        if words[0] == "run" and "--metrics" not in words:
            words += ["--metrics", "psnr_y", "--limit", "2"]  # LPIPS wants weights that may not be here
        assert main(words) == 0, line


def _answer(study: Path) -> None:
    answers = Answers(study)
    rater = answers.new_rater()
    for question in read_study(study).questions:
        answers.add(rater, question.id, max(question.models))
