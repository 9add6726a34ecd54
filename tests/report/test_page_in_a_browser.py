"""The page of `wasmlrun report` in Chromium: the policy holds, it fits a phone, keys open it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.browser import Browser
from kit.outcome import Outcome
from kit.pictures import encoded, red_left
from kit.results import answered, failed, write_rows


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One for all of these tests."""
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def page(tmp_path: Path, invoke: Callable[..., Outcome]) -> str:
    """The address of a page with every section, and names that are as long as they come."""
    names = [f"class-{n}-" + "y" * 30 for n in range(30)]
    rows = []
    for n, name in enumerate(names):
        picture = tmp_path / "pictures" / name / "1.png"
        picture.parent.mkdir(parents=True)
        picture.write_bytes(encoded(red_left()))
        other = names[(n + n % 2) % 30]
        rows.append(answered(f"{name}/1.png", (other, 0.5 + n / 100), (name, 0.1), total=5 + n))
    rows.append(failed("z/" + "z" * 200, "bad-image", "image " + "z" * 200 + " is damaged"))
    result, path = write_rows(tmp_path / "r.jsonl", *rows), tmp_path / "r.html"
    words = ("--truth", "folder", "--pictures", tmp_path / "pictures", "-o", path)
    done = invoke("report", result, *words)
    assert done.code == 0, done.stderr
    return path.as_uri()


def size(browser: Browser, width: int) -> None:
    metrics = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.ask("Emulation.setDeviceMetricsOverride", **metrics)


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_fits_and_its_policy_holds(browser: Browser, page: str, width: int) -> None:
    size(browser, width)
    browser.open(page)
    assert browser.value("document.documentElement.scrollWidth") <= width
    # the style sheet's digest is right, or nothing of it would be there
    assert browser.value("getComputedStyle(document.querySelector('.tiles')).display") == "grid"
    shown = "Array.from(document.images).every(i => i.loading === 'lazy' || i.naturalWidth > 0)"
    assert browser.value(shown)
    assert browser.value("document.images[0].decode().then(() => document.images[0].naturalWidth)")
    assert browser.errors == []


def test_a_script_would_not_run(browser: Browser, page: str) -> None:
    browser.open(page)
    browser.value(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        " document.body.append(s); })()"
    )
    assert browser.value("window.ran === undefined")
    browser.errors.clear()


def test_it_is_light_or_dark_as_the_system_is(browser: Browser, page: str) -> None:
    found = []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.ask("Emulation.setEmulatedMedia", features=features)
        browser.open(page)
        found.append(browser.value("getComputedStyle(document.body).backgroundColor"))
    assert found == ["rgb(246, 247, 249)", "rgb(18, 22, 29)"]


def test_keys_are_enough(browser: Browser, page: str) -> None:
    size(browser, 1200)
    browser.open(page)
    browser.press("Tab", 9)
    assert browser.value("document.activeElement.className") == "skip"
    browser.value("document.querySelector('.card summary').focus()")
    assert browser.value("document.querySelector('.card').open") is False
    browser.ask(
        "Input.dispatchKeyEvent",
        **{"type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13},
        text="\r",
    )
    browser.until(lambda: bool(browser.value("document.querySelector('.card').open")), "it opens")
    # what scrolls by itself can be scrolled with keys
    assert browser.value(
        "Array.from(document.querySelectorAll('.scroll')).every(e => e.tabIndex === 0)"
    )
