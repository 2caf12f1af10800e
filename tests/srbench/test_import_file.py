"""Models and metrics given as `FILE.py:name` are those of the very file, whatever else is called like it."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from srbench.base.errors import UsageError
from srbench.base.registry import import_file
from srbench.metrics.scorer import measure
from srbench.models import select_models
from srbench.models.spec import weights_digest

FILE = """
from blocks import value

class Fill:
    scale = 4

    def __call__(self, lr):
        return lr.repeat_interleave(4, -1).repeat_interleave(4, -2) * 0 + value

def make():
    return Fill()

def met(sr, hr):
    return sr.mean() * 0 + value
"""


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a net.py, and another net.py in `v2`, each with a neighbour of its own."""
    for folder, value in ((tmp_path, 0.25), (tmp_path / "v2", 0.75)):
        folder.mkdir(exist_ok=True)
        (folder / "net.py").write_text(FILE)
        (folder / "blocks.py").write_text(f"value = {value}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def test_two_files_of_one_name_stay_apart(two: Path) -> None:
    image, lr = np.zeros((16, 16, 3), np.uint8), torch.zeros(1, 3, 4, 4)
    for order in (["v2/net.py:met", "net.py:met"], ["net.py:met", "v2/net.py:met"]):
        assert measure(image, image, order) == {"net.py:met": 0.25, "v2/net.py:met": 0.75}
    first, second = select_models(["net.py:make", "other=v2/net.py:make"])
    assert (first.name, second.name) == ("net.make", "other")
    assert first.build(4, torch.device("cpu"))(lr).mean() == 0.25
    assert second.build(4, torch.device("cpu"))(lr).mean() == 0.75
    assert weights_digest(first, 4) != ""


def test_a_file_called_as_a_module_that_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "pickle.py").write_text("def made(): return Own()\nclass Own: pass")
    module = import_file(tmp_path / "pickle.py")
    assert sys.modules["pickle"] is pickle and module.made().__class__.__name__ == "Own"
    assert isinstance(pickle.loads(pickle.dumps(module.made())), module.Own)


def test_an_edited_file_is_loaded_anew_and_a_broken_one_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "edited.py"
    path.write_text("value = 1")
    first = import_file(path)
    assert import_file(path) is first
    stamp = path.stat()
    path.write_text("value = 2")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as an edit in the same second
    assert import_file(path).value == 2
    path.write_text("1 / 0")
    before = set(sys.modules)
    with pytest.raises(UsageError, match=r"edited.py does not import: ZeroDivisionError"):
        import_file(path)
    assert set(sys.modules) == before
