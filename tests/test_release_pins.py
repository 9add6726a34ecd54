"""What the tests are run with is written down with versions and digests, all of it."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.needs import needs

ROOT = Path(__file__).parents[1]
PINS = sorted((ROOT / "release" / "pins").glob("*.txt"))
INSTALL = runpy.run_path(str(ROOT / "release" / "install.py"))
normal: Callable[[str], str] = INSTALL["normal"]
names_in: Callable[[Path], set[str]] = INSTALL["names_in"]


def wanted(lines: list[str], extras: dict[str, list[str]]) -> set[str]:
    """Names of the packages that requirements name on Linux, those of their extras included."""
    found = set()
    for line in lines:
        name, asked = re.match(r"([\w.-]+)(?:\[([\w.,-]+)\])?", line).groups()  # type: ignore[union-attr]
        if name == "wasmlrun":
            for extra in asked.split(","):
                found |= wanted(extras[extra], extras)
        else:
            found.add(normal(name))
    return found


@pytest.mark.parametrize("pins", PINS, ids=lambda path: path.stem)
def test_everything_that_is_asked_for_is_pinned(pins: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    missing = wanted([*project["dependencies"], *extras["test"]], extras) - names_in(pins)
    assert not missing, f"not in {pins}: make pins"


@pytest.mark.parametrize("pins", PINS, ids=lambda path: path.stem)
def test_the_pins_are_versions_that_are_asked_for(pins: Path) -> None:
    needs("packaging", "packaging")
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = dict(re.findall(r"^([\w.-]+)==(\S+)", pins.read_text(), re.MULTILINE))
    lines = [line for some in project["optional-dependencies"].values() for line in some]
    for line in [*project["dependencies"], *lines]:
        requirement = Requirement(line)
        version = versions.get(normal(requirement.name))
        assert version is None or requirement.specifier.contains(version), "make pins"


@pytest.mark.parametrize("pins", [*PINS, ROOT / "tests" / "models.txt"], ids=lambda path: path.stem)
def test_every_pin_has_a_digest_and_no_address(pins: Path) -> None:
    text = pins.read_text(encoding="utf-8")
    assert "://" not in text
    for entry in re.split(r"\n(?=\w)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip()):
        assert re.match(r"[\w.-]+==\S+(?: \\\n)?\s*--hash=sha256:[0-9a-f]{64}", entry), entry


def test_this_machine_is_told_its_pins() -> None:
    tag = INSTALL["tag"]()
    assert re.fullmatch(r"[a-z]+3\d+-[\w.-]+", tag)
    if sys.implementation.name == "cpython" and sys.platform == "linux":
        assert tag.startswith(f"cp3{sys.version_info.minor}-linux-")


@pytest.mark.parametrize("pinned", [True, False])
def test_pip_is_asked_for_digests_where_there_are_pins(
    pinned: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = tmp_path / "release" / "pins"
    place.mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "models.txt").write_text("a-model==1 --hash=sha256:00\n")
    if pinned:
        (place / f"{INSTALL['tag']()}.txt").write_text("pytest==1 --hash=sha256:00\n")
    asked: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command[6:])
        return subprocess.CompletedProcess(command, 0)

    main = INSTALL["main"]
    monkeypatch.setitem(main.__globals__, "ROOT", tmp_path)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["install.py", "test"])
    main()
    told = capsys.readouterr().out
    assert asked[-1][:2] == ["--no-deps", "--require-hashes"]
    if pinned:
        assert asked[0][:2] == ["--require-hashes", "--requirement"]
        assert asked[1] == ["--no-build-isolation", "--editable", ".[test]"]
        assert "not pinned: " in told
        assert "pytest" not in told.split(": ")[1].split(", ")
    else:
        assert asked[0] == ["--editable", ".[test]"]
        assert told.startswith(f"there are no pins for {INSTALL['tag']()}: ")
