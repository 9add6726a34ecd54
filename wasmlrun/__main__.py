"""The `wasmlrun` command: what a console script and `python -m wasmlrun` call."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress

from wasmlrun.commands.line import usage
from wasmlrun.support import streams
from wasmlrun.support.errors import EXIT_BROKEN_PIPE, EXIT_OK, EXIT_SYSTEM, EXIT_USAGE

GARBAGE = 50_000
COMPLETION = "_WASMLRUN_COMPLETE"
"""Set by a shell that completes a command line, and to print the script that teaches it to."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    # modules are imported by the thousand objects, all of which stay: looking for garbage among
    # them each time that 700 are new takes a twentieth of a warm run
    gc.set_threshold(GARBAGE)
    streams.secure()
    arguments = sys.argv[1:]
    code: int | None = None
    try:
        code = _quick(arguments)
        if code is None:
            from wasmlrun.cli import invoke

            code = invoke(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        code = EXIT_BROKEN_PIPE
    except OSError as e:  # a full disk, or a stdout that was closed
        code = _lost(e) if code in (None, EXIT_OK) else code
    with suppress(OSError):
        sys.stderr.flush()
    # nothing is left to clean up, and unloading the engines takes longer than an inference
    os._exit(code)


def _lost(error: OSError) -> int:
    with suppress(OSError):
        sys.stderr.write(f"error: the answer cannot be written: {error.strerror}\n")
    return EXIT_SYSTEM


def _quick(arguments: list[str]) -> int | None:
    """Answer --help and --version before anything else is imported; None for all the rest."""
    if COMPLETION in os.environ:  # a shell asks, and only click can answer
        return None
    if not arguments:
        sys.stderr.write(usage.welcome() + "\n")
        return EXIT_USAGE
    if len(arguments) > 1:
        return None
    if arguments[0] in usage.HELP:
        sys.stdout.write(usage.text() + "\n")
    elif arguments[0] == "--version":
        sys.stdout.write(usage.version() + "\n")
    else:
        return None
    return EXIT_OK


if __name__ == "__main__":
    main()
