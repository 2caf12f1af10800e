"""Pairs of pictures side by side, so that a person can decide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image as pil
from PIL import ImageDraw

from srbench.base.temporary import atomic_file
from srbench.images.files import read_image, to_rgb

if TYPE_CHECKING:
    from srbench.datasets.leaks.audit import Leak

SIDE = 240
LABEL = 28
MAX_PAIRS = 60
"""What fits on a sheet that one can look at; the list on the terminal is complete."""


def write_contact_sheet(path: Path, leaks: Sequence[Leak]) -> None:
    """Write a PNG with a row for each leak, the training picture on the left, and their names; the first 60."""
    shown = leaks[:MAX_PAIRS]
    sheet = pil.new("RGB", (2 * SIDE + 30, len(shown) * (SIDE + LABEL) + 10), "white")
    draw = ImageDraw.Draw(sheet)
    for row, leak in enumerate(shown):
        top = 10 + row * (SIDE + LABEL)
        for column, picture in enumerate((leak.train, leak.test)):
            left = 10 + column * (SIDE + 10)
            sheet.paste(_small(picture), (left, top))
            draw.text((left, top + SIDE + 2), picture.name[:38], fill="black")
        draw.text((10, top + SIDE + 13), f"{leak.how}, correlation {leak.likeness:.2f}", fill="black")
    with atomic_file(path) as file:
        sheet.save(file, format="PNG")


def _small(picture: Path) -> pil.Image:
    image = pil.fromarray(to_rgb(read_image(picture)))
    image.thumbnail((SIDE, SIDE))
    return image
