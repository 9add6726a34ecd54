"""Links between pages lead somewhere, the site builds, and the tutorial names what there is."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from wasmlrun.commands.line.clickform import wasmlrun

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("samples/**/README.md")]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """What a heading's link is called, as GitHub and the site make it."""
    headings = re.findall(
        r"^#+ (.*)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE
    )
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name) if name else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def test_the_site_has_every_page() -> None:
    listed = (ROOT / "docs" / "build.py").read_text(encoding="utf-8")
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        assert f'"{page.relative_to(ROOT)}"' in listed


def test_the_site_builds(tmp_path: Path) -> None:
    missing = importlib.util.find_spec("material") is None
    if missing and not os.environ.get("CI"):
        pytest.skip("mkdocs-material is not installed: pip install '.[docs]'")
    folder = tmp_path / "docs"
    subprocess.run([sys.executable, ROOT / "docs" / "build.py", folder], check=True)
    words = ["build", "--strict", "--quiet", "--config-file", str(folder / "mkdocs.yml")]
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    cli = (tmp_path / "site" / "cli" / "index.html").read_text(encoding="utf-8")
    assert "wasmlrun models pull" in cli
    assert "--max-tensor-bytes" in cli
    assert "classify" in (tmp_path / "site" / "api" / "index.html").read_text(encoding="utf-8")


def test_the_tutorial_uses_commands_and_options_that_exist() -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(wasmlrun .*)$", text, re.MULTILINE)
    assert len(lines) > 8
    for line in lines:
        words = shlex.split(line)[1:]
        command: click.Command = wasmlrun
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, line
            command = found
        flags = {flag for parameter in command.params for flag in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= flags, line
