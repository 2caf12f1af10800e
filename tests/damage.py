"""What damage is: bytes, documents and images, changed in a few places by a random generator."""

from __future__ import annotations

import copy
import json
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 3, 1 << 70, -0.0, 1e308, 0.5, "", "x", "nan", "inf", "..", "../../out", "/etc/passwd", "a\n\\b",
    "<script>", "é" * 300, [], {}, [[]], {"x": 1}, [1, "2", None], ["a"] * 50,
)  # fmt: skip


def damaged_text(text: bytes, rng: random.Random) -> bytes:
    """Bytes with a few of them flipped, cut off, put in twice or taken out; or something else altogether."""
    if rng.random() < 0.08:
        return rng.choice([b"", b"[" * 100_000, b'{"a":' * 30_000, b"\xff\xfe\x00", b"null", b"\x00" * 5000, b"NaN"])
    data = bytearray(text)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at, size = rng.randrange(len(data) + 1), rng.choice((1, 4, 40))
        kind = rng.randrange(4)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at : at + size]
        elif kind == 2:
            data[at:at] = data[at : at + size] or b"0"
        else:
            del data[at : len(data) if rng.random() < 0.3 else at + 1]
    return bytes(data)


def damaged_json(text: bytes, rng: random.Random) -> bytes:
    """A document in which some values, names or items are others, are gone, or are new."""
    if rng.random() < 0.35:
        return damaged_text(text, rng)
    lines = text.decode().splitlines()
    try:
        document = json.loads(text)
    except ValueError:  # a journal: a document a line
        place = rng.randrange(len(lines))
        return "\n".join([*lines[:place], damaged_json(lines[place].encode(), rng).decode("latin1"), ""]).encode()
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change(document, rng)
    return json.dumps(document).encode()


def _change(document: Any, rng: random.Random) -> None:
    containers = list(_containers(document))
    if not containers:
        return
    container = rng.choice(containers)
    keys = list(container) if isinstance(container, dict) else list(range(len(container)))
    kind, value = rng.randrange(4), copy.deepcopy(rng.choice(VALUES))
    if not keys or kind == 0:
        container.update(extra=value) if isinstance(container, dict) else container.append(value)
    elif kind == 1:
        del container[rng.choice(keys)]
    elif kind == 2 and isinstance(container, list):
        container.append(copy.deepcopy(container[rng.choice(keys)]))
    else:
        container[rng.choice(keys)] = value


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from _containers(item)


def damaged_image(content: bytes, rng: random.Random) -> bytes:
    """Bytes damaged; of a PNG sometimes with a checksum that is right again, so that decoders get further."""
    data = damaged_text(content, rng) if rng.random() < 0.7 else bytearray(content)
    if isinstance(data, bytearray):
        at = rng.randrange(min(len(data), 200))
        number = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 30, 70_000))
        data[at : at + 4] = struct.pack(rng.choice("<>") + "I", number)
        if data[:4] == b"\x89PNG":
            data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)
