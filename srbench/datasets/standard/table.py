"""The standard sets by name, as `sets.toml` has them: what each is for, whom to cite, where it can be had."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any, Literal


@dataclass(frozen=True)
class Source:
    """Where a set can be had: an archive, or one address an image (`{id}` stands for the id).

    `checksum` is `sha256:…` or `md5:…` of the archive, published where `published` says; empty where none is known.
    """

    url: str
    checksum: str = ""
    published: str = ""
    bytes: int = 0

    @property
    def is_archive(self) -> bool:
        """Whether all images come in one file."""
        return "{id}" not in self.url


@dataclass(frozen=True)
class StandardSet:
    """One standard set. `role` says what it may be used for: only `test` sets are scored by default.

    `id_range` and `long_side` describe sets whose pixels are trusted on first use (`first_use`): their first and last
    id, and the longer side of every image. `left_out` names images that others count in and that must not be used.
    """

    name: str
    role: Literal["test", "validation", "train", "other"]
    count: int
    citation: str
    terms: str
    note: str = ""
    id_range: tuple[str, ...] = ()
    long_side: int = 0
    first_use: bool = False
    left_out: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Every id, sorted."""
        if self.id_range:
            first, last = self.id_range
            return tuple(f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1))
        from srbench.datasets.standard.pixels import published

        return tuple(published().sets[self.name])


def _read() -> dict[str, StandardSet]:
    text = resources.files("srbench.datasets").joinpath("sets.toml").read_text(encoding="utf-8")
    return {row["name"]: _row(row) for row in tomllib.loads(text)["set"]}


def _row(row: dict[str, Any]) -> StandardSet:
    sources = tuple(Source(**source) for source in row.pop("source", ()))
    id_range, left_out = tuple(row.pop("ids", ())), tuple(row.pop("left_out", ()))
    return StandardSet(sources=sources, id_range=id_range, left_out=left_out, **row)


STANDARD_SETS = _read()


def papers_order(name: str) -> tuple[int, str]:
    """Sort key of a data set's name: standard sets in the order in which papers print them, then all others by name."""
    known = list(STANDARD_SETS)
    return (known.index(name) if name in known else len(known), name)
