"""Headless Chromium over its DevTools protocol: one page, as a person would use it."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

# a loaded machine may take this long to start a browser or to run a page
SECONDS = 90.0


def chromium() -> str:
    """The browser's command; without it the test is skipped, but never in CI."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found is not None:
            return found
    reason = "no Chromium; on Debian: apt-get install chromium"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Browser:
    """A browser with one page, for as long as the block runs."""

    def __init__(self, profile: Path) -> None:
        self._profile = profile
        self._numbers = itertools.count(1)
        self.errors: list[str] = []
        self._open = ExitStack()

    def __enter__(self) -> Browser:
        from websockets.sync.client import connect

        self._process = subprocess.Popen(
            [
                *(chromium(), "--headless=new", "--no-sandbox", "--disable-gpu"),
                *("--no-first-run", "--disable-dev-shm-usage", "--hide-scrollbars"),
                *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
                *("--remote-debugging-port=0", f"--user-data-dir={self._profile}", "about:blank"),
            ],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "HOME": str(self._profile)},
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            address = re.search(r"listening on (ws://\S+)", line)
            if address:
                break
        else:
            raise AssertionError("the browser did not start")
        self._end = self._open.enter_context(connect(address[1], max_size=None))
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session: str | None = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "DOM", "Log", "Accessibility"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()

    _session: str | None = None

    def ask(self, method: str, **parameters: Any) -> Any:
        """A command to the page."""
        return self._ask(method, **parameters)

    def _ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        call: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            call["sessionId"] = self._session
        self._end.send(json.dumps(call))
        while True:
            message = json.loads(self._end.recv(timeout=SECONDS))
            if message.get("id") == number:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self._hear(message)

    def _hear(self, message: Any) -> None:
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(str(message["params"]["exceptionDetails"]))
            case "Log.entryAdded" if message["params"]["entry"]["source"] in (
                "security",
                "violation",
            ):
                self.errors.append(message["params"]["entry"]["text"])

    def open(self, address: str) -> None:
        """Go there and wait until it is loaded."""
        self.ask("Page.navigate", url=address)
        self.until(lambda: self.value("document.readyState") == "complete", "it is loaded")

    def value(self, expression: str) -> Any:
        """What an expression is worth in the page; promises are waited for."""
        result = self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def online(self, on: bool) -> None:
        """With or without a network."""
        self.ask(
            "Network.emulateNetworkConditions",
            offline=not on,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )

    def text(self, selector: str) -> str:
        """An element's text."""
        found: str = self.value(f"document.querySelector({json.dumps(selector)}).innerText")
        return found

    def click(self, selector: str) -> None:
        """Click an element."""
        self.value(f"document.querySelector({json.dumps(selector)}).click()")

    def choose(self, selector: str, file: Path) -> None:
        """Choose a file in an input."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", files=[str(file)], nodeId=node)

    def press(self, key: str, code: int = 0) -> None:
        """Press a key."""
        for kind in ("rawKeyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until something is true."""
        ends = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < ends, f"{what}: not within {SECONDS} s; {self.errors}"
            time.sleep(0.05)

    def screen(self, file: Path, width: int, height: int) -> None:
        """A picture of the page in a window of this size."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        data = self.ask("Page.captureScreenshot", format="png")["data"]
        file.write_bytes(base64.b64decode(data))
