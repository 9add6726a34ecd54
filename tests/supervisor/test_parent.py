"""The parent process: it outlives whatever its child meets, and says what that was."""

from __future__ import annotations

import ctypes
import faulthandler
import json
import math
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kit.core_guests import ENDLESS, printing, program
from kit.outcome import Outcome

from wasmlrun.supervisor import blame
from wasmlrun.supervisor.blame import error_of
from wasmlrun.supervisor.outbox import Letter
from wasmlrun.supervisor.parent import Death, supervise
from wasmlrun.supervisor.stages import Board, Stage
from wasmlrun.support import tempfiles
from wasmlrun.support.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    BadImage,
    BadModel,
    LimitExceeded,
    WasmlrunError,
    WorkerFailed,
)
from wasmlrun.support.limits import Limits
from wasmlrun.support.messages import Messages
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tempfiles import model_file, own_folder, private_folder

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

LATE = 60.0
"""Longer than anything here takes; a test that waits this long has failed."""
SOURCE = ModelSource(Encoding.TENSORFLOW_LITE, (b"\0\0\0\0TFL3",))


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)


def supervised(work: Callable[[Board], int]) -> tuple[int, list[Death]]:
    """The exit code, and the deaths on the way to it."""
    deaths: list[Death] = []

    def on_death(death: Death, board: Board) -> int:
        deaths.append(death)
        return 99

    return supervise(work, on_death, Messages()), deaths


def crash(number: signal.Signals = signal.SIGSEGV) -> None:
    faulthandler.disable()  # pytest's, which would tell of it
    os.kill(os.getpid(), number)
    time.sleep(LATE)


# --- how a child ends ---------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 3, 141])
def test_the_exit_code_is_the_works(code: int) -> None:
    assert supervised(lambda board: code) == (code, [])


def test_the_work_is_done_in_another_process(capfd: pytest.CaptureFixture[str]) -> None:
    def work(board: Board) -> int:
        print(os.getpid())
        return 0

    supervised(work)
    assert int(capfd.readouterr().out) != os.getpid()


def test_an_exception_is_a_bug_and_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    def work(board: Board) -> int:
        raise RuntimeError("nobody foresaw this")

    assert supervised(work) == (EXIT_BUG, [])
    assert "a bug in wasmlrun: RuntimeError: nobody foresaw this" in capfd.readouterr().err


@pytest.mark.parametrize("code", [0, 9, 127])
def test_a_child_that_native_code_ends_is_a_death_with_its_exit_code(code: int) -> None:
    def work(board: Board) -> int:
        with board.doing(Stage.MODEL, "m.onnx"):
            os._exit(code)

    told, (death,) = supervised(work)
    assert (told, death.signal, death.exit_code, death.timed_out) == (99, 0, code, False)
    assert [doing.what for doing in death.doing] == ["m.onnx"]


def test_an_exit_code_of_the_work_may_be_any_number() -> None:
    assert supervised(lambda board: 127) == (127, [])


def test_what_native_code_ended_in_words() -> None:
    with (board := Board()).doing(Stage.MODEL, "model m.onnx"):
        error = error_of(Death(0, False, board.running(), 1), 60)
    assert (error.exit_code, error.message) == (
        3,
        "the inference engine ended the process (exit code 1) while it read model m.onnx",
    )
    error = error_of(Death(0, False, [], 0), 60)
    assert error.message == "the process was ended from inside (exit code 0)"


def test_a_loader_without_memory_in_words() -> None:
    error = error_of(Death(0, False, [], 127), 60)
    assert isinstance(error, LimitExceeded)
    assert error.message == "the system had no memory left to start a part of the process"
    assert error.hint == "raise --max-process-memory, or give the machine more memory"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE])
