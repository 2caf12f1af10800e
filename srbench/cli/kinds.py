"""What can be listed, and what one chooses by: models, data sets, metrics, conventions, recipes and more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from srbench.base.errors import SrbenchError
from srbench.base.packages import DISTRIBUTION
from srbench.base.registry import entries, load, package_of
from srbench.cli.listing import Column, Record

if TYPE_CHECKING:
    from srbench.base.assets import Asset
    from srbench.models.spec import ModelSpec

Told = Callable[[Any], Record]
NAME = Column("name", lambda record: str(record["name"]))


@dataclass(frozen=True)
class Kind:
    """One thing that can be listed: its names, its records given a data root, and how they are shown."""

    names: Callable[[], Iterable[str]]
    records: Callable[[Path | None], list[Record]]
    columns: tuple[Column, ...] = (NAME,)
    about: Callable[[Record], str] = lambda record: _sentences(record["summary"], record)
    note: Callable[[Path | None], str] = lambda root: ""


def _registered(kind: str, told: Told | None) -> list[Record]:
    """A record of each entry of a kind; of one that does not import, the error. Nothing is imported without `told`."""
    records = []
    for name, entry in entries(kind).items():
        known: Record = {"name": name, "package": package_of(entry), "entry_point": entry.value, "summary": ""}
        try:
            records.append(known | (told(load(kind, name)) if told else {}))
        except SrbenchError as error:
            records.append(known | {"error": str(error)})
    return records


def _sentences(text: str, record: Record) -> str:
    """What is said of an entry, whom to cite, who adds it where that is not srbench itself, and what is wrong."""
    package = record.get("package", DISTRIBUTION)
    parts = [
        record.get("error", text),
        record.get("citation", ""),
        "" if package.split()[0] == DISTRIBUTION else f"From {package}",
    ]
    return ". ".join(part.rstrip(".") for part in parts if part)


def _text(name: str, shown: Callable[[Any], str] = str, *, heading: str = "", right: bool = False) -> Column:
    """A column of a field that may be missing, or None."""

    def text(record: Record) -> str:
        value = record.get(name)
        return "–" if value is None else shown(value)

    return Column(heading or name, text, right)


def _model(spec: ModelSpec) -> Record:
    measured = spec.measured.get(4)
    return {
        "summary": spec.summary,
        "scales": list(spec.scales),
        "params": measured.params if measured else None,
        "gmacs": measured.gmacs if measured else None,
        "gmacs_input": measured.size if measured else None,
        "set5_x4_psnr_y": measured.psnr_y if measured else None,
        "set5_x4_lpips": measured.lpips if measured else None,
        "licence": spec.licence or None,
        "citation": spec.citation,
        "weights": [{"scale": scale, **_weights(asset)} for scale, asset in spec.weights.items()],
    }


def _weights(asset: Asset) -> Record:
    from srbench.base.assets import PACKAGE, on_disk

    packaged = asset.url.startswith(PACKAGE)
    found = None if packaged else on_disk(asset)
    return {
        "file": asset.filename,
        "from": "the package" if packaged else urlsplit(asset.url).hostname,
        "here": packaged or found is not None,
        "path": str(found) if found else None,
    }


def _where(weights: list[Record]) -> str:
    if not weights:
        return "–"
    if not all(each["here"] for each in weights):
        return "to fetch"
    return "included" if all(each["from"] == "the package" for each in weights) else "here"


def _about_model(record: Record) -> str:
    away = [each for each in record.get("weights", ()) if not each["here"]]
    fetched = ". ".join(f"Weights: {each['file']} from {each['from']}, on first use" for each in away)
    return ". ".join(filter(None, (_sentences(record["summary"], record), fetched)))


def _large(number: float) -> str:
    """`57.3 k`, `1.55 M`: three digits and a unit; 0 and what is below a thousand as it is."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:#.3g} {unit}"
    return f"{number:.0f}"


def _metric(metric: Any) -> Record:
    return {
        "label": metric.label or metric.name,
        "summary": metric.summary,
        "better": {True: "higher", False: "lower", None: None}[metric.higher_is_better],
        "channel": metric.channel,
        "convention": metric.convention,
        "citation": metric.citation,
    }


def _datasets(root: Path | None) -> list[Record]:
    from srbench.datasets import SAMPLES, data_root
    from srbench.datasets.samples import FILE_NAMES
    from srbench.datasets.standard.table import STANDARD_SETS

    home = data_root(root)
    records: list[Record] = [
        {"name": SAMPLES, "role": "test", "images": len(FILE_NAMES), "here": True, "path": None, "how": "",
         "summary": "photographs that come with scikit-image", "citation": "", "terms": ""}
    ]  # fmt: skip
    for row in STANDARD_SETS.values():
        here = (home / row.name / "HR").is_dir()
        path = str(home / row.name) if here else None
        how = "" if here else f"srbench data prepare {row.name}"
        records.append(
            {"name": row.name, "role": row.role, "images": row.count, "here": here, "path": path, "how": how,
             "summary": row.note, "citation": row.citation, "terms": row.terms}
        )  # fmt: skip
    return records + _registered("datasets", None)


