"""Standard sets from the network: every mirror in turn, resumed where a connection dropped, checked before use.

What is fetched is kept under `downloads` in the cache folder; an archive often serves several sets.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from srbench.base.assets import CONNECT_TIMEOUT_S, cache_folder, is_offline
from srbench.base.errors import UnavailableError
from srbench.base.progress import BYTES, Bar
from srbench.datasets.standard.table import Source, StandardSet

ATTEMPTS = 5
"""How often a download is begun or taken up again; less, where an attempt brings nothing."""

CHUNK = 1 << 14
"""Bytes read at once; when a connection drops, what came of the last chunk is lost."""

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
            yield _archive(source) if source.is_archive else _one_by_one(row, source)
        except UnavailableError as error:
            report(str(error))
    raise UnavailableError(f"{row.name}: none of its {len(row.sources)} sources could be used. {remedy}")


def downloads() -> Path:
    return cache_folder() / "downloads"


def discard(place: Path) -> None:
    """Delete what was fetched, so that a wrong file without a checksum is not taken for the right one for ever."""
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()


def _archive(source: Source) -> Path:
    return _retrieve(source.url, downloads(), source.checksum)


def _one_by_one(row: StandardSet, source: Source) -> Path:
    """All images of a set that is published file by file; what came before a failure is kept for the next time."""
    folder = downloads() / row.name
    for id in row.ids:
        _retrieve(source.url.format(id=id), folder, "")
    return folder


def _retrieve(url: str, folder: Path, checksum: str) -> Path:
    """One file, by pooch. Raises `UnavailableError` naming the address and the reason."""
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    name = url.rsplit("/", 1)[-1]
    try:
        return Path(pooch.retrieve(url, checksum or None, name, folder, downloader=_resuming(folder / f"{name}.part")))
    except requests.HTTPError as error:
        reason = f"HTTP status {error.response.status_code}"
    except requests.ConnectionError:
        reason = "no connection, or it dropped each time"
    except requests.RequestException as error:
        reason = type(error).__name__
    except ValueError:  # pooch's word for a wrong checksum; it has deleted the file
        reason = f"its checksum is not the published {checksum.partition(':')[2][:12]}…"
    raise UnavailableError(f"{url} cannot be used: {reason}")


def _resuming(part: Path) -> Callable[[str, Any, Any], None]:
    """A downloader for pooch that keeps what has arrived in `part`, and goes on from there."""

    def download(url: str, output_file: str, pooch: Any) -> None:
        import requests

        part.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(ATTEMPTS):
            before = part.stat().st_size if part.exists() else 0
            try:
                _append(url, part)
                break
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, requests.Timeout) as error:
                moved = not part.exists() or part.stat().st_size > before
                if not moved or attempt == ATTEMPTS - 1:
                    raise requests.ConnectionError(str(error)) from error
        part.replace(output_file)

    return download


def _append(url: str, part: Path) -> None:
    """Fetch what is still missing from `part`; start anew where the server cannot go on in the middle."""
    import requests

    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT_S, 30)) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return  # all of it was here
            part.unlink()  # it is longer than what the server has: of another file
            raise requests.ConnectionError("the part that was here does not fit")
        response.raise_for_status()
        goes_on = response.status_code == requests.codes.partial_content
        total = int(response.headers.get("Content-Length", 0)) + (have if goes_on else 0)
        with part.open("ab" if goes_on else "wb") as file:
            _copy(response, file, total, url.rsplit("/", 1)[-1])
    if total and part.stat().st_size < total:
        raise requests.ConnectionError(f"{part.stat().st_size} of {total} bytes came")


def _copy(response: Any, file: IO[bytes], total: int, name: str) -> None:
    with Bar(name, total, BYTES, done=file.tell()) as bar:
        for chunk in response.iter_content(CHUNK):
            file.write(chunk)
            bar.advance(len(chunk))
