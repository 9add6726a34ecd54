"""docs/compatibility.md tells the truth: its tests exist, and no test of a dialect is missing."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from wasmlrun import nn
from wasmlrun.sandbox import import_origins
from wasmlrun.wasi_nn import adapter

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "compatibility.md"
ROW = re.compile(r"^\| (?!dialect \||---)(?P<dialect>.+?) \| (?P<how>.+?) \| (?P<tests>.+) \|$")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")

# where dialects are tested, and what such a test is called
FILES = {
    "diagnose/test_inspect.py",
    "manifest/test_reader.py",
    "pipeline/test_classify.py",
    "pipeline/test_protocols.py",
    "wasi_nn/test_component.py",
    "wasi_nn/test_core_calls.py",
    "wasi_nn/test_core_legacy.py",
    "wasi_nn/test_core_load.py",
    "wasi_nn/test_core_output.py",
    "wasi_nn/test_core_pointers.py",
    "wasi_nn/test_core_tensors.py",
    "wasi_nn/test_core_types.py",
    "wasi_nn/test_core_wasmedge.py",
    "wasi_nn/test_foreign_guests.py",
}
DIALECT = re.compile(
    r"wasmedge|wws|wasm_workers_server|old_abi|old_module|old_hosts|type_code|dirty_padding"
    r"|encodings_5|autodetection|number_of_builders|buffer_too_small|error_number"
    r"|targets|absent_device|leading_sizes|bodies_of|foreign_import|another_hosts"
    r"|a_component_computes|(types|outputs)_.*numbered"
)
NO_DIALECT = {
    # what a dialect is not: inspection, and parts of a test's own machinery
    "tests/diagnose/test_inspect.py::test_a_wws_worker_gets_its_protocol",
    "tests/diagnose/test_inspect.py::test_several_foreign_imports_have_each_remedy_once",
}


def rows() -> list[re.Match[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    found = [match for match in map(ROW.match, lines) if match]
    table = [line for line in lines if line.startswith("|")]
    heads = [line for line in table if line.startswith(("| dialect |", "|---"))]
    assert len(found) == len(table) - len(heads), "a line of a table is malformed"
    return found


def existing() -> set[str]:
    """Every test function there is."""
    found = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found.add(f"{path.relative_to(ROOT).as_posix()}::{node.name}")
    return found


def named() -> set[str]:
    return {"::".join(test) for row in rows() for test in TEST.findall(row["tests"])}


def test_every_row_names_tests_and_nothing_else() -> None:
    assert len(rows()) > 20
    for row in rows():
        assert TEST.findall(row["tests"]), row["dialect"]
        assert not TEST.sub("", row["tests"]).replace("<br>", ""), row["dialect"]
        assert row["how"].strip()


def test_every_test_that_is_named_exists() -> None:
    assert named() - existing() == set()


def test_no_test_of_a_dialect_is_missing() -> None:
    dialects = {
        test
        for test in existing()
        if DIALECT.search(test.partition("::")[2])
        and test.partition("::")[0].removeprefix("tests/") in FILES
    }
    assert dialects - NO_DIALECT - named() == set()
    assert existing() >= NO_DIALECT


@pytest.mark.parametrize("version", adapter.VERSIONS)
def test_every_version_of_wasi_nn_is_on_the_page(version: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert version in text or f"`-{version.partition('rc-')[2]}`" in text


@pytest.mark.parametrize("function", sorted(import_origins.WASMEDGE_NN))
def test_every_addition_of_wasmedge_is_provided_and_on_the_page(function: str) -> None:
    assert any(nn.provides(function, arity) for arity in range(8))
    assert f"`{function}`" in PAGE.read_text(encoding="utf-8")
