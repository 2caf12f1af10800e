"""The table of docs/benchmarks.md, which is what a run of these tests ends with."""

from __future__ import annotations

import os

import pytest
from tabulate import tabulate

from srbench.results.environment import cpu_name, instruction_sets
from tests.benchmarks.pairs import TOLD


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TOLD:
        terminalreporter.write_sep("=", f"{cpu_name()} ({instruction_sets()}), {os.cpu_count()} processors")
        terminalreporter.write_line(tabulate(TOLD, ["what", "figure"], tablefmt="github", disable_numparse=True))
