"""The walls around the work: each forbidden thing is started from native code, and refused."""

from __future__ import annotations

import errno
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.core_guests import printing
from kit.outcome import Outcome

from wasmlrun.support.errors import UsageFault
from wasmlrun.walls import bpf, calls, child, files, system
from wasmlrun.walls.child import Fence
from wasmlrun.walls.reach import Reach

# a command's work, but for its attempts to get out; prints name -> error number, 0 is success
SCRIPT = """
import ctypes, json, os, socket, sys, termios, threading
from pathlib import Path
from wasmlrun.supervisor.blame import supervised
from wasmlrun.support.messages import Messages
from wasmlrun.walls import system
from wasmlrun.walls.child import Fence
from wasmlrun.walls.reach import Reach

walled, ground = sys.argv[1] == "walled", Path(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
numbers = system.architecture().numbers
parent = os.getpid()
given = (ctypes.c_uint64 * 16)()
uid, gid, owner = os.getuid(), os.getgid(), ctypes.c_int(parent)
KEY = 0x77000000 + parent
shared = libc.shmget(KEY, 4096, 0o1600)

def call(name, *arguments):
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(numbers[name]), *given)
    return ctypes.get_errno() if result < 0 else 0

def opened(path, flags, mode=0o600):
    ctypes.set_errno(0)
    found = libc.open(os.fsencode(path), flags, mode)
    return ctypes.get_errno() if found < 0 else 0

def named(function, *paths, mode=None):
    ctypes.set_errno(0)
    modes = [] if mode is None else [mode]
    result = getattr(libc, function)(*map(os.fsencode, paths), *modes)
    return ctypes.get_errno() if result < 0 else 0

def forked(name, *flags):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(numbers[name]), *map(ctypes.c_long, flags))
    if result == 0:
        os._exit(0)
    return ctypes.get_errno() if result < 0 else 0

def sent():
    try:
        one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.sendto(b"x", bytes(ground / "service"))
    except OSError as e:
        return e.errno
    return 0

def terminal(request, argument):
    # no terminal is not refused: 25
    ctypes.set_errno(0)
    return ctypes.get_errno() if libc.ioctl(other_end, request, argument) < 0 else 0

service = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
service.bind(bytes(ground / "service"))
_, other_end = os.openpty()
attributes = (ctypes.c_char * 64)()
libc.ioctl(other_end, termios.TCGETS, attributes)

def spawned():
    argv = (ctypes.c_char_p * 2)(b"/bin/true", None)
    number = ctypes.c_int()
    return libc.posix_spawn(ctypes.byref(number), b"/bin/true", None, None, argv, None)

def threaded():
    done = []
    thread = threading.Thread(target=lambda: done.append(1))
    thread.start()
    thread.join()
    return 0 if done else 1

W, C = os.O_WRONLY, os.O_CREAT
ATTEMPTS = {
    "start a program": spawned,
    "fork": lambda: forked("clone", 17, 0, 0, 0, 0),
    "make a process, the new way": lambda: call("clone3", given, 88),
    "open a connection": lambda: call("socket", 2, 1, 0),
    "open a local connection": lambda: call("socket", 1, 1, 0),
    "send to a local service": sent,
    "change the terminal": lambda: terminal(termios.TCSETS, attributes),
    "take Ctrl-C away": lambda: terminal(termios.TIOCSPGRP, ctypes.byref(ctypes.c_int(1))),
    "submit work around the filter": lambda: call("io_uring_setup", 4, given),
    "trace the parent": lambda: call("ptrace", 16, parent, 0, 0),
    "read the parent's memory": lambda: call("process_vm_readv", parent, given, 1, given, 1, 0),
    "signal the parent": lambda: call("kill", parent, 0),
    "signal everybody": lambda: call("kill", -1, 0),
    "signal a thread of the parent": lambda: call("tgkill", parent, parent, 0),
    "limit the parent": lambda: call("prlimit64", parent, 7, 0, given),
    "load a module": lambda: call("finit_module", -1, b"", 0),
    "use keys": lambda: call("keyctl", 0, -3, 0),
    "load a program into the kernel": lambda: call("bpf", 0, given, 72),
    "watch performance": lambda: call("perf_event_open", given, 0, -1, -1, 0),
    "enter a new user namespace": lambda: call("unshare", 0x10000000),
    "enter a new mount namespace": lambda: call("unshare", 0x00020000),
    "mount": lambda: call("mount", b"none", bytes(ground), b"tmpfs", 0, 0),
    "change the root": lambda: call("chroot", bytes(ground)),
    "open by handle": lambda: call("open_by_handle_at", -100, given, 0),
    "type into the terminal": lambda: call("ioctl", 0, 0x5412, b"x"),
    "map another program's shared memory": lambda: call("shmat", shared, 0, 0),
    "find it": lambda: call("shmget", KEY, 4096, 0),
    "remove it": lambda: call("shmctl", shared, 0, 0),
    "take another program's messages": lambda: call("msgget", KEY, 0o1600),
    "wait for another program": lambda: call("semget", KEY, 1, 0o1600),
    "remove a queue of messages": lambda: call("mq_unlink", b"wasmlrun-test"),
    "read the kernel's messages": lambda: call("syslog", 10, 0, 0),
    "slow the parent down": lambda: call("setpriority", 0, parent, 1),
    "slow its reading down": lambda: call("ioprio_set", 1, parent, 3 << 13),
    "outlive the parent": lambda: call("prctl", 1, 0, 0, 0, 0),
    "have the parent signalled": lambda: call("fcntl", 0, 8, parent),
    "have it signalled by a device": lambda: call("ioctl", 0, 0x8901, ctypes.byref(owner)),
    "open a secret to all": lambda: named("chmod", ground / "secret", mode=0o777),
    "the same from its folder": lambda: call("fchmodat", -100, bytes(ground / "secret"), 0o777),
    "the same, the new way": lambda: call("fchmodat2", -100, bytes(ground / "secret"), 0o777, 0),
    "give a secret away": lambda: call("fchownat", -100, bytes(ground / "secret"), uid, gid, 0),
    "mark a secret": lambda: call("setxattr", bytes(ground / "secret"), b"user.a", b"b", 1, 0),
    "watch a folder": lambda: call("inotify_add_watch", libc.inotify_init(), bytes(ground), 2),
    "read a secret": lambda: opened(ground / "secret", os.O_RDONLY),
    "read it through a link": lambda: opened(ground / "given" / "link", os.O_RDONLY),
    "read the users' passwords": lambda: opened("/etc/shadow", os.O_RDONLY),
    "read the parent's environment": lambda: opened(f"/proc/{parent}/environ", os.O_RDONLY),
    "write a secret": lambda: opened(ground / "secret", W),
    "write where it may read": lambda: opened(ground / "given" / "file", W),
    "make a file where it may read": lambda: opened(ground / "given" / "new", W | C),
    "empty a file": lambda: opened(ground / "given" / "file", W | os.O_TRUNC),
    "remove a file": lambda: named("unlink", ground / "given" / "file"),
    "make a link": lambda: named("symlink", "/etc", ground / "given" / "etc"),
    "move a secret": lambda: named("rename", ground / "secret", ground / "mine" / "secret"),
}
ALLOWED = {
    "read what was given": lambda: opened(ground / "given" / "file", os.O_RDONLY),
    "write what was given": lambda: opened(ground / "mine" / "new", W | C),
    "read what was named": lambda: opened(ground / "one", os.O_RDONLY),
    "start a thread": threaded,
    "signal itself": lambda: call("kill", os.getpid(), 0),
    "look at the system": lambda: opened("/proc/cpuinfo", os.O_RDONLY),
    "throw away": lambda: opened("/dev/null", W),
    "change the mode of a file of its own": lambda: libc.fchmod(own, 0o600),
    "have a pair of streams": lambda: 0 if socket.socketpair() else 1,
    "look at the terminal": lambda: terminal(termios.TCGETS, (ctypes.c_char * 64)()),
    "ask what a descriptor is": lambda: 0 if libc.fcntl(0, 3) >= 0 else ctypes.get_errno(),
}
HARMLESS = sys.argv[3:]

def work(board):
    if walled:
        import resource
        print(json.dumps({"core": resource.getrlimit(resource.RLIMIT_CORE)}))
    names = [*ATTEMPTS, *ALLOWED] if walled else HARMLESS
    global own
    own = os.open(ground / "mine" / "own", W | C)
    found = {name: {**ATTEMPTS, **ALLOWED}[name]() for name in names}
    status = Path("/proc/self/status").read_text()
    print(json.dumps([found, list(ALLOWED), os.getpgid(0) == os.getpid(), status]))
    return 0

reach = Reach((ground / "given", ground / "one"), (ground / "mine",))
fence = Fence(reach, required=True) if walled else None
try:
    code = supervised(work, lambda *_: 99, Messages(), fence=fence)
finally:
    assert libc.shmctl(shared, 0, None) == 0
sys.exit(code)
"""

