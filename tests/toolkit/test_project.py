"""Project folders, what `new` writes, scripts, and installing only with a word."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wasmlrun.support.errors import BadWorker, UsageFault
from wasmlrun.support.messages import Messages
from wasmlrun.toolkit import interpreters
from wasmlrun.toolkit.languages import LANGUAGES
from wasmlrun.toolkit.project import new_project, read_project, worker_in
from wasmlrun.toolkit.toolchains.installer import BuildFailed, Installer, ToolMissing, compile_with


@pytest.mark.parametrize("name", LANGUAGES)
def test_new_writes_a_project_that_is_read_back(name: str, tmp_path: Path) -> None:
    project = new_project("mine", LANGUAGES[name], tmp_path)
    assert read_project(tmp_path / "mine") == project
    assert project.language.name == name
    assert 'name = "mine"' in project.manifest.read_text()
    assert "--expect dog" in (project.folder / "test.sh").read_text()
    assert not list(project.folder.glob("*.wasm"))
    assert {".gitignore", "README.md", "dog.jpg"} <= {p.name for p in project.folder.iterdir()}


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a b"])
def test_new_refuses_what_is_no_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="no name"):
        new_project(name, LANGUAGES["c"], tmp_path)


@pytest.mark.parametrize("parent", ["..", "../..", "a/../.."])
def test_new_does_not_go_up(parent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UsageFault, match="goes up with"):
        new_project("x", LANGUAGES["c"], Path(parent))
    assert [p.name for p in tmp_path.iterdir()] == ["here"]


def test_new_leaves_what_is_there_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(UsageFault, match="exists already"):
        new_project("mine", LANGUAGES["c"], tmp_path)


def test_a_folder_without_a_project(tmp_path: Path) -> None:
    (tmp_path / "Cargo.toml").touch()
    (tmp_path / "Cargo.rs").touch()
    with pytest.raises(BadWorker, match="no worker's project"):
        read_project(tmp_path)


def test_a_folder_with_two_workers(tmp_path: Path) -> None:
    for name in ("a.toml", "a.c", "b.toml", "b.py"):
        (tmp_path / name).touch()
    with pytest.raises(BadWorker, match=r"several workers: a\.c, b\.py"):
        read_project(tmp_path)


def test_a_project_that_is_not_built_says_how(tmp_path: Path) -> None:
    project = new_project("mine", LANGUAGES["c"], tmp_path)
    with pytest.raises(BadWorker, match="not built") as caught:
        worker_in(project.folder)
    assert caught.value.hint == f"wasmlrun build {project.folder}"
    project.worker.touch()
    assert worker_in(project.folder) == project.worker


def test_a_script_is_its_project_s_worker(tmp_path: Path) -> None:
    project = new_project("mine", LANGUAGES["python"], tmp_path)
    assert worker_in(project.folder) == project.source


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"\xff", "not UTF-8"), (b"a\0b", "zero byte"), (b"#" * (1 << 20) + b"#", "bytes")],
)
def test_a_script_that_is_no_text(data: bytes, why: str, tmp_path: Path) -> None:
    script = tmp_path / "classify.py"
    script.write_bytes(data)
    with pytest.raises(BadWorker, match=why):
        interpreters.script_text(script)


def test_a_script_without_its_interpreter_says_how_to_get_it(
    tmp_path: Path, invoke: Callable[..., Any]
) -> None:
    project = new_project("mine", LANGUAGES["ruby"], tmp_path)
    picture = project.folder / "dog.jpg"
    done = invoke("classify", picture, "--worker", project.source)
    assert done.code == 3
    assert "wasmlrun runtimes install ruby" in done.stderr


def test_nothing_is_installed_without_a_word(tmp_path: Path) -> None:
    installer = Installer(Messages(), allowed=None)
    with pytest.raises(ToolMissing, match="is needed and is not installed") as caught:
        installer.folder(
            tmp_path / "tool", "tool", "1 MB", "get tool", lambda _: pytest.fail("installed")
        )
    assert caught.value.hint == "say --install, or: get tool"


def test_ctrl_c_at_the_question_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    import click

    def interrupted(*_: object, **__: object) -> bool:
        raise click.Abort

    monkeypatch.setattr(click, "confirm", interrupted)
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    with pytest.raises(KeyboardInterrupt):
        Installer(Messages(), allowed=None).allow("tool", "1 MB", "get tool")


def test_half_an_installation_never_counts(tmp_path: Path) -> None:
    installer = Installer(Messages(-1), allowed=True)

    def breaks(stage: Path) -> None:
        stage.mkdir()
        (stage / "half").touch()
        raise BuildFailed("cut off")

    with pytest.raises(BuildFailed):
        installer.folder(installer.root / "tool", "tool", "1 MB", "get tool", breaks)
    assert not list(installer.root.glob("*tool*"))


APT = """#!/bin/sh
echo "W: Download is performed unsandboxed as root" >&2
case "$*" in
*--simulate*) echo "Inst hello (1 archive)"; echo "Inst libc6 (2 archive)" ;;
*download*) echo "WARNING: apt does not have a stable CLI interface" >&2; touch hello.deb ;;
esac
exit $FAILS
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no apt")
@pytest.mark.parametrize("fails", [0, 100])
def test_what_apt_warns_of_is_told_only_where_it_fails(
    fails: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "apt-get": APT,
        "dpkg-deb": '#!/bin/sh\necho "dpkg-deb: warning: old" >&2\ntouch "$3/unpacked"\n',
    }.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAILS", str(fails))
    said = io.StringIO()
    monkeypatch.setenv("WASMLRUN_DATA_DIR", str(tmp_path / "data"))
    installer = Installer(Messages(stream=said), allowed=True)
    if fails:
        with pytest.raises(BuildFailed, match="apt-get install failed with code 100"):
            installer.debian(["hello"], ["libc6"], "a greeting")
    else:
        folder = installer.debian(["hello"], ["libc6"], "a greeting")
        assert [path.name for path in folder.iterdir()] == ["unpacked"]
    assert ("W: Download is performed" in said.getvalue()) == bool(fails)
    assert "warning: old" not in said.getvalue()
    assert "stable CLI" not in said.getvalue()


def test_a_compiler_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="cannot be run"):
        compile_with([tmp_path / "no-such-compiler"], tmp_path)


def test_runtimes_are_listed(invoke: Callable[..., Any]) -> None:
    done = invoke("runtimes", "list")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == list(interpreters.RUNTIMES)


def test_check_fails_a_worker_without_an_answer(
    tmp_path: Path, invoke: Callable[..., Any], make_worker: Callable[..., Path]
) -> None:
    silent = make_worker(
        tmp_path,
        '(module (memory (export "memory") 1) (func (export "_start")))',
        'version = "1"\n[features.wasi_nn]\nallowed_backends = ["openvino"]\n[classify]\n',
    )
    done = invoke("check", silent)
    assert done.code == 1
    assert "FAIL\ta picture: JPEG" in done.stdout
