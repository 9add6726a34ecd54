"""Interpreters as WebAssembly programs, which make a script a worker.

Their sources are fetched, checked and built once (`build`), and kept under a name that is the
digest of the recipe; a script then needs no building at all: it is handed to the interpreter
in a variable. So the warm path of a script is that of a `.wasm`, and editing it costs nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from wasmlrun.support import beneath
from wasmlrun.support.errors import BadWorker
from wasmlrun.support.records import Record
from wasmlrun.toolkit.languages import SCRIPTS, Language

VARIABLE = "WASMLRUN_SCRIPT"
NAME_VARIABLE = "WASMLRUN_SCRIPT_NAME"
MAX_SCRIPT = 1 << 20
_RECIPE = 1  # to be raised when `build` or wasi_nn.h makes something else of the same files
_HERE = Path(__file__).parent


class Interpreter(Record):
    """The interpreter of one language."""

    language: Language
    what: str
    """The interpreter and its version."""
    download: str
    """About how much is fetched to prepare it."""

    @property
    def path(self) -> Path:
        """Where it is when it is prepared: the recipe's digest is part of the name."""
        from wasmlrun.support.userdata import tools_dir

        return tools_dir() / "runtimes" / f"{self.language.name}-{self._recipe()}.wasm"

    @property
    def ready(self) -> bool:
        """Whether it is prepared."""
        return self.path.is_file()

    def _recipe(self) -> str:
        digest = hashlib.sha256(f"{_RECIPE} {self.what}".encode())
        folder = _HERE / self.language.name
        for source in sorted(folder.iterdir()):
            if source.is_file():  # a part of it: another one makes another interpreter
                digest.update(source.read_bytes())
        return digest.hexdigest()[:16]


RUNTIMES = {
    language.name: Interpreter(language, language.interpreter, language.download)
    for language in SCRIPTS.values()
}


def runtime_for(path: Path) -> Interpreter | None:
    """The interpreter of a script; None when it is no script."""
    language = SCRIPTS.get(path.suffix)
    return RUNTIMES[language.name] if language is not None else None


def script_text(path: Path) -> str:
    """A script, as it is handed to its interpreter.

    Raises:
        BadWorker: it cannot be read, or is no text.
    """
    try:
        data = beneath.read(path, MAX_SCRIPT)
    except FileNotFoundError:
        raise BadWorker(f"worker {path} does not exist") from None
    except beneath.TooLarge:
        raise BadWorker(f"script {path} has more than the {MAX_SCRIPT} bytes possible") from None
    except OSError as e:
        raise BadWorker(f"worker {path} cannot be read: {e.strerror}") from e
    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        raise BadWorker(f"script {path} is not UTF-8 (byte {e.start})") from e
    if "\0" in text:
        raise BadWorker(f"script {path} contains a zero byte; is it a text file?")
    return text


def handed_over(path: Path) -> dict[str, str]:
    """The variables that hand a script to its interpreter. Raises BadWorker."""
    return {VARIABLE: script_text(path), NAME_VARIABLE: path.name}


def runtime_of(path: Path) -> Path:
    """The prepared interpreter of a script.

    Raises:
        ToolMissing: it is not prepared.
    """
    runtime = runtime_for(path)
    assert runtime is not None, path
    if not runtime.ready:
        from wasmlrun.toolkit.toolchains.installer import ToolMissing

        name = runtime.language.name
        raise ToolMissing(
            f"{runtime.what}, which runs {path.name}, is not prepared",
            f"wasmlrun runtimes install {name}",
        )
    return runtime.path
