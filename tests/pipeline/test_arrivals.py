"""What has arrived in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wasmlrun.pipeline import arrivals
from wasmlrun.pipeline.arrivals import Arrivals, arriving

SUFFIXES = frozenset({".png", ".jpg"})


def names(found: list[str]) -> list[str]:
    return [Path(path).name for path in found]


def test_a_picture_arrives_once_and_when_it_is_whole(tmp_path: Path) -> None:
    (tmp_path / "before.png").write_bytes(b"there already")
    looked = Arrivals(tmp_path, SUFFIXES)
    assert looked.look() == []
    grows = tmp_path / "a.PNG"
    grows.write_bytes(b"half")
    assert looked.look() == []
    grows.write_bytes(b"half and half")
    assert looked.look() == []
    assert looked.look() == [str(grows)]
    assert looked.look() == []


def test_one_that_changes_or_comes_back_arrives_again(tmp_path: Path) -> None:
    picture = tmp_path / "before.jpg"
    picture.write_bytes(b"one")
    looked = Arrivals(tmp_path, SUFFIXES)
    picture.write_bytes(b"another")
    assert (looked.look(), names(looked.look()), looked.look()) == ([], ["before.jpg"], [])
    picture.unlink()
    assert looked.look() == []
    picture.write_bytes(b"another")
    assert (looked.look(), names(looked.look())) == ([], ["before.jpg"])


def test_what_is_no_picture_or_none_yet_does_not_arrive(tmp_path: Path) -> None:
    looked = Arrivals(tmp_path, SUFFIXES)
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.txt").write_text("no picture")
    (tmp_path / ".copy.png").write_bytes(b"not done")
    (tmp_path / "folder.png").mkdir()
    os.symlink("/etc/hostname", tmp_path / "link.png")
    assert [looked.look(), looked.look()] == [[], []]


def test_several_come_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "PERIOD", 0.0)
    looked = Arrivals(tmp_path, SUFFIXES)
    for name in ("c.png", "a.png", "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    assert names(next(arriving(looked))) == ["a.png", "b.jpg", "c.png"]


def test_a_folder_that_goes_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    looked = Arrivals(folder, SUFFIXES)
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        looked.look()
