"""Install the package and what its tests need into the environment that runs this: `make test`.

    python release/install.py EXTRA[,EXTRA…]

Where `release/pins/` has a file for this Python and this system, everything that is in it is
installed in that version and with one of those digests, or not at all. What the file lacks
(PyTorch, for one) is installed as the package's own requirements say, and named. On other systems
that goes for all of it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# they come with the environment, or are what is tested
NOT_PINNED = {"pip", "setuptools", "wheel", "wasmlrun"}


def tag() -> str:
    """This Python and this system, as files of pins are called."""
    implementation = {"cpython": "cp"}.get(sys.implementation.name, sys.implementation.name)
    version = f"{sys.version_info.major}{sys.version_info.minor}"
    return f"{implementation}{version}-{sysconfig.get_platform()}"


def names_in(pins: Path) -> set[str]:
    """The packages that a file of pins or of requirements names."""
    text = pins.read_text(encoding="utf-8")
    return {normal(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}


def normal(name: str) -> str:
    """A package's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pip(*words: str | Path) -> None:
    """Run pip; what it says of a failure is said, and this ends."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    done = subprocess.run([*command, *map(str, words)], cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def main() -> None:
    """Install."""
    (extras,) = sys.argv[1:]
    pins, models = ROOT / "release" / "pins" / f"{tag()}.txt", ROOT / "tests" / "models.txt"
    if pins.is_file():
        pip("--require-hashes", "--requirement", pins)
        # the build's requirements are pinned too, and here already
        pip("--no-build-isolation", "--editable", f".[{extras}]")
        known = names_in(pins) | names_in(models) | NOT_PINNED
        here = {normal(found.metadata["Name"]) for found in metadata.distributions()}
        if here - known:
            print(f"not pinned: {', '.join(sorted(here - known))}")
    else:
        print(f"there are no pins for {tag()}: the newest versions that fit are installed")
        pip("--editable", f".[{extras}]")
    # packages in which models travel: files, of which nothing is imported
    pip("--no-deps", "--require-hashes", "--requirement", models)


if __name__ == "__main__":
    main()
