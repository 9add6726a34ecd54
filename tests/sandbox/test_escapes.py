"""A guest's file system, environment and network end where the grant ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.outcome import Outcome

from wasmlrun.diagnose import escapes
from wasmlrun.diagnose.escapes import (
    CREATE,
    IOVEC,
    READ,
    READ_ONLY,
    RIGHTS,
    TRUNCATE,
    WRITABLE,
    WRITE,
    Escape,
    Script,
)
from wasmlrun.manifest.manifest import Mount
from wasmlrun.support.errors import BadWorker, LimitExceeded

PERM, ROFS, NOTCAPABLE, NOENT, BADF = 63, 69, 76, 44, 8


class Ground:
    """Mounts, a secret outside them, and a way to run a script of WASI calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mounts = escapes.lay_out(folder)
        self.secret = folder / "outside" / "secret"
        self.inside = folder / "read" / "file"

    def __call__(self, script: Script, **environ: str) -> int:
        """The last error number."""
        escape = Escape("test", script.wat())
        return escapes.run(escape, self.folder, self.mounts, escapes.LIMITS, environ)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def test_a_guest_reads_what_is_mounted(ground: Ground) -> None:
    """The control: without it, the refusals below could be faults of the guest."""
    assert ground(Script().open(READ_ONLY, "file")) == 0
    assert ground(Script().open(READ_ONLY, "sub/../file")) == 0


def test_a_guest_writes_where_it_may(ground: Ground) -> None:
    script = Script().open(WRITABLE, "new", CREATE, RIGHTS).call("fd_write", 5, IOVEC, 1, 16)
    assert ground(script) == 0
    assert (ground.folder / "write" / "new").stat().st_size == 8


@pytest.mark.parametrize("folder", [READ_ONLY, WRITABLE])
@pytest.mark.parametrize(
    "path",
    ["..", "../outside/secret", "sub/../../outside/secret", "./../outside/secret", "/etc/passwd"],
)
@pytest.mark.parametrize("rights", [READ, WRITE])
def test_no_path_leads_out(ground: Ground, folder: int, path: str, rights: int) -> None:
    (ground.folder / "write" / "sub").mkdir()
    assert ground(Script().open(folder, path, 0, rights)) == PERM
    assert ground.secret.read_text() == "secret"


def test_the_secret_by_its_absolute_path(ground: Ground) -> None:
    assert ground(Script().open(READ_ONLY, str(ground.secret))) == PERM


@pytest.mark.parametrize("rights", [READ, WRITE])
def test_links_on_the_host_do_not_lead_out(ground: Ground, rights: int) -> None:
    (ground.folder / "write" / "folder").symlink_to("../outside")
    (ground.folder / "write" / "absolute").symlink_to(ground.secret)
    (ground.folder / "write" / "twice").symlink_to("folder")
    for path in ("folder/secret", "absolute", "twice/secret"):
        assert ground(Script().open(WRITABLE, path, 0, rights)) == PERM, path
    assert ground(Script().open(READ_ONLY, "link/secret", 0, rights)) == PERM
    assert ground.secret.read_text() == "secret"


def test_a_link_that_the_guest_makes_does_not_lead_out(ground: Ground) -> None:
    made = Script().call("path_symlink", "../outside", WRITABLE, "made")
    assert ground(made) == 0
    assert ground(Script().open(WRITABLE, "made/secret")) == PERM
    assert ground(Script().call("path_symlink", "/etc", WRITABLE, "absolute")) == PERM
    assert not (ground.folder / "write" / "absolute").is_symlink()


def test_a_folder_that_moves_away_under_an_open_descriptor_stays_a_cage(ground: Ground) -> None:
    """a/b is opened, then renamed to the top: one .. fewer would now lead out."""
    (ground.folder / "write" / "a" / "b").mkdir(parents=True)
    script = (
        Script()
        .open(WRITABLE, "a/b", escapes.DIRECTORY)
        .call("path_rename", WRITABLE, "a/b", WRITABLE, "top")
        .open(5, "../../outside/secret")
    )
    assert ground(script) == PERM
    assert (ground.folder / "write" / "top").is_dir(), "the guest did rename it"


