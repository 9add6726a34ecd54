"""Files that stand in for those of the catalogue: their names and sizes, other content."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from random import Random

import pytest

from wasmlrun.models import catalogue

HERE = Path(__file__).parent
FILE = re.compile(
    r'^\[files\."(?P<name>[^"]+)"\]\naddress = "https://(?P<rest>[^"]+)"\n'
    r'size = (?P<size>\d+)\nsha256 = "[0-9a-f]{64}"$',
    re.MULTILINE,
)


def write(folder: Path) -> Path:
    """Write a file for each of the catalogue that is downloaded as it is, and a catalogue of them.

    Returns the folder of the files.
    """
    files = folder / "files"
    files.mkdir(parents=True)
    text = Path(catalogue.__file__).with_name("catalogue.toml").read_text(encoding="utf-8")

    def stand_in(found: re.Match[str]) -> str:
        name, size = found["name"], int(found["size"])
        data = Random(name).randbytes(size)
        if name.endswith(".tflite"):
            data = b"\x1c\0\0\0TFL3" + data[8:]
        else:
            lines = "".join(f"kind {n}\n" for n in range(1001))
            data = (lines[:-1] + "x" * (size - len(lines)) + "\n").encode()
        (files / name).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        return (
            f'[files."{name}"]\naddress = "https://{found["rest"]}"\n'
            f'size = {len(data)}\nsha256 = "{digest}"'
        )

    (folder / "stand_ins.toml").write_text(FILE.sub(stand_in, text), encoding="utf-8")
    assert any(files.iterdir()), "the catalogue is written in another way: correct FILE"
    return files


def use(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Have this process and those it starts take the stand-ins' catalogue for the real one."""
    path, real = folder / "stand_ins.toml", catalogue.read_entries
    patch.setenv("KIT_CATALOGUE", str(path))
    patch.setenv("PYTHONPATH", str(HERE), prepend=":")
    patch.setattr(
        catalogue,
        "read_entries",
        lambda asked: real(path if asked.name == "catalogue.toml" else asked),
    )
