"""Pixels are digested once: a file that stays the same is not decoded again, one that changes is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from srbench.datasets import digests, open_dataset
from srbench.datasets.digests import file_digest, file_digests, save
from srbench.datasets.standard.pixels import pixel_digest
from srbench.images.files import write_image
from tests.srbench.datasets.conftest import Pictures


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are decoded."""
    paths: list[Path] = []
    compute = digests._compute
    monkeypatch.setattr(digests, "_compute", lambda path: paths.append(path) or compute(path))
    return paths


def _new_process() -> None:
    save()
    digests._remembered.cache_clear()


def test_a_second_run_decodes_nothing(at_home: Path, decoded: list[Path]) -> None:
    first = open_dataset("Little", 4, root=at_home).fingerprint
    _new_process()
    assert len(decoded) == 3
    assert open_dataset("Little", 3, root=at_home).fingerprint == first
    assert len(decoded) == 3


def test_a_changed_file_is_decoded_again_even_with_its_old_time_and_size(
    at_home: Path, little: Pictures, decoded: list[Path]
) -> None:
    path = at_home / "Little/HR/a.bmp"
    write_image(path, little["a"])
    assert file_digest(path).sha256 == pixel_digest(little["a"])
    before = path.stat()
    _new_process()
    write_image(path, 255 - little["a"])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert file_digest(path).sha256 == pixel_digest(255 - little["a"])


def test_what_another_process_saved_meanwhile_is_kept(at_home: Path, decoded: list[Path]) -> None:
    one, other = at_home / "Little/HR/a.png", at_home / "Little/HR/b.png"
    file_digest(one)
    _new_process()
    digests._remembered(digests.cache_folder()).clear()
    file_digest(other)
    _new_process()
    assert not isinstance(next(file_digests([one])), Exception)
    assert decoded == [one, other]


def test_a_damaged_or_unwritable_memory_costs_time_only(
    at_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / digests.FILE_NAME).write_text("{")
    assert file_digest(at_home / "Little/HR/a.png").width == 50
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache" / digests.FILE_NAME / "below-a-file"))
    assert file_digest(at_home / "Little/HR/a.png").width == 50
    save()


def test_no_thread_is_asked_for_what_is_remembered(at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted((at_home / "Little/HR").iterdir())
    before = list(file_digests(paths))
    _new_process()
    submitted: list[object] = []
    monkeypatch.setattr(digests.ThreadPoolExecutor, "submit", lambda *words: submitted.append(words))
    assert list(file_digests(paths)) == before
    assert submitted == []