# tried without walls, too, where they do no harm
HARMLESS = [
    "start a program",
    "fork",
    "open a local connection",
    "send to a local service",
    "change the terminal",
    "signal the parent",
    "limit the parent",
    "map another program's shared memory",
    "find it",
    "slow its reading down",
    "outlive the parent",
    "have the parent signalled",
    "open a secret to all",
    "the same from its folder",
    "give a secret away",
    "watch a folder",
    "read a secret",
    "write a secret",
    "make a file where it may read",
    "read the parent's environment",
    "make a link",
]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Any]:
    """What came of each attempt, with walls and without."""
    if system.architecture() is None or files.version() == 0:
        reason = "no Landlock here" if system.architecture() else "no walls for this processor"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    found = {}
    for walled in (True, False):
        ground = tmp_path_factory.mktemp("ground")
        for folder in ("given", "mine"):
            (ground / folder).mkdir()
        for file in ("secret", "given/file", "one"):
            (ground / file).write_text("content")
        (ground / "given" / "link").symlink_to("../secret")
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, "walled" if walled else "open", str(ground), *HARMLESS],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        found[walled] = json.loads(done.stdout.splitlines()[-1])
    return lambda walled: found[walled]


def test_nothing_that_is_forbidden_can_be_started(tried: Callable[[bool], Any]) -> None:
    results, allowed, _, _ = tried(True)
    refused = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EXDEV}
    through = {n: e for n, e in results.items() if n not in allowed and e not in refused}
    assert not through
    assert len(results) - len(allowed) > 45


