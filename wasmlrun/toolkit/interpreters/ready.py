"""Preparing an interpreter on the way to a run: in a process of its own.

Compiling WebAssembly starts threads, and a process with threads must not be forked afterwards, as
the supervisor of a run does: the child would wait for them for ever.
"""

from __future__ import annotations

import subprocess
import sys

from wasmlrun.support.errors import EXIT_INTERRUPTED, EXIT_OK
from wasmlrun.support.messages import Messages
from wasmlrun.toolkit.interpreters import Interpreter
from wasmlrun.toolkit.toolchains.installer import BuildFailed, Installer


def make_ready(runtime: Interpreter, messages: Messages, *, install: bool) -> None:
    """Ask, unless `install` says it already, and prepare.

    Raises:
        ToolMissing: it may not be installed. BuildFailed: it cannot be; stderr has the reason.
    """
    name = runtime.language.name
    asking = Installer(messages, allowed=True if install else None)
    asking.allow(runtime.what, runtime.download, f"wasmlrun runtimes install {name}")
    command = [sys.executable, "-P", "-m", "wasmlrun", "runtimes", "install", name]
    if messages.verbosity:
        command.append("-v" if messages.verbosity > 0 else "-q")
    # answers go to stdout, and this is none
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    if done.returncode != EXIT_OK:
        raise BuildFailed(f"{runtime.what} is not prepared", "the reason stands above")
