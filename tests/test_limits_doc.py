"""docs/limits.md says what is: limits, defaults, flags, keys, and the tests that prove them."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import click
import pytest
from fuzz.targets import all_targets

from wasmlrun.commands.line.clickform import wasmlrun
from wasmlrun.support.limits import GIB, KIB, MIB, TABLE, Limits

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading."""
    section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


LIMITS = {row[0].strip("`"): row for row in table("Limits that can be set")}
FIXED = table("Limits that are fixed, or have a flag alone")


@cache
def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def shown(name: str) -> str:
    value = getattr(Limits(), name)
    if value is None:
        return "none"
    if name == "timeout":
        return f"{value:g} s"
    for size, unit in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if value % size == 0:
            return f"{value // size} {unit}"
    return str(value)


def test_every_limit_is_there() -> None:
    assert list(LIMITS) == list(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_default_flag_and_key(name: str) -> None:
    row = LIMITS[name]
    limit = TABLE[name]
    assert row[1:5] == [shown(name), f"`{limit.flag}`", f"`{name}`", limit.bounds]


@pytest.mark.parametrize("command", ["classify", "run"])
def test_the_commands_have_the_flags(command: str) -> None:
    found = wasmlrun.get_command(click.Context(wasmlrun), command)
    assert found is not None
    options = {option for parameter in found.params for option in parameter.opts}
    assert {limit.flag for limit in TABLE.values()} <= options


@pytest.mark.parametrize("row", FIXED, ids=lambda row: row[0])
def test_fixed_limits_are_what_the_page_says(row: list[str]) -> None:
    module, _, name = row[2].strip("`").rpartition(".")
    assert str(getattr(import_module(module), name)) == row[1]


@pytest.mark.parametrize(
    ("path", "name"), sorted(set(TEST.findall(TEXT))), ids=lambda part: part.rpartition("/")[2]
)
def test_every_test_that_is_named_exists(path: str, name: str) -> None:
    assert name in names_in(path)


@pytest.mark.parametrize(
    "row", [*LIMITS.values(), *FIXED, *table("Promises")], ids=lambda row: row[0]
)
def test_everything_has_a_proof(row: list[str]) -> None:
    assert TEST.search(row[-1]) or row[-1] == "the tables above"


def test_every_promise_of_the_security_page_has_its_row() -> None:
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    promised = page.split("## What is promised\n")[1].split("\n## ")[0]
    numbers = re.findall(r"^(\d+)\. \*\*", promised, re.MULTILINE)
    assert "\n## Walls\n" in page
    assert [row[0].split(".")[0] for row in table("Promises")] == [*numbers, "walls"]


def test_every_target_of_the_fuzzer_has_its_counts() -> None:
    rows = {row[0].strip("`"): row for row in table("Fuzzing")}
    assert set(rows) == {target.name for target in all_targets()}
    assert all(int(row[1].replace(",", "").split()[0]) > 0 for row in rows.values())
