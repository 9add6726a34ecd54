"""Between a manifest's check and its use somebody puts a link in a mounted folder's place."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime
from kit.component_guests import component

from wasmlrun.diagnose.escapes import Script
from wasmlrun.manifest.grant import Grant
from wasmlrun.manifest.manifest import Mount
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.pipeline.fences import fence_for
from wasmlrun.pipeline.private_copies import with_private_copies
from wasmlrun.sandbox.worker import LinkedWorker, Runtime, Worker
from wasmlrun.supervisor.blame import supervised
from wasmlrun.supervisor.stages import Board
from wasmlrun.support import beneath, tempfiles
from wasmlrun.support.errors import BadWorker
from wasmlrun.support.limits import Limits
from wasmlrun.support.messages import Messages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors as paths")

MANIFEST = 'version = "1"\n[[folders]]\nfrom = "data"\nto = "/data"\nwritable = true\n'
NO_ENTRY = 44
# exits with the error number of opening `file` in its one folder
OPENS = Script().open(3, "file").wat()


@pytest.fixture
def project(tmp_path: Path, make_worker: Callable[..., Path]) -> Path:
    """A project with a folder to be mounted, and a folder of somebody else's beside the project."""
    project = tmp_path / "project"
    for folder in (project / "data", project / "other", tmp_path / "secrets"):
        folder.mkdir(parents=True)
    for folder in (project / "data", tmp_path / "secrets"):
        (folder / "file").write_text("secret")
    make_worker(project, OPENS, MANIFEST)
    return project


def swap(project: Path, target: str | Path) -> None:
    (project / "data").rename(project / "moved")
    (project / "data").symlink_to(target)


def linked(project: Path, code: str = OPENS) -> LinkedWorker:
    worker = project / "guest.wasm"
    worker.write_bytes(wasmtime.wat2wasm(code))
    folders = read_manifest(project / "worker.toml").folders
    return Worker(Runtime(Limits()), worker).linked(Grant(mounts=folders))


@pytest.mark.parametrize("target", ["../secrets", "/", "other/../../secrets"])
def test_a_link_that_leads_out_is_not_mounted(project: Path, target: str) -> None:
    guest = linked(project)
    assert guest.run(session=None).exit_code == 0
    swap(project, target)
    with pytest.raises(BadWorker, match=r"a folder cannot be mounted: .*/data at /data \(it leads"):
        guest.run(session=None)


def test_nor_for_a_component(project: Path) -> None:
    guest = linked(project, component("(i32.const 0)", None))
    assert guest.run(session=None).exit_code == 0
    swap(project, "../secrets")
    with pytest.raises(BadWorker, match=r"a folder cannot be mounted: .*/data at /data \(it leads"):
        guest.run(session=None)


@pytest.mark.parametrize("absolute", [False, True])
def test_a_link_that_stays_is(project: Path, absolute: bool) -> None:
    guest = linked(project)
    swap(project, project / "other" if absolute else "other")
    assert guest.run(session=None).exit_code == NO_ENTRY
    assert guest.run(session=None).exit_code == NO_ENTRY


def test_no_descriptor_is_left(project: Path) -> None:
    guest = linked(project)
    guest.run(session=None)
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        guest.run(session=None)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_the_users_own_links_lead_where_he_likes(project: Path) -> None:
    swap(project, "../secrets")
    (mount,) = read_manifest(project / "worker.toml", allow_outside=True).folders
    assert (mount.within, mount.host) == (None, project / "data")


def test_it_is_not_copied(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfiles.handed_down():
        within = Mount(project / "data", "/data", said=False, within=project)
        (copied,) = with_private_copies([within])
        assert (copied.host / "file").read_text() == "secret"
        swap(project, "../secrets")
        assert with_private_copies([within]) == (within,)
        # a file that becomes a link when it has been looked at
        (project / "data").unlink()
        (project / "moved").rename(project / "data")
        opened = beneath.open_place

        def late(path: Path, within: Path, *, folder: bool = True) -> int:
            if not folder:
                path.unlink()
                path.symlink_to(project.parent / "secrets" / "file")
            return opened(path, within, folder=folder)

        monkeypatch.setattr(beneath, "open_place", late)
        assert with_private_copies([within]) == (within,)
        own = tempfiles.own_folder()
        assert own is not None
        assert [path.name for path in own.iterdir()] == [copied.host.name]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_the_walls_do_not_open_it_either(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fence = fence_for(worker=project / "worker.wasm", cached=False)

    def work(_: Board) -> int:
        for path in (project / "data" / "file", project.parent / "secrets" / "file"):
            try:
                path.write_text("changed")
                print("changed")
            except OSError as e:
                print(e.strerror)
        return 0

    def tried() -> list[str]:
        assert supervised(work, lambda *_: 99, Messages(), fence=fence) == 0
        return capfd.readouterr().out.splitlines()

    from wasmlrun.walls.files import version

    if version() == 0:
        assert not os.environ.get("CI"), "no Landlock here"
        pytest.skip("no Landlock here")
    assert tried() == ["changed", "Permission denied"]
    swap(project, "../secrets")
    assert tried() == ["Permission denied", "Permission denied"]
    assert (project.parent / "secrets" / "file").read_text() == "secret"
