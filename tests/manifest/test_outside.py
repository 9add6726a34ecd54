"""A manifest may come from anywhere: without --allow-outside it gives away its own folder only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Outcome
from kit.core_guests import printing

from wasmlrun.manifest.reader import read_manifest
from wasmlrun.support.errors import BadManifest

FOLDER = '[[folders]]\nfrom = "{}"\nto = "/data"\n'
PRELOAD = (
    "[[features.wasi_nn.preload_models]]\n"
    'provider = {{ type = "local", dir = "{}" }}\nbackend = "openvino"\n'
)


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    """Writes a manifest into `project`; beside that lies `secrets`."""
    project = tmp_path / "project"
    (project / "data" / "deep").mkdir(parents=True)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "project-too").mkdir()
    (project / "link").symlink_to(tmp_path / "secrets")
    (project / "inner-link").symlink_to("data")
    (project / "loop").symlink_to("loop")

    def write(text: str) -> Path:
        path = project / "worker.toml"
        path.write_text(f'version = "1"\n{text}')
        return path

    return write


@pytest.mark.parametrize("form", [FOLDER, PRELOAD])
@pytest.mark.parametrize(
    "place",
    ["..", "../secrets", "data/../../secrets", "/", "/etc", "link", "../project-too", "~/../.."],
)
def test_what_lies_outside_needs_leave(
    manifest: Callable[..., Path], form: str, place: str, tmp_path: Path
) -> None:
    path = manifest(form.format(place))
    with pytest.raises(BadManifest) as caught:
        read_manifest(path)
    if place != "~/../..":  # ~ is no home here but a name: this one ends at the manifest's folder
        assert "leaves the manifest's folder: " in caught.value.message
        assert caught.value.hint == "if you trust this manifest, say --allow-outside"
        read = read_manifest(path, allow_outside=True)
        granted = [m.host for m in read.folders] + [p.folder for p in read.nn.preload_models]
        assert granted[0].resolve() == (tmp_path / "project" / place).resolve()


@pytest.mark.parametrize("place", [".", "data", "./data/deep/..", "inner-link", "../project/data"])
def test_what_lies_inside_needs_none(manifest: Callable[..., Path], place: str) -> None:
    (mount,) = read_manifest(manifest(FOLDER.format(place))).folders
    assert not mount.writable


@pytest.mark.parametrize("place", ["loop", "loop/x", "absent", "worker.toml", "a" * 300])
def test_what_cannot_be_mounted(manifest: Callable[..., Path], place: str) -> None:
    for allow in (False, True):
        with pytest.raises(BadManifest):
            read_manifest(manifest(FOLDER.format(place)), allow_outside=allow)


def test_the_commands_flag(
    manifest: Callable[..., Path],
    make_worker: Callable[..., Path],
    run_cli: Callable[..., Outcome],
) -> None:
    path = manifest(FOLDER.format("../secrets"))
    worker = make_worker(path.parent, printing("ran"))
    refused = run_cli(["run", worker])
    assert (refused.code, refused.stdout) == (3, "")
    assert "hint: if you trust this manifest, say --allow-outside" in refused.stderr
    assert run_cli(["run", worker, "--allow-outside"]).stdout == "ran"
