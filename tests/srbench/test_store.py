"""The store: torn journals, locks, older schemas, full disks."""

from __future__ import annotations

import errno
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.base.errors import InputError, UsageError
from srbench.results import store
from srbench.results.journals import add_rows
from srbench.results.records import Identity, Row, Run
from srbench.results.store import RunWriter, load_results, read_run, run_path
from tests.conftest import Srbench

IDENTITY = Identity("toy", "", "tiny", "f" * 64, 4, "matlab")
RUN = Run(IDENTITY, {"psnr_y": "matlab"}, (), ({"device": "cpu"},), source="tiny")


def row(image: str, value: float = 30.0) -> Row:
    return Row(image, {"psnr_y": value}, seconds=0.1, hr="1", lr="2", sr="3")


def merge_rows(rows: list[Row], later: list[Row]) -> list[Row]:
    merged = {row.image: row for row in rows}
    add_rows(merged, later)
    return list(merged.values())


def path_in(out: Path) -> Path:
    return run_path(out, IDENTITY)


@given(st.integers(0, 400))
@settings(deadline=None, max_examples=60)
def test_a_journal_torn_anywhere_loses_at_most_the_last_row(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    out = tmp_path_factory.mktemp("out")
    writer = RunWriter(path_in(out), RUN)
    with writer:
        for image in "abcde":
            writer.append(row(image))
    journal = writer.journal.read_bytes()
    writer.journal.write_bytes(journal[: len(journal) - min(cut, len(journal))])
    whole_lines = writer.journal.read_bytes().count(b"\n")
    kept = read_run(path_in(out))
    images = [row.image for row in kept.rows] if kept else []
    assert images == list("abcde")[: max(whole_lines - 1, 0)]
    with RunWriter(path_in(out), RUN) as again:
        done = {row.image for row in again.run.rows}
        for image in "abcde":
            if image not in done:
                again.append(row(image))
        finished = again.finish("abcde")
    assert [row.image for row in finished.rows] == list("abcde")


def test_infinite_scores_and_order_survive(tmp_path: Path) -> None:
    with RunWriter(path_in(tmp_path), RUN) as writer:
        writer.append(row("b", math.inf))
        writer.append(row("a", 31.5))
        writer.finish(["a", "b"])
    (run,) = load_results(tmp_path).runs
    assert run.values("psnr_y") == [31.5, math.inf]
    frame = load_results(tmp_path).frame()
    assert frame["value"].tolist() == [31.5, math.inf]
    assert list(frame.columns) == ["dataset", "scale", "model", "image", "metric", "value"]
    assert "Infinity" not in json.dumps(json.loads(path_in(tmp_path).read_text()), allow_nan=False)


def test_two_processes_do_not_write_one_run(tmp_path: Path) -> None:
    with (
        RunWriter(path_in(tmp_path), RUN),
        pytest.raises(UsageError, match="another srbench is writing this run"),
        RunWriter(path_in(tmp_path), RUN),
    ):
        pass


def test_rows_add_up_while_sr_is_the_same_and_replace_when_it_is_not() -> None:
    later = Row("a", {"ssim_y": 0.9}, sr="3")
    (merged,) = merge_rows([row("a")], [later])
    assert merged.scores == {"psnr_y": 30.0, "ssim_y": 0.9}
    (merged,) = merge_rows([row("a")], [replace(later, sr="4")])
    assert merged.scores == {"ssim_y": 0.9}


def test_a_later_failure_takes_no_score_away() -> None:
    (failed,) = merge_rows([row("a")], [Row("a", error="too small for LPIPS")])
    assert (failed.scores, failed.error) == ({"psnr_y": 30.0}, "too small for LPIPS")
    (mended,) = merge_rows([failed], [Row("a", {"lpips": 0.2}, sr="3")])
    assert (mended.scores, mended.error) == ({"psnr_y": 30.0, "lpips": 0.2}, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a result of srbench"),
        ("[]", "not a result of srbench"),
        ('{"schema": 99}', "schema 99; this srbench reads schema 1. Upgrade srbench"),
        ('{"schema": 1}', "not a result of srbench"),
    ],
)
def test_files_that_are_no_results(tmp_path: Path, text: str, message: str) -> None:
    path = path_in(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_results(tmp_path)
    assert str(path) in str(caught.value)


def test_a_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no results in it. Make some: srbench run --out"):
        load_results(tmp_path)


def test_a_full_disk_keeps_what_was_scored(folder: Path, srbench: Srbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third row does not fit; after making room the same command scores only that one."""
    out = folder.parent / "results"
    command = ["run", "--models", "bicubic", "--datasets", folder, "--metrics", "psnr_y", "--no-speed", "--out", out]
    append, scored = RunWriter.append, []

    def full(writer: RunWriter, row: Row) -> None:
        if row.image == "c":
            raise OSError(errno.ENOSPC, "No space left on device", str(writer.journal))
        append(writer, row)

    def counted(writer: RunWriter, row: Row) -> None:
        scored.append(row.image)
        append(writer, row)

    monkeypatch.setattr(RunWriter, "append", full)
    assert srbench(*command) == 1
    assert "the disk is full at" in srbench.err
    assert "free some space and run the same command" in srbench.err
    monkeypatch.setattr(RunWriter, "append", counted)
    assert srbench(*command) == 0
    assert scored == ["c"]


def test_a_finished_run_is_decoded_once_and_anew_when_its_bytes_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunWriter(path_in(tmp_path), RUN) as writer:
        writer.append(row("a", 31.25))
        writer.finish(["a"])
    decoded: list[str] = []
    parse = store.parse
    monkeypatch.setattr(store, "parse", lambda *words: decoded.append(words[2]) or parse(*words))
    path = path_in(tmp_path)
    for _ in range(3):
        found = read_run(path)
        assert found is not None and found.values("psnr_y") == [31.25]
    assert load_results(tmp_path).runs[0].values("psnr_y") == [31.25]
    assert len(decoded) == 1
    times = path.stat()
    path.write_text(path.read_text().replace("31.25", "32.25"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    changed = read_run(path)
    assert changed is not None and changed.values("psnr_y") == [32.25]
