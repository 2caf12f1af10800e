"""Fetched files: found first, checked always, and refused offline; against a server on loopback."""

from __future__ import annotations

import gc
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from srbench.base import assets
from srbench.base.assets import Asset, digest, locate
from srbench.base.errors import InputError, UnavailableError

CONTENT = b"weights" * 1000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None: ...


class Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for the handlers, so that no socket is left to the garbage collector


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    home = tmp_path / "server"
    home.mkdir()
    (home / "model.bin").write_bytes(CONTENT)
    with Server(("127.0.0.1", 0), partial(Quiet, directory=str(home))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def asset(server: str, name: str = "model.bin", content: bytes = CONTENT) -> Asset:
    return Asset(f"{server}/{name}", hashlib.sha256(content).hexdigest(), len(content))


def test_fetched_once_and_kept(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SRBENCH_OFFLINE", "0")
    path = locate(asset(server))
    assert path.read_bytes() == CONTENT
    assert path.parent == tmp_path / "cache"
    monkeypatch.setenv("SRBENCH_OFFLINE", "1")
    assert locate(asset(server)) == path


def test_the_first_digits_of_a_checksum_are_enough(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_OFFLINE", "0")
    known = asset(server)
    assert locate(Asset(known.url, known.sha256[:8])).read_bytes() == CONTENT
    with pytest.raises(InputError, match="Delete it to fetch it anew"):
        locate(Asset(known.url, "0" * 8))


def test_a_fetched_file_with_a_wrong_checksum_is_not_kept(
    server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SRBENCH_OFFLINE", "0")
    with pytest.raises(UnavailableError, match="checksum is wrong"):
        locate(asset(server, content=b"other"))
    assert not list((tmp_path / "cache").glob("[!.]*"))  # the lock stays


def test_the_weights_folder_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    (tmp_path / "model.bin").write_bytes(CONTENT)
    assert locate(asset("http://127.0.0.1:9")) == tmp_path / "model.bin"
    (tmp_path / "model.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=r"model.bin: sha256 .*…, expected .*Delete it to fetch it anew"):
        locate(asset("http://127.0.0.1:9"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("name", "content", "offline", "message"),
    [
        ("model.bin", CONTENT, "1", "offline mode forbids fetching it"),
        ("missing.bin", CONTENT, "0", r"cannot be fetched \(HTTPError\)"),
        ("model.bin", b"other", "0", "was fetched, but its checksum is wrong"),
    ],
)
def test_what_cannot_be_had(
    server: str, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, offline: str, message: str
) -> None:
    monkeypatch.setenv("SRBENCH_OFFLINE", offline)
    with pytest.raises(UnavailableError, match=message) as caught:
        locate(asset(server, name, content))
    gc.collect()  # pooch leaves the socket of a refused request to the garbage collector
    assert f"Put {name} into $SRBENCH_WEIGHTS, or fetch http" in str(caught.value)


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_OFFLINE", "0")
    with pytest.raises(UnavailableError, match=r"cannot be fetched \(no connection to its server\)"):
        locate(asset("http://127.0.0.1:9"))


def test_a_network_that_swallows_everything_costs_one_short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_OFFLINE", "0")
    monkeypatch.setattr(assets, "FIRST_WORD_S", 0.2)
    given_up, tried = threading.Event(), []

    def hangs(address: tuple[str, int], *rest: object) -> None:
        tried.append(address)
        given_up.wait(30)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", hangs)
    start = time.monotonic()
    for name in ("one.bin", "other.bin", "one.bin"):
        with pytest.raises(UnavailableError, match=f"{name} cannot be fetched .*Put {name} into"):
            locate(asset("http://swallows.example", name))
    given_up.set()
    assert time.monotonic() - start < 5
    assert tried == [("swallows.example", 80)]


def test_behind_a_proxy_the_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    assert assets._first_host("https://far.example/file") == ("proxy.example", 3128)


def test_packaged_files() -> None:
    path = locate(Asset("package:srbench/py.typed"))
    assert path.name == "py.typed"
    assert digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(UnavailableError, match="srbench is installed without weights/no.bin"):
        locate(Asset("package:srbench/weights/no.bin"))