def test_what_the_work_needs_is_possible(tried: Callable[[bool], Any]) -> None:
    results, allowed, _, _ = tried(True)
    assert {name: results[name] for name in allowed} == dict.fromkeys(allowed, 0)


@pytest.mark.parametrize("name", HARMLESS)
def test_without_the_walls_it_succeeds(tried: Callable[[bool], Any], name: str) -> None:
    """The control: it is the walls that refuse."""
    assert tried(False)[0][name] == 0


def test_the_process_has_no_way_back(tried: Callable[[bool], Any]) -> None:
    _, _, own_group, status = tried(True)
    assert own_group
    assert re.search(r"^NoNewPrivs:\s*1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\s*2$", status, re.MULTILINE)


def test_no_core_is_dumped_and_files_are_bounded() -> None:
    script = (
        "import resource\nfrom wasmlrun.walls.child import Fence, stand\nstand(Fence())\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_FSIZE))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    size = child.MAX_FILE_BYTES
    assert done.stdout == f"(0, 0) ({size}, {size})\n"


# --- the filter -----------------------------------------------------------------------------------


def evaluated(program: bytes, data: bytes) -> int:
    """What a filter answers: a machine for the instructions it may have."""
    steps = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    at, word = 0, 0
    while True:
        code, then, otherwise, value = steps[at]
        at += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            (word,) = struct.unpack_from("<I", data, value)
            continue
        holds = {0x15: word == value, 0x35: word >= value, 0x45: bool(word & value)}[code]
        at += then if holds else otherwise


ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS


@pytest.mark.parametrize("name", ["x86_64", "aarch64"])
def test_the_filter_of_each_architecture(name: str) -> None:
    known = system._ARCHITECTURES[name]
    program = bpf.assembled(calls.program(known, 4242))

    def answer(number: int, *arguments: int, audit: int = known.audit) -> int:
        given = [*arguments, *[0] * 6][:6]
        return evaluated(program, struct.pack("<iIQ6Q", number, audit, 0, *given))

    def named(call: str, *arguments: int) -> int:
        return answer(known.numbers[call], *arguments)

    for call in set(calls.REFUSED) - known.absent:
        assert named(call) == EPERM, call
    assert named("clone3") == ENOSYS
    thread = 0x3D0F00
    assert named("clone", thread) == ALLOW
    assert named("clone", 17) == EPERM
    assert named("clone", thread | 0x10000000) == EPERM
    for call in ("kill", "tgkill"):
        assert (named(call, 4242), named(call, 1)) == (ALLOW, EPERM)
    assert [named("prlimit64", process) for process in (0, 4242, 1)] == [ALLOW, ALLOW, EPERM]
    assert (named("ioctl", 0, 0x5401), named("ioctl", 0, 0x5412)) == (ALLOW, EPERM)
    assert [named("ioctl", 0, request) for request in (0x8901, 0x8902)] == [EPERM, EPERM]
    assert [named("fcntl", 0, command) for command in (3, 8, 15)] == [ALLOW, EPERM, EPERM]
    assert [named("prctl", option) for option in (1, 38)] == [EPERM, ALLOW]
    assert named("socket", 2) == EPERM
    # with flags and without: streams, datagrams, raw, packets
    for kind, wanted in ((1, ALLOW), (0o2004001, ALLOW), (2, EPERM), (0o2000002, EPERM)):
        assert named("socketpair", 1, kind) == wanted
    assert [named("socketpair", 1, kind) for kind in (3, 4, 5)] == [EPERM] * 3
    for request in (0x5402, 0x5408, 0x5410, 0x402C542B):
        assert named("ioctl", 0, request) == EPERM
    online = bpf.assembled(calls.program(known, 4242, network=True))
    for family, wanted in ((2, ALLOW), (10, ALLOW), (16, ALLOW), (1, EPERM), (17, EPERM)):
        data = struct.pack("<iIQ6Q", known.numbers["socket"], known.audit, 0, family, *[0] * 5)
        assert evaluated(online, data) == wanted
    assert answer(63 if name == "aarch64" else 0) == ALLOW  # read
    assert answer(0, audit=0x40000003) == EPERM
    if known.foreign is not None:
        assert answer(known.foreign | 59) == EPERM


def test_a_refused_call_without_a_number_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    known = system._ARCHITECTURES.values()
    everywhere = frozenset.intersection(*(each.absent for each in known))
    assert not everywhere & set(calls.REFUSED)
    assert not any(each.absent & set(each.numbers) for each in known)
    monkeypatch.setattr(calls, "REFUSED", (*calls.REFUSED, "exceve"))
    for each in known:
        with pytest.raises(KeyError, match="exceve"):
            calls.program(each, 4242)


HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}


