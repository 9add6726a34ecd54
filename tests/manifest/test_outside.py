"""A manifest may come from anywhere: without --allow-outside it gives away its own folder only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.core_guests import printing
from kit.models_by_hand import COLOURS, write_colours
from kit.outcome import Outcome

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


# --- files that a manifest names, or that were only found ----------------------------------------

MANIFEST = """version = "1"
[features.wasi_nn]
allowed_backends = ["openvino"]
[[folders]]
from = "./models"
to = "/models"
[classify]
model = "/models/colours.xml"
labels = "models/colours.txt"
"""
PRELOADED = """version = "1"
[[features.wasi_nn.preload_models]]
provider = { type = "local", dir = "./models" }
[classify]
labels = "models/colours.txt"
"""
BUNDLED = Path(__file__).parents[2] / "samples" / "mobilenet" / "mobilenet.wasm"


def shared_project(folder: Path, text: str = MANIFEST) -> Path:
    """A worker with a model and labels of its own, as somebody may send it; the worker's path."""
    write_colours(folder / "models", softmax=True)
    (folder / "models" / "colours.txt").write_text("\n".join(COLOURS) + "\n")
    (folder / "w.wasm").write_bytes(BUNDLED.read_bytes())
    (folder / "w.toml").write_text(text)
    return folder / "w.wasm"


def move_out(path: Path, outside: Path) -> None:
    """What was a file becomes a link to the same bytes somewhere else."""
    outside.mkdir(exist_ok=True)
    path.rename(outside / path.name)
    path.symlink_to(outside / path.name)


@pytest.mark.parametrize("text", [MANIFEST, PRELOADED], ids=["mounted", "preloaded"])
@pytest.mark.parametrize(
    "name", ["w.toml", "models/colours.xml", "models/colours.bin", "models/colours.txt"]
)
def test_a_link_out_of_the_project_is_not_read(
    name: str,
    text: str,
    tmp_path: Path,
    red_image: Path,
    run_cli: Callable[..., Outcome],
) -> None:
    worker = shared_project(tmp_path / "project", text)
    move_out(tmp_path / "project" / name, tmp_path / "secrets")
    words = ["classify", red_image, "--worker", worker, "-k", "1"]
    refused = run_cli(words)
    assert (refused.code, refused.stdout) == (3, "")
    assert f"cannot be read: it leads out of the folder {tmp_path / 'project'}\n" in refused.stderr
    assert "hint: if you trust what names it, say --allow-outside" in refused.stderr
    # the control: it is the link alone that is refused
    allowed = run_cli([*words, "--allow-outside"])
    if text is MANIFEST and name.endswith((".xml", ".bin")):
        # the guest opens these itself, and no option lets a guest follow a link out
        assert (allowed.code, "leads out" in allowed.stderr) == (4, False)
    else:
        assert (allowed.code, allowed.stdout.split("\t")[1:2]) == (0, ["red"]), allowed.stderr


def test_a_link_that_stays_in_the_project_is_read(
    tmp_path: Path, red_image: Path, run_cli: Callable[..., Outcome]
) -> None:
    worker = shared_project(tmp_path / "project", PRELOADED)
    models = tmp_path / "project" / "models"
    (tmp_path / "project" / "weights").mkdir()
    for name in ("colours.bin", "colours.txt"):
        (models / name).rename(tmp_path / "project" / "weights" / name)
        (models / name).symlink_to(Path("..") / "weights" / name)
    answer = run_cli(["classify", red_image, "--worker", worker, "-k", "1"])
    assert (answer.code, answer.stdout.split("\t")[1:2]) == (0, ["red"]), answer.stderr


