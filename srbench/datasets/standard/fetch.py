"""Standard sets from the network: every mirror in turn, resumed where a connection dropped, checked before use.

What is fetched is kept under `downloads` in the cache folder; an archive often serves several sets.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from srbench.base.assets import cache_folder, is_offline
from srbench.base.download import retrieve
from srbench.base.errors import UnavailableError
from srbench.datasets.standard.table import Source, StandardSet

Report = Callable[[str], None]


def fetched(row: StandardSet, report: Report = lambda text: None) -> Iterator[Path]:
    """An archive or folder from each source of a set in turn, while the caller asks; `report` hears of failures.

    Raises `UnavailableError` once no source is left, or at once in offline mode.
    """
    remedy = f"Get it by other means, and then: srbench data prepare {row.name} --from PATH"
    if is_offline():
        raise UnavailableError(f"{row.name} is not here and offline mode forbids fetching it. {remedy}")
    for source in row.sources:
        try:
            yield _retrieve(source.url, downloads(), source.checksum) if source.is_archive else _one_by_one(row, source)
        except UnavailableError as error:
            report(str(error))
    raise UnavailableError(f"{row.name}: none of its {len(row.sources)} sources could be used. {remedy}")


def downloads() -> Path:
    """Where archives and images are kept once they are fetched."""
    return cache_folder() / "downloads"


def delete_download(place: Path) -> None:
    """Delete what was fetched, so that a wrong file without a checksum is not taken for the right one for ever."""
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()


def _one_by_one(row: StandardSet, source: Source) -> Path:
    """All images of a set that is published file by file; what came before a failure is kept for the next time."""
    folder = downloads() / row.name
    for id in row.ids:
        _retrieve(source.url.format(id=id), folder, "")
    return folder


def _retrieve(url: str, folder: Path, checksum: str) -> Path:
    """One file. Raises `UnavailableError` naming the address and the reason."""
    import requests

    try:
        return retrieve(url, folder, checksum=checksum)
    except requests.HTTPError as error:
        reason = f"HTTP status {error.response.status_code}"
    except requests.ConnectionError:
        reason = "no connection, or it dropped each time"
    except requests.RequestException as error:
        reason = type(error).__name__
    except ValueError:
        reason = f"its checksum is not the published {checksum.partition(':')[2][:12]}…"
    raise UnavailableError(f"{url} cannot be used: {reason}")
