"""The cache: what it gives back is what was put in, or nothing."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs
import pytest
from kit.core_guests import printing
from kit.outcome import Outcome

from wasmlrun.sandbox import precompile
from wasmlrun.support.cache import DEFAULT_BOUND, Cache, key_of
from wasmlrun.support.userdata import cache_dir

KEY = key_of("a")
OTHER = key_of("b")
DATA = b"payload" * 100


class Kept:
    """A cache with one entry, and what it says."""

    def __init__(self, root: Path) -> None:
        self.said: list[str] = []
        self.cache = Cache(root, tell=self.said.append)
        self.cache.put("kind", KEY, "a thing", DATA)
        self.index = root / "kind" / f"{KEY}.entry"
        (self.payload,) = (root / "payloads").iterdir()

    def is_refused(self, why: str) -> None:
        """The entry is not used, it is told why, and it is forgotten."""
        assert self.cache.get("kind", KEY) is None
        assert len(self.said) == 1
        assert why in self.said[0]
        assert not self.index.exists()
        self.cache.put("kind", KEY, "a thing", DATA)
        hit = self.cache.get("kind", KEY)
        assert hit is not None
        assert hit.data == DATA


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "cache")


def test_what_was_kept_is_found(kept: Kept) -> None:
    hit = kept.cache.get("kind", KEY)
    assert hit is not None
    assert hit.data == DATA
    assert kept.cache.get("kind", OTHER) is None
    assert kept.cache.get("other", KEY) is None
    assert kept.said == []


def test_nobody_else_may_look(kept: Kept) -> None:
    assert kept.cache.root is not None
    for path in [kept.cache.root, *kept.cache.root.rglob("*")]:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


# --- what is not used ---------------------------------------------------------------------------


def test_a_truncated_payload(kept: Kept) -> None:
    os.truncate(kept.payload, len(DATA) - 1)
    kept.is_refused("its bytes have changed")


def test_a_tampered_payload(kept: Kept) -> None:
    kept.payload.write_bytes(b"q" + DATA[1:])
    kept.is_refused("its bytes have changed")


def test_an_empty_payload(kept: Kept) -> None:
    kept.payload.write_bytes(b"")
    kept.is_refused("its bytes have changed")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"what it is",
        b"0" * 64,  # no second line
        b"../../../etc/passwd\nwhat",
        b"/" * 64 + b"\nwhat",
        b"A" * 64 + b"\nwhat",
        b"0" * 63 + b"\nwhat",
        b"0" * 65 + b"\nwhat",
        b"\xff\xfe\n",
        b'{"sha256": "' + b"0" * 64 + b'"}\n',
    ],
)
def test_a_tampered_index(kept: Kept, content: bytes) -> None:
    kept.index.write_bytes(content)
    assert kept.cache.get("kind", KEY) is None
    assert not kept.index.exists()
    assert kept.cache.entries() == []


def test_a_payload_that_others_may_write_to(kept: Kept) -> None:
    kept.payload.chmod(0o622)
    kept.is_refused("others may write to it")


def test_an_index_that_others_may_write_to(kept: Kept) -> None:
    kept.index.chmod(0o620)
    kept.is_refused("others may write to it")


def test_a_folder_that_others_may_write_to(kept: Kept) -> None:
    assert kept.cache.root is not None
    kept.cache.root.chmod(0o777)
    assert kept.cache.get("kind", KEY) is None
    kept.cache.put("kind", OTHER, "another", DATA)
    assert any("others may write to" in text for text in kept.said)
    kept.cache.root.chmod(0o700)
    assert kept.cache.get("kind", KEY) is not None
    assert kept.cache.get("kind", OTHER) is None


@pytest.mark.parametrize("level", ["kind", "payloads"])
@pytest.mark.parametrize("fault", ["others may write to", "is a link, or no folder"])
def test_every_level_is_checked(kept: Kept, level: str, fault: str, tmp_path: Path) -> None:
    """The root may be in order and a folder in it not."""
    assert kept.cache.root is not None
    folder = kept.cache.root / level
    if fault == "others may write to":
        folder.chmod(0o777)
    else:
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    assert kept.cache.get("kind", KEY) is None
    kept.cache.put("kind", OTHER, "another", DATA)
    assert kept.said
    before = sorted(path.name for path in folder.iterdir())
    kept.cache.prune(0)
    assert sorted(path.name for path in folder.iterdir()) == before, "somebody else's was removed"


def test_the_root_may_be_a_link_of_ones_own(kept: Kept, tmp_path: Path) -> None:
    assert kept.cache.root is not None
    (tmp_path / "alias").symlink_to(kept.cache.root)
    cache = Cache(tmp_path / "alias")
    assert cache.get("kind", KEY) is not None
    cache.put("kind", OTHER, "another", DATA)
    assert cache.get("kind", OTHER) is not None
    if os.getuid() == 0:
        os.chown(tmp_path / "alias", 12345, 12345, follow_symlinks=False)
        assert cache.get("kind", KEY) is None


def test_a_swapping_attacker_never_gets_other_bytes_in(kept: Kept, tmp_path: Path) -> None:
    """Somebody who may write above the cache exchanges its folder, again and again."""
    root = kept.cache.root
    assert root is not None
    evil = tmp_path / "evil"
    shutil.copytree(root, evil)
    (evil / "payloads" / kept.payload.name).write_bytes(b"evil")
    evil.joinpath("payloads").chmod(0o777)
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            root.rename(tmp_path / "kept")
            evil.rename(root)
            root.rename(evil)
            (tmp_path / "kept").rename(root)

    found = {kept.cache.get("kind", KEY).data}  # type: ignore[union-attr]
    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        for _ in range(2000):
            hit = kept.cache.get("kind", KEY)
            found.add(hit.data if hit is not None else DATA)  # none is made anew
    finally:
        over.set()
        attacker.join()
    assert found == {DATA}


def test_temporary_files_of_processes_that_are_no_more_are_swept(kept: Kept) -> None:
    assert kept.cache.root is not None
    dead, alive = (kept.cache.root / "kind" / f".{n}-x" for n in (99_999_999, os.getpid()))
    dead.touch()
    alive.touch()
    kept.cache.sweep()
    assert (dead.exists(), alive.exists()) == (False, True)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="there are no owners")
def test_a_file_of_another_user(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getuid() == 0:
        os.chown(kept.payload, 12345, 12345)
        kept.is_refused("it belongs to another user")
    else:
        user = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: user + 1)
        assert kept.cache.get("kind", KEY) is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="there are no owners")
def test_a_folder_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(tmp_path / "cache")
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    kept.cache.put("kind", OTHER, "another", DATA)
    assert any("belongs to another user" in text for text in kept.said)
    assert not kept.index.with_name(f"{OTHER}.entry").exists()


def test_a_link_in_place_of_a_payload(kept: Kept, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(DATA)
    kept.payload.unlink()
    kept.payload.symlink_to(elsewhere)
    assert kept.cache.get("kind", KEY) is None
    assert len(kept.said) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_in_place_of_a_payload_does_not_make_it_wait(kept: Kept) -> None:
    kept.payload.unlink()
    os.mkfifo(kept.payload, 0o600)
    kept.is_refused("it is not a regular file")


def in_place(path: Path, what: str) -> None:
    """Put into an index's or a payload's place what a process that was taken over may leave."""
    path.unlink()
    if what == "endless":
        path.symlink_to("/dev/zero")
    elif what == "pipe":
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)  # takes no room on the disk
        path.chmod(0o600)


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
@pytest.mark.parametrize("what", ["endless", "pipe", "huge"])
def test_what_stands_in_an_indexs_place_is_not_read(kept: Kept, what: str) -> None:
    in_place(kept.index, what)
    assert kept.cache.entries() == []
    kept.cache.prune()
    if what == "huge":
        kept.is_refused("it has more than 65536 bytes")
    else:
        assert kept.cache.get("kind", KEY) is None


@pytest.mark.skipif(os.name != "posix", reason="files with holes")
def test_a_payload_larger_than_the_cache_may_be_is_not_read(kept: Kept) -> None:
    in_place(kept.payload, "huge")
    kept.is_refused(f"it has more than {DEFAULT_BOUND} bytes")


def test_a_payload_that_is_gone(kept: Kept) -> None:
    kept.payload.unlink()
    assert kept.cache.get("kind", KEY) is None


# --- places that cannot be used -----------------------------------------------------------------


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "cache", tell=said.append)
    cache.put("kind", KEY, "a thing", DATA)
    assert cache.get("kind", KEY) is None
    assert said[0].startswith("cache: cannot keep a thing: ")
    assert cache.entries() == []
    assert cache.prune() == 0
    assert cache.clear() == 0


def test_a_disk_that_fills_up(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    kept.cache.put("kind", OTHER, "another", DATA)
    monkeypatch.undo()
    assert kept.said == ["cache: cannot keep another: No space left on device"]
    assert kept.cache.get("kind", OTHER) is None
    assert [p.name for p in kept.payload.parent.iterdir()] == [kept.payload.name]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=65536", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only who may mount can have a disk that is full")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_full(tiny_disk: Path) -> None:
    said: list[str] = []
    cache = Cache(tiny_disk / "cache", tell=said.append)
    cache.put("kind", KEY, "a thing", os.urandom(1 << 20))
    assert said == ["cache: cannot keep a thing: No space left on device"]
    assert cache.get("kind", KEY) is None
    assert list((tiny_disk / "cache" / "payloads").iterdir()) == []
    cache.put("kind", OTHER, "a small thing", DATA)
    hit = cache.get("kind", OTHER)
    assert hit is not None
    assert hit.data == DATA


def test_without_a_place_nothing_is_kept() -> None:
    cache = Cache(None)
    cache.put("kind", KEY, "a thing", DATA)
    assert cache.get("kind", KEY) is None
    assert (cache.entries(), cache.size(), cache.prune(), cache.clear()) == ([], 0, 0, 0)


# --- size ---------------------------------------------------------------------------------------


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    said: list[str] = []
    cache = Cache(tmp_path / "cache", tell=said.append)
    cache.put("kind", KEY, "worker \udcff.wasm", b"payload")
    assert cache.get("kind", KEY) is not None
    assert [entry.what for entry in cache.entries()] == ["worker \\udcff.wasm"]
    assert said == []


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", bound=3500)
    keys = [key_of(str(n)) for n in range(3)]
    for age, key in enumerate(keys):
        cache.put("kind", key, key, key.encode() * 16)  # 1024 bytes
        os.utime(tmp_path / "cache" / "kind" / f"{key}.entry", (1000 + age, 1000 + age))
    assert cache.get("kind", keys[0]) is not None  # used: now the youngest
    cache.put("kind", KEY, "one more", DATA)
    found = {entry.key for entry in cache.entries()}
    assert found == {keys[0], keys[2], KEY}
    assert cache.size() <= 3500


def test_what_is_larger_than_the_bound_is_not_kept(tmp_path: Path) -> None:
    said: list[str] = []
    cache = Cache(tmp_path / "cache", bound=10, tell=said.append)
    cache.put("kind", KEY, "a thing", DATA)
    assert said == ["cache: a thing is larger than the cache may be"]
    assert cache.size() == 0


def test_equal_payloads_are_kept_once(kept: Kept) -> None:
    kept.cache.put("kind", OTHER, "the same", DATA)
    assert (len(kept.cache.entries()), kept.cache.size()) == (2, len(DATA))
    kept.cache.drop("kind", KEY)
    kept.cache.prune()
    assert kept.cache.get("kind", OTHER) is not None


def test_clear_removes_everything(kept: Kept) -> None:
    assert kept.cache.clear() == len(DATA)
    assert kept.cache.get("kind", KEY) is None
    assert kept.cache.size() == 0


def test_leftovers_of_a_killed_process_are_removed(kept: Kept) -> None:
    mine = kept.payload.with_name(".123-abc")
    others = kept.payload.with_name(".1234-abc")
    for path in (mine, others):
        path.write_bytes(b"half")
    kept.cache.remove_leftovers(123)
    assert (mine.exists(), others.exists()) == (False, True)
    kept.cache.prune()
    assert others.exists(), "it may still be written"
    os.utime(others, (1000, 1000))
    kept.cache.prune()
    assert not others.exists()
    assert kept.cache.get("kind", KEY) is not None


# --- several processes --------------------------------------------------------------------------


def _write_and_read(root: Path, number: int) -> None:
    said: list[str] = []
    cache = Cache(root, tell=said.append)
    for turn in range(40):
        shared, own = key_of("shared"), key_of(str(number), str(turn))
        cache.put("kind", shared, "shared", b"%d" % number * 5000)
        cache.put("kind", own, "own", own.encode() * 50)
        hit = cache.get("kind", shared)
        assert hit is not None
        assert len(set(hit.data)) == 1, "halves of two writers"
        assert len(hit.data) == 5000
        hit = cache.get("kind", own)
        assert hit is not None
        assert hit.data == own.encode() * 50
    assert said == []


def test_several_processes_write_and_read_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    root = tmp_path / "cache"
    processes = [context.Process(target=_write_and_read, args=(root, n)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(Cache(root).entries()) == 3 * 40 + 1
    assert list(root.glob("*/.*")) == []


# --- machine code -------------------------------------------------------------------------------


@pytest.fixture
def own_cache(tmp_path: Path) -> dict[str, str]:
    return {"WASMLRUN_CACHE_DIR": str(tmp_path / "own")}


def _workers(own_cache: dict[str, str]) -> list[Path]:
    return sorted(Path(own_cache["WASMLRUN_CACHE_DIR"]).glob("workers/*.entry"))


def test_tampered_machine_code_is_never_executed(
    tmp_path: Path,
    make_worker: Callable[..., Path],
    run_cli: Callable[..., Outcome],
    own_cache: dict[str, str],
) -> None:
    good = make_worker(tmp_path, printing("good"), name="good")
    evil = make_worker(tmp_path, printing("evil"), name="evil")
    assert run_cli(["run", good], env=own_cache).stdout == "good"
    (entry,) = _workers(own_cache)
    assert run_cli(["run", evil], env=own_cache).stdout == "evil"
    (other,) = set(_workers(own_cache)) - {entry}
    payloads = Path(own_cache["WASMLRUN_CACHE_DIR"]) / "payloads"
    mine, theirs = (payloads / p.read_text().splitlines()[0] for p in (entry, other))
    mine.write_bytes(theirs.read_bytes())

    outcome = run_cli(["run", good, "-v"], env=own_cache)
    assert outcome.stdout == "good"
    assert "its bytes have changed" in outcome.stderr
    assert run_cli(["run", good], env=own_cache).stdout == "good"


def test_the_second_run_restores_machine_code(
    tmp_path: Path, make_worker: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without a cache hit the test above would prove nothing."""
    from wasmlrun.sandbox.worker import Runtime, Worker
    from wasmlrun.support.limits import Limits
    from wasmlrun.wasmtime_c import Engine, Module

    path = make_worker(tmp_path, printing("x"))
    restored: list[bytes] = []
    restore = Module.restored

    def noticed(engine: Engine, code: bytes) -> Module:
        restored.append(code)
        return restore(engine, code)

    monkeypatch.setattr(Module, "restored", noticed)
    cache = Cache(tmp_path / "cache")
    for _ in range(2):
        Worker(Runtime(Limits(), cache), path)
    assert len(restored) == 1

    monkeypatch.setattr(precompile, "library_identity", lambda: "another wasmtime")
    Worker(Runtime(Limits(), cache), path)
    assert len(restored) == 1, "machine code of another wasmtime was used"


