"""Make a study of the saved SR images of a results folder."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from srbench.base.documents import Name, Scale, read_document
from srbench.base.errors import InputError, UsageError
from srbench.base.outputs import refuse_overwriting
from srbench.base.registry import refuse_unknown
from srbench.base.temporary import write_file
from srbench.images.files import to_rgb, write_image
from srbench.images.windows import largest_window
from srbench.results.records import Run
from srbench.results.saved import dataset_of, read_sr
from srbench.results.store import load_results
from srbench.results.summary import in_order

if TYPE_CHECKING:
    from srbench.images.files import Image

Mode = Literal["pairs", "opinion"]
FILE = "study.json"
IMAGES = "images"
RATINGS = ("1", "2", "3", "4", "5")


@dataclass(frozen=True)
class Question:
    """`models` are two that are compared, or one that is rated; `pictures` maps each to its file's name."""

    id: Name
    dataset: Name
    image: Name
    reference: Name
    pictures: Mapping[Name, Name]
    scale: Scale = 4

    @property
    def models(self) -> tuple[str, ...]:
        """Whose pictures are shown."""
        return tuple(self.pictures)


@dataclass(frozen=True)
class Study:
    """`weights` are the digests of what raters see, by data set, scale and model as `Set5/x4/srcnn`."""

    mode: Mode
    questions: tuple[Question, ...]
    weights: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shown = 2 if self.mode == "pairs" else 1
        if odd := next((question.id for question in self.questions if len(question.pictures) != shown), None):
            raise ValueError(f"question {odd!r} does not show {shown} pictures")
        if len({question.id for question in self.questions}) < len(self.questions):
            raise ValueError("two questions have one id")

    def question(self, id: str) -> Question | None:
        """The question of an id; None for an unknown one."""
        return next((question for question in self.questions if question.id == id), None)


def read_study(folder: Path) -> Study:
    """The study in a folder; raises `InputError` where there is none."""
    if not (folder / FILE).exists():
        raise InputError(f"{folder}: holds no study. Make one: srbench study make RESULTS {folder}")
    return read_document(folder / FILE, Study, "a study of srbench")


def make_study(
    results: Path,
    folder: Path,
    models: Sequence[str] = (),
    mode: Mode = "pairs",
    *,
    crop: int = 256,
    limit: int | None = None,
    root: Path | None = None,
) -> Study:
    """Write a study of every image of every data set, and of every pair of models; returns it.

    Pictures are cut to the `crop` pixels square in which the models differ most. `limit` is the number of images of
    each data set. Raises `InputError` where SR images were not saved, and `UsageError` for fewer than two models, or
    a folder that holds a study, or the results.
    """
    refuse_overwriting([folder], [results], force=True)  # it may be there, and empty
    if (folder / FILE).exists():
        raise UsageError(f"{folder}: holds a study already, and maybe answers; give another folder")
    questions: list[Question] = []
    weights: dict[str, str] = {}
    for runs in _comparable(results, models, 2 if mode == "pairs" else 1):
        place = runs[0].identity
        weights |= {f"{place.dataset}/x{place.scale}/{run.identity.model}": run.identity.weights for run in runs}
        for image, pictures in _pictures(results, runs, limit, root):
            pieces = _cut(pictures, crop)
            names = {model: _store(folder, picture) for model, picture in pieces.items()}
            reference = names.pop("")
            for together in combinations(names, 2) if mode == "pairs" else zip(names):
                chosen = {model: names[model] for model in together}
                questions.append(Question(secrets.token_hex(8), place.dataset, image, reference, chosen, place.scale))
    study = Study(mode, tuple(questions), weights)
    write_file(folder / FILE, json.dumps(asdict(study), indent=1))
    return study


def _comparable(results: Path, models: Sequence[str], least: int) -> Iterator[list[Run]]:
    """For each data set and scale the runs of the models that are wanted."""
    loaded = load_results(results)
    wanted = tuple(models) or loaded.models
    refuse_unknown("model", wanted, loaded.models)
    if len(wanted) < least:
        raise UsageError(f"comparing takes two models, got {', '.join(wanted)}. Use --models A,B")
    for _, runs in groupby(in_order(loaded), key=lambda run: run.identity.setting):
        chosen = [run for run in runs if run.identity.model in wanted]
        if len(chosen) >= least:
            yield chosen


def _pictures(
    results: Path, runs: Sequence[Run], limit: int | None, root: Path | None
) -> Iterator[tuple[str, dict[str, Image]]]:
    """Each image's id with HR, under the empty name, and the SR of every model."""
    dataset = dataset_of(runs[0], root)
    for index, id in list(enumerate(dataset.ids))[:limit]:
        pictures = {"": to_rgb(dataset[index].reference)}
        for run in runs:
            pictures[run.identity.model] = to_rgb(read_sr(results, run, id))
        yield id, pictures


def _cut(pictures: Mapping[str, Image], side: int) -> dict[str, Image]:
    """The same square of all, where their variance among each other is largest."""
    sr = np.stack([picture for model, picture in pictures.items() if model]).astype(np.float32)
    spread = sr.std(axis=0).sum(axis=-1) if len(sr) > 1 else np.abs(sr[0] - pictures[""]).sum(axis=-1)
    window = largest_window(spread, side, side)
    return {model: np.ascontiguousarray(image[window]) for model, image in pictures.items()}


def _store(folder: Path, picture: Image) -> str:
    name = f"{secrets.token_hex(12)}.png"
    write_image(folder / IMAGES / name, picture)
    return name