def test_a_crash_is_a_death_with_its_signal(number: signal.Signals) -> None:
    def work(board: Board) -> int:
        with board.doing(Stage.GUEST, "a.wasm"), board.doing(Stage.MODEL, "m.onnx"):
            crash(number)
        return 0

    code, (death,) = supervised(work)
    assert code == 99
    assert (death.signal_name, death.timed_out) == (number.name, False)
    assert [(d.stage, d.what) for d in death.doing] == [
        (Stage.MODEL, "m.onnx"),
        (Stage.GUEST, "a.wasm"),
    ]


def test_native_code_that_outlasts_the_deadline_is_killed() -> None:
    def work(board: Board) -> int:
        board.deadline = time.monotonic() + 0.2
        with board.doing(Stage.INFERENCE, "an inference"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
            time.sleep(LATE)
        return 0

    started = time.monotonic()
    code, (death,) = supervised(work)
    assert (code, death.timed_out) == (99, True)
    assert time.monotonic() - started < LATE / 2


@pytest.mark.parametrize("told", [0.0, math.nan, math.inf, -1.0, 1e300])
def test_a_child_that_was_taken_over_gives_itself_no_more_time(told: float) -> None:
    def work(board: Board) -> int:
        board.timeout = board.deadline = told
        board.report(2**32 - 1, 0)
        time.sleep(LATE)
        return 0

    deaths: list[Death] = []

    def on_death(death: Death, board: Board) -> int:
        deaths.append(death)
        board.report(board.done + 1, 3)
        return 99

    started = time.monotonic()
    assert supervise(work, on_death, Messages(), timeout=0.2) == 99
    assert [death.timed_out for death in deaths] == [True]
    assert time.monotonic() - started < LATE / 2


def test_nor_is_its_word_for_the_limit_told() -> None:
    def work(board: Board) -> int:
        board.timeout, board.deadline = 7e7, 0.0
        time.sleep(LATE)
        return 0

    told: list[WasmlrunError] = []

    def tell(error: WasmlrunError, *_: object) -> int:
        told.append(error)
        return error.exit_code

    assert blame.supervised(work, tell, Messages(), limits=Limits(timeout=0.5)) == 5
    assert "the timeout limit of 0.5 " in told[0].message


def leave_somebody_behind() -> None:
    """A process that has left the child's group, and keeps open whatever the child had open."""
    if os.fork() == 0:
        os.setsid()
        time.sleep(LATE)
        os._exit(0)


@pytest.mark.skipif(sys.platform != "linux", reason="a child's end cannot be waited for with more")
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_death_is_noticed_though_somebody_keeps_the_childs_pipes_open(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    def work(board: Board) -> int:
        board.deadline = time.monotonic() + LATE / 2
        leave_somebody_behind()
        board.deliver(Letter(0, b"answered\n", b""))
        crash(number)
        return 0

    code, (death,) = supervised(work)
    assert (code, death.signal, death.timed_out) == (99, number, False)
    assert capfd.readouterr().out == "answered\n"


def test_time_ends_a_child_that_left_somebody_behind_and_hangs() -> None:
    def work(board: Board) -> int:
        board.deadline = time.monotonic() + 0.2
        leave_somebody_behind()
        time.sleep(LATE)
        return 0

    started = time.monotonic()
    code, (death,) = supervised(work)
    assert (code, death.timed_out) == (99, True)
    assert time.monotonic() - started < LATE / 2


@pytest.mark.parametrize("moment", ["at the start", "in an answer"])
def test_time_ends_a_child_that_neither_dies_nor_answers(moment: str) -> None:
    def work(board: Board) -> int:
        if moment == "in an answer":
            assert board.outbox is not None
            os.write(board.outbox._letters, struct.pack("<iII", 0, 1000, 0) + b"half")
        os.kill(os.getpid(), signal.SIGSTOP)
        return 0

    deaths: list[Death] = []

    def on_death(death: Death, board: Board) -> int:
        deaths.append(death)
        return 99

    assert supervise(work, on_death, Messages(), timeout=0.2) == 99
    assert [death.timed_out for death in deaths] == [True]


def lock_twice() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def lock_twice_with_the_interpreter() -> None:
    """Another thread asks for the interpreter again and again, in vain."""
    mutex = ctypes.create_string_buffer(256)
    threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
    time.sleep(0.1)
    native = ctypes.PyDLL(None)  # does not let go of it
    native.pthread_mutex_lock(mutex)
    native.pthread_mutex_lock(mutex)


stuck = pytest.mark.skipif(
    sys.platform != "linux" or not os.access("/proc/self/syscall", os.R_OK),
    reason="nobody says what a thread waits for",
)


@stuck
@pytest.mark.parametrize("hang", [lock_twice, lock_twice_with_the_interpreter])
def test_threads_that_wait_for_each_other_are_not_waited_for(hang: Callable[[], None]) -> None:
    def work(board: Board) -> int:
        board.deadline = time.monotonic() + 10 * LATE
        with board.doing(Stage.MODEL, "m.onnx"):
            hang()
        return 0

    code, (death,) = supervised(work)
    assert (code, death.stuck, death.timed_out) == (99, True, False)
    error = error_of(death, 60)
    assert isinstance(error, BadModel)
    assert error.message == (
        "the inference engine hung (its threads waited for each other, as after a crash) "
        "while it read m.onnx"
    )
    assert "hung" in error_of(Death(signal.SIGKILL, False, [], stuck=True), 60).message


@stuck
def test_a_crash_that_wasmtime_catches_in_vain(tmp_path: Path) -> None:
    """In a thread that allocates memory and never called wasmtime; nothing of it takes long."""
    import wasmtime

    def work(board: Board) -> int:
        board.deadline = time.monotonic() + 10 * LATE
        faulthandler.disable()
        ready = threading.Thread(target=wasmtime.Engine)
        ready.start()
        ready.join()
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGSEGV)).start()
        until = time.monotonic() + 1
        while time.monotonic() < until:
            [bytearray(600 + 37 * n) for n in range(100)]
        return 5

    for _ in range(8):
        code, deaths = supervised(work)
        assert code == 5 or deaths[0].stuck or deaths[0].signal == signal.SIGSEGV
        assert not any(death.timed_out for death in deaths)


