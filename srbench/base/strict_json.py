"""JSON that every reader takes: it has no word for infinity, which the PSNR of equal images is."""

from __future__ import annotations

import json
import math
from typing import Any


def strict(thing: Any) -> Any:
    """A document with numbers that are not finite as words: `inf`, `-inf`, `nan`."""
    if isinstance(thing, float) and not math.isfinite(thing):
        return str(thing)
    if isinstance(thing, dict):
        return {key: strict(value) for key, value in thing.items()}
    return [strict(item) for item in thing] if isinstance(thing, (list, tuple)) else thing


def dumps(document: Any) -> str:
    """A document as indented text."""
    return json.dumps(strict(document), indent=1, allow_nan=False)
