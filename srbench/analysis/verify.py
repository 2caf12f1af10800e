"""A signature and a value: is the score made again, and does it hold?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from srbench.analysis.claims import parse_value
from srbench.base.errors import IncomparableError, InputError, JobError, UsageError
from srbench.base.temporary import temporary_folder
from srbench.benchmark.plan import Request, plan
from srbench.benchmark.progress import Progress
from srbench.benchmark.run import run
from srbench.metrics.conventions import VERSION
from srbench.models.values import NO_HINTS, Hints
from srbench.results.statistics import mean_interval

LINE = re.compile(
    r"srbench:(?P<version>[^|]+)\|(?P<metric>[^|]+?)(\((?P<variant>[^|()]*)\))?\|conv:(?P<convention>[^|]+)\|x(?P<scale>\d+)"
    r"\|lr:(?P<degradation>[^|]+)\|set:(?P<dataset>[^|]+)@(?P<fingerprint>[0-9a-f]+)(?P<unverified>!unverified)?"
    r"\|model:(?P<model>[^|]+?)(@(?P<weights>[0-9a-f]{6}))?(\([^|()]*\))?\|(?P<precision>[^|]+)\|(?P<backend>[^|]+)"
    r"(?P<rest>(\|[^|]+)*)"
)


@dataclass(frozen=True)
class Verified:
    """What was made again: its signature and mean, and whether it is the claimed value, to the digits printed."""

    signature: str
    value: float
    claimed: str
    holds: bool

    @property
    def sentence(self) -> str:
        """`28.42 holds: made again it is 28.4159`"""
        digits = len(self.claimed.partition(".")[2])
        shown = f"{self.value:.{digits + 2}f}"
        return f"{self.claimed} {'holds' if self.holds else 'does not hold'}: made again it is {shown}"


def request_of(signature: str, *, model: str = "", dataset: str = "", **settings: object) -> Request:
    """The run that a signature speaks of. `model` and `dataset` are where to find those that are no registered names.

    Raises `UsageError` for what is no signature, and `IncomparableError` for one of another version of the scores.
    """
    found = LINE.fullmatch(signature.strip())
    if found is None:
        raise UsageError(f"{signature!r} is not a signature, such as srbench:{VERSION}|psnr_y|conv:matlab|x4|…")
    if found["version"] != VERSION:
        raise IncomparableError(f"made by scores of version {found['version']}; this srbench makes {VERSION}")
    fields: dict[str, object] = {"tile": "auto"}
    for part in filter(None, found["rest"].split("|")):
        if part == "ensemble:8":
            fields["self_ensemble"] = True
        elif seed := re.fullmatch(r"seed:(-?\d+)", part):
            fields["seed"] = int(seed[1])
        elif tile := re.fullmatch(r"tile(\d+)", part):
            fields["tile"] = tile[1]
        elif batch := re.fullmatch(r"batch(\d+)", part):
            fields["batch"] = int(batch[1])
        elif limit := re.fullmatch(r"n(\d+)of\d+", part):
            fields["limit"] = int(limit[1])
        elif re.fullmatch(r"n\d+of\d+@[0-9a-f]+", part):
            raise UsageError(
                f"{part}: some images failed in that run. Run it again, on a folder without those that fail"
            )
        else:
            raise UsageError(f"cannot make again what has {part!r} in its signature")
    name = unquote(found["model"])
    return Request(
        models=(f"{name}={model}" if model else name,),
        datasets=(dataset or unquote(found["dataset"]),),
        scales=(int(found["scale"]),),
        metrics=(f"{found['metric']}@{found['convention']}",),
        degradation=found["degradation"],
        precision=found["precision"],
        backend=found["backend"],
        unverified=bool(found["unverified"]),
        speed=False,
        **{**fields, **settings},  # type: ignore[arg-type]
    )


def verify_score(
    signature: str,
    value: str,
    *,
    model: str = "",
    dataset: str = "",
    hints: Hints = NO_HINTS,
    device: str = "auto",
    root: Path | None = None,
) -> Verified:
    """Make the score of a signature again, and hold it against a value as it was printed.

    Raises `InputError` for what is no number, `UsageError` for what is no signature, `IncomparableError` where weights,
    images or anything else here are not those of the signature, and `JobError` where the model fails.
    """
    _, digits = parse_value(value)
    with temporary_folder() as folder:
        request = request_of(
            signature, model=model, dataset=dataset, hints=hints, device=device, data_root=root, out=folder
        )
        planned = plan(request)
        for reason in (*planned.skipped.values(), *planned.scorer.unavailable.values()):
            raise InputError(reason)
        (finished,) = run(planned, Progress()).runs
    if finished.first_error:
        raise JobError(finished.first_error)
    (metric,) = request.metrics
    ours = finished.signature(metric)
    _refuse_another(signature.strip(), ours)
    mean = mean_interval(finished.values(metric)).mean
    return Verified(ours, mean, value, f"{mean:.{digits}f}" == f"{float(value):.{digits}f}")


def _refuse_another(theirs: str, ours: str) -> None:
    if theirs == ours:
        return
    one, other = theirs.split("|"), ours.split("|")
    there = [part for part in one if part not in other]
    here = [part for part in other if part not in one]
    raise IncomparableError(
        f"the signature says {', '.join(there) or 'nothing more'}; here it is {', '.join(here) or 'without'}. "
        "Bring the weights and images that it names: --model REF, --dataset FOLDER"
    )