@pytest.mark.parametrize("named", ["the file", "the folder"])
@pytest.mark.parametrize("name", ["colours.bin", "colours.toml"])
def test_what_stands_beside_a_named_model_must_be_there(
    named: str,
    name: str,
    tmp_path: Path,
    red_image: Path,
    run_cli: Callable[..., Outcome],
) -> None:
    model = write_colours(tmp_path / "colours", softmax=True)
    (tmp_path / "colours" / "colours.toml").write_text('version = "1"\n')
    move_out(tmp_path / "colours" / name, tmp_path / "secrets")
    words = ["classify", red_image, "--model", model if named == "the file" else model.parent]
    refused = run_cli(words)
    assert (refused.code, refused.stdout) == (3, "")
    assert "it leads out of the folder" in refused.stderr
    assert run_cli([*words, "--allow-outside"]).code == 0


def test_a_model_that_was_named_itself_may_be_a_link(
    tmp_path: Path, red_image: Path, run_cli: Callable[..., Outcome]
) -> None:
    model = write_colours(tmp_path / "store", softmax=True)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "colours.xml").symlink_to(model)
    (tmp_path / "here" / "colours.bin").write_bytes(model.with_suffix(".bin").read_bytes())
    answer = run_cli(["classify", red_image, "--model", tmp_path / "here" / "colours.xml"])
    assert answer.code == 0, answer.stderr


@pytest.mark.parametrize("place", ["../secrets/labels.txt", "/etc/passwd"])
def test_labels_outside_need_leave(
    place: str, tmp_path: Path, red_image: Path, run_cli: Callable[..., Outcome]
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "labels.txt").write_text("\n".join(COLOURS))
    text = MANIFEST.replace("models/colours.txt", place)
    worker = shared_project(tmp_path / "project", text)
    words = ["classify", red_image, "--worker", worker]
    refused = run_cli(words)
    assert (refused.code, refused.stdout) == (3, "")
    assert "it leads out of the folder" in refused.stderr


@pytest.mark.parametrize("suffix", [".py", ".js", ".rb", ".wasm"])
def test_the_worker_of_a_project_is_a_file_in_it(
    suffix: str, tmp_path: Path, red_image: Path, run_cli: Callable[..., Outcome]
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "secret").write_text("SECRET = 1 syntax error\n")
    (tmp_path / "project" / "w.toml").write_text('version = "1"\n')
    (tmp_path / "project" / f"w{suffix}").symlink_to(tmp_path / "secret")
    refused = run_cli(["classify", red_image, "--worker", tmp_path / "project"])
    assert refused.code == 3
    assert "it leads out of the folder" in refused.stderr
    assert "SECRET" not in refused.stderr + refused.stdout


# --- pipes and devices ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["w.toml", "models/colours.bin", "models/colours.txt"])
@pytest.mark.parametrize("kind", ["a pipe", "a device"])
def test_what_is_no_file_ends_at_once(
    name: str, kind: str, tmp_path: Path, red_image: Path, run_cli: Callable[..., Outcome]
) -> None:
    worker = shared_project(tmp_path / "project")
    path = tmp_path / "project" / name
    path.unlink()
    if kind == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    words = ["classify", red_image, "--worker", worker, "--timeout", "30", "--allow-outside"]
    refused = run_cli(words)
    assert refused.code == 3
    absent = {"w.toml": "has no manifest", "models/colours.bin": "has no weights beside it"}
    # what stands beside a file is looked for, and found only as a file
    assert absent.get(name, "not a regular file") in refused.stderr


def test_a_served_folder_is_the_bound_of_all_its_manifests(tmp_path: Path) -> None:
    (tmp_path / "libs").mkdir()
    inner = tmp_path / "site" / "a"
    inner.mkdir(parents=True)
    path = inner / "index.toml"
    path.write_text('version = "1"\n[[folders]]\nfrom = "../../libs"\nto = "/libs"\n')
    found = read_manifest(path, root=tmp_path, writable=True)
    assert (found.folders[0].host, found.folders[0].writable) == (tmp_path / "libs", True)
    with pytest.raises(BadManifest, match="leaves the served folder"):
        read_manifest(path, root=tmp_path / "site")
