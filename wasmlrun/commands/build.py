"""`wasmlrun build`: a worker's module from its source, once or at every change."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wasmlrun.commands.line.clickform import verbosity_options

if TYPE_CHECKING:
    from wasmlrun.support.messages import Messages
    from wasmlrun.toolkit.build import Built
    from wasmlrun.toolkit.project import Project


@click.command("build", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", default=".", type=click.Path(path_type=Path), metavar="[DIR]")
@click.option("--install", is_flag=True, help="Install the toolchain if it is missing.")
@click.option("--watch", is_flag=True, help="Build again when a file changes, until Ctrl-C.")
@click.option("--run", metavar="IMAGE", help="With --watch: classify IMAGE after each build.")
@verbosity_options
def command(folder: Path, install: bool, watch: bool, run: str | None, verbosity: int) -> int:
    """Build the worker in DIR; its module is put beside the manifest.

    Your own toolchain is used if there is one: rustup, go, zig, wasi-sdk, npm. Else one is
    installed into wasmlrun's own folder, with --install or after a question.
    """
    from wasmlrun.report.reporter import silent
    from wasmlrun.support.errors import BadWorker
    from wasmlrun.support.messages import Messages
    from wasmlrun.toolkit.build import build
    from wasmlrun.toolkit.project import read_project
    from wasmlrun.toolkit.toolchains.installer import Installer

    messages = Messages(verbosity)
    report = silent(messages)

    def work() -> None:
        if not folder.is_dir():
            raise BadWorker(f"{folder} is no folder")
        project = read_project(folder)
        installer = Installer(messages, allowed=True if install else None)

        def once() -> None:
            _tell(build(project, installer), messages)
            if watch and run is not None:
                _classify(project, run)

        if not watch:
            return once()
        while True:
            started = time.time()
            report.attempt(once)
            _wait(project, started)

    return report.run(work)


def _tell(built: Built, messages: Messages) -> None:
    from wasmlrun.support.sizes import size_text

    messages.info(
        f"{built.worker}: {size_text(built.size)}, {built.toolchain}, {built.seconds:.1f} s"
    )
    for module, names in built.imports.items():
        messages.info(f"  imports {module}" + (f": {', '.join(names)}" if names else ""))


def _classify(project: Project, image: str) -> None:
    import subprocess
    import sys

    words = ["classify", image, "--worker", str(project.folder)]
    subprocess.run([sys.executable, "-P", "-m", "wasmlrun", *words], check=False)


def _wait(project: Project, since: float) -> None:
    from wasmlrun.toolkit.build import sources_changed

    while not sources_changed(project, since):
        time.sleep(0.3)
