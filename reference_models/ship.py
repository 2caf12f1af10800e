"""Put trained weights among the packaged ones, with a card that says how they were made and what they score.

python -m reference_models.ship runs/srcnn-quick/best.safetensors --as srcnn
srbench run --models srcnn --datasets all --out results
python -m reference_models.ship runs/srcnn-quick/best.safetensors --as srcnn --results results
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

HOME = Path(__file__).parent / "weights"
LARGE = 4 << 20
"""Files above this many bytes are shipped as fp16."""


@click.command(help=__doc__)
@click.argument("weights", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--as", "name", required=True, help="The name under which the model is registered.")
@click.option("--results", type=click.Path(path_type=Path, file_okay=False), help="What srbench run wrote.")
@click.option("--note", default="", help="A sentence for the card.")
def main(weights: Path, name: str, results: Path | None, note: str) -> None:
    from reference_models.weights import read_weights, save_weights

    trained = read_weights(weights)
    tensors, facts = trained.tensors, trained.metadata
    target = HOME / f"{name}-x{facts['scale']}.safetensors"
    half = weights.stat().st_size > LARGE
    save_weights(target, tensors, {**facts, "model": name}, half=half)
    scores = _scores(results, name, int(facts["scale"])) if results else {}
    target.with_suffix(".md").write_text(card(name, facts, scores, half=half, note=note), encoding="utf-8")
    click.echo(f"{target}: {target.stat().st_size / 1e6:.2f} MB", err=True)


def _scores(results: Path, name: str, scale: int) -> dict[str, dict[str, float]]:
    """Mean of each metric over each data set."""
    from srbench.results.store import load_results

    frame = load_results(results).frame()
    mine = frame[(frame["model"] == name) & (frame["scale"] == scale)]
    return {
        str(dataset): {str(metric): float(value) for metric, value in group.groupby("metric")["value"].mean().items()}
        for dataset, group in mine.groupby("dataset", sort=False)
    }


Scores = Mapping[str, Mapping[str, float]]


def card(
    name: str,
    facts: Mapping[str, str],
    scores: Scores,
    *,
    half: bool = False,
    note: str = "",
) -> str:
    """The card in Markdown: what it is, what it was trained on and how, what it scores."""
    recipe, data = json.loads(facts["recipe"]), json.loads(facts["data"])
    images = ", ".join(f"{folder} ({count})" for folder, count in data["images"].items())
    rows = {
        "architecture": f"{facts['architecture']} {facts['options']}",
        "recipe": f"`{recipe['name']}`: {_changes(recipe)}",
        "training images": f"{images}; sha256 of their pixels {data['fingerprint'][:16]}…",
        "steps": facts["steps"],
        "time": f"{facts['minutes']} minutes on {facts['device']}",
        "perceptual trunk": recipe.get("perceptual", "none"),
        "start": _start(facts, recipe),
        "stored as": "fp16" if half else "fp32",
        "torch": facts["torch"],
    }
    lines = [f"# {name}, x{facts['scale']}", "", *([note, ""] if note else []), "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in rows.items()]
    return "\n".join([*lines, "", *_table(scores)]) + "\n"


def _start(facts: Mapping[str, str], recipe: Mapping[str, Any]) -> str:
    added = facts.get("blocks_added_as_identity")
    grown = f", and {added} new blocks that began as identity" if added else ""
    return f"{recipe['start'] or 'fresh weights'}{grown}"


def _changes(recipe: Mapping[str, Any]) -> str:
    """The values that decide what a training does."""
    told = (
        "batch", "patch", "loss", "optimiser", "lr", "schedule", "ema", "clip", "precision", "pixel_weight",
        "perceptual_weight", "adversarial", "adversarial_weight", "discriminator", "discriminator_features",
        "discriminator_lr",
    )  # fmt: skip
    return ", ".join(f"{key} {recipe[key]}" for key in told if key in recipe)


def _table(scores: Scores) -> list[str]:
    if not scores:
        return ["Not scored yet."]
    metrics = list(dict.fromkeys(metric for row in scores.values() for metric in row))
    body = [f"| {dataset} | " + " | ".join(f"{row[m]:.4f}" for m in metrics) + " |" for dataset, row in scores.items()]
    return [f"| data set | {' | '.join(metrics)} |", "|---|" + "---|" * len(metrics), *body]


if __name__ == "__main__":
    main()
