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
    script: bool = False
    """The source itself is the worker; it runs in a prepared interpreter."""

    @property
    def template(self) -> Path | None:
        """The folder of the sample worker that new projects are copied from."""
        return bundled.sample(self.name)


LANGUAGES = {
    language.name: language
    for language in (
        Language("c", "C", ".c"),
        Language("cpp", "C++", ".cpp"),
        Language("zig", "Zig", ".zig"),
        Language("rust", "Rust", ".rs"),
        Language("go", "Go", ".go"),
        Language("assemblyscript", "AssemblyScript", ".ts"),
        Language("javascript", "JavaScript", ".js", script=True),
        Language("python", "Python", ".py", script=True),
        Language("ruby", "Ruby", ".rb", script=True),
    )
}
SCRIPTS = {language.suffix: language for language in LANGUAGES.values() if language.script}
