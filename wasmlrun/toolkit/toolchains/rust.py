"""Rust: cargo or rustc where a wasm target is installed, else Debian's packages, unpacked."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from wasmlrun.toolkit.toolchains.installer import Installer, compile_with

TARGETS = ("wasm32-wasip1", "wasm32-wasi")
PACKAGES = ("rustc", "libstd-rust-dev-wasm32", "lld")
# the native standard library, which only programs for this machine need
SKIPPED = ("libstd-rust-dev",)
OPTIONS = ["opt-level=s", "lto", "panic=abort", "strip=symbols", "codegen-units=1"]


def build_rust(source: Path, output: Path, installer: Installer) -> str:
    """Compile a Rust program: with cargo if the project has a Cargo.toml and cargo a target."""
    folder = source.parent
    rustc = shutil.which("rustc")
    target = _target(rustc) if rustc is not None else None
    cargo = shutil.which("cargo")
    if target is not None and cargo is not None and (folder / "Cargo.toml").is_file():
        compile_with([cargo, "build", "--quiet", "--release", "--target", target], folder)
        made = folder / "target" / target / "release" / f"{source.stem}.wasm"
        shutil.copyfile(made, output)
        return f"cargo, {_version(cargo)}"
    environ: dict[str, str] = {}
    linker: list[str] = []
    if rustc is None or target is None:
        what = "Rust with a WebAssembly target (rustup target add wasm32-wasip1)"
        root = installer.debian(PACKAGES, SKIPPED, what) / "usr"
        rustc = str(root / "bin" / "rustc")
        libraries = [root / "lib" / f"{platform.machine()}-linux-gnu", root / "lib"]
        environ["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, libraries))
        environ["PATH"] = os.pathsep.join([str(root / "bin"), os.environ.get("PATH", "")])
        target = _target(rustc, environ) or TARGETS[1]
        linker = ["-C", "linker=rust-lld"]
    options = [word for option in OPTIONS for word in ("-C", option)]
    compile_with(
        [
            rustc,
            "--edition",
            "2021",
            "--target",
            target,
            *options,
            *linker,
            "--crate-name",
            source.stem,
            "-o",
            str(output),
            source.name,
        ],
        folder,
        environ,
    )
    return _version(rustc, environ)


def _target(rustc: str, environ: dict[str, str] | None = None) -> str | None:
    """The wasm target whose standard library this compiler has."""
    for target in TARGETS:
        done = subprocess.run(
            [rustc, "--print", "target-libdir", "--target", target],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(environ or {})},
            check=False,
            text=True,
        )
        folder = Path(done.stdout.strip())
        if done.returncode == 0 and folder.is_dir() and any(folder.glob("libstd-*")):
            return target
    return None


def _version(command: str, environ: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [command, "--version"],
        stdout=subprocess.PIPE,
        env={**os.environ, **(environ or {})},
        check=False,
        text=True,
    )
    return " ".join(done.stdout.split()[:2])
