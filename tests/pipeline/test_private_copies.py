"""Folders of which nobody said whether they may be written to: copied, behind the walls too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wasmlrun.manifest.manifest import Mount
from wasmlrun.pipeline.private_copies import with_private_copies
from wasmlrun.supervisor.blame import supervised
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.messages import Messages
from wasmlrun.walls.child import Fence
from wasmlrun.walls.reach import Reach

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

DEEP = 600


def test_a_copy_is_made_behind_the_walls_and_the_folder_stays_as_it_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    # deep, as a hostile project may be
    deepest = folder.joinpath(*["d"] * DEEP)
    deepest.mkdir(parents=True)
    (deepest / "file").write_text("content")
    (folder / "link").symlink_to("d")
    os.utime(deepest / "file", (1, 2))
    (folder / "script").write_text("#!/bin/sh\n")
    (folder / "script").chmod(0o755)

    def work(board: Board) -> int:
        (mount,) = with_private_copies([Mount(folder, "/data", writable=False, said=False)])
        copy = mount.host.joinpath(*["d"] * DEEP) / "file"
        print(mount.writable, mount.host == folder, copy.read_text(), copy.stat().st_mtime)
        print((mount.host / "link").readlink(), (mount.host / "script").read_text(), end="")
        copy.write_text("other")
        return 0

    fence = Fence(Reach(reading=(folder,)))
    assert supervised(work, lambda *_: 99, Messages(), fence=fence) == 0
    assert capfd.readouterr().out == "True False content 2.0\nd #!/bin/sh\n"
    assert (deepest / "file").read_text() == "content"
