"""Go: the user's, or the one from PyPI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from wasmlrun.toolkit.toolchains.installer import GO, Installer, compile_with

OLDEST = (1, 24)


def build_go(source: Path, output: Path, installer: Installer) -> str:
    """Compile the Go program in the source's folder."""
    own = shutil.which("go")
    if own is None or _version(own) < OLDEST:
        name = "go.exe" if os.name == "nt" else "go"
        own = str(installer.wheel(GO) / "go" / "bin" / name)
    environ = {"GOOS": "wasip1", "GOARCH": "wasm", "GOTOOLCHAIN": "local"}
    compile_with(
        # without the repository's state and identifiers: equal sources give equal bytes
        [
            own,
            *("build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="),
            *("-o", str(output), "."),
        ],
        source.parent,
        environ,
    )
    return "go " + ".".join(map(str, _version(own)))


def _version(go: str) -> tuple[int, ...]:
    done = subprocess.run(
        [go, "version"],
        stdout=subprocess.PIPE,
        env={**os.environ, "GOTOOLCHAIN": "local"},
        check=False,
        text=True,
    )
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", done.stdout)
    return tuple(int(n) for n in found.groups(default="0")) if found else (0,)