def _about_set(record: Record) -> str:
    terms, how = record.get("terms"), record.get("how")
    parts = (_sentences(record["summary"], record), f"Terms: {terms}" if terms else "", f"Get it: {how}" if how else "")
    return ". ".join(filter(None, parts))


def _looked_for(root: Path | None) -> str:
    from srbench.datasets import data_root

    return f"Looked for under {data_root(root)}; srbench data list also checks every image of those that are there."


def _set_names() -> list[str]:
    from srbench.datasets import list_datasets

    return list_datasets()


def _conventions(root: Path | None) -> list[Record]:
    from srbench.metrics.conventions import CONVENTIONS

    return [
        {"name": row.name, "channels": list(row.channels), "summary": row.summary, "published": row.published}
        for row in CONVENTIONS.values()
    ]


def _degradations(root: Path | None) -> list[Record]:
    from srbench.images.degrade import DEGRADATIONS, FILES, JPEG, JPEG_SUMMARY

    rows = [(row.name, row.summary, row.published) for row in DEGRADATIONS.values()]
    rows += [
        (JPEG, JPEG_SUMMARY, ""),
        (FILES, "the LR files that came with the data set; files:_x4: those named as HR and _x4", ""),
    ]
    return [{"name": name, "summary": summary, "published": published} for name, summary, published in rows]


def _with_row(record: Record) -> str:
    """What it is, and the published row that it reproduces."""
    return str(record["summary"]) + (f". Gives {record['published']}" if record["published"] else "")


def _recipe(recipe: Any) -> Record:
    """Of anything with a recipe's fields: a package may register recipes of its own kind."""
    kept = {name: getattr(recipe, name, None) for name in ("architecture", "scale", "steps", "epochs", "minutes")}
    return {**kept, "summary": str(getattr(recipe, "summary", ""))}


def _length(record: Record) -> str:
    """How long a training is, by what says so: minutes, else epochs, else steps."""
    if record.get("minutes"):
        return f"{record['minutes']:g} minutes"
    if record.get("epochs"):
        return f"{record['epochs']:g} epochs"
    return f"{record['steps']:,} steps" if record.get("steps") else "–"


def _kind(kind: str, told: Told | None = None, columns: tuple[Column, ...] = (NAME,), **more: Any) -> Kind:
    return Kind(partial(entries, kind), lambda root: _registered(kind, told), columns, **more)


def _names(records: Callable[[Path | None], list[Record]]) -> Callable[[], list[str]]:
    return lambda: [record["name"] for record in records(None)]


KINDS: Mapping[str, Kind] = {
    "models": _kind(
        "models",
        _model,
        (
            NAME,
            _text("scales", lambda scales: " ".join(map(str, scales))),
            _text("params", _large, right=True),
            _text("gmacs", "{:.1f}".format, heading="GMACs", right=True),
            _text("set5_x4_psnr_y", "{:.3f}".format, heading="PSNR-Y", right=True),
            _text("set5_x4_lpips", "{:.4f}".format, heading="LPIPS", right=True),
            _text("licence"),
            _text("weights", _where),
        ),
        about=_about_model,
        note=lambda root: (
            "PSNR-Y and LPIPS: means over Set5, ×4, of srbench's leaderboard. GMACs: ×4, an LR image of 120×80."
        ),
    ),
    "datasets": Kind(
        _set_names,
        _datasets,
        (
            NAME,
            _text("role"),
            _text("images", right=True),
            _text("here", lambda here: "yes" if here else "no"),
        ),
        _about_set,
        _looked_for,
    ),
    "metrics": _kind("metrics", _metric, (NAME, _text("better"), _text("channel"), _text("convention"))),
    "conventions": Kind(
        _names(_conventions), _conventions, (NAME, _text("channels", "/".join)), _with_row,
        note=lambda root: "METRIC@CONVENTION takes a metric under one: srbench run --metrics psnr_y@basicsr",
    ),
    "degradations": Kind(_names(_degradations), _degradations, about=_with_row),
    "recipes": _kind(
        "recipes",
        _recipe,
        (NAME, _text("architecture", heading="network"), _text("scale", "×{}".format), Column("length", _length)),
        note=lambda root: "srbench train NAME --show prints a recipe, with what each field means.",
    ),
    "reports": _kind("reports"),
    "backends": _kind("backends", lambda backend: {"summary": backend.summary}),
}  # fmt: skip
