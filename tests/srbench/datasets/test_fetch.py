"""Downloads against a server on this machine that does what servers do: drop, refuse, lie."""

from __future__ import annotations

import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from srbench.base import download
from srbench.base.assets import Asset, locate
from srbench.base.errors import UnavailableError
from srbench.datasets.standard.fetch import downloads
from srbench.datasets.standard.prepare import prepare
from srbench.datasets.standard.table import STANDARD_SETS, Source
from srbench.images.files import write_image
from tests.srbench.datasets.conftest import Pictures


@dataclass
class Site:
    """What is served, and how badly: at most `per_request` bytes an answer; `ranges` says whether it can go on."""

    files: dict[str, bytes] = field(default_factory=dict)
    per_request: int = 1 << 30
    ranges: bool = True
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.asked.append(f"{request.path} {wanted}".strip())
        content = self.files.get(request.path)
        if content is None:
            request.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start >= len(content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        request.wfile.write(content[start : start + self.per_request])  # and then the connection closes


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield served
        server.shutdown()
        thread.join()


@pytest.fixture
def archive(little: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The set as a zip; and downloads are allowed."""
    monkeypatch.delenv("SRBENCH_OFFLINE")
    monkeypatch.setattr(download, "CHUNK", 10)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for id, image in little.items():
            write_image(tmp_path / "x.png", image)
            file.write(tmp_path / "x.png", f"HR/{id}.png")
    return content.getvalue()


def _sources(monkeypatch: pytest.MonkeyPatch, *sources: Source) -> None:
    monkeypatch.setitem(STANDARD_SETS, "Little", replace(STANDARD_SETS["Little"], sources=sources))


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_an_archive_is_fetched_checked_and_laid_out(
    site: Site, archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/x.zip"] = archive
    _sources(monkeypatch, Source(f"{site.url}/x.zip", _sha256(archive)))
    assert prepare("Little", tmp_path / "root").counts() == {"exact": 3}
    prepare("Little", tmp_path / "root")
    assert site.asked == ["/x.zip"], "the second time it is in the cache"


def test_a_dropped_connection_is_taken_up_where_it_was(
    site: Site, archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/x.zip"], site.per_request = archive, len(archive) // 20 * 10 + 10
    _sources(monkeypatch, Source(f"{site.url}/x.zip", _sha256(archive)))
    assert prepare("Little", tmp_path / "root").counts() == {"exact": 3}
    assert site.asked == ["/x.zip", f"/x.zip bytes={site.per_request}-"]


def test_weights_are_taken_up_where_the_connection_dropped(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRBENCH_OFFLINE")
    monkeypatch.setattr(download, "CHUNK", 10)
    content = bytes(range(250)) * 4
    site.files["/net.pth"], site.per_request = content, 500
    path = locate(Asset(f"{site.url}/net.pth", hashlib.sha256(content).hexdigest()))
    assert path.read_bytes() == content
    assert site.asked == ["/net.pth", "/net.pth bytes=500-"]


def test_two_that_want_one_file_fetch_it_once(site: Site, archive: bytes, tmp_path: Path) -> None:
    site.files["/x.zip"] = archive * 200
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: download.retrieve(f"{site.url}/x.zip", tmp_path), range(2)))
    assert [path.read_bytes() for path in paths] == [archive * 200] * 2 and site.asked == ["/x.zip"]


def test_a_connection_that_drops_each_time_keeps_what_came(
    site: Site, archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/x.zip"], site.per_request = archive, 100
    _sources(monkeypatch, Source(f"{site.url}/x.zip", _sha256(archive)))
    said: list[str] = []
    with pytest.raises(UnavailableError, match="none of its 1 sources could be used. .*prepare Little --from PATH"):
        prepare("Little", tmp_path / "root", report=said.append)
    assert said == [f"{site.url}/x.zip cannot be used: no connection, or it dropped each time"]
    assert (downloads() / "x.zip.part").read_bytes() == archive[:500]
    site.per_request = 1 << 30
    assert prepare("Little", tmp_path / "root").counts() == {"exact": 3}
    assert site.asked[-1] == "/x.zip bytes=500-"


def test_a_server_that_cannot_go_on_starts_anew(
    site: Site, archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/x.zip"], site.ranges = archive, False
    downloads().mkdir(parents=True)
    (downloads() / "x.zip.part").write_bytes(b"something else")
    _sources(monkeypatch, Source(f"{site.url}/x.zip", _sha256(archive)))
    assert prepare("Little", tmp_path / "root").counts() == {"exact": 3}


@pytest.mark.parametrize("more", [b"", b"too long"])
def test_a_part_that_is_whole_is_used_and_one_that_is_too_long_is_not(
    more: bytes, site: Site, archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/x.zip"] = archive
    downloads().mkdir(parents=True)
    (downloads() / "x.zip.part").write_bytes(archive + more)
    _sources(monkeypatch, Source(f"{site.url}/x.zip", _sha256(archive)))
    assert prepare("Little", tmp_path / "root").counts() == {"exact": 3}
    assert len(site.asked) == (2 if more else 1)


def test_a_dead_link_and_a_wrong_file_lead_to_the_next_mirror(
    site: Site, archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files |= {"/wrong.zip": archive[::-1], "/x.zip": archive}
    sources = [Source(f"{site.url}/{name}.zip", _sha256(archive)) for name in ("gone", "wrong", "x")]
    _sources(monkeypatch, *sources)
    said: list[str] = []
    assert prepare("Little", tmp_path / "root", report=said.append).counts() == {"exact": 3}
    assert said == [
        f"{site.url}/gone.zip cannot be used: HTTP status 404",
        f"{site.url}/wrong.zip cannot be used: its checksum is not the published {_sha256(archive)[7:19]}…",
    ]


def test_a_mirror_with_other_pixels_leads_to_the_next(
    site: Site, archive: bytes, little: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "other.png", 255 - little["a"])
    for id in little:
        site.files[f"/{id}.png"] = (tmp_path / "other.png").read_bytes()
    site.files["/x.zip"] = archive
    _sources(monkeypatch, Source(f"{site.url}/{{id}}.png"), Source(f"{site.url}/x.zip", _sha256(archive)))
    said: list[str] = []
    assert prepare("Little", tmp_path / "root", report=said.append).counts() == {"exact": 3}
    assert "0 of 3 images of Little found; no a" in said[0]
    assert not (downloads() / "Little").exists(), "what was wrong is fetched anew the next time"


def test_a_set_that_is_published_image_by_image(
    site: Site, archive: bytes, little: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id, image in little.items():
        write_image(tmp_path / f"{id}.bmp", image)
        site.files[f"/{id}_GT.bmp"] = (tmp_path / f"{id}.bmp").read_bytes()
    _sources(monkeypatch, Source(f"{site.url}/{{id}}_GT.bmp"))
    assert prepare("Little", tmp_path / "root").counts() == {"exact": 3}
    assert site.asked == ["/a_GT.bmp", "/b_GT.bmp", "/c_GT.bmp"]


def test_no_server_at_all(archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _sources(monkeypatch, Source("http://127.0.0.1:9/x.zip", _sha256(archive)))
    with pytest.raises(UnavailableError, match="Little: none of its 1 sources could be used"):
        prepare("Little", tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_offline_mode_asks_nobody(
    little: Pictures, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sources(monkeypatch, Source(f"{site.url}/x.zip"))
    with pytest.raises(UnavailableError, match="Little is not here and offline mode forbids fetching it"):
        prepare("Little", tmp_path / "root")
    assert site.asked == []


def test_every_set_has_a_source_and_every_checksum_says_where_it_is_published() -> None:
    for row in STANDARD_SETS.values():
        assert row.sources, row.name
        for source in row.sources:
            assert bool(source.checksum) == bool(source.published), source.url
            assert source.url.startswith("https://")
