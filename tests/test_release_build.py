"""What is released: the same bytes whenever and wherever they are made, and checked for form."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from kit.needs import needs

ROOT = Path(__file__).parents[1]


def copied(folder: Path) -> Path:
    """What a wheel is made of, elsewhere, with other times and another order on the disk."""
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    for name in ("models", "samples", "docs", "wasmlrun"):
        ignored = shutil.ignore_patterns("__pycache__", "build", "dist", "node_modules")
        shutil.copytree(ROOT / name, folder / name, copy_function=shutil.copyfile, ignore=ignored)
    return folder


def build(root: Path, out: Path, env: Mapping[str, str], umask: int) -> dict[str, bytes]:
    """Wheel and sdist by name."""
    needs("hatchling", "hatchling")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(out)],
        cwd=root,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", **env},
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {file.name: file.read_bytes() for file in sorted(out.iterdir())}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A first build, and the folder that it lies in."""
    folder = tmp_path_factory.mktemp("release")
    root = copied(folder / "a")
    plain = {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1", "COLUMNS": "80"}
    return folder / "out", build(root, folder / "out", plain, 0o022)


def test_built_twice_it_is_the_same(made: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    _, first = made
    assert {Path(name).suffix for name in first} == {".whl", ".gz"}
    root = copied(tmp_path / "another place")
    for file in root.rglob("*"):
        os.utime(file, (1_000_000_000, 1_000_000_000))
    odd = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "2", "COLUMNS": "200"}
    again = build(root, tmp_path / "out", odd, 0o077)
    digests = [{k: hashlib.sha256(v).hexdigest() for k, v in one.items()} for one in (first, again)]
    assert digests[0] == digests[1]


def test_times_are_those_of_source_date_epoch(made: tuple[Path, dict[str, bytes]]) -> None:
    (wheel,) = made[0].glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {entry.date_time[:3] for entry in archive.infolist()} == {(2023, 11, 14)}


@pytest.mark.parametrize(
    ("module", "words", "kinds"),
    [
        ("twine", ["-m", "twine", "check", "--strict"], ["*.whl", "*.tar.gz"]),
        ("check_wheel_contents", ["-m", "check_wheel_contents"], ["*.whl"]),
    ],
)
def test_the_form_is_right(
    made: tuple[Path, dict[str, bytes]], module: str, words: list[str], kinds: list[str]
) -> None:
    needs(module, module.replace("_", "-"))
    files = [str(file) for kind in kinds for file in made[0].glob(kind)]
    assert len(files) == len(kinds)
    done = subprocess.run(
        [sys.executable, *words, *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_checks_say_no(made: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    """The control: a wheel with what belongs in none."""
    needs("check_wheel_contents", "check-wheel-contents")
    (wheel,) = made[0].glob("*.whl")
    bad = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as good, zipfile.ZipFile(bad, "w") as archive:
        for entry in good.infolist():
            more = b"wasmlrun/x.pyc,,\n" if entry.filename.endswith("/RECORD") else b""
            archive.writestr(entry, good.read(entry) + more)
        archive.writestr("wasmlrun/x.pyc", b"x")
    done = subprocess.run(
        [sys.executable, "-m", "check_wheel_contents", str(bad)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert ".pyc" in done.stdout
