"""The same file in other hosts: wasmtime's package, Node, Chromium, wasm3."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wasmtime
from kit.browser import Browser
from kit.needs import needs
from kit.packed import Library
from kit.tflite_by_hand import colours
from PIL import Image
from tiny.conftest import Packer

from wasmlrun.manifest.manifest import Classify

LABELS = ["red & <b>", "green", "blue"]

NODE = """
import { WASI } from "node:wasi";
import { readFileSync } from "node:fs";
const wasi = new WASI({ version: "preview1" });
const { instance } = await WebAssembly.instantiate(
  readFileSync(process.argv[2]), wasi.getImportObject());
process.exitCode = wasi.start(instance);
"""


def tool(name: str) -> str:
    """A program of the system; where it is absent the test is skipped, but never in CI."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing")
        pytest.skip(f"{name} is missing")
    return found


def green() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), (20, 240, 30)).save(file, "PNG")
    return file.getvalue()


def test_wasmtimes_package(packed: Packer, tmp_path: Path) -> None:
    module = packed(colours(), labels=LABELS, decode=True).output
    (tmp_path / "in.png").write_bytes(green())
    engine = wasmtime.Engine()
    store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
    linker.define_wasi()
    config = wasmtime.WasiConfig()
    config.stdin_file = str(tmp_path / "in.png")
    config.stdout_file = str(tmp_path / "out")
    store.set_wasi(config)
    instance = linker.instantiate(store, wasmtime.Module.from_file(engine, str(module)))
    start = instance.exports(store)["_start"]
    assert isinstance(start, wasmtime.Func)
    start(store)
    del instance, store
    assert (tmp_path / "out").read_text().startswith("green\t0.")


def test_node(packed: Packer, tmp_path: Path) -> None:
    node = tool("node")
    module = packed(colours(), labels=LABELS, decode=True).output
    (tmp_path / "host.mjs").write_text(NODE)
    for given, first in ((green(), "green"), (bytes([250, 20, 30]) * 64, "red & <b>")):
        done = subprocess.run(
            [node, "--no-warnings", str(tmp_path / "host.mjs"), str(module)],
            input=given,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode().split("\t")[0] == first


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.mark.parametrize("picture", ["PNG", "WEBP"])
def test_the_page_in_chromium(
    picture: str, packed: Packer, browser: Browser, tmp_path: Path
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), (240, 20, 30)).save(file, picture)
    page = tmp_path / "m.html"
    packed(colours(), labels=LABELS, page=page)
    browser.open(page.as_uri())
    data = json.dumps(base64.b64encode(file.getvalue()).decode())
    best = browser.value(
        f"classify(new Blob([Uint8Array.from(atob({data}), (c) => c.charCodeAt(0))]))"
    )
    assert best[0]["label"] == "red & <b>"
    assert sum(p["score"] for p in best) == pytest.approx(1, abs=0.02)
    assert browser.errors == []


@pytest.mark.parametrize(("bound", "said"), [(0.99, True), (0.01, False), (None, False)])
def test_the_page_doubts_as_the_command_does(
    bound: float | None, said: bool, packed: Packer, browser: Browser, tmp_path: Path
) -> None:
    page, picture = tmp_path / "m.html", tmp_path / "grey.png"
    Image.new("RGB", (8, 8), (120, 120, 120)).save(picture)
    packed(colours(), labels=LABELS, page=page, settings=Classify(unsure_below=bound))
    browser.open(page.as_uri())
    browser.choose("#file", picture)
    browser.until(lambda: browser.text("#answer") != "", "there is an answer")
    doubt = browser.text("#doubt")
    best = browser.text("#answer").splitlines()[0].split("\t")[0]
    assert (
        doubt.startswith(f"Not sure: this is unlike what model knows (“{best}” with only 0.")
        == said
    )
    assert said or doubt == ""


def test_a_photograph_has_its_name_in_every_host(
    run_cli: Callable[..., Any],
    zig: dict[str, str],
    shared_data: Path,
    browser: Browser,
    tmp_path: Path,
) -> None:
    models, photograph = shared_data / "models", shared_data / "images" / "cat_720p.jpg"
    done = run_cli(
        [
            *("pack", models / "mobilenet_v2_1.0_224_quant.tflite", "--decode", "--html"),
            *("--labels", models / "imagenet_labels.txt", "-o", "m.wasm"),
        ],
        cwd=tmp_path,
        env=zig,
    )
    assert done.code == 0, done.stderr
    done = run_cli(["classify", photograph, "--worker", "m.wasm", "-k", "1"], cwd=tmp_path)
    assert done.stdout.split("\t")[1:] == ["Egyptian cat", "0.9375", "286\n"]
    (tmp_path / "host.mjs").write_text(NODE)
    host = [tool("node"), "--no-warnings", str(tmp_path / "host.mjs"), str(tmp_path / "m.wasm")]
    with photograph.open("rb") as file:
        said = subprocess.run(host, stdin=file, capture_output=True, check=True, timeout=120)
    assert said.stdout.decode().splitlines()[0] == "Egyptian cat\t0.937500000\t286"
    page = tmp_path / "m.html"
    assert base64.b64encode((tmp_path / "m.wasm").read_bytes()).decode() in page.read_text()
    browser.open(page.as_uri())
    browser.choose("#file", photograph)
    browser.until(lambda: browser.text("#answer") != "", "there is an answer")
    assert browser.text("#answer").split("\t")[:2] == ["Egyptian cat", "93.8 %"]


def test_wasm3_which_has_no_vectors(packed: Packer) -> None:
    needs("wasm3", "pywasm3")
    import wasm3

    module = packed(colours(), simd="none").output
    environment = wasm3.Environment()
    runtime = environment.new_runtime(64 * 1024)
    runtime.load(environment.parse_module(module.read_bytes()))
    data = np.random.default_rng(1).integers(0, 256, 192).astype(np.uint8).tobytes()
    at = runtime.find_function("input")()
    runtime.get_memory(0)[at : at + len(data)] = data
    runtime.find_function("infer")()
    at = runtime.find_function("output")()
    assert bytes(runtime.get_memory(0)[at : at + 3]) == Library(module)(data)
