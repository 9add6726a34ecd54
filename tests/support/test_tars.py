"""Tar archives of strangers: nothing in their headers grows without end."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from wasmlrun.support.tars import DAMAGED, Member, forget_members

PLAIN = tarfile.TarInfo("file").tobuf()
END = bytes(1024)
MIB = 1 << 20


def header(kind: bytes, data: bytes) -> bytes:
    """A header of this kind and what it says."""
    about = tarfile.TarInfo("x")
    about.type, about.size = kind, len(data)
    return about.tobuf() + data + bytes(-len(data) % 512)


def record(name: str, value: str) -> bytes:
    """A line of a header, which begins with its own length."""
    rest = f" {name}={value}\n"
    length = len(rest) + len(str(len(rest)))
    return f"{length + (len(str(length)) + len(rest) > length)}{rest}".encode()


def names(data: bytes, member: type[tarfile.TarInfo] = Member) -> list[str]:
    """Of all members, read as the program reads them."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r|*", tarinfo=member) as archive:
        found = []
        for one in archive:
            found.append(one.name)
            forget_members(archive)
        return found


def long_name() -> bytes:
    return header(tarfile.GNUTYPE_LONGNAME, b"n" * 70_000 + b"\0") + PLAIN + END


def large_records() -> bytes:
    return header(tarfile.XHDTYPE, record("comment", "c" * 70_000)) + PLAIN + END


def headers_of_headers() -> bytes:
    return header(tarfile.XHDTYPE, record("comment", "c")) * 9 + PLAIN + END


def for_all_members() -> bytes:
    said = (header(tarfile.XGLTYPE, record(f"k{n}", "c" * 30_000)) + PLAIN for n in range(3))
    return b"".join(said) + END


def pieces() -> bytes:
    about = tarfile.TarInfo("sparse")
    about.type = tarfile.GNUTYPE_SPARSE
    return about.tobuf() + END


def pieces_in_the_data() -> bytes:
    said = record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0")
    about = tarfile.TarInfo("sparse")
    about.size = 512
    return header(tarfile.XHDTYPE, said) + about.tobuf() + b"1\n0\n0\n".ljust(512, b"\0") + END


@pytest.mark.parametrize(
    "made",
    [long_name, large_records, headers_of_headers, for_all_members, pieces, pieces_in_the_data],
)
def test_what_would_grow_without_end_is_refused(made: Callable[[], bytes]) -> None:
    data = made()
    assert names(data, tarfile.TarInfo), "the archive itself is whole"
    with pytest.raises(DAMAGED):
        names(data)


def test_a_header_that_calls_for_the_next_a_thousand_times_is_damage() -> None:
    data = header(tarfile.XHDTYPE, record("comment", "c")) * 2000 + PLAIN + END
    with pytest.raises(RecursionError):
        names(data, tarfile.TarInfo)
    with pytest.raises(DAMAGED, match="more than 8 headers"):
        names(data)


def test_ordinary_archives_are_read() -> None:
    """Long names, names that are no ASCII, in every format."""
    wanted = ["a" * 90, "d/" * 100 + "b.png", "\u00e9.png"]
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz", format=form) as archive:
            archive.pax_headers = {"comment": "of all"}
            for name in wanted:
                archive.addfile(tarfile.TarInfo(name))
        assert names(out.getvalue()) == wanted


@contextmanager
def peak() -> Iterator[list[int]]:
    """The most bytes that were in use meanwhile."""
    found: list[int] = []
    tracemalloc.start()
    try:
        yield found
        found.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def test_members_are_forgotten() -> None:
    data = PLAIN * 5000 + END
    with (
        peak() as most,
        tarfile.open(fileobj=io.BytesIO(data), mode="r|", tarinfo=Member) as archive,
    ):
        for _ in archive:
            forget_members(archive)
    assert most[0] < MIB
