"""The commands and Python blocks of the documentation, where they stand, so that tests can run them as written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")))
PROGRAMS = ("srbench", "python", "pytest", "pip", "ruff", "git", "setsid", "split", "nvidia-smi", "torchrun", "srun")

NOT_RUN = {
    r"CONTRIBUTING.md: .*": "made for a clone without an environment; .ci/run types the same lines",
    r"README.md: (git clone|python -m pip install) .*": "fills an environment; tests/test_newcomer.py types it",
    r"(?!docs/first-training).*: srbench train .*": "an hour of cores; tests/reference_models/test_train.py is small",
    r"docs/first-training.md: srbench data prepare .*": "fetches the sets; docs/datasets.md has it from an archive",
    r"docs/training-plan.md: .*": "needs a GPU or hours; tests/reference_models/test_gpu_slot.py runs all of it, small",
    r"docs/install.md: .*": "installs into an environment of its own; .ci/run types the README's line",
    r"docs/scale-out.md: .*": "needs several GPUs; tests/srbench/test_scaleout.py starts processes on a CPU",
    r"docs/benchmarks.md: srbench speed .*": "minutes of timing; tests/srbench/test_speed.py calls all of it",
    r"docs/benchmarks.md: srbench run .*": "what is timed; tests/srbench/test_run.py runs the like",
    r"docs/benchmarks.md: pytest .*": "minutes of timing, on a machine that should do nothing else",
    r"docs/study.md: srbench study serve .*": "serves until interrupted; tests/srbench/test_study.py drives the page",
}
"""`PAGE: COMMAND` as a pattern, and why a test cannot run it. These are parsed instead, down to the last option."""


@dataclass(frozen=True)
class Command:
    page: str
    line: int
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)

    @property
    def reason(self) -> str:
        """Why it is not run; empty where it is."""
        here = f"{self.page}: {self.text}"
        return next((reason for pattern, reason in NOT_RUN.items() if re.fullmatch(pattern, here)), "")

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def commands(page: str) -> list[Command]:
    """The commands of a page in order: lines of unnamed or shell code blocks, and indented lines, prompts taken off."""
    found = []
    for number, text in _code(page, ("", "sh", "bash")):
        text = text.removeprefix("$ ")
        if text.split(" ")[0] in PROGRAMS:
            found.append(Command(page, number, text))
    return found


def python(page: str) -> list[str]:
    """The Python blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def _code(page: str, languages: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line number and text of each line of code, continued lines joined."""
    fence, started, parts = None, 0, []
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip().startswith("```"):
            fence = line.strip().removeprefix("```") if fence is None else None
            continue
        indented = fence is None and (line.startswith("    ") or parts)
        if not indented and (fence is None or fence not in languages):
            continue
        started = started if parts else number
        parts.append(line.strip().removesuffix("\\").strip())
        if not line.endswith("\\"):
            yield started, " ".join(parts)
            parts = []