@pytest.mark.parametrize("name", HEADERS)
def test_the_numbers_are_the_kernels(name: str) -> None:
    path = Path(HEADERS[name])
    if not path.exists():
        pytest.skip("the kernel's headers are not installed")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text())
    numbers = {call: int(number) for call, number in found}
    ours = system._ARCHITECTURES[name].numbers
    assert {call: numbers.get(call, ours[call]) for call in ours} == ours
    if name == "x86_64":  # the other's file has the calls of older processors, too
        assert not system._ARCHITECTURES[name].absent & set(numbers)


@pytest.mark.parametrize("label", ["behind", "nowhere", "far"])
def test_a_jump_that_cannot_be_made_is_an_error(label: str) -> None:
    program: list[bpf.Instruction] = [bpf.Label("behind"), bpf.number(), bpf.equal(1, label)]
    program += [bpf.allow()] * 300 + [bpf.Label("far")]
    with pytest.raises(ValueError, match=f"no label {label} within reach"):
        bpf.assembled(program)


# --- where a wall is missing ---------------------------------------------------------------------


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that has none of it, in a process that must not be walled in."""

    def missing(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(child, "prctl", missing)
    monkeypatch.setattr(child, "_limit", lambda: None)
    monkeypatch.setattr(files, "restrict_files", missing)
    monkeypatch.setattr(calls, "refuse_calls", missing)


@pytest.mark.usefixtures("bare")
def test_a_missing_wall_is_named_and_no_error_unless_it_is_required() -> None:
    walls = child.stand(Fence(Reach()))
    assert [wall.name for wall in walls if wall.missing] == [
        "no new privileges",
        "files",
        "system calls",
    ]
    with pytest.raises(UsageFault, match="this system lacks a wall") as caught:
        child.stand(Fence(Reach(), required=True))
    assert "system calls: Function not implemented" in caught.value.message


def test_the_flag_is_an_error_where_a_wall_is_missing(
    tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    script = (
        "import sys\nfrom wasmlrun.walls import files\nfrom wasmlrun.cli import invoke\n"
        "files.version = lambda: 0\nsys.exit(invoke(sys.argv[1:]))"
    )
    worker = make_worker(tmp_path, printing("ran"))
    for flags, code, out in (((), 0, "ran"), (("--require-isolation",), 2, "")):
        done = subprocess.run(
            [sys.executable, "-c", script, "run", str(worker), *flags],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (code, out), done.stderr
    assert "files: this kernel has no Landlock" in done.stderr


def test_the_flag_is_met_here(
    tried: Callable[[bool], Any],
    tmp_path: Path,
    make_worker: Callable[..., Path],
    run_cli: Callable[..., Outcome],
) -> None:
    outcome = run_cli(["run", make_worker(tmp_path, printing("ran")), "--require-isolation"])
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "ran", "")


def test_a_process_that_the_work_left_behind_is_killed(tmp_path: Path) -> None:
    """Where no filter forbids it: the whole group goes."""
    script = """
import os, sys, time
from wasmlrun.supervisor.parent import supervise
from wasmlrun.support.messages import Messages
def work(board):
    if os.fork() == 0:
        os.closerange(3, 100)
        print(os.getpid(), flush=True)
        time.sleep(60)
    time.sleep(0.2)
    return 7
sys.exit(supervise(work, lambda *_: 99, Messages()))
"""
    started = subprocess.run(
        [sys.executable, "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert started.returncode == 7
    left = int(started.stdout)
    try:
        state = Path(f"/proc/{left}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return
    assert state == "Z"
