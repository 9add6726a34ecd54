"""zig: compiles Zig, and C and C++ for those who have no wasi-sdk; and the interpreters."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from wasmlrun.toolkit.toolchains.installer import ZIG, Installer, compile_with

TARGET = "wasm32-wasi"
STACK = "65536"  # zig's default of 16 MiB would be the guest's first memory
# the standard library of the sample changed in this version of the language
OLDEST = (0, 16)


def zig_command(installer: Installer, *, pinned: bool = False) -> list[str]:
    """The user's zig, or the one from PyPI. `pinned`: exactly the version that is tested."""
    own = shutil.which("zig")
    if own is not None and not pinned and _version([own]) >= OLDEST:
        return [own]
    if find_spec("ziglang") is not None:
        command = [sys.executable, "-P", "-m", "ziglang"]
        if not pinned or _version(command) == _numbers(ZIG.version):
            return command
    name = "zig.exe" if os.name == "nt" else "zig"
    return [str(installer.wheel(ZIG) / "ziglang" / name)]


def build_zig(source: Path, output: Path, installer: Installer) -> str:
    """Compile a Zig program; says with what."""
    zig = zig_command(installer)
    compile_with(
        [
            *zig,
            "build-exe",
            source.name,
            *("-target", TARGET, "-O", "ReleaseSmall", "-fstrip", "--stack", STACK),
            f"-femit-bin={output}",
        ],
        source.parent,
    )
    return f"zig {_text(zig)}"


def build_c(source: Path, output: Path, installer: Installer) -> str:
    """Compile a C program with wasi-sdk's clang, if there is one, or zig."""
    return _build(source, output, installer, "clang", "cc", ["-std=c17"])


def build_cpp(source: Path, output: Path, installer: Installer) -> str:
    """Compile a C++ program."""
    options = ["-std=c++23", "-fno-exceptions", "-fno-rtti"]
    return _build(source, output, installer, "clang++", "c++", options)


def _build(
    source: Path, output: Path, installer: Installer, clang: str, driver: str, options: list[str]
) -> str:
    common = [*options, "-Os", "-s", f"-Wl,-z,stack-size={STACK}", "-Wall"]
    common += ["-o", str(output), source.name]
    sdk = os.environ.get("WASI_SDK_PATH", "/opt/wasi-sdk")
    own = Path(sdk) / "bin" / clang
    if own.is_file():
        compile_with([own, "--target=wasm32-wasip1", *common], source.parent)
        return f"wasi-sdk {clang}"
    zig = zig_command(installer)
    compile_with([*zig, driver, f"--target={TARGET}", *common], source.parent)
    return f"zig {driver} {_text(zig)}"


def _version(zig: list[str]) -> tuple[int, ...]:
    return _numbers(_text(zig))


def _text(zig: list[str]) -> str:
    done = subprocess.run([*zig, "version"], stdout=subprocess.PIPE, check=False, text=True)
    return done.stdout.strip()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version)[:3])
