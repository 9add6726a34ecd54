"""Pulled and added models: whole or not there, checked when used."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.http_server import Act, FileServer, serving

from wasmlrun.manifest.reader import read_manifest
from wasmlrun.models import store as shelf_module
from wasmlrun.models.catalogue import Entry, RemoteFile
from wasmlrun.models.connection import Transfer
from wasmlrun.models.store import Shelf
from wasmlrun.pipeline.plan import find_model
from wasmlrun.support.errors import (
    BadLabels,
    BadManifest,
    BadModel,
    DownloadFailed,
    ShelfFailed,
    UsageFault,
)
from wasmlrun.support.model_source import Encoding
from wasmlrun.support.userdata import data_dir

MODEL = b"\x1c\0\0\0TFL3" + bytes(range(256)) * 800
LABELS = b"cat\ndog\n"
FILES = {"net.tflite": MODEL, "names.txt": LABELS}
QUICK = Transfer(retries=1, backoff=0.01)


class Quiet:
    """A watcher that can stop a download in the middle."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.heard: list[str] = []
        self._stop_at = stop_at

    def progress(self, name: str, done: int, total: int | None) -> None:
        if self._stop_at is not None and done >= self._stop_at:
            raise KeyboardInterrupt

    def say(self, text: str) -> None:
        self.heard.append(text)


