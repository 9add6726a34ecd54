"""Pictures that are named by an address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.http_server import Act, FileServer, serving

from wasmlrun.models.connection import Transfer
from wasmlrun.pipeline.fetched import fetch_images, is_address
from wasmlrun.support.errors import BadImage

CLI = Callable[..., Any]
LOCAL = {"NO_PROXY": "127.0.0.1"}


class Quiet:
    def progress(self, name: str, done: int, total: int | None) -> None: ...
    def say(self, text: str) -> None: ...


@pytest.fixture
def server(red_image: Path) -> Iterator[FileServer]:
    with serving({"red.png": red_image.read_bytes(), "empty": b""}) as found:
        yield found


def test_a_picture_is_fetched_and_classified(
    run_cli: CLI, server: FileServer, red_image: Path, colours: Path
) -> None:
    address = f"{server.url}/red.png"
    model = ["--model", colours, "--labels", colours.parent / "colours.txt", "-k", "1"]
    done = run_cli(["classify", address, red_image, *model], env=LOCAL)
    assert done.code == 0, done.stderr
    first, second = (line.split("\t") for line in done.stdout.splitlines())
    assert (first[0], first[1]) == (address, "red")
    assert first[1:] == second[1:]


def test_one_that_cannot_be_had_does_not_stop_the_rest(
    run_cli: CLI, server: FileServer, red_image: Path, colours: Path
) -> None:
    server.acts["gone.png"] = [Act(status=404)]
    address = f"{server.url}/gone.png"
    done = run_cli(["classify", address, red_image, "--model", colours, "-k", "1"], env=LOCAL)
    assert done.code == 3
    assert done.stdout.startswith(str(red_image))
    assert f"error: cannot download {address}: the server answers 404 Not Found\n" in done.stderr
    assert "hint: check the address and the network" in done.stderr
    assert "mirror" not in done.stderr


@pytest.mark.parametrize(
    ("act", "what"),
    [
        (Act(body=b""), "is empty"),
        (Act(body=b"<html>"), "is not an image"),
    ],
)
def test_what_comes_is_checked(
    run_cli: CLI, server: FileServer, colours: Path, act: Act, what: str
) -> None:
    server.always["x.png"] = act
    done = run_cli(["classify", f"{server.url}/x.png", "--model", colours], env=LOCAL)
    assert (done.code, done.stdout) == (3, "")
    assert what in done.stderr


def test_a_picture_comes_encrypted(run_cli: CLI, colours: Path) -> None:
    done = run_cli(["classify", "http://example.invalid/x.jpg", "--model", colours])
    assert done.code == 3
    assert "is an address without encryption" in done.stderr
    assert "hint: fetch it yourself and name the file, or use an https:// address" in done.stderr


def test_a_server_does_not_fill_the_disk(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("wasmlrun.pipeline.fetched.MAX_IMAGE_BYTES", 100_000)
    server.always["red.png"] = Act(endless=True)
    address = f"{server.url}/red.png"
    (found,) = fetch_images([address], Quiet()).values()
    with pytest.raises(BadImage, match="sends more than the 100000 bytes"):
        found.encoded()
    assert Transfer().most > 100_000


def test_only_addresses_are_fetched() -> None:
    assert is_address("https://x/y.jpg")
    assert is_address("HTTP://x/y.jpg")
    for name in ("photo.jpg", "-", "file:///x", "https:x", "ftp://x"):
        assert not is_address(name)
