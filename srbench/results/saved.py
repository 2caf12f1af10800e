"""What lies behind a run: its data set, opened again as it was scored, and its saved SR images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from srbench.base.errors import IncomparableError, InputError
from srbench.datasets import open_dataset
from srbench.datasets.folder import short_digest
from srbench.images.files import as_named, read_image
from srbench.results.store import REMEDY, run_path, saved_image

if TYPE_CHECKING:
    from srbench.datasets.sample import Dataset
    from srbench.images.files import Image
    from srbench.results.records import Run


def dataset_of(run: Run, root: Path | None = None) -> Dataset:
    """The data set of a run, at its scale and degradation, verified or not as it was then; `root` is the data root.

    Raises `UsageError` or `InputError` where it is not here or lacks an image of the run, and `IncomparableError` where
    its pixels are no longer those that were scored.
    """
    identity = run.identity
    source = as_named(run.source)
    dataset = open_dataset(source, identity.scale, identity.degradation, root, unverified=identity.unverified)
    if dataset.fingerprint != identity.fingerprint:
        raise IncomparableError(
            f"{identity.dataset}: its images are not those that were scored "
            f"(fingerprint {dataset.fingerprint[:6]}, was {identity.fingerprint[:6]})"
        )
    refuse_strange_images(run, dataset)
    return dataset


def refuse_strange_images(run: Run, dataset: Dataset) -> None:
    """Raise `InputError` where a run has an image that its data set does not: its mean would be of something else."""
    known = set(dataset.ids)
    strange = next((row.image for row in run.rows if row.image not in known), None)
    if strange is not None:
        raise InputError(f"{run.identity.key}: image {strange!r} of these results is not in the data set. {REMEDY}")


def sr_path(folder: Path, run: Run, id: str) -> Path:
    """Where the SR image of a run in a results folder is kept, whether it was saved or not."""
    return saved_image(run_path(folder, run.identity), id)


def read_sr(folder: Path, run: Run, id: str) -> Image:
    """The SR image that was scored, uint8 `(h, w, 3)`; raises `InputError` where it is not there, or another."""
    path = sr_path(folder, run, id)
    if not path.is_file():
        raise InputError(f"{path}: no saved image. Make it: srbench run --save-images")
    image = read_image(path)
    scored = next((row.sr for row in run.rows if row.image == id), "")
    if scored and short_digest(image) != scored:
        again = f"srbench run --models {run.identity.model} --datasets {run.source} --out {folder}"
        raise InputError(f"{path} is not the image that was scored. Make it anew: {again} --save-images --force")
    return image