def entry_of(server: FileServer, name: str = "net") -> Entry:
    def remote(file: str) -> RemoteFile:
        data = server.files[file]
        digest = hashlib.sha256(data).hexdigest()
        return RemoteFile(file, f"{server.url}/{file}", len(data), digest)

    model, labels = remote("net.tflite"), remote("names.txt")
    return Entry(name, "a net", model, None, labels, "MIT", classify={"size": 32, "dtype": "u8"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(FILES) as found:
        known = {"net": entry_of(found), "other": entry_of(found, "other")}
        monkeypatch.setattr(shelf_module, "catalogue", lambda: known)
        yield found


@pytest.fixture
def shelf(server: FileServer, tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "models")


def pull(shelf: Shelf, name: str = "net") -> Path:
    return shelf.pull(name, QUICK, Quiet()).folder


def files(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_where_the_shelf_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_dir({"WASMLRUN_DATA_DIR": str(tmp_path)}) == tmp_path
    monkeypatch.chdir(tmp_path)
    assert data_dir({"WASMLRUN_DATA_DIR": "here"}) == tmp_path / "here"
    assert data_dir({"WASMLRUN_DATA_DIR": ""}) == data_dir({})
    assert data_dir({}).name == "wasmlrun"


def test_nothing_is_made_before_something_is_pulled(shelf: Shelf) -> None:
    assert shelf.names() == ["net", "other"]
    assert shelf.standing("net").state == "available"
    with pytest.raises(ShelfFailed, match="net is not pulled"):
        shelf.path("net")
    assert not shelf.root.exists()


def test_a_pulled_model_is_a_folder_with_a_manifest(shelf: Shelf) -> None:
    placed = shelf.pull("net", QUICK, Quiet())
    assert placed.changed
    assert files(placed.folder) == {"net.tflite", "names.txt", "net.toml", "entry.toml"}
    assert files(shelf.root / ".partial") == set()
    settings = read_manifest(placed.folder / "net.toml").classify
    assert settings is not None
    assert settings.labels == placed.folder / "names.txt"
    assert (settings.size, settings.dtype) == ((32, 32), "u8")
    assert shelf.standing("net").state == "pulled"
    name, source, used = shelf.open("net")
    assert (name, source.parts, used) == ("net", (MODEL,), settings)
    assert {(c.file, c.state) for c in shelf.verify("net")} == {
        ("net.tflite", "ok"),
        ("names.txt", "ok"),
    }


def test_the_folder_is_a_model_of_its_own(shelf: Shelf) -> None:
    """Without the shelf's help too: as a path, or preloaded by a manifest."""
    name, source, settings = find_model(str(pull(shelf)))
    assert (name, source.parts) == ("net", (MODEL,))
    assert settings.labels is not None


def test_what_is_here_is_not_fetched_again(shelf: Shelf, server: FileServer) -> None:
    pull(shelf)
    server.log.clear()
    assert not shelf.pull("net", QUICK, Quiet()).changed
    assert server.log == []


@pytest.mark.parametrize("file", ["net.tflite", "names.txt"])
def test_a_tampered_file_is_refused_and_repaired(
    shelf: Shelf, server: FileServer, file: str
) -> None:
    folder = pull(shelf)
    wrong = FILES[file][:-1] + b"!"
    (folder / file).write_bytes(wrong)
    assert {c.file: c.state for c in shelf.verify("net")}[file] == "damaged"
    with pytest.raises(BadModel) as caught:
        shelf.open("net")
    for data in (wrong, FILES[file]):
        assert hashlib.sha256(data).hexdigest() in caught.value.message
    assert caught.value.hint == "fetch it again: wasmlrun models pull net"
    server.log.clear()
    assert shelf.pull("net", QUICK, Quiet()).changed
    assert [name for name, _ in server.log] == [file], "only what is wrong is fetched"
    shelf.open("net")


def test_digests_beside_the_files_do_not_count(shelf: Shelf) -> None:
    folder = pull(shelf)
    wrong = MODEL[:-1] + b"!"
    (folder / "net.tflite").write_bytes(wrong)
    text = (folder / "entry.toml").read_text()
    good, bad = (hashlib.sha256(data).hexdigest() for data in (MODEL, wrong))
    (folder / "entry.toml").write_text(text.replace(good, bad) + "own = true\n")
    with pytest.raises(BadModel, match="is not the file that was pulled"):
        shelf.open("net")


@pytest.mark.parametrize("file", ["net.tflite", "names.txt", "net.toml", "entry.toml"])
def test_a_missing_file_is_fetched_again(shelf: Shelf, server: FileServer, file: str) -> None:
    folder = pull(shelf)
    (folder / file).unlink()
    if file != "entry.toml":
        assert shelf.standing("net").state == "incomplete"
    if file in FILES:
        assert {c.file: c.state for c in shelf.verify("net")}[file] == "missing"
    if file.startswith("net."):
        with pytest.raises(BadModel):
            shelf.open("net")
    assert pull(shelf) == folder
    shelf.open("net")
    assert shelf.standing("net").state == "pulled"


def test_a_repair_keeps_an_edited_manifest(shelf: Shelf) -> None:
    folder = pull(shelf)
    manifest = folder / "net.toml"
    manifest.write_text(manifest.read_text().replace('dtype = "u8"', 'dtype = "i8"'))
    (folder / "names.txt").unlink()
    pull(shelf)
    assert shelf.open("net")[2].dtype == "i8"


def test_a_new_catalogue_replaces_what_was_pulled(
    shelf: Shelf, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pull(shelf)
    (folder / "notes.md").write_text("the user's own")
    server.files["net2.tflite"] = newer = MODEL + b"2"
    model = RemoteFile(
        "net2.tflite", f"{server.url}/net2.tflite", len(newer), hashlib.sha256(newer).hexdigest()
    )
    old = entry_of(server)
    new = Entry("net", "newer", model, None, old.labels, classify={"size": 64})
    monkeypatch.setattr(shelf_module, "catalogue", lambda: {"net": new})
    with pytest.raises(BadModel):
        shelf.open("net")
    pull(shelf)
    assert files(folder) == {"net2.tflite", "names.txt", "net.toml", "entry.toml", "notes.md"}
    assert shelf.open("net")[2].size == (64, 64)


def test_a_failing_pull_leaves_no_model_and_continues_later(
    shelf: Shelf, server: FileServer
) -> None:
    server.acts["names.txt"] = [Act(status=404)]
    with pytest.raises(DownloadFailed):
        pull(shelf)
    assert shelf.standing("net").state == "available"
    assert not shelf.folder("net").exists()
    with pytest.raises(BadModel, match="net is not on this machine"):
        shelf.open("net")
    server.log.clear()
    pull(shelf)
    assert [name for name, _ in server.log] == ["names.txt"], "the model is here already"


def test_an_interrupted_pull_leaves_no_model_and_continues_later(
    shelf: Shelf, server: FileServer
) -> None:
    with pytest.raises(KeyboardInterrupt):
        shelf.pull("net", QUICK, Quiet(stop_at=100_000))
    assert not shelf.folder("net").exists()
    assert shelf.names() == ["net", "other"]
    server.log.clear()
    pull(shelf)
    first = server.ranges("net.tflite")[0]
    assert first is not None
    assert int(first.removeprefix("bytes=").rstrip("-")) > 0


def test_two_at_once_do_not_collide(shelf: Shelf, server: FileServer) -> None:
    server.acts["net.tflite"] = [Act(hold=1000)]
    changed: list[bool] = []
    watchers = [Quiet(), Quiet()]
    threads = [
        threading.Thread(
            target=lambda w: changed.append(Shelf(shelf.root).pull("net", QUICK, w).changed),
            args=(watcher,),
        )
        for watcher in watchers
    ]
    threads[0].start()
    assert server.held.wait(5)
    threads[1].start()
    while not watchers[1].heard:
        assert threads[1].is_alive()
        time.sleep(0.01)
    server.release.set()
    for thread in threads:
        thread.join(10)
    assert sorted(changed) == [False, True]
    assert watchers[1].heard == ["waiting for another process that has net"]
    assert [name for name, _ in server.log] == ["net.tflite", "names.txt"]


def test_models_do_not_wait_for_each_other(shelf: Shelf, server: FileServer) -> None:
    server.acts["net.tflite"] = [Act(hold=1000)]
    thread = threading.Thread(target=pull, args=(shelf,))
    thread.start()
    assert server.held.wait(5)
    pull(shelf, "other")
    server.release.set()
    thread.join(10)
    assert shelf.standing("net").state == shelf.standing("other").state == "pulled"


def test_unknown_names(shelf: Shelf) -> None:
    for action in (shelf.standing, shelf.path, shelf.verify, pull_of(shelf)):
        for name in ("nte", "..", "../net", "", "a\0b"):
            with pytest.raises(ShelfFailed, match="does not exist"):
                action(name)
    with pytest.raises(BadModel) as caught:
        shelf.open("nte")
    assert caught.value.hint == "did you mean net (wasmlrun models pull net)?"
    pull(shelf)
    with pytest.raises(BadModel) as caught:
        shelf.open("nte")
    assert caught.value.hint == "did you mean net?"
    with pytest.raises(BadModel) as caught:
        shelf.open("something else")
    assert "wasmlrun models list" in (caught.value.hint or "")


def pull_of(shelf: Shelf):  # type: ignore[no-untyped-def]
    return lambda name: shelf.pull(name, QUICK, Quiet())


def test_a_shelf_that_cannot_be_written(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ShelfFailed) as caught:
        Shelf(tmp_path / "file" / "models").pull("net", QUICK, Quiet())
    assert "the shelf of models cannot be used" in caught.value.message
    assert "WASMLRUN_DATA_DIR" in (caught.value.hint or "")


def test_remove(shelf: Shelf, server: FileServer) -> None:
    folder = pull(shelf)
    shelf.remove("net", Quiet())
    assert not folder.exists()
    assert files(shelf.root / ".partial") == set()
    with pytest.raises(ShelfFailed, match="net is not on this machine"):
        shelf.remove("net", Quiet())
    with pytest.raises(KeyboardInterrupt):
        shelf.pull("net", QUICK, Quiet(stop_at=1))
    shelf.remove("net", Quiet())
    assert files(shelf.root / ".partial") == set(), "what an attempt left is gone too"
    for name in ("..", "a/b"):
        with pytest.raises(UsageFault):
            shelf.remove(name, Quiet())


# ------------------------------------------------------------------- a user's own models


def add(
    shelf: Shelf,
    name: str,
    origin: Path | str,
    labels: Path | str | None = None,
    sha256: str | None = None,
) -> Path:
    told = None if labels is None else str(labels)
    return shelf.add(name, str(origin), told, sha256, QUICK, Quiet()).folder


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.tflite").write_bytes(MODEL)
    (tmp_path / "mine.txt").write_bytes(LABELS)
    return tmp_path / "mine.tflite"


def test_add_a_file(shelf: Shelf, mine: Path) -> None:
    folder = add(shelf, "own-net", mine, mine.with_suffix(".txt"))
    assert files(folder) == {"mine.tflite", "mine.txt", "own-net.toml", "entry.toml"}
    assert shelf.names() == ["net", "other", "own-net"]
    standing = shelf.standing("own-net")
    assert (standing.state, standing.entry.own) == ("added", True)
    mine.unlink()
    name, source, settings = shelf.open("own-net")
    assert (name, source.parts) == ("own-net", (MODEL,))
    assert settings.labels == folder / "mine.txt"
    shelf.remove("own-net", Quiet())
    assert shelf.names() == ["net", "other"]


def test_add_takes_over_the_manifest_beside_a_file(shelf: Shelf, mine: Path) -> None:
    mine.with_suffix(".toml").write_text(
        'version = "1"\n[classify]\nlabels = "mine.txt"\nsize = [3, 4]\nmean = [1, 2, 3]\n'
        'layout = "NCHW"\nlabel_offset = 1\n'
    )
    folder = add(shelf, "own", mine)
    settings = shelf.open("own")[2]
    assert settings.labels == folder / "mine.txt"
    assert (settings.size, settings.mean, settings.layout) == ((3, 4), (1.0, 2.0, 3.0), "NCHW")
    assert settings.label_offset == 1
    (folder / "own.toml").unlink()
    pull(shelf, "own")
    assert shelf.open("own")[2] == settings, "a repair knows the settings too"


def test_add_an_ir_with_its_weights(shelf: Shelf, colours: Path) -> None:
    folder = add(shelf, "colours", colours, colours.with_suffix(".txt"))
    assert files(folder) == {
        "colours.xml",
        "colours.bin",
        "colours.txt",
        "colours.toml",
        "entry.toml",
    }
    source = shelf.open("colours")[1]
    assert source.encoding is Encoding.OPENVINO
    weights = folder / "colours.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(BadModel, match=r"colours\.bin is not the file"):
        shelf.open("colours")


def test_add_from_an_address(shelf: Shelf, server: FileServer) -> None:
    folder = add(shelf, "a", f"{server.url}/x/net.tflite?download=1", f"{server.url}/names.txt")
    assert files(folder) == {"net.tflite", "names.txt", "a.toml", "entry.toml"}
    server.files["blob"] = MODEL
    folder = add(shelf, "b", f"{server.url}/blob", f"{server.url}/names.txt")
    assert "blob.tflite" in files(folder), "a folder's model is found by its suffix"
    shelf.open("b")


def test_a_users_model_ignores_the_mirror(shelf: Shelf, server: FileServer) -> None:
    transfer = Transfer(mirror="http://no-such-host.invalid", retries=0)
    shelf.add("a", f"{server.url}/net.tflite", None, None, transfer, Quiet())
    (shelf.folder("a") / "net.tflite").unlink()
    shelf.pull("a", transfer, Quiet())
    shelf.open("a")


def test_add_with_a_digest(shelf: Shelf, mine: Path, server: FileServer) -> None:
    good = hashlib.sha256(MODEL).hexdigest()
    add(shelf, "a", mine, sha256=good.upper())
    for origin in (mine, f"{server.url}/net.tflite"):
        with pytest.raises(DownloadFailed, match=f"sha256 is {good}, not {'0' * 64}"):
            add(shelf, "b", origin, sha256="0" * 64)
    with pytest.raises(UsageFault, match="is not a sha256 digest"):
        add(shelf, "b", mine, sha256="abc")
    assert not shelf.folder("b").exists()


def test_add_what_cannot_be_added(
    shelf: Shelf, mine: Path, tmp_path: Path, server: FileServer
) -> None:
    text = tmp_path / "text.bin"
    text.write_text("hello")
    server.files["page"] = b"\x00no model"
    for name in ("net", "mobilenet-cifar10"):
        with pytest.raises(UsageFault, match="is the name of a model that wasmlrun knows"):
            add(shelf, name, mine)
    with pytest.raises(UsageFault, match="cannot be a model's name"):
        add(shelf, "Net/1", mine)
    with pytest.raises(UsageFault, match="is a folder"):
        add(shelf, "a", tmp_path)
    with pytest.raises(UsageFault, match="is not an address"):
        add(shelf, "a", "ftp://host/net.tflite")
    with pytest.raises(BadModel, match="does not exist"):
        add(shelf, "a", tmp_path / "none.tflite")
    with pytest.raises(BadModel, match="too long"):
        add(shelf, "a", tmp_path / ("n" * 300))
    with pytest.raises(BadModel, match="of no known format"):
        add(shelf, "a", text)
    with pytest.raises(BadModel, match="of no known format"):
        add(shelf, "a", f"{server.url}/page")
    with pytest.raises(BadLabels, match="does not exist"):
        add(shelf, "a", mine, tmp_path / "none.txt")
    server.files["empty.txt"] = b""
    with pytest.raises(BadLabels, match="is empty"):
        add(shelf, "a", mine, f"{server.url}/empty.txt")
    mine.with_suffix(".toml").write_text("nonsense = 1")
    with pytest.raises(BadManifest):
        add(shelf, "a", mine)
    assert not shelf.folder("a").exists()
    mine.with_suffix(".toml").unlink()
    add(shelf, "a", mine)
    with pytest.raises(ShelfFailed, match="there is a model a already"):
        add(shelf, "a", mine)


def test_a_language_model_can_be_added(shelf: Shelf, tmp_path: Path) -> None:
    model = tmp_path / "x.gguf"
    model.write_bytes(b"GGUF\3\0\0\0")
    assert "x.gguf" in files(add(shelf, "a", model))
    (tmp_path / "y").write_bytes(model.read_bytes())
    assert "y.gguf" in files(add(shelf, "b", tmp_path / "y"))


def test_names_of_files_that_the_shelf_needs_itself(shelf: Shelf, mine: Path) -> None:
    labels = mine.with_name("entry.toml")
    labels.write_bytes(LABELS)
    folder = add(shelf, "a", mine, labels)
    assert files(folder) == {"mine.tflite", "labels.txt", "a.toml", "entry.toml"}
    odd = mine.with_name("my model (1).tflite")
    odd.write_bytes(MODEL)
    assert "my_model__1_.tflite" in files(add(shelf, "b", odd))
    shelf.open("b")


def test_a_damaged_own_model_is_fetched_from_where_it_came(shelf: Shelf, mine: Path) -> None:
    folder = add(shelf, "a", mine)
    (folder / mine.name).write_bytes(b"")
    with pytest.raises(BadModel):
        shelf.open("a")
    pull(shelf, "a")
    shelf.open("a")
    mine.write_bytes(MODEL + b"changed")
    (folder / mine.name).unlink()
    with pytest.raises(DownloadFailed):
        pull(shelf, "a")


def test_a_damaged_entry_is_told(shelf: Shelf, mine: Path) -> None:
    folder = add(shelf, "a", mine)
    (folder / "entry.toml").write_text("schema = 1\n[models]\n[files]\n")
    with pytest.raises(ShelfFailed, match="it has no model a"):
        shelf.open("a")
    (folder / "entry.toml").write_text("schema = ")
    with pytest.raises(ShelfFailed) as caught:
        shelf.standing("a")
    assert "wasmlrun models remove a" in (caught.value.hint or "")
    shelf.remove("a", Quiet())
    assert shelf.names() == ["net", "other"]
