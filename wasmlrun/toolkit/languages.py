"""The languages that workers are written in: their files, and what turns those into a worker."""

from __future__ import annotations

from pathlib import Path

from wasmlrun.support import bundled
from wasmlrun.support.records import Record


class Language(Record):
    """One language that workers are written in."""

    name: str
    """As `wasmlrun new --lang` takes it, and the folder of its sample worker."""
    title: str
    suffix: str
    """Of the main source, which has the manifest's name."""

    @property
    def script(self) -> bool:
        """Whether the source itself is the worker; it runs in a prepared interpreter."""
        return isinstance(self, Script)

    @property
    def template(self) -> Path | None:
        """The folder of the sample worker that new projects are copied from."""
        return bundled.sample(self.name)


class Compiled(Language):
    """A language with a compiler, which makes the worker."""

    toolchain: str
    """The module of `wasmlrun.toolkit.toolchains` that has the function `build_NAME`."""


class Script(Language):
    """A language with an interpreter, which `wasmlrun.toolkit.interpreters.build` makes."""

    interpreter: str
    """The interpreter and its version."""
    download: str
    """About how much is fetched to prepare it."""


LANGUAGES: dict[str, Language] = {
    language.name: language
    for language in (
        Compiled("c", "C", ".c", "zig"),
        Compiled("cpp", "C++", ".cpp", "zig"),
        Compiled("zig", "Zig", ".zig", "zig"),
        Compiled("rust", "Rust", ".rs", "rust"),
        Compiled("go", "Go", ".go", "go"),
        Compiled("assemblyscript", "AssemblyScript", ".ts", "assemblyscript"),
        Script(
            "javascript", "JavaScript", ".js", "QuickJS 2025-04-26", "1 MB, and zig with 100 MB"
        ),
        Script("python", "Python", ".py", "CPython of componentize-py 0.25.1", "17 MB"),
        Script("ruby", "Ruby", ".rb", "mruby 3.3.0", "1 MB, and zig with 100 MB"),
    )
}
SCRIPTS = {
    language.suffix: language for language in LANGUAGES.values() if isinstance(language, Script)
}
"""Suffix -> language."""