def test_a_mounted_folder_that_becomes_a_link_after_mounting_is_not_followed(
    ground: Ground,
) -> None:
    # the folder is opened when it is mounted; what its parent's name means later is no matter
    (ground.folder / "write" / "sub").mkdir()
    script = (
        Script()
        .call("path_remove_directory", WRITABLE, "sub")
        .call("path_symlink", "../outside", WRITABLE, "sub")
        .open(WRITABLE, "sub/secret")
    )
    assert ground(script) == PERM


def test_a_file_cannot_be_linked_or_renamed_across_to_where_it_may_be_written(
    ground: Ground,
) -> None:
    for name in ("path_link", "path_rename"):
        flags = (0,) if name == "path_link" else ()
        script = Script().call(name, READ_ONLY, *flags, "file", WRITABLE, "file")
        assert ground(script) == PERM, name
    assert list((ground.folder / "write").iterdir()) == []


@pytest.mark.parametrize("descriptor", [0, 1, 2, 5, 6, 2**31 - 1])
def test_there_are_no_other_folders(ground: Ground, descriptor: int) -> None:
    assert ground(Script().open(descriptor, "file")) in (BADF, 54)  # 54: not a directory


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(Script().open(READ_ONLY, "new", CREATE, RIGHTS), id="create"),
        pytest.param(Script().open(READ_ONLY, "new", CREATE, READ), id="create to read"),
        pytest.param(Script().open(READ_ONLY, "file", 0, WRITE), id="write"),
        pytest.param(Script().open(READ_ONLY, "file", TRUNCATE, RIGHTS), id="truncate"),
        pytest.param(Script().open(READ_ONLY, "file", TRUNCATE, READ), id="truncate to read"),
        pytest.param(
            Script().open(READ_ONLY, "file").call("fd_filestat_set_size", 5, 0), id="set size"
        ),
        pytest.param(
            Script().open(READ_ONLY, "file").call("fd_write", 5, IOVEC, 1, 16), id="write at read"
        ),
        pytest.param(Script().call("path_unlink_file", READ_ONLY, "file"), id="unlink"),
        pytest.param(Script().call("path_rename", READ_ONLY, "file", READ_ONLY, "x"), id="rename"),
        pytest.param(
            Script().call("path_rename", WRITABLE, "own", READ_ONLY, "x"), id="rename into"
        ),
        pytest.param(Script().call("path_link", READ_ONLY, 0, "file", READ_ONLY, "x"), id="link"),
        pytest.param(Script().call("path_symlink", "file", READ_ONLY, "x"), id="symlink"),
        pytest.param(Script().call("path_create_directory", READ_ONLY, "new"), id="mkdir"),
        pytest.param(Script().call("path_remove_directory", READ_ONLY, "sub"), id="rmdir"),
        pytest.param(
            Script().call("path_filestat_set_times", READ_ONLY, 1, "file", 0, 0, 5), id="utimes"
        ),
        pytest.param(
            Script().open(READ_ONLY, "file").call("fd_filestat_set_times", 5, 0, 0, 5),
            id="futimes",
        ),
    ],
)
def test_a_read_only_folder_stays_as_it_is(ground: Ground, script: Script) -> None:
    (ground.folder / "write" / "own").write_text("own")
    before = _everything(ground.folder / "read")
    # 8 for a write at a descriptor that was opened to read
    assert ground(script) in (PERM, ROFS, NOTCAPABLE, BADF)
    assert _everything(ground.folder / "read") == before


def test_each_of_these_changes_a_writable_folder(ground: Ground) -> None:
    """The control for the test above: the calls are right, it is the mount that refuses."""
    target = ground.folder / "write" / "file"
    for script in (
        Script().open(WRITABLE, "file", CREATE, RIGHTS).call("fd_write", 5, IOVEC, 1, 16),
        Script().call("path_filestat_set_times", WRITABLE, 1, "file", 0, 0, 5),
        Script().open(WRITABLE, "file", TRUNCATE, RIGHTS),
        Script().call("path_rename", WRITABLE, "file", WRITABLE, "x"),
        Script().call("path_link", WRITABLE, 0, "x", WRITABLE, "file"),
        Script().call("path_unlink_file", WRITABLE, "x"),
        Script().call("path_create_directory", WRITABLE, "sub"),
        Script().call("path_remove_directory", WRITABLE, "sub"),
    ):
        before = _everything(ground.folder / "write")
        assert ground(script) == 0
        assert _everything(ground.folder / "write") != before
    assert target.exists()


