"""What is shown of the leaderboard elsewhere, written anew from docs/leaderboard.

python scripts/readme_table.py

That is the table of the README with the papers' numbers beside ours, what `srbench list models` says (`measured.csv` of
each package with models), and that list in the README.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

import pandas as pd

from reports.published import DATA, of_that_lr
from reports.tables import table_ranks
from srbench.analysis.claims import Claim, read_claims
from srbench.results.store import load_results
from srbench.results.summary import MeanScore, heading, summarise

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
LEADERBOARD = ROOT / "docs" / "leaderboard"
DATASETS = ("Set5", "Set14", "B100", "Urban100")
METRICS = ("psnr_y", "ssim_y", "lpips")
SCALE = 4
DEGRADATION = "matlab"
PAPERS = {
    "bicubic": ("bicubic", "published"),
    "srcnn": ("srcnn", "its paper"),
    "srresnet": ("srresnet", "its paper"),
    "srgan": ("srgan", "its paper, another loss"),
    "esrnet-6b": ("esrnet", "its paper, 23 blocks"),
}
"""Whose published numbers stand beneath a model's, and under which words."""

FAMILIES = ("nearest", "bilinear", "bicubic", "lanczos", "srcnn", "srresnet", "esrnet-6b", "srgan", "esrgan-6b")
"""The order of the rows: what a model was trained from stands above it. Others follow."""

PACKAGES = ("baselines", "reference_models")


def table() -> str:
    """Models in rows, data sets in columns, in a cell PSNR and SSIM above LPIPS, so that narrow screens break nothing
    apart; bold are the best and all that tie with it."""
    results = load_results(LEADERBOARD / "results")
    scores = [score for score in summarise(results) if score.scale == SCALE]
    ranks = table_ranks(results, scores)
    shown = {(score.dataset, score.metric, score.model): _shown(score, ranks.get(score) == 1) for score in scores}
    known = list(dict.fromkeys(score.model for score in scores))
    models = [model for model in FAMILIES if model in known] + [model for model in known if model not in FAMILIES]
    claims = read_claims(DATA)
    lines = ["| ×4 | " + " | ".join(DATASETS) + " |", "|:--|" + "--:|" * len(DATASETS)]
    for model in models:
        cells = [_cell([shown[dataset, metric, model] for metric in METRICS]) for dataset in DATASETS]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
        if model in PAPERS:
            name, words = PAPERS[model]
            cells = [_cell([_claimed(claims, dataset, metric, name) for metric in METRICS]) for dataset in DATASETS]
            lines.append(f"| *{words}* | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(texts: Sequence[str]) -> str:
    """Numbers that are there, two in the first line; a dash where there are none."""
    there = [text for text in texts if text]
    lines = ["&nbsp;/&nbsp;".join(there[:2]), *there[2:]]
    return "<br>".join(lines) if there else "–"


def _shown(score: MeanScore, best: bool) -> str:
    text = heading(score.metric).format(score.mean)
    return f"**{text}**" if best else text


def _claimed(claims: list[Claim], dataset: str, metric: str, model: str) -> str:
    """The number of a paper as it is printed there; nothing where it has none that is made as ours are."""
    wanted = (dataset, metric, model, SCALE)
    alike = (claim for claim in claims if (claim.dataset, claim.metric, claim.model, claim.scale) == wanted)
    return next((f"*{claim.text}*" for claim in alike if of_that_lr(claim, DEGRADATION)), "")


def measured(package: str) -> str:
    """`measured.csv` of a package, see `srbench.models.measured`."""
    scores = pd.read_csv(LEADERBOARD / "summary.csv").query("scale == @SCALE and dataset == 'Set5'")
    means = scores.pivot_table(index="model", columns="metric", values="mean")
    speeds = pd.read_csv(LEADERBOARD / "speed.csv").query("scale == @SCALE").drop_duplicates("model").set_index("model")
    homes = {entry.name: entry.module.partition(".")[0] for entry in entry_points(group="srbench.models")}
    lines = ["model,scale,params,gmacs,size,psnr_y,lpips"]
    for name in means.index:
        if homes.get(name) == package:
            speed, score = speeds.loc[name], means.loc[name]
            gmacs = "" if pd.isna(speed["gmacs"]) else f"{speed['gmacs']:.4f}"
            size = f"{speed['width']}x{speed['height']}"
            lines.append(f"{name},{SCALE},{speed['params']},{gmacs},{size},{score['psnr_y']:.6f},{score['lpips']:.6f}")
    return "\n".join(lines) + "\n"


def listed() -> str:
    """The table that `srbench list models` prints at 80 columns on a machine that has fetched nothing."""
    with tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, "COLUMNS": "80", "SRBENCH_CACHE": empty, "SRBENCH_WEIGHTS": empty}
        command = [sys.executable, "-m", "srbench", "list", "models"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", check=True)
    return f"```\n{done.stdout.partition(chr(10) * 2)[0]}\n[…]\n```\n"


def written(page: str) -> str:
    """The page with its table and its list of models replaced."""
    return _between(_between(page, "leaderboard", table()), "models", listed())


def _between(page: str, name: str, text: str) -> str:
    """The page with `text` between the comments `<!-- NAME -->` and `<!-- end of NAME -->`."""
    first, last = f"<!-- {name}: written by scripts/readme_table.py -->\n", f"<!-- end of {name} -->"
    before, after = page.index(first) + len(first), page.index(last)
    return f"{page[:before]}\n{text}\n{page[after:]}"


if __name__ == "__main__":
    for package in PACKAGES:
        (ROOT / package / "measured.csv").write_text(measured(package), encoding="utf-8")
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