def sleep_in_a_thread(seconds: float) -> None:
    sleeping = threading.Thread(target=time.sleep, args=(seconds,))
    sleeping.start()
    sleeping.join()


def wait_in_a_thread(seconds: float) -> None:
    waiting = threading.Thread(target=threading.Event().wait, args=(seconds,))
    waiting.start()
    waiting.join()


def ask_in_a_thread(seconds: float) -> None:
    """As a progress bar does."""

    def ask() -> None:
        for _ in range(int(seconds * 10)):
            threading.Event().wait(0.1)

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()


def read_what_comes(seconds: float) -> None:
    reading, writing = os.pipe()
    threading.Timer(seconds, os.write, (writing, b"x")).start()
    os.read(reading, 1)


@stuck
@pytest.mark.parametrize(
    "wait", [sleep_in_a_thread, wait_in_a_thread, ask_in_a_thread, read_what_comes]
)
def test_who_waits_for_time_or_data_is_not_stuck(
    wait: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wasmlrun.supervisor.stuck.BETWEEN", 0.1)

    def work(board: Board) -> int:
        board.deadline = time.monotonic() + LATE
        wait(1.5)
        return 5

    assert supervised(work) == (5, [])


def test_a_child_that_ends_in_time_is_not_killed() -> None:
    def work(board: Board) -> int:
        board.deadline = time.monotonic() + LATE
        return 5

    assert supervised(work) == (5, [])


def test_after_a_death_the_work_can_go_on(capfd: pytest.CaptureFixture[str]) -> None:
    running: list[int] = []

    def work(board: Board) -> int:
        if board.done == 2:
            return board.code
        board.report(board.done + 1, 7)
        with board.doing(Stage.IMAGE, f"{board.done}.png"):
            crash()
        return 0

    def on_death(death: Death, board: Board) -> None:
        running.append(len(death.doing))

    assert supervise(work, on_death, Messages()) == 7
    assert running == [1, 1], "a stage of the first child was taken for one of the second"


def test_signal_handlers_are_as_before() -> None:
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    supervised(lambda board: 0)
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before


# --- what is told -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "kind", "code", "sentence"),
    [
        (Stage.MODEL, BadModel, 3, "the inference engine crashed (SIGSEGV) while it read it"),
        (Stage.INFERENCE, BadModel, 3, "the inference engine crashed (SIGSEGV) in it"),
        (Stage.IMAGE, BadImage, 3, "the image decoder crashed (SIGSEGV) at it"),
        (Stage.GUEST, WorkerFailed, 4, "the WebAssembly engine crashed (SIGSEGV) in the worker"),
        (None, WorkerFailed, 4, "the process crashed (SIGSEGV)"),
    ],
)
def test_a_crash_in_words(
    stage: Stage | None, kind: type[WasmlrunError], code: int, sentence: str
) -> None:
    board = Board()
    if stage is None:
        error = error_of(Death(signal.SIGSEGV, False, []), 60)
    else:
        with board.doing(stage, "it"):
            error = error_of(Death(signal.SIGSEGV, False, board.running()), 60)
    assert (type(error), error.exit_code) == (kind, code)
    assert error.message.startswith(sentence)


