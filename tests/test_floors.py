"""The house stays sorted: floors, no circles, a top seen at a glance; and the linter that says so does bite."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("srbench", "baselines", "reference_models", "reports")
FORBIDDEN = {
    "images/files.py": "from srbench.metrics.psnr import PSNR_Y",
    "results/store.py": "from srbench.models.inference import prepare",
    "benchmark/run.py": "if TYPE_CHECKING:\n    from srbench.analysis.claims import Claim",
    "models/spec.py": "from reference_models.recipes import Recipe",
    "metrics/psnr.py": "def late() -> None:\n    import reports.html",
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors", "*.tsv")
        )
    return copy


def lint(checkout: Path) -> subprocess.CompletedProcess[str]:
    """`lint-imports` on a copy, in a process of its own: it imports nothing of what it looks at."""
    pytest.importorskip("importlinter", reason="needs import-linter: pip install '.[test]'")
    command = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run([sys.executable, "-c", command, "--no-cache"], cwd=checkout, capture_output=True, text=True)


def test_the_contracts_are_kept(checkout: Path) -> None:
    done = lint(checkout)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("file", FORBIDDEN)
def test_a_forbidden_import_breaks_them(checkout: Path, file: str) -> None:
    path = checkout / "srbench" / file
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n\n{FORBIDDEN[file]}\n", encoding="utf-8")
    try:
        done = lint(checkout)
    finally:
        path.write_text(before, encoding="utf-8")
    assert done.returncode == 1
    assert "not allowed to import" in done.stdout


def test_no_module_is_part_of_a_circle() -> None:
    grimp = pytest.importorskip("grimp", reason="needs import-linter: pip install '.[test]'")
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False, cache_dir=None)
    left = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    while free := [module for module, imports in left.items() if not imports & left.keys()]:
        for module in free:
            del left[module]
    assert not left  # what remains imports in a circle, or imports one


def test_the_top_can_be_seen_at_a_glance() -> None:
    """Twelve rooms, and one documented import path (`srbench.torchmetrics`)."""
    entries = {path.name for path in (ROOT / "srbench").iterdir() if path.suffix in ("", ".py")} - {"__pycache__"}
    assert len(entries) <= 13


def test_functions_and_files_can_be_seen_whole() -> None:
    """What can be held in the head: functions up to 60 lines, files up to 350, half of the files up to 120."""
    texts = {path: path.read_text(encoding="utf-8") for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    lengths = {str(path.relative_to(ROOT)): len(text.splitlines()) for path, text in texts.items()}
    assert not {path: lines for path, lines in lengths.items() if lines > 350}
    assert median(lengths.values()) <= 120
    functions = (
        (f"{path.relative_to(ROOT)}: {node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for path, text in texts.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    )
    assert not {name: lines for name, lines in functions if lines > 60}
