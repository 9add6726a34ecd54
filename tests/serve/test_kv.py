"""Key/value stores in memory and in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from wasmlrun.serve.kv import MAX_STORE, InFile, InMemory, Stores, TooMuch
from wasmlrun.support.errors import UsageFault


@pytest.fixture(params=["memory", "file"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    return InMemory() if request.param == "memory" else InFile(tmp_path / "kv")


def test_a_store_is_replaced_whole_and_for_its_namespace_only(stores: Stores) -> None:
    assert stores.read("a") == {}
    stores.replace("a", {"x": "1", "y": 'ü"\0'})
    stores.replace("b", {"x": "2"})
    assert stores.read("a") == {"x": "1", "y": 'ü"\0'}
    stores.replace("a", {"z": "3"})
    assert stores.read("a") == {"z": "3"}
    assert stores.read("b") == {"x": "2"}
    stores.close()


def test_what_a_reader_does_with_a_store_changes_nothing(stores: Stores) -> None:
    stores.replace("a", {"x": "1"})
    dict(stores.read("a")).clear()
    assert stores.read("a") == {"x": "1"}


def test_a_store_has_its_limit(stores: Stores) -> None:
    stores.replace("a", {"x": "1"})
    with pytest.raises(TooMuch):
        stores.replace("a", {"x": "y" * MAX_STORE})
    assert stores.read("a") == {"x": "1"}


def test_a_file_outlives_the_server(tmp_path: Path) -> None:
    first = InFile(tmp_path / "kv")
    first.replace("a", {"x": "1"})
    first.close()
    second = InFile(tmp_path / "kv")
    assert second.read("a") == {"x": "1"}
    second.close()


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 100)
    for path in (tmp_path / "text", tmp_path / "none" / "kv", tmp_path):
        with pytest.raises(UsageFault, match="--kv"):
            InFile(path)
