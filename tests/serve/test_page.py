"""The page in a real browser: pictures in every way, what goes wrong, keyboard, names, colours."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import wasmtime
from kit.browser import Browser
from kit.models_by_hand import COLOURS
from kit.served import Served

# sleeps for two and a half seconds, then ranks
SLOW = """(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 400) "2\\t0.5\\n")
  (func (export "_start")
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 2500000000))
    (drop (call $poll (i32.const 0) (i32.const 104) (i32.const 1) (i32.const 200)))
    (i32.store (i32.const 300) (i32.const 400)) (i32.store (i32.const 304) (i32.const 6))
    (drop (call $write (i32.const 1) (i32.const 300) (i32.const 1) (i32.const 308)))))"""


@pytest.fixture(scope="module")
def environment(own_home: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **own_home}


@pytest.fixture(scope="module")
def served(
    colours: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    cwd = tmp_path_factory.mktemp("page")
    labels = colours.parent / "colours.txt"
    words: list[str | Path] = ["--model", colours, "--labels", labels, "--processes", "1"]
    with Served(*words, env=environment, cwd=cwd) as server:
        yield server


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def page(started: Browser, served: Served) -> Iterator[Browser]:
    started.online(True)
    started.open(f"http://127.0.0.1:{served.port}/")
    yield started
    assert not started.errors


def status(page: Browser) -> str:
    return page.text("#status")


def settled(page: Browser, words: str) -> None:
    page.until(lambda: words in status(page), f"the status says {words!r}, not {status(page)!r}")


def handed(picture: Path) -> str:
    """JavaScript that makes a DataTransfer with a picture."""
    data = base64.b64encode(picture.read_bytes()).decode()
    return (
        f"const bytes = Uint8Array.from(atob({json.dumps(data)}), c => c.charCodeAt(0));"
        "const held = new DataTransfer();"
        "held.items.add(new File([bytes], 'handed.png', { type: 'image/png' }));"
    )


def test_a_picture_that_is_chosen(page: Browser, red_image: Path) -> None:
    assert status(page) == "No picture yet."
    page.choose("#file", red_image)
    settled(page, "red, ")
    labels = page.text("#labels").split("\n")
    assert labels[0] == "red"
    assert set(COLOURS) <= set(labels)
    assert page.value("document.querySelectorAll('#labels progress').length") == len(COLOURS)
    assert page.text("#used-model") == "colours"
    assert page.text("#used-worker") == "mobilenet"
    assert " ms" in page.text("#time")
    assert page.value("document.getElementById('picture').naturalWidth") == 8
    # the same picture once more
    page.value("document.getElementById('status').textContent = ''")
    page.choose("#file", red_image)
    settled(page, "red, ")


def test_a_picture_that_is_dropped_or_pasted(page: Browser, red_image: Path) -> None:
    page.value(f"{{{handed(red_image)} document.dispatchEvent(new DragEvent('drop',"
               "{ dataTransfer: held, bubbles: true, cancelable: true })); }")  # fmt: skip
    settled(page, "red, ")
    page.open(page.value("location.href"))
    page.value(f"{{{handed(red_image)} document.dispatchEvent(new ClipboardEvent('paste',"
               "{ clipboardData: held, bubbles: true })); }")  # fmt: skip
    settled(page, "red, ")


def test_the_camera(page: Browser) -> None:
    page.click("#camera")
    page.until(lambda: bool(page.value("document.getElementById('video').videoWidth")), "a video")
    assert page.value("document.activeElement.id") == "shutter"
    page.press("Escape", 27)
    page.until(lambda: bool(page.value("document.getElementById('video').hidden")), "it is closed")
    page.click("#camera")
    page.until(lambda: bool(page.value("document.getElementById('video').videoWidth")), "a video")
    page.click("#shutter")
    page.until(lambda: bool(page.text("#labels")), "labels")
    assert page.value("document.getElementById('video').srcObject") is None


def framed(page: Browser) -> tuple[bool, bool]:
    """Whether a picture is shown, and whether the page says how to choose one."""
    shown = page.value("['picture', 'invitation'].map((id) => !document.getElementById(id).hidden)")
    return shown[0], shown[1]


def test_a_file_that_is_no_picture_and_one_that_is_broken(
    page: Browser, red_image: Path, tmp_path: Path
) -> None:
    assert framed(page) == (False, True)
    page.choose("#file", red_image)
    settled(page, "red, ")
    assert framed(page) == (True, False)
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    page.choose("#file", text)
    settled(page, "notes.txt is no picture.")
    assert framed(page) == (False, True)
    assert page.text("#labels") == ""
    assert page.value("document.getElementById('status').className") == "wrong"
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    page.choose("#file", broken)
    settled(page, "That did not work: image broken.png is not an image")
    assert framed(page) == (False, True)
    assert page.value("document.getElementById('again').hidden")


def test_a_server_that_cannot_be_reached(page: Browser, red_image: Path) -> None:
    page.online(False)
    page.choose("#file", red_image)
    settled(page, "The server cannot be reached.")
    page.errors.clear()
    page.online(True)
    page.click("#again")
    settled(page, "red, ")
    assert page.value("document.getElementById('again').hidden")


def test_a_slow_worker(
    started: Browser, colours: Path, red_image: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    worker = tmp_path / "slow.wasm"
    worker.write_bytes(wasmtime.wat2wasm(SLOW))
    labels = colours.parent / "colours.txt"
    words: list[str | Path] = [
        "--worker",
        worker,
        "--model",
        colours,
        "--labels",
        labels,
        "--processes",
        "1",
    ]
    with Served(*words, env=environment, cwd=tmp_path) as server:
        started.online(True)
        started.open(f"http://127.0.0.1:{server.port}/")
        started.choose("#file", red_image)
        settled(started, "Still working …")
        settled(started, "blue, ")
        assert started.text("#used-worker") == "slow"


def test_the_keyboard_reaches_everything(page: Browser) -> None:
    reached = []
    for _ in range(4):
        page.press("Tab", 9)
        reached.append(page.value("document.activeElement.id || document.activeElement.tagName"))
    assert reached[:3] == ["file", "camera", "A"]


def test_a_screen_reader_hears_names(page: Browser, red_image: Path) -> None:
    page.choose("#file", red_image)
    settled(page, "red, ")
    nodes = page.ask("Accessibility.getFullAXTree")["nodes"]
    named = {
        (n["role"]["value"], n.get("name", {}).get("value", ""))
        for n in nodes
        if not n.get("ignored") and "role" in n
    }
    assert ("image", "The picture red.png") in named
    assert ("button", "Camera") in named
    assert ("heading", "Answer") in named
    assert ("list", "Labels, the likeliest first") in named
    assert any(role == "status" for role, _ in named)
    for role, name in named:
        if role in ("button", "link", "image", "combobox"):
            assert name, role


def test_it_fits_a_phone_and_knows_the_dark(page: Browser, red_image: Path, tmp_path: Path) -> None:
    page.choose("#file", red_image)
    settled(page, "red, ")
    shown = Path(os.environ.get("SCREENSHOTS", tmp_path))
    shown.mkdir(parents=True, exist_ok=True)
    grounds = {}
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.ask("Emulation.setEmulatedMedia", features=features)
        grounds[scheme] = page.value("getComputedStyle(document.body).backgroundColor")
        for name, width, height in (("desk", 1100, 760), ("phone", 390, 844)):
            page.screen(shown / f"{name}-{scheme}.png", width, height)
            assert page.value("document.documentElement.scrollWidth") <= width
    assert grounds["light"] != grounds["dark"]
    page.ask("Emulation.setEmulatedMedia", features=[])


def test_the_description_is_a_page(page: Browser, served: Served) -> None:
    page.open(f"http://127.0.0.1:{served.port}/docs")
    page.until(lambda: "/classify" in page.text("#operations"), "the operations")
    assert "/v2/models/{model}/infer" in page.text("#operations")
