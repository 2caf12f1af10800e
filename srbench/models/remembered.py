"""What values a file's network takes, remembered by the file's digest: finding out takes 48 small images.

One JSON file in the cache folder. Without a place to write, it is found out anew each time.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

from srbench.base.assets import cache_folder
from srbench.images.files import atomic_file
from srbench.metrics.conventions import VERSION
from srbench.models.values import Hints, Values

FILE_NAME = "model-values.json"


def remember(digest: str, summary: str, hints: Hints, find: Callable[[], tuple[Values, str]]) -> tuple[Values, str]:
    """What was found for a file, by a loader (whose `summary` it is) and under these hints; else `find()`, kept."""
    key = f"{digest} {summary} {hints.range} {hints.channels} {VERSION}"
    if (entry := _read().get(key)) is not None:
        (takes, returns, channels), remark = entry
        return Values(tuple(takes), tuple(returns), channels), remark
    values, remark = find()
    _write(_read() | {key: [[values.takes, values.returns, values.channels], remark]})
    return values, remark


def _read() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((cache_folder() / FILE_NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def _write(entries: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not results
        cache_folder().mkdir(parents=True, exist_ok=True)
        with atomic_file(cache_folder() / FILE_NAME) as file:
            file.write(json.dumps(entries, indent=1).encode())
