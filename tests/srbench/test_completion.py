"""Completion as docs/command-line.md has it, typed into each shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from srbench.results.results import Results
from tests.documented import ROOT
from tests.made_results import made_run, saved

PRESS_TAB = {
    "bash": """
        {line}
        COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _srbench_completion srbench
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """,
    "zsh": """
        autoload -Uz compinit; compinit -u -D
        {line}
        compadd() {{ print -l -- ${{(P)argv[-1]}} }}
        _describe() {{ print -l -- ${{${{(P)argv[-2]}}%%:*}} }}
        words=({words}); CURRENT=$#words
        $_comps[srbench]
    """,
    "fish": '{line}; complete -C "{words}"',
}
"""What a shell does when somebody presses Tab behind `words`, once `line` is in its start-up file."""


def lines_for(shell: str) -> list[str]:
    """The line of the page that is for a shell."""
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    found = [line.partition("#")[0].strip() for line in page.splitlines() if f"COMPLETE={shell}_source" in line]
    assert len(found) == 1, f"docs/command-line.md has {len(found)} lines for {shell}"
    return found


@pytest.mark.parametrize("shell", PRESS_TAB)
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("srbench run --models bi", ["bicubic", "bilinear"]),
        ("srbench run bicubic,lan", ["bicubic,lanczos"]),
        ("srbench spe", ["speed"]),
        ("srbench run --metrics lpips_", ["lpips_squeeze", "lpips_vgg"]),
        ("srbench run BICUB", ["bicubic"]),
        ("srbench run --metrics psnr_y,lpips@v", ["psnr_y,lpips@vgg"]),
        ("srbench train srresnet-q", ["srresnet-quick"]),
        ("srbench train srresnet-quick --set mi", ["milestones=", "minutes="]),
        ("srbench data prepare Se", ["Set5", "Set14"]),
    ],
)
def test_a_shell_completes(shell: str, words: str, wanted: list[str]) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs {shell}")
    (line,) = lines_for(shell)
    script = PRESS_TAB[shell].format(line=line, words=words)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    plain = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["-N"]}[shell]
    done = subprocess.run([program, *plain, "-c", script], capture_output=True, text=True, env=environment)
    assert [found.split("\t")[0] for found in done.stdout.split("\n") if found] == wanted, done.stderr


def test_the_images_of_a_folder_complete(tmp_path: Path) -> None:
    saved(tmp_path, Results((made_run("bicubic", {"psnr_y": [28.0, 29.0]}),)))
    words = f"srbench figure {tmp_path} --image img000,IMG"
    environment = {**os.environ, "_SRBENCH_COMPLETE": "zsh_complete", "COMP_WORDS": words, "COMP_CWORD": "4"}
    done = subprocess.run([sys.executable, "-m", "srbench"], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["plain", "img000,img000", "_", "plain", "img000,img001", "_"], done.stderr


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [("psnr_y @ ba", ["@basicsr"]), ("lpips,psnr_y @", ["@basicsr", "@edsr-pytorch", "@matlab"])],
)
def test_bash_completes_conventions_behind_the_at_at_which_it_parts_words(typed: str, wanted: list[str]) -> None:
    """Readline makes three words of `psnr_y@ba`, and replaces `@ba` by what it is given."""
    words = f"srbench run --metrics {typed}"
    environment = {**os.environ, "_SRBENCH_COMPLETE": "bash_complete", "COMP_WORDS": words.replace(" ", "\n")}
    environment["COMP_CWORD"] = str(len(words.split()) - 1)
    done = subprocess.run([sys.executable, "-m", "srbench"], capture_output=True, text=True, env=environment)
    found = [line.removeprefix("plain,") for line in done.stdout.splitlines()]
    assert set(wanted) <= set(found) and all(name.startswith("@") for name in found), done.stderr