def _everything(folder: Path) -> list[tuple[str, int, int, int, bytes]]:
    found = []
    for path in sorted([folder, *folder.rglob("*")]):
        about = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found.append((str(path), about.st_mode, about.st_mtime_ns, about.st_nlink, content))
    return found


# --- environment and network --------------------------------------------------------------------

PRINT_VARIABLES = """(module
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 4096) (i32.const 65536)))
    (i32.store (i32.const 16) (i32.const 65536))
    (i32.store (i32.const 20) (i32.load (i32.const 4)))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))))"""


def test_the_environment_is_what_the_manifest_names(
    tmp_path: Path, make_worker: Callable[..., Path], run_cli: Callable[..., Outcome]
) -> None:
    manifest = 'version = "1"\n[vars]\nMODE = "fast"\nTOKEN = "$ALLOWED_TOKEN"\nNONE = "$UNSET"\n'
    worker = make_worker(tmp_path, PRINT_VARIABLES, manifest)
    environ = {"ALLOWED_TOKEN": "abc", "SECRET_TOKEN": "hidden"}
    outcome = run_cli(["run", worker], env=environ)
    assert outcome.code == 0
    assert outcome.stdout.split("\0") == ["MODE=fast", "TOKEN=abc", "NONE=", ""]


def test_without_a_manifest_there_is_no_environment(
    tmp_path: Path, make_worker: Callable[..., Path], run_cli: Callable[..., Outcome]
) -> None:
    worker = make_worker(tmp_path, PRINT_VARIABLES)
    outcome = run_cli(["run", worker], env={"SECRET_TOKEN": "hidden"})
    assert (outcome.code, outcome.stdout) == (0, "")
    outcome = run_cli(["run", worker, "--env", "A=b"])
    assert outcome.stdout == "A=b\0"


@pytest.mark.parametrize("descriptor", range(7))
def test_no_descriptor_is_a_socket(ground: Ground, descriptor: int) -> None:
    accept = ground(Script().call("sock_accept", descriptor, 0, 0))
    send = ground(Script().call("sock_send", descriptor, IOVEC, 1, 0, 0))
    # badf, notsock, notsup
    assert {accept, send} <= {8, 57, 58}


@pytest.mark.parametrize("name", ["sock_open", "sock_connect", "sock_bind"])
def test_sockets_of_other_hosts_do_not_exist(ground: Ground, name: str) -> None:
    escape = Escape("socket", escapes._importing(name, 3))
    with pytest.raises(BadWorker, match=f"imports what nobody provides here: .*{name}"):
        escapes.run(escape, ground.folder, ground.mounts, escapes.LIMITS, {})


# --- the self-test that `doctor` runs -----------------------------------------------------------


def test_every_escape_is_refused() -> None:
    tried = escapes.try_all()
    assert [t for t in tried if not t.passed] == []
    assert len([t for t in tried if not t.name.startswith("control")]) >= 10


def test_an_escape_that_works_is_seen(tmp_path: Path) -> None:
    """With the read-only folder mounted writable and the secret's folder mounted, they do."""
    escapes.lay_out(tmp_path)
    open_wide = (Mount(tmp_path, "/read", True), Mount(tmp_path / "write", "/write", True))
    (tmp_path / "file").write_text("inside")
    (tmp_path / "made").mkdir()
    wide = [escapes.attempt(e, tmp_path, open_wide) for e in escapes.escapes(tmp_path)]
    worked = {t.name for t in wide if not t.passed}
    assert {f"{change} in a read-only folder" for change in escapes._changes()} <= worked


def test_an_escape_that_ends_otherwise_is_seen(ground: Ground) -> None:
    quiet = Escape("loop for ever", Script().wat(), ended_by=LimitExceeded)
    assert not escapes.attempt(quiet, ground.folder, ground.mounts).passed
    wrong = Escape("no such file", Script().open(READ_ONLY, "absent").wat())
    tried = escapes.attempt(wrong, ground.folder, ground.mounts)
    assert (tried.passed, tried.how) == (False, f"NOT refused: error number {NOENT}")


def test_variables_of_this_process_do_not_reach_the_escape_guest(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    assert os.environ["SECRET_TOKEN"]
    count = (
        Script().call("environ_sizes_get", 0, 4).raw("(local.set $errno (i32.load (i32.const 0)))")
    )
    assert ground(count) == 0
    assert ground(count, A="b", C="d") == 2
