"""Archives that nobody vouches for: what is harmful is refused, and nothing is written under a name from inside."""

from __future__ import annotations

import io
import random
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from srbench.base.errors import InputError
from srbench.datasets.standard import unpack
from srbench.datasets.standard.unpack import pictures


def _zip(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def _tar(path: Path, *members: tuple[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_a_folder_is_walked_and_only_pictures_are_read(tmp_path: Path) -> None:
    for name in ("b/x.PNG", "a/y.bmp", "a/readme.txt", "a/._y.bmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    assert list(pictures(tmp_path)) == [("a/y.bmp", b"a/y.bmp"), ("b/x.PNG", b"b/x.PNG")]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_gives_its_pictures(mode: str, tmp_path: Path) -> None:
    path = _tar(tmp_path / "x.tar", ("a/x.png", b"1"), ("a/notes", b"2"), ("y.bmp", b"3"), mode=mode)
    assert list(pictures(path)) == [("a/x.png", b"1"), ("y.bmp", b"3")]


def test_a_zip_gives_its_pictures(tmp_path: Path) -> None:
    assert list(pictures(_zip(tmp_path / "x.zip", ("a/x.png", b"1"), ("a/", b"")))) == [("a/x.png", b"1")]


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/etc/x.png", "..\\x.png", "C:/x.png", "C:\\x.png"])
@pytest.mark.parametrize("make", [_zip, _tar])
def test_a_name_that_leads_out_is_refused_before_anything_is_read(name: str, make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = make(tmp_path / "x.archive", (name, b"1"), ("good.png", b"2"))
    with pytest.raises(InputError, match=r"leads out of the archive. It is not safe; nothing was unpacked"):
        list(pictures(path))


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = tarfile.TarInfo("link.png")
            link.type, link.linkname = kind, str(tmp_path / "secret.png")
            archive.addfile(link)
    assert list(pictures(tmp_path / "x.tar")) == []
    link_in_zip = zipfile.ZipInfo("link.png")
    link_in_zip.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive_zip:
        archive_zip.writestr(link_in_zip, str(tmp_path / "secret.png"))
    assert list(pictures(tmp_path / "x.zip")) == []


def _zeros(size: int) -> bytes:
    """`size` zeros as a deflate stream, from one block repeated: quick to make, and quick to refuse."""
    block = 1 << 26
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece * (size // block) + packer.flush()


def test_a_zip_bomb_of_ten_gigabytes_is_refused_at_once(tmp_path: Path) -> None:
    packed, size = _zeros(10 << 30), 10 << 30
    name = b"bomb.png"
    sizes = struct.pack("<QQ", size, len(packed))
    extra = struct.pack("<HH", 1, len(sizes)) + sizes
    common = struct.pack("<HHHHHLLLHH", 45, 0, 8, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, len(name), len(extra))
    local = b"PK\3\4" + common + name + extra + packed
    central = b"PK\1\2" + struct.pack("<H", 45) + common + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + name + extra
    end = b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(central), len(local), 0)
    path = tmp_path / "bomb.zip"
    path.write_bytes(local + central + end)
    assert path.stat().st_size < 12 << 20
    with pytest.raises(InputError, match=r"unpacks to more than .* This looks like a zip bomb; nothing was unpacked"):
        list(pictures(path))


def test_a_zip_that_lies_about_its_size_gives_no_more_than_it_says(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.png", bytes(1 << 20))
    honest, lie = struct.pack("<L", 1 << 20), struct.pack("<L", 1000)
    path.write_bytes(path.read_bytes().replace(honest, lie))
    with pytest.raises(InputError, match=r"damaged archive \(Bad CRC-32"):
        list(pictures(path))


def test_a_tar_bomb_is_refused_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = tarfile.TarInfo("bomb.png")
    header.size = 10 << 30
    body = zlib.compressobj(9, zlib.DEFLATED, 31)
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(body.compress(header.tobuf() + bytes(1 << 20)) + body.flush())
    with pytest.raises(InputError, match="no picture of a standard set is so large"):
        list(pictures(path))
    monkeypatch.setattr(unpack, "HARMLESS_BYTES", 10 << 20)
    many = [(f"{number}.txt", bytes(1 << 20)) for number in range(20)]
    with pytest.raises(InputError, match="This looks like a zip bomb"):
        list(pictures(_tar(tmp_path / "many.tar.gz", *many, mode="w:gz")))


def test_limits_hold_for_stored_archives_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="unpacks to more than"):
        list(pictures(_zip(tmp_path / "x.zip", ("x.png", bytes(2000)))))


def test_what_is_no_archive_or_is_damaged_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder, zip or tar"):
        pictures(tmp_path / "nothing")
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    with pytest.raises(InputError, match="neither a folder, nor a zip, nor a tar. Unpack it yourself"):
        pictures(tmp_path / "x.rar")
    whole = _tar(tmp_path / "x.tar.gz", ("x.png", random.Random(0).randbytes(9999)), mode="w:gz").read_bytes()
    (tmp_path / "x.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"damaged archive .* Get it again"):
        list(pictures(tmp_path / "x.tar.gz"))


def test_a_zip_with_a_password_says_what_to_do(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", ("x.png", b"1"))
    content = bytearray(path.read_bytes())
    for magic, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(magic) + place] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"password required.* Unpack it yourself and give the folder"):
        list(pictures(path))
