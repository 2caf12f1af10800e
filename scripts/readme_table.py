"""README's table, written anew from docs/leaderboard/summary.csv.

python scripts/readme_table.py
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
SUMMARY = ROOT / "docs" / "leaderboard" / "summary.csv"
DATASETS = ("Set5", "Set14", "B100", "Urban100")
METRICS = {"psnr_y": (3, max), "ssim_y": (4, max), "lpips": (4, min)}
"""Digits, and what is best."""


def table() -> str:
    """Models in rows, data sets in columns, the three metrics in each cell, the best in bold."""
    frame = pd.read_csv(SUMMARY).query("scale == 4")
    scores = frame.set_index(["dataset", "metric", "model"])["mean"].to_dict()
    models = list(frame["model"].unique())
    best = {
        (dataset, metric): pick(scores[dataset, metric, model] for model in models)
        for dataset in DATASETS
        for metric, (_, pick) in METRICS.items()
    }

    def cell(dataset: str, metric: str, model: str) -> str:
        score = scores[dataset, metric, model]
        text = f"{score:.{METRICS[metric][0]}f}"
        return f"**{text}**" if score == best[dataset, metric] else text

    lines = ["| ×4 | " + " | ".join(DATASETS) + " |", "|:--|" + "--:|" * len(DATASETS)]
    for model in models:
        cells = (" / ".join(cell(dataset, metric, model) for metric in METRICS) for dataset in DATASETS)
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def written(page: str) -> str:
    """The page with its table replaced: what lies between the head of the table and the next empty line."""
    start = page.index("| ×4 | Set5 |")
    end = page.index("\n\n", start) + 1
    return page[:start] + table() + page[end:]


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
