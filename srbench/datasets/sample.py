"""One image pair, and what a data set has to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from srbench.base.errors import InputError

if TYPE_CHECKING:
    from srbench.images.degrade import LowResolution
    from srbench.images.files import Image


@dataclass(frozen=True)
class Sample:
    """One image pair, `hr` cropped so that its size is `scale` times that of `lr`; None where there is LR alone.

    `lr` is uint8, or float64 in 0..255 where the degradation does not round it.
    """

    id: str
    lr: LowResolution
    hr: Image | None

    @property
    def reference(self) -> Image:
        """`hr`, for those who cannot do without. Raises `InputError` where there is LR alone."""
        if self.hr is None:
            raise InputError(f"{self.id}: there is LR alone, and no HR to compare with")
        return self.hr


class Dataset(Protocol):
    """A sequence of samples at one scale and one degradation, always in the same order.

    It may also have `has_hr` (False: LR alone, nothing is scored), `unverified` (True: a standard set's name without
    its pixels) and `lr_pixels` (the size of each LR, by which several processes share the images out).
    """

    @property
    def name(self) -> str:
        """What tables and signatures call it."""

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) over the ids and decoded pixels of every image, whatever the file format."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The name of each image, in order."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...
