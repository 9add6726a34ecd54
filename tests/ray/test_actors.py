"""What an actor does, without a cluster around it."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from kit.needs import needs
from kit.pictures import encoded
from PIL import Image

from wasmlrun import Worker
from wasmlrun.api.settings import checked
from wasmlrun.batch.crew import Crew
from wasmlrun.batch.item import Item
from wasmlrun.ray import Classify, engine
from wasmlrun.ray.blocks import BLOCK, WINDOW, Working, read, windows
from wasmlrun.ray.classify import _OPTIONS
from wasmlrun.ray.posted import Identity, with_version
from wasmlrun.support.errors import BadFile, BadImage, BadModel, UsageFault

if os.name != "posix":
    pytest.skip("batch works in processes that need POSIX", allow_module_level=True)

RED = encoded(Image.new("RGB", (8, 8), "red"))


@pytest.fixture
def settings(colours: Path) -> dict[str, Any]:
    fixed = {"isolation": "process", "expect": None, "min_score": None, "calls_per_process": None}
    labels = str(colours.parent / "colours.txt")
    return checked(**{**_OPTIONS, **fixed, "model": str(colours), "labels": labels}, parallel=1)


@pytest.fixture
def identity(settings: dict[str, Any]) -> Identity:
    crew = Crew(settings, 1)
    try:
        return with_version(crew.identity())
    finally:
        crew.close()


def blocks_of(*items: Item) -> Any:
    needs("pyarrow", "pyarrow")
    ((block,),) = windows(iter(items), 1)
    return block


def test_items_travel_and_rows_come_back(
    tmp_path: Path, settings: dict[str, Any], identity: Identity
) -> None:
    odd = tmp_path / os.fsdecode(b"\xff.png")
    odd.write_bytes(RED)
    (tmp_path / "out.png").symlink_to("/etc/passwd")
    block = blocks_of(
        Item("a", "s", odd),
        Item("b", "s", fault=BadImage("it is lost", "find it")),
        Item("c", "s", data=RED),
        Item("d", "s", tmp_path / "out.png", tmp_path),
        Item("e", "s", data=b""),
    )
    rows = list(read(Working(settings, identity, False)(block)))
    told = [row.get("error", {}).get("message") or row["predictions"][0]["label"] for row in rows]
    assert [row["image"] for row in rows] == ["a", "b", "c", "d", "e"]
    assert told[:3] == ["red", "it is lost", "red"]
    assert "leads out of the folder" in told[3]
    assert told[4] == "image e is empty"


def test_passes_are_bounded() -> None:
    needs("pyarrow", "pyarrow")
    items = (Item(str(number), "s", Path("x")) for number in range(2 * WINDOW + 1))
    sizes = [sum(block.num_rows for block in blocks) for blocks in windows(items, 1)]
    assert sizes == [WINDOW, WINDOW, 1]
    assert WINDOW % BLOCK == 0


def test_another_model_or_version_under_the_same_name_is_refused(
    settings: dict[str, Any], identity: Identity
) -> None:
    other = {**identity, "model_sha256": "0", "wasmlrun": "0"}
    answers = Working(settings, other, False)(blocks_of(Item("a", "s", data=RED)))
    with pytest.raises(BadModel, match="another worker or model: model_sha256, wasmlrun differ"):
        list(read(answers))


def test_a_machine_without_the_folder_says_so(settings: dict[str, Any], identity: Identity) -> None:
    working = Working({**settings, "folder": "/none"}, identity, False)
    with pytest.raises(BadFile, match="has no folder /none"):
        list(read(working(blocks_of(Item("a", "s", data=RED)))))


def test_a_model_that_does_not_open_is_told(settings: dict[str, Any], identity: Identity) -> None:
    working = Working({**settings, "model": "none.tflite"}, identity, False)
    with pytest.raises(BadModel, match=r"none\.tflite does not exist"):
        list(read(working(blocks_of(Item("a", "s", data=RED)))))


def test_its_options_are_those_of_a_worker() -> None:
    of_worker = inspect.signature(Worker.__init__).parameters
    aside = {"self", "expect", "min_score", "isolation", "parallel", "calls_per_process"}
    assert {name: p.default for name, p in of_worker.items() if name not in aside} == _OPTIONS


def test_an_option_that_there_is_not() -> None:
    with pytest.raises(TypeError, match="no option mdel"):
        Classify(mdel="x")


def test_the_class_says_what_is_wrong_at_once() -> None:
    with pytest.raises(BadModel, match=r"none\.tflite does not exist"):
        Classify(model="none.tflite")


def test_the_class_takes_bytes_or_paths(tmp_path: Path, colours: Path) -> None:
    needs("pyarrow", "pyarrow")
    import pyarrow as pa

    (tmp_path / "red.png").write_bytes(RED)
    classify = Classify(model=str(colours), labels=str(colours.parent / "colours.txt"))
    paths = pa.table({"path": [str(tmp_path / "red.png"), "none.png"], "id": [7, 8]})
    found = classify(paths)
    assert found.column("label").to_pylist() == ["red", None]
    assert found.column("id").to_pylist() == [7, 8]
    assert "image none.png does not exist" in found.column("row")[1].as_py()
    assert classify(pa.table({"bytes": [RED]})).column("label").to_pylist() == ["red"]


def test_without_ray_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageFault, match="needs Ray") as caught:
        engine.connect(None)
    assert caught.value.hint == "pip install 'wasmlrun[ray]'"
