"""Downloads that go on where a connection dropped, with a bar on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from srbench.base.progress import BYTES, Bar

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 5, 30

ATTEMPTS = 5
"""How often a download is begun or taken up again; less, where an attempt brings nothing."""

CHUNK = 1 << 14
"""Bytes read at once; when a connection drops, what came of the last chunk is lost."""


def retrieve(url: str, folder: Path, name: str = "", checksum: str = "") -> Path:
    """The file of an address in a folder, fetched unless it is there; `checksum` is `sha256:…` or `md5:…`.

    It is called `name`, or as the address ends. What has arrived lies in `NAME.part` until all has; of several
    processes one fetches, and the others wait for its file. Raises `requests.RequestException`, and `ValueError` for a
    wrong checksum, after which the file is gone.
    """
    import pooch
    from filelock import FileLock

    pooch.get_logger().setLevel("WARNING")
    name = name or url.rsplit("/", 1)[-1]
    resuming = _resuming(folder / f"{name}.part")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{name}.lock"):  # two that append to one part would make rubbish of it
        return Path(pooch.retrieve(url, checksum or None, name, folder, downloader=resuming))


def _resuming(part: Path) -> Callable[[str, Any, Any], None]:
    """A downloader for pooch that keeps what has arrived in `part`, and goes on from there."""

    def download(url: str, output_file: str, pooch: Any) -> None:
        import requests

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
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return  # all of it was here
            part.unlink()  # it is longer than what the server has: of another file
            raise requests.ConnectionError("the part that was here does not fit")
        response.raise_for_status()
        goes_on = response.status_code == requests.codes.partial_content
        total = int(response.headers.get("Content-Length", 0)) + (have if goes_on else 0)
        name, mode = url.rsplit("/", 1)[-1], "ab" if goes_on else "wb"
        with part.open(mode) as file, Bar(name, total, BYTES, done=have if goes_on else 0) as bar:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                bar.advance(len(chunk))
    if total and part.stat().st_size < total:
        raise requests.ConnectionError(f"{part.stat().st_size} of {total} bytes came")