def test_a_kill_by_the_system_in_words() -> None:
    error = error_of(Death(signal.SIGKILL, False, []), 60)
    assert isinstance(error, LimitExceeded)
    assert "for want of memory" in error.message


def test_a_timeout_in_words() -> None:
    error = error_of(Death(signal.SIGKILL, True, []), 1.5)
    assert isinstance(error, LimitExceeded)
    assert "1.5 s" in error.message
    assert "--timeout" in (error.hint or "")


# the command in a process of its own, with a part of it that crashes
CRASHING = """
import ctypes, sys
from wasmlrun import cli
from wasmlrun.vision import decode as decoder
from wasmlrun.engines.openvino.engine import OpenVINO

def crash():
    ctypes.string_at(0)

{patch}
sys.exit(cli.invoke(sys.argv[1:]))
"""


def with_crash(patch: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    script = CRASHING.replace("{patch}", patch)
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LATE)


def test_a_model_that_crashes_the_engine_is_exit_3_and_a_sentence(
    colours: Path, red_image: Path
) -> None:
    patch = "OpenVINO.load = lambda *_: crash()"
    done = with_crash(patch, "classify", red_image, "--model", colours)
    assert done.returncode == 3
    sentence = f"error: the inference engine crashed (SIGSEGV) while it read {colours}\nhint: "
    assert done.stderr.startswith(sentence)
    done = with_crash(patch, "classify", red_image, "--model", colours, "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "bad-model"


def test_a_picture_that_crashes_its_decoder_is_the_only_one_blamed(
    colours: Path, red_image: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"crash" + red_image.read_bytes())
    patch = """
decode = decoder.decode
decoder.decode = lambda data, *a, **k: crash() if data[:5] == b"crash" else decode(data, *a, **k)
"""
    good = [tmp_path / f"{name}.png" for name in ("first", "second", "last")]
    for path in good:
        path.write_bytes(red_image.read_bytes())
    pictures = (good[0], good[1], bad, good[2])
    done = with_crash(patch, "classify", *pictures, "--model", colours, "-k", "1")
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: the image decoder crashed (SIGSEGV) at {bad}\n")
    assert done.stderr.count("error:") == 1
    answered = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert answered == [str(path) for path in good]


# --- temporary files ----------------------------------------------------------------------------


def _left() -> list[Path]:
    return sorted(Path(os.environ["TMPDIR"]).glob("wasmlrun-*/*"))


def test_folders_in_folders_are_gone_however_deep(tmp_path: Path) -> None:
    """A worker may make them in a private copy; a thousand are more than functions may nest."""

    def work(board: Board) -> int:
        place = own_folder()
        assert place is not None
        os.chdir(place)
        for _ in range(3000):
            Path("d").mkdir()
            Path("file").write_text("content")
            Path("link").symlink_to("/")
            os.chdir("d")
        os.chmod("..", 0)
        return 0

    assert supervised(work) == (0, [])
    assert list((tmp_path / "tmp").iterdir()) == []


def test_temporary_files_are_private_and_gone() -> None:
    with model_file(SOURCE) as path:
        assert path.read_bytes() == SOURCE.parts[0]
        assert path.stat().st_mode & 0o777 == 0o600
        for folder in path.parents[:2]:
            assert folder.stat().st_mode & 0o777 == 0o700, folder
        assert [p.name for p in path.parent.iterdir()] == [path.name], "it has neighbours"
    assert _left() == []


def test_temporary_files_of_a_child_that_crashed_are_gone() -> None:
    def work(board: Board) -> int:
        with model_file(SOURCE) as path:
            assert path.exists()
            crash()
        return 0

    code, deaths = supervised(work)
    assert (code, len(deaths)) == (99, 1)
    assert _left() == []


def test_what_a_killed_process_left_is_gone_after_the_next_run() -> None:
    script = (
        "from wasmlrun.support.tempfiles import *\n"
        "from wasmlrun.support.model_source import *\nimport time\n"
        "source = ModelSource(Encoding.TENSORFLOW_LITE, (b'secret model',))\n"
        "with model_file(source) as path:\n    print(path, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().decode().strip())
        assert path.exists()
        with private_folder():
            assert path.exists(), "a running process lost its files"
        process.kill()
    assert path.exists()
    with private_folder():
        assert not path.exists()
    assert _left() == []


def test_nobody_can_take_the_name_before() -> None:
    """A folder or link of the name that was expected is neither used nor in the way."""
    temporary = Path(os.environ["TMPDIR"])
    taken = temporary / f"wasmlrun-{os.getuid()}"
    elsewhere = temporary.parent / "elsewhere"
    elsewhere.mkdir()
    taken.symlink_to(elsewhere)
    (temporary / f"wasmlrun-{os.getuid()}-{os.getpid()}").symlink_to(elsewhere)
    (temporary / f"wasmlrun-{os.getuid()}-99999999-left").symlink_to(elsewhere)
    (elsewhere / "kept").touch()
    with model_file(SOURCE) as path:
        assert path.exists()
    assert [p.name for p in elsewhere.iterdir()] == ["kept"]


def test_a_childs_folder_is_there_from_the_start_and_gone_at_the_end() -> None:
    def work(board: Board) -> int:
        place = own_folder()
        assert place is not None
        assert place.stat().st_mode & 0o777 == 0o700
        with model_file(SOURCE) as path:
            assert path.is_relative_to(place)
            (place / "left").write_bytes(b"x")
            crash()
        return 0

    assert supervised(work)[0] == 99
    assert _left() == []


def test_no_place_for_temporary_files_is_told_when_one_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfiles, "_made", lambda: os.open("/nowhere/at/all", os.O_RDONLY))
    assert supervised(lambda board: 3) == (3, [])
    with pytest.raises(FileNotFoundError), model_file(SOURCE):
        pass


# --- answers --------------------------------------------------------------------------------------


def killing(at: str) -> Callable[[Board], int]:
    """Work of three answers whose process is killed before or after each is handed over."""

    def work(board: Board) -> int:
        while board.done < 3:
            number = board.done
            first_try = board.code == number
            if at == "before" and first_try:
                board.report(number, board.code + 1)
                crash(signal.SIGKILL)
            assert board.outbox is not None
            if at == "while":  # whole, and dead before it hears that it was written
                letter = Letter(number + 1, f"answer {number}\n".encode(), b"said\n")
                board.outbox._answers = os.open(os.devnull, os.O_RDONLY)
                with suppress(struct.error):
                    board.outbox.send(letter)
                crash(signal.SIGKILL)
            if at == "half" and first_try:
                board.report(number, board.code + 1)
                os.write(board.outbox._letters, struct.pack("<iII", 0, 9, 0) + b"answ")
                crash(signal.SIGKILL)
            board.deliver(Letter(number + 1, f"answer {number}\n".encode(), b"said\n"))
        return board.code

    return work


@pytest.mark.parametrize("at", ["before", "while", "half"])
def test_an_answer_is_written_once_whenever_the_child_is_killed(
    at: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (
        supervise(killing(at), lambda death, board: None if board.done < 3 else 3, Messages()) == 3
    )
    out, err = capfd.readouterr()
    assert out == "answer 0\nanswer 1\nanswer 2\n"
    assert err == "said\n" * 3


def test_a_slow_reader_gets_all_and_time_still_ends_the_work() -> None:
    """An answer larger than a pipe, and a reader that takes its time or never comes."""
    script = """
import sys, time
from wasmlrun.supervisor.outbox import Letter
from wasmlrun.supervisor.parent import supervise
from wasmlrun.support.limits import Limits
from wasmlrun.support.messages import Messages
def work(board):
    board.deliver(Letter(0, b"x" * 1_000_000, b""))
    return 0
sys.exit(supervise(work, lambda death, board: 5, Messages(), float(sys.argv[1])))
"""
    for timeout, code in (("30", 0), ("0.5", 5)):
        command = [sys.executable, "-c", script, timeout]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            if code == 0:
                time.sleep(0.3)
                assert len(process.stdout.read()) == 1_000_000
            assert process.wait(LATE) == code


def test_an_answer_that_cannot_be_written_is_told_to_the_child() -> None:
    script = """
import os, sys
from wasmlrun.supervisor.outbox import Letter
from wasmlrun.supervisor.parent import supervise
from wasmlrun.support.limits import Limits
from wasmlrun.support.messages import Messages
def work(board):
    try:
        board.deliver(Letter(0, b"answer", b""))
    except OSError as e:
        return e.errno
    return 0
sys.exit(supervise(work, lambda death, board: 99, Messages()))
"""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", script], stdout=full, check=False)
    assert done.returncode == 28


def test_half_an_answer_with_an_absurd_size_is_no_answer(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def work(board: Board) -> int:
        assert board.outbox is not None
        os.write(board.outbox._letters, struct.pack("<iII", 0, 1 << 31, 1 << 31))
        time.sleep(LATE)
        return 0

    code, (death,) = supervised(work)
    assert (code, death.signal_name) == (99, "SIGKILL")
    assert capfd.readouterr().out == ""


# --- the command: signals and time --------------------------------------------------------------

READY = printing("ready\n", then="(loop $again (br $again))")


class Running:
    """A command whose guest has begun, and its processes."""

    def __init__(self, worker: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wasmlrun", "run", str(worker), "--timeout", "100", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        self.child = _child_of(self.process.pid)

    def end(self) -> tuple[int, str]:
        """Exit code and stderr."""
        _, err = self.process.communicate(timeout=LATE)
        return self.process.returncode, err.decode()


@pytest.fixture
def running(tmp_path: Path, make_worker: Callable[..., Path]) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def run(*options: str) -> Running:
        started.append(Running(make_worker(tmp_path, READY), *options))
        return started[-1]

    yield run
    for one in started:
        with suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.communicate()


def _child_of(process: int) -> int:
    tasks = Path(f"/proc/{process}/task/{process}/children")
    if not tasks.exists():
        pytest.skip("no /proc to find the child in")
    return int(tasks.read_text().split()[0])


def _is_gone(process: int) -> bool:
    """Waits for it."""
    until = time.monotonic() + LATE
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":  # dead; whoever inherited it has not looked yet
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, EXIT_INTERRUPTED), (signal.SIGTERM, EXIT_TERMINATED)],
)
@pytest.mark.parametrize("whom", ["the command", "its process group"])
def test_a_signal_ends_an_endless_guest(
    running: Callable[..., Running], number: signal.Signals, code: int, whom: str
) -> None:
    command = running()
    if whom == "the command":
        os.kill(command.process.pid, number)
    else:  # as a terminal does
        os.killpg(command.process.pid, number)
    ended, err = command.end()
    # SIGTERM to the group ends the child too; whoever is first, the command says 143
    assert ended == code
    assert "Traceback" not in err
    assert _is_gone(command.child)
    assert _left() == []


def test_a_killed_parent_takes_its_child_along(running: Callable[..., Running]) -> None:
    command = running()
    command.process.kill()
    assert _is_gone(command.child)


def test_a_killed_child_is_told(running: Callable[..., Running]) -> None:
    command = running()
    os.kill(command.child, signal.SIGKILL)
    code, err = command.end()
    assert code == 5
    assert err.startswith("error: the process was killed by the system")


# two events: a clock of an hour, and nothing else
ASLEEP = program(
    "(i64.store (i32.const 24) (i64.const 3600000000000))"
    "(i32.store (i32.const 16) (i32.const 1))"
    "(drop (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))",
    before='(import "wasi_snapshot_preview1" "poll_oneoff"'
    " (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))",
)
HOST_CALLS = program(
    "(loop $again (drop (call $fd_read (i32.const 99) (i32.const 0) (i32.const 0) (i32.const 0)))"
    " (br $again))"
)


@pytest.mark.parametrize(
    "guest",
    [
        pytest.param(ENDLESS, id="endless loop"),
        pytest.param(HOST_CALLS, id="endless host calls"),
        pytest.param(ASLEEP, id="asleep in poll_oneoff"),
    ],
)
def test_no_guest_outlasts_its_time(
    guest: str,
    tmp_path: Path,
    make_worker: Callable[..., Path],
    run_cli: Callable[..., Outcome],
) -> None:
    outcome = run_cli(["run", make_worker(tmp_path, guest), "--timeout", "0.5"])
    assert outcome.code == 5
    assert outcome.stderr.startswith("error: the timeout limit of 0.5 s was reached")


# --- the board ----------------------------------------------------------------------------------


def test_more_stages_than_the_board_has_room_for_are_left_out() -> None:
    board = Board()
    with board.doing(Stage.MODEL, "first"):
        rest = [board.doing(Stage.IMAGE, str(n)) for n in range(40)]
        for one in rest:
            one.__enter__()
        assert board.running()[0].what == "first"
        for one in rest:
            one.__exit__(None, None, None)
    assert board.running() == []


def test_long_and_odd_texts_fit_the_board() -> None:
    board = Board()
    with board.doing(Stage.IMAGE, "é" * 1000), board.doing(Stage.MODEL, "\udcff\0"):
        model, picture = board.running()
    assert picture.what == "é" * 200
    assert model.what == "?\0"


def test_the_board_keeps_deadline_and_progress() -> None:
    board = Board()
    board.deadline = 12.5
    board.report(3, 4)
    board.clear()
    assert (board.deadline, board.done, board.code) == (12.5, 3, 4)


def test_ctrl_c_while_the_child_ends_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    reap = os.waitpid

    def waitpid(child: int, options: int) -> tuple[int, int]:
        signal.raise_signal(signal.SIGINT)
        return reap(child, options)

    monkeypatch.setattr(os, "waitpid", waitpid)
    # tests that run in the background have it ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            supervised(lambda board: 0)
    finally:
        signal.signal(signal.SIGINT, before)
    monkeypatch.undo()
    assert supervised(lambda board: 7) == (7, []), "the handlers are as they were"
