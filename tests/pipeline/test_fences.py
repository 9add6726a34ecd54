"""From what was named to the walls: what a manifest's text says is not yet a right."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.core_guests import printing

from wasmlrun.binary.magic import AHEAD
from wasmlrun.pipeline.fences import fence_for, fence_for_shelf
from wasmlrun.serve.fence import fence_of
from wasmlrun.serve.site import SiteSettings
from wasmlrun.support.userdata import seal_key
from wasmlrun.walls.child import Fence
from wasmlrun.walls.reach import Reach

HTTP = '[features.http_requests]\nallowed_hosts = ["example.com"]\n'
ENGINE = {"cache": False, "device": "CPU"}


def reach(fence: Fence) -> Reach:
    assert fence.reach is not None
    return fence.reach


@pytest.fixture
def make(tmp_path: Path, make_worker: Callable[..., Path]) -> Callable[[str], Path]:
    """`make(text)`: a worker whose manifest has these lines, and folders `a` and `b` beside it."""

    def worker(text: str) -> Path:
        for name in ("a", "b"):
            (tmp_path / name).mkdir(exist_ok=True)
        return make_worker(tmp_path, printing("x"), f'version = "1"\n{text}')

    return worker


def site(folder: Path, *, reload: bool = False) -> Reach:
    return reach(fence_of(SiteSettings(folder, reload=reload), (), ENGINE, required=False))


@pytest.mark.parametrize("text", [HTTP, "# http_requests\n"])
def test_a_command_gets_no_network_whatever_its_manifest_says(
    make: Callable[[str], Path], text: str
) -> None:
    assert not reach(fence_for(worker=make(text), cached=False)).network


def test_a_served_folder_gets_a_network_for_hosts_that_a_manifest_names(
    make: Callable[[str], Path],
) -> None:
    assert site(make(HTTP).parent).network
    for text in ("# http_requests\n", "[features.http_requests]\n", HTTP + "wrong = 1\n"):
        assert not site(make(text).parent).network, text
    # what may come is not known yet
    assert site(make("").parent, reload=True).network


def mounts(*lines: str) -> str:
    return "".join(
        f'[[folders]]\nfrom = "{name}"\nto = "/{name}"\n{line}'
        for name, line in zip("ab", lines, strict=True)
    )


def test_only_folders_that_are_mounted_to_be_written_can_be(make: Callable[[str], Path]) -> None:
    worker = make("# writable = true\n" + mounts("writable = true\n", ""))
    folder = worker.parent
    one = reach(fence_for(worker=worker, cached=False))
    assert one.mounts == ((folder / "a", folder),)
    both = reach(fence_for(worker=worker, writable=("/b/",), cached=False))
    assert both.mounts == ((folder / "a", folder), (folder / "b", folder))
    everywhere = reach(fence_for(worker=worker, allow_outside=True, cached=False))
    assert (everywhere.anywhere, everywhere.mounts) == (True, ((folder / "a", None),))
    assert reach(fence_for(worker=make("# writable\n"), cached=False)).mounts == ()


def test_a_served_folder_can_be_written_where_its_manifests_mount(
    make: Callable[[str], Path],
) -> None:
    folder = make(mounts("writable = false\n", "")).parent
    assert site(folder).mounts == ((folder / "b", folder),)
    make("# folders\n")
    assert site(folder).mounts == ()
    assert site(folder, reload=True).writing == (folder,)


def test_only_who_runs_machine_code_can_read_the_key(
    make: Callable[[str], Path], tmp_path: Path
) -> None:
    key = seal_key()

    def covers(found: Reach) -> bool:
        return any(key.is_relative_to(place) for place in (*found.reading, *found.writing))

    worker = make("")
    (tmp_path / "m.onnx").write_bytes(b"")
    model = str(tmp_path / "m.onnx")
    assert not covers(reach(fence_for(worker=worker, models=[model], files=["a.jpg"])))
    assert not covers(reach(fence_for_shelf([model])))
    assert not covers(site(worker.parent))
    compiled = tmp_path / "any.name"
    compiled.write_bytes(AHEAD + b"1")
    assert covers(reach(fence_for(worker=compiled)))
    os.mkfifo(tmp_path / "pipe.cwasm")
    assert not covers(reach(fence_for(worker=tmp_path / "pipe.cwasm")))
