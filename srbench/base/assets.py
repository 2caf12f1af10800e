"""Files that a metric or model needs: found in the user's folder, else in the cache, else fetched and checked.

Nothing is fetched when `--offline` (or `SRBENCH_OFFLINE=1`) is given. A failed fetch raises `UnavailableError`
within seconds, with the line that fixes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from srbench.base.download import retrieve
from srbench.base.errors import InputError, UnavailableError
from srbench.base.temporary import write_file

FIRST_WORD_S = 2.0
"""How long a host may take to be found and to accept a connection, before it is held to be out of reach."""

PACKAGE = "package:"


@dataclass(frozen=True)
class Asset:
    """A file that srbench can find or fetch, and checks before use.

    `url` is an address, or `package:NAME/PATH` for a file shipped inside an installed package.
    `sha256` (hex, or as many of its first digits as are known) is checked after a fetch and in the user's folder; it
    may be empty for `package:` files, which pip has checked.
    `size` is in bytes and is only told to the user, before a download starts. `name` is the file's, where the address
    does not end with it.
    """

    url: str
    sha256: str = ""
    size: int = 0
    name: str = ""

    @property
    def filename(self) -> str:
        """What the file is called on this disk."""
        return self.name or self.url.rsplit("/", 1)[-1]


def locate(asset: Asset) -> Path:
    """The asset's file on this disk, fetched if it must be.

    Looks inside the package for a `package:` url; otherwise in `$SRBENCH_WEIGHTS`, then in the cache, then fetches.
    Raises `UnavailableError` where it cannot be had and `InputError` where a file's checksum is wrong.
    """
    if asset.url.startswith(PACKAGE):
        return _packaged(asset)
    path = on_disk(asset)
    if path is None:
        return _fetch(asset)
    if not digest(path).startswith(asset.sha256):
        found, expected = digest(path)[:12], asset.sha256[:12]
        raise InputError(f"{path}: sha256 {found}…, expected {expected}…. Delete it to fetch it anew.")
    return path


def on_disk(asset: Asset) -> Path | None:
    """Where a file that does not come with a package is: in `$SRBENCH_WEIGHTS`, else in the cache, else nowhere."""
    folders = (weights_folder(), cache_folder())
    return next((folder / asset.filename for folder in folders if folder and (folder / asset.filename).is_file()), None)


def digest(path: Path) -> str:
    """sha256 (hex) of a file; remembered while the file's size and time stay the same."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@cache
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_folder() -> Path | None:
    """`$SRBENCH_WEIGHTS`, the folder of weights that is looked in first."""
    folder = os.environ.get("SRBENCH_WEIGHTS")
    return Path(folder).expanduser() if folder else None


def cache_folder() -> Path:
    """Where fetched weights are kept: `$SRBENCH_CACHE`, else the platform's cache folder."""
    from platformdirs import user_cache_path

    folder = os.environ.get("SRBENCH_CACHE")
    return Path(folder).expanduser() if folder else user_cache_path("srbench")


def read_cache(name: str) -> dict[str, Any]:
    """A JSON file of the cache folder; empty where there is none, or a damaged one."""
    try:
        found = json.loads((cache_folder() / name).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def add_to_cache(name: str, entries: Mapping[str, Any]) -> None:
    """Add entries to a JSON file of the cache folder, beside those that other processes have added meanwhile."""
    with suppress(OSError):  # a cache that cannot be written costs time, not results
        write_file(cache_folder() / name, json.dumps({**read_cache(name), **entries}, separators=(",", ":")))


def is_offline() -> bool:
    """Whether nothing may be fetched: `--offline`, or `SRBENCH_OFFLINE=1`."""
    return os.environ.get("SRBENCH_OFFLINE", "") not in ("", "0")


def _packaged(asset: Asset) -> Path:
    package, _, inside = asset.url.removeprefix(PACKAGE).partition("/")
    path = Path(str(resources.files(package))) / inside
    if not path.is_file():
        raise UnavailableError(f"{package} is installed without {inside}; reinstall it")
    return path


def _fetch(asset: Asset) -> Path:
    remedy = f"Put {asset.filename} into $SRBENCH_WEIGHTS, or fetch {asset.url}"
    if is_offline():
        raise UnavailableError(f"{asset.filename} is not here and offline mode forbids fetching it. {remedy}")
    if not _answers(*_first_host(asset.url)):
        raise UnavailableError(f"{asset.filename} cannot be fetched (no connection to its server). {remedy}")
    import requests

    try:
        path = retrieve(asset.url, cache_folder(), asset.filename)
    except (requests.RequestException, OSError) as error:
        raise UnavailableError(f"{asset.filename} cannot be fetched ({type(error).__name__}). {remedy}") from error
    if not digest(path).startswith(asset.sha256):
        path.unlink()
        raise UnavailableError(f"{asset.filename} was fetched, but its checksum is wrong. {remedy}")
    return path


def _first_host(url: str) -> tuple[str, int]:
    """Host and port of the proxy for an address, where one is set, else its own."""
    from requests.utils import get_environ_proxies, select_proxy

    parts = urlsplit(select_proxy(url, get_environ_proxies(url)) or url)
    return parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)


@cache
def _answers(host: str, port: int) -> bool:
    """Whether a connection comes about within `FIRST_WORD_S`; asked once a process.

    In a thread that is left behind: looking up a name has no time limit of its own, and without a network it takes
    what the system's settings say, often five seconds a name server.
    """
    connected = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((host, port), FIRST_WORD_S).close()
            connected.set()
        except OSError:
            pass
        finally:
            ended.set()

    ended = threading.Event()
    threading.Thread(target=connect, daemon=True).start()
    ended.wait(FIRST_WORD_S)
    return connected.is_set()
