"""A comparison sheet: pieces of a picture as they are, by bicubic, and by the model, side by side.

The whole is shown small, with the pieces marked; each piece is where the picture has most detail. Nothing of the size
of SR is made for it, so that it costs no memory to speak of.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image as pil
from PIL import ImageDraw, ImageFont

from srbench.apps.upscale.pixels import Pixels, resized
from srbench.images.files import to_rgb, write_image

PIECES = 3
SIDE = 48
"""LR pixels along a piece's side."""

SHOWN = 320
"""Pixels of the sheet along a piece's side, and along the longer side of the whole."""

GAP, LABEL = 12, 26
Box = tuple[int, int, int, int]
"""Top, left, height and width, in LR pixels."""


def write_sheet(path: Path, lr: Pixels, sr: Pixels, model: str) -> None:
    """Write a PNG: the whole, then a row for each piece with LR (nearest), bicubic and SR.

    `lr` and `sr` are `(h, w, 3)` or `(h, w)`, uint8 or uint16, of any scale above 1.
    """
    boxes = detailed(lr)
    titles = ("LR, nearest", "bicubic", model)
    width = len(titles) * (SHOWN + GAP) + GAP
    whole = _whole(lr, boxes)
    sheet = pil.new("RGB", (width, GAP + whole.height + len(boxes) * (SHOWN + LABEL + GAP) + GAP), "white")
    sheet.paste(whole, (GAP, GAP))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=16)
    size = f"{lr.shape[1]}x{lr.shape[0]} to {sr.shape[1]}x{sr.shape[0]}"
    draw.text((2 * GAP + whole.width, GAP), f"{model}\n{size}", fill="black", font=font)
    top = 2 * GAP + whole.height
    for number, box in enumerate(boxes, start=1):
        for column, (title, piece) in enumerate(zip(titles, views(lr, sr, box), strict=True)):
            left = GAP + column * (SHOWN + GAP)
            draw.text((left, top), f"{number}: {title}"[:36], fill="black", font=font)
            sheet.paste(_enlarged(piece), (left, top + LABEL))
        top += SHOWN + LABEL + GAP
    write_image(path, np.asarray(sheet))


def detailed(lr: Pixels) -> list[Box]:
    """Up to `PIECES` squares that do not overlap, where the luminance varies most; one at least."""
    grey = to_rgb(lr).astype(np.float32).mean(axis=2)
    height, width = (min(SIDE, size) for size in grey.shape)
    boxes: list[Box] = [
        (top, left, height, width)
        for top in range(0, grey.shape[0] - height + 1, height)
        for left in range(0, grey.shape[1] - width + 1, width)
    ]
    boxes.sort(key=lambda box: -float(grey[box[0] : box[0] + box[2], box[1] : box[1] + box[3]].std()))
    return boxes[:PIECES]


def views(lr: Pixels, sr: Pixels, box: Box) -> Iterator[Pixels]:
    """One piece by nearest, by bicubic (with its surroundings, so that its border is right) and of SR, of one size."""
    top, left, height, width = box
    scale = sr.shape[0] / lr.shape[0]
    area = slice(round(top * scale), round((top + height) * scale))
    across = slice(round(left * scale), round((left + width) * scale))
    small = lr[top : top + height, left : left + width]
    rows = (np.arange(area.stop - area.start) / scale).astype(int).clip(max=height - 1)
    columns = (np.arange(across.stop - across.start) / scale).astype(int).clip(max=width - 1)
    yield small[rows][:, columns]
    above, before = min(top, 8), min(left, 8)
    wide = lr[top - above : top + height + 8, left - before : left + width + 8]
    bicubic = resized(wide, scale, (int(wide.shape[0] * scale), int(wide.shape[1] * scale)))
    y, x = round(above * scale), round(before * scale)
    yield bicubic[y : y + len(rows), x : x + len(columns)]
    yield sr[area, across]


def _whole(lr: Pixels, boxes: list[Box]) -> pil.Image:
    """The picture, small, with the numbers of the pieces where they are."""
    image = pil.fromarray(_eight_bits(lr))
    factor = SHOWN / max(image.size)
    image = image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=14)
    for number, box in enumerate(boxes, start=1):
        top, left, height, width = (round(value * factor) for value in box)
        draw.rectangle((left, top, left + width, top + height), outline="red", width=2)
        draw.text((left + 4, top + 2), str(number), fill="red", font=font)
    return image


def _enlarged(piece: Pixels) -> pil.Image:
    factor = SHOWN / max(piece.shape[:2])
    size = max(1, round(piece.shape[1] * factor)), max(1, round(piece.shape[0] * factor))
    return pil.fromarray(_eight_bits(piece)).resize(size, pil.Resampling.NEAREST)


def _eight_bits(image: Pixels) -> Pixels:
    return to_rgb(image if image.dtype == np.uint8 else (image >> 8).astype(np.uint8))
