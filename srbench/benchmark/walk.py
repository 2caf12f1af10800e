"""The images of one job: read ahead, upscaled and timed one after the other, scored and saved behind.

One image's walk: `dataset[i]` → `upscale(lr)` (timed) → `Convention.views` → metric → PNG → row. Only the model runs in
the calling thread, and on a GPU the metrics too: the device does one thing at a time, or no time taken on it is honest.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.base.errors import InputError, JobError
from srbench.base.overlap import ahead, behind, pool_of, spare_workers
from srbench.benchmark.plan import Job, Plan
from srbench.datasets.folder import short_digest
from srbench.images.files import write_image
from srbench.metrics.conventions import quantise
from srbench.models.inference import Inference, Upscaled
from srbench.results.records import Row
from srbench.results.store import saved_image

if TYPE_CHECKING:
    from srbench.datasets.sample import Sample
    from srbench.images.files import Image


@dataclass(frozen=True)
class Given:
    """An image that was read: the row that it begins, and the metrics that it lacks."""

    sample: Sample
    row: Row
    names: Sequence[str]


@dataclass(frozen=True)
class Made:
    """What the model made of it: SR, or the error in its place."""

    given: Given
    result: Upscaled | None
    error: str = ""


Scored = tuple[Row, "Image | None"]


class Walk:
    """One job's images, and their rows in the order of the data set; `path` is the run's file.

    The scores are those of a walk without threads, and so are the rows; a kill loses the few images in hand.
    """

    def __init__(self, made: Plan, job: Job, inference: Inference, path: Path) -> None:
        self.job, self.inference, self.path = job, inference, path
        self.request, self.scorer = made.request, made.scorer
        self.workers = workers_of(made)

    def rows(self) -> Generator[Row, None, None]:
        """Rows as they get done. An image that cannot be read raises `InputError`, after the rows before it."""
        with pool_of(self.workers) as pool:
            made = self._upscaled(ahead(pool, self._read, self.job.missing.items()))
            if self.inference.device.type == "cpu":
                yield from behind(pool, lambda item: self._keep(self._score(item)), made)
            else:
                yield from behind(pool, self._keep, map(self._score, made))

    def _read(self, wanted: tuple[int, Sequence[str]]) -> Given:
        index, names = wanted
        sample = self.job.dataset[index]
        hr = "" if sample.hr is None else short_digest(sample.hr)
        return Given(sample, Row(sample.id, hr=hr, lr=short_digest(sample.lr)), names)

    def _upscaled(self, images: Iterable[Given]) -> Iterator[Made]:
        """Neighbours of one size share a batch; with a batch of one, nothing is held back."""
        for _, alike in groupby(images, key=lambda item: item.sample.lr.shape[:2]):
            while batch := list(islice(alike, self.request.batch)):
                yield from self._together(batch) if len(batch) > 1 else [self._alone(batch[0])]

    def _together(self, batch: Sequence[Given]) -> list[Made]:
        self._seed(batch[0])
        try:
            results = self.inference.upscale_together([item.sample.lr for item in batch])
        except JobError:  # one by one: the error goes to the image at fault, and what fits alone is not tiled
            return [self._alone(item) for item in batch]
        return [Made(item, result) for item, result in zip(batch, results, strict=True)]

    def _alone(self, given: Given) -> Made:
        self._seed(given)
        try:
            return Made(given, self.inference.upscale(given.sample.lr))
        except (JobError, InputError) as error:
            return Made(given, None, str(error))

    def _seed(self, given: Given) -> None:
        """The same random numbers whichever images came before."""
        import torch

        torch.manual_seed(self.request.seed + zlib.crc32(given.sample.id.encode()))

    def _score(self, made: Made) -> Scored:
        given, result = made.given, made.result
        if result is None:
            return replace(given.row, error=made.error), None
        try:
            pixels, hr = quantise(result.sr), given.sample.hr
            scores = {} if hr is None else self.scorer(pixels, hr, self.job.identity.scale, given.names)
        except (JobError, InputError) as error:
            return replace(given.row, error=str(error)), None
        row = replace(
            given.row, scores=scores, seconds=round(result.seconds, 6), tile=result.tile, seam=round(result.seam, 4)
        )
        return row, pixels[0].permute(1, 2, 0).cpu().numpy()

    def _keep(self, scored: Scored) -> Row:
        row, image = scored
        if image is None:
            return row
        if self.request.save_images:
            write_image(saved_image(self.path, row.image), image)
        return replace(row, sr=short_digest(image))


def workers_of(made: Plan) -> int:
    """How many threads read and score beside the model."""
    return spare_workers(made.device) if made.request.workers is None else made.request.workers
