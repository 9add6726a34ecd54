"""Write what the documentation's site is built of: the repository's pages, and two references.

    python docs/build.py FOLDER

Links between pages are kept; those to other files of the repository become plain text. The
references of the command line and of the Python API are made from the program itself.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click

import wasmlrun
from wasmlrun.commands.line.clickform import wasmlrun as program

ROOT = Path(__file__).parents[1]
SECTIONS = {
    "Start": {"Overview": "README.md", "Tutorial": "docs/tutorial.md"},
    "How to": {
        "Write a worker": "samples/README.md",
        "Choose a language": "docs/languages.md",
        "Use it from Python": "docs/python.md",
        "Serve": "docs/serve.md",
        "Many pictures": "docs/batch.md",
        "Many machines, reckoned": "docs/scale.md",
        "Look at a result": "docs/report.md",
        "Sign models": "docs/signing.md",
        "Engines": "docs/engines.md",
        "More than labels": "docs/infer.md",
        "Pack a model": "docs/tiny.md",
        "Contribute": "CONTRIBUTING.md",
    },
    "Reference": {
        "Command line": "cli.md",
        "Python API": "api.md",
        "Manifest": "docs/manifest.md",
        "Limits": "docs/limits.md",
        "Guests of other hosts": "docs/compatibility.md",
    },
    "Explanation": {
        "Rationale": "RATIONALE.md",
        "Security": "SECURITY.md",
        "Architecture": "ARCHITECTURE.md",
        "Changes": "CHANGELOG.md",
    },
}
GENERATED = ("cli.md", "api.md")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def pages() -> dict[str, str]:
    """Each page of the repository -> its place in the site."""
    found = {s: s for section in SECTIONS.values() for s in section.values()}
    for source in found:
        if source == "README.md":
            found[source] = "index.md"
        elif source.endswith("/README.md"):
            found[source] = source.replace("/README.md", ".md")
        else:
            found[source] = Path(source).name
    return {source: place for source, place in found.items() if source not in GENERATED}


def build(folder: Path) -> None:
    """Write the pages and `mkdocs.yml`."""
    site = folder / "docs"
    shutil.rmtree(folder, ignore_errors=True)
    for source, place in pages().items():
        target = site / place
        target.parent.mkdir(parents=True, exist_ok=True)
        text = (ROOT / source).read_text(encoding="utf-8")
        target.write_text(linked(text, source, site), encoding="utf-8")
    (site / "cli.md").write_text(command_line(), encoding="utf-8")
    (site / "api.md").write_text(api(), encoding="utf-8")
    (folder / "mkdocs.yml").write_text(settings(), encoding="utf-8")


def linked(text: str, source: str, site: Path) -> str:
    """A page's text with its links as the site has them; pictures are copied."""
    places = pages()

    def link(match: re.Match[str]) -> str:
        picture, label, target = match.groups()
        path, hash_, anchor = target.partition("#")
        if ":" in target or not path:
            return match[0]
        found = Path(os.path.normpath(Path(source).parent / path)).as_posix()
        if found in places:
            here = Path(places[source]).parent
            return f"{picture}[{label}]({os.path.relpath(places[found], here)}{hash_}{anchor})"
        if picture:
            copied = site / "pictures" / Path(found).name
            copied.parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / found, copied)
            return f"![{label}](pictures/{copied.name})"
        return label

    return LINK.sub(link, text)


def command_line() -> str:
    """Every command's help."""
    parts = ["# Command line\n\nWhat `--help` prints.\n"]
    for name, command in commands(program, "wasmlrun"):
        context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
        parts.append(f"## {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, with their names."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from commands(found, f"{name} {below}")


def api() -> str:
    """Everything that `import wasmlrun` promises, from its docstrings."""
    parts = ["# Python API\n\n[python.md](python.md) shows how it is used.\n"]
    for name in sorted(wasmlrun.__all__):
        value = getattr(wasmlrun, name)
        parts.append(f"## {name}\n")
        if not callable(value):
            parts.append(f"`{value!r}`\n" if isinstance(value, str) else "")
            continue
        parts += described(name, value)
        if isinstance(value, type):
            for member, function in vars(value).items():
                if member.startswith("_") or not inspect.isroutine(function):
                    continue
                parts.append(f"### {name}.{member}\n")
                parts += described(member, function)
    return "\n".join(part for part in parts if part)


def described(name: str, value: object) -> Iterator[str]:
    """Signature and docstring."""
    assert callable(value)
    try:
        yield f"```python\n{name}{inspect.signature(value)}\n```\n"
    except ValueError:  # it has none that could be told
        yield ""
    text = inspect.getdoc(value)
    if text:
        text, *raises = text.split("\nRaises:\n")
        yield text + "\n"
        if raises:
            yield "Raises:\n\n" + "".join(
                f"- {line.strip()}\n" for line in raises[0].splitlines() if line.strip()
            )


def settings() -> str:
    """The text of mkdocs.yml."""
    places = {**pages(), **{name: name for name in GENERATED}}
    lines = [
        "site_name: wasmlrun",
        "docs_dir: docs",
        "site_dir: ../site",
        "theme: {name: material, features: [navigation.sections, content.code.copy]}",
        "markdown_extensions:",
        "  - tables",
        "  - toc: {permalink: true}",
        "  - pymdownx.superfences:",
        "      custom_fences:",
        "        - name: mermaid",
        "          class: mermaid",
        "          format: !!python/name:pymdownx.superfences.fence_code_format",
        "validation: {links: {anchors: warn, unrecognized_links: warn}}",
        "nav:",
    ]
    for section, found in SECTIONS.items():
        lines.append(f"  - {section}:")
        lines += [f"      - {title}: {places[source]}" for title, source in found.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    build(Path(sys.argv[1]))