def test_machine_code_that_does_not_fit_is_made_again(
    tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    from wasmlrun.sandbox.worker import Runtime, Worker
    from wasmlrun.support.limits import Limits

    path = make_worker(tmp_path, printing("x"))
    cache = Cache(tmp_path / "cache")
    Worker(Runtime(Limits(), cache), path)
    ((kind, key),) = [(e.kind, e.key) for e in cache.entries()]
    cache.put(kind, key, "what wasmtime refuses", b"junk")
    assert Worker(Runtime(Limits(), cache), path)
    hit = cache.get(kind, key)
    assert hit is not None
    assert hit.data != b"junk"


def test_no_cache_leaves_nothing_behind(
    tmp_path: Path,
    make_worker: Callable[..., Path],
    run_cli: Callable[..., Outcome],
    own_cache: dict[str, str],
) -> None:
    worker = make_worker(tmp_path, printing("x"))
    assert run_cli(["run", worker, "--no-cache"], env=own_cache).code == 0
    assert not Path(own_cache["WASMLRUN_CACHE_DIR"]).exists()
    assert run_cli(["run", worker], env=own_cache).code == 0
    assert len(_workers(own_cache)) == 1


def test_the_place_is_the_users_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WASMLRUN_CACHE_DIR", str(tmp_path / "x"))
    assert cache_dir() == tmp_path / "x"
    monkeypatch.delenv("WASMLRUN_CACHE_DIR")
    for place in (str(tmp_path), "", None):
        if place is None:
            monkeypatch.delenv("XDG_CACHE_HOME")
        else:
            monkeypatch.setenv("XDG_CACHE_HOME", place)
        assert cache_dir() == platformdirs.user_cache_path("wasmlrun", appauthor=False)
