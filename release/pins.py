"""Write down what the tests are run with: every package, its version and its files' sha256.

    make pins

Versions are the newest that fit together, as uv finds them. Of each package the files are kept
that the named Python can use on the named system; nothing is said of where they come from, so a
mirror will do. PyTorch is left out: which build of it is wanted depends on the machine.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "release" / "pins"
EXTRA = "test"
MINOR, PLATFORM = 11, "linux-x86_64"
"""Python 3.MINOR and `sysconfig.get_platform()`: what the project's CI has."""
NOT_THESE = ["backports-strenum!=1.3.1"]
"""Versions that say they are for older Pythons only, which uv overlooks and pip does not."""


def locked() -> list[dict[str, object]]:
    """The packages of a fresh resolution, as pylock.toml has them."""
    with tempfile.TemporaryDirectory() as folder:
        lock, not_these = Path(folder, "pylock.toml"), Path(folder, "constraints.txt")
        not_these.write_text("\n".join(NOT_THESE), encoding="utf-8")
        subprocess.run(
            [
                *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "pyproject.toml"),
                *("--extra", EXTRA, "--format", "pylock.toml", "--output-file", lock),
                *("--python-version", f"3.{MINOR}", "--python-platform", "x86_64-manylinux_2_28"),
                *("--no-config", "--no-header", "--constraint", not_these),
            ],
            cwd=ROOT,
            check=True,
        )
        return list(tomllib.loads(lock.read_text(encoding="utf-8"))["packages"])


def fits(tag: Tag) -> bool:
    """Whether a wheel with this tag can be used."""
    interpreter, abi, platform = tag.interpreter, tag.abi, tag.platform
    if platform != "any" and not (platform.endswith("_x86_64") and "linux" in platform):
        return False
    if interpreter in ("py3", f"cp3{MINOR}", f"py3{MINOR}"):
        return True
    minor = interpreter.removeprefix("cp3")
    return abi == "abi3" and minor.isdigit() and int(minor) <= MINOR


def pin(package: dict[str, object]) -> str:
    """A package's lines in the file."""
    files = []
    for wheel in package.get("wheels", ()):  # type: ignore[attr-defined]
        name = wheel.get("name") or wheel["url"].rpartition("/")[2]
        if any(map(fits, parse_wheel_filename(name)[3])):
            files.append(wheel)
    if not files:
        files = [package["sdist"]]
    digests = sorted({file["hashes"]["sha256"] for file in files})
    lines = [f"{package['name']}=={package['version']}"]
    return " \\\n".join([*lines, *(f"    --hash=sha256:{digest}" for digest in digests)]) + "\n"


def main() -> None:
    """Write the file."""
    PINS.mkdir(exist_ok=True)
    place = PINS / f"cp3{MINOR}-{PLATFORM}.txt"
    text = f"# CPython 3.{MINOR} on {PLATFORM}, extra {EXTRA}; written by `make pins`\n"
    packages = sorted(locked(), key=lambda package: str(package["name"]))
    place.write_text(text + "".join(map(pin, packages)), encoding="utf-8")


if __name__ == "__main__":
    main()
