"""What is opened for others: regular files of bounded size that do not lead out of their folder."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from wasmlrun.support import beneath
from wasmlrun.support.beneath import NotRegular, Outside, TooLarge, open_folder, read

MOST = 1000


@pytest.fixture(params=["by the kernel", "step by step"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`inside/file` in a folder, and beside the folder a secret; both ways of opening."""
    if request.param == "step by step":
        monkeypatch.setattr(beneath, "_by_the_kernel", lambda *_: None)
    elif beneath._by_the_kernel(os.open(tmp_path, os.O_RDONLY), Path(), os.O_RDONLY) is None:
        pytest.skip("no openat2 here")
    inside = tmp_path / "folder" / "inside"
    inside.mkdir(parents=True)
    (inside / "file").write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"secret")
    return tmp_path / "folder"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("here", "inside/file"),
        ("inside/up", "../inside/file"),
        ("inside/around", "../inside/../inside/./file"),
        ("chain", "inside/up"),
    ],
)
def test_a_link_that_stays_inside_is_followed(folder: Path, link: str, target: str) -> None:
    (folder / "inside" / "up").symlink_to("../inside/file")
    (folder / link).unlink(missing_ok=True)
    (folder / link).symlink_to(target)
    assert read(folder / link, MOST, within=folder) == b"content"


def test_a_folder_that_is_a_link_inside_is_followed(folder: Path) -> None:
    (folder / "other").symlink_to("inside")
    assert read(folder / "other" / "file", MOST, within=folder) == b"content"
    os.close(open_folder(folder / "other", within=folder))


@pytest.mark.parametrize(
    "target",
    ["../secret", "inside/../../secret", "/etc/passwd", "{folder}/inside/file", "/proc/self/root"],
)
def test_a_link_that_leads_out_is_refused(folder: Path, target: str) -> None:
    (folder / "link").symlink_to(target.format(folder=folder))
    with pytest.raises(Outside) as caught:
        read(folder / "link", MOST, within=folder)
    assert caught.value.strerror == f"it leads out of the folder {folder}"
    with pytest.raises(Outside):
        read(folder / "link" / "deeper", MOST, within=folder)


@pytest.mark.parametrize("path", ["../secret", "inside/../../secret", "/etc/passwd"])
def test_a_path_that_leads_out_is_refused(folder: Path, path: str) -> None:
    with pytest.raises(Outside):
        read(folder / path, MOST, within=folder)


def test_links_above_the_folder_are_the_users_own(folder: Path) -> None:
    (folder.parent / "alias").symlink_to(folder)
    alias = folder.parent / "alias"
    assert read(alias / "inside" / "file", MOST, within=alias) == b"content"


def test_links_in_a_circle_end(folder: Path) -> None:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        read(folder / "a", MOST, within=folder)


def test_what_is_missing_is_told_with_its_path(folder: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        read(folder / "absent", MOST, within=folder)
    assert caught.value.filename == str(folder / "absent")


def test_a_folder_is_no_file(folder: Path) -> None:
    for within in (folder, None):
        with pytest.raises(IsADirectoryError):
            read(folder / "inside", MOST, within=within)


def test_a_swapped_folder_never_lets_the_secret_out(folder: Path) -> None:
    """Somebody exchanges a part of the path for a link, again and again, while it is opened."""
    (folder.parent / "outside").mkdir()
    (folder.parent / "outside" / "file").write_bytes(b"secret")
    (folder / "link").symlink_to("../outside")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            (folder / "inside").rename(folder / "kept")
            (folder / "link").rename(folder / "inside")
            (folder / "inside").rename(folder / "link")
            (folder / "kept").rename(folder / "inside")

    attacker = threading.Thread(target=swap)
    attacker.start()
    seen = set()
    try:
        for _ in range(3000):
            try:
                seen.add(read(folder / "inside" / "file", MOST, within=folder))
            except OSError as e:
                seen.add(type(e).__name__.encode())
    finally:
        over.set()
        attacker.join()
    assert b"secret" not in seen
    assert b"content" in seen


# --- regular files of bounded size --------------------------------------------------------------


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("make", [a_pipe, a_socket])
@pytest.mark.parametrize("within", [True, False])
def test_what_is_no_file_is_refused_without_waiting(
    folder: Path, make: Callable[[Path], None], within: bool
) -> None:
    make(folder / "odd")
    with pytest.raises(OSError, match=r"not a regular file|No such device"):
        read(folder / "odd", MOST, within=folder if within else None)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(device: str) -> None:
    with pytest.raises(NotRegular, match="it is a device, not a regular file"):
        read(Path(device), MOST)


def test_a_pipe_is_read_where_it_may_be_one_and_bounded(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for size, fits in ((MOST, True), (MOST + 1, False)):
        writer = threading.Thread(
            target=(tmp_path / "pipe").write_bytes, args=(b"x" * size,), daemon=True
        )
        writer.start()
        if fits:
            assert read(tmp_path / "pipe", MOST, pipe=True) == b"x" * size
        else:
            with pytest.raises(TooLarge):
                read(tmp_path / "pipe", MOST, pipe=True)
        writer.join()


def test_the_size_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * MOST)
    assert len(read(path, MOST)) == MOST
    path.write_bytes(b"x" * (MOST + 1))
    with pytest.raises(TooLarge, match="it has more than 1000 bytes"):
        read(path, MOST)


def test_a_file_that_does_not_know_its_size_is_bounded_too() -> None:
    path = Path("/proc/self/maps")
    if not path.exists():
        pytest.skip("no /proc here")
    assert path.stat().st_size == 0
    assert b"[stack]" in read(path, 1 << 20)
    with pytest.raises(TooLarge):
        read(path, 100)


def test_an_empty_file_is_empty(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert read(tmp_path / "file", 0) == b""


@pytest.mark.parametrize("name", ["inside/file\0.xml", "\0", "inside\0/file"])
def test_a_name_with_a_nul_names_nothing(folder: Path, name: str) -> None:
    """The kernel would see `inside/file`, whatever others took it for."""
    for within in (folder, None):
        with pytest.raises(OSError, match="a name with a NUL character"):
            read(folder / name, MOST, within=within, pipe=True)
