"""--trace and -v: every WASI-NN call and stage, in a file that is whole whatever happens."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from kit import component_guests
from kit.component_guests import BY_CALLS, BY_LIST, LOCALS, component, computed, opened, tensor
from kit.core_guests import At, f32s, program, record, script, u32s
from kit.outcome import Outcome

from wasmlrun.support.errors import UsageFault
from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.trace.recorder import Trace, TraceFile, statistics

NAME, GRAPH, CONTEXT, WRITTEN, DIMS, TENSOR, BUFFER, DATA = 16, 32, 36, 40, 64, 128, 1024, 4096
RED = f32s(*[255.0, 0.0, 0.0] * 16)
MEMORY = {
    NAME: b"colours",
    DIMS: u32s(1, 4, 4, 3),
    TENSOR: record(DIMS, 4, 1, DATA, len(RED)),
    DATA: RED,
}
LOAD = ("load_by_name", NAME, 7, GRAPH)
OPEN = ("init_execution_context", At(GRAPH), CONTEXT)
SET = ("set_input", At(CONTEXT), 0, TENSOR)
COMPUTE = ("compute", At(CONTEXT))
GET = ("get_output", At(CONTEXT), 0, BUFFER, 1024, WRITTEN)
ALL = [LOAD, OPEN, SET, COMPUTE, GET]
# where a script goes on after its calls
AT_THE_END = "(i32.store (i32.const 65520) (i32.const 0))"

Invoke = Callable[..., Outcome]
Make = Callable[..., Path]


def events(path: Path, category: str = "wasi-nn") -> list[dict[str, Any]]:
    """The events of one category; the file must be a JSON array."""
    found = json.loads(path.read_text())
    assert isinstance(found, list)
    return [event for event in found if event.get("cat") == category]


def test_every_call_is_an_event_with_its_arguments(
    tmp_path: Path, make_worker: Make, colours: Path, invoke: Invoke
) -> None:
    worker, trace = make_worker(tmp_path, script(ALL, MEMORY)), tmp_path / "trace.json"
    done = invoke("run", worker, "--model", f"colours={colours}", "--trace", trace)
    assert done.code == 0
    calls = events(trace)
    assert [call["name"] for call in calls] == [name for name, *_ in ALL]
    load, opened, given, computed, got = (call["args"] for call in calls)
    assert load["name"] == "colours"
    assert (load["model"], load["device"], load["graph"]) == ("openvino", "CPU", 1)
    assert opened == {"graph": 1, "context": 2, "errno": 0}
    assert given == {
        "context": 2,
        "input": 0,
        "tensor": {
            "shape": [1, 4, 4, 3],
            "type": "f32",
            "bytes": 192,
            "min": 0.0,
            "max": 255.0,
            "mean": 85.0,
        },
        "errno": 0,
    }
    assert computed == {"context": 2, "errno": 0}
    assert got["tensor"]["shape"] == [1, 5]
    assert got["tensor"]["max"] == pytest.approx(1.0)
    for call in calls:
        assert call["ph"] == "X"
        assert call["dur"] > 0
        assert {"ts", "pid", "tid"} <= call.keys()
    assert [call["ts"] for call in calls] == sorted(call["ts"] for call in calls)


def test_a_failed_call_has_its_number_and_sentence(
    tmp_path: Path, make_worker: Make, invoke: Invoke
) -> None:
    far = ("set_input", 0, 0, 0xFFFFFF0)
    worker = make_worker(tmp_path, script([LOAD, far], MEMORY))
    trace = tmp_path / "trace.json"
    invoke("run", worker, "--trace", trace)
    unknown, outside = (call["args"] for call in events(trace))
    assert unknown["errno"] == 8
    assert unknown["error"] == "load_by_name: no model is named 'colours' (known: none)"
    assert outside["errno"] == 3
    assert "outside the guest's memory" in outside["error"]


@pytest.mark.parametrize("version", [BY_CALLS[-1], BY_LIST[-1]])
def test_components_are_traced_too(
    tmp_path: Path, version: str, colours: Path, invoke: Invoke
) -> None:
    trace, worker = tmp_path / "trace.json", tmp_path / "worker.wasm"
    body = opened() + computed(version, tensor(4, len(RED)), input_="0") + "(i32.const 0)"
    data = {component_guests.DIMS: u32s(1, 4, 4, 3), component_guests.DATA: RED}
    worker.write_bytes(wasmtime.wat2wasm(component(body, version, data=data, locals_=LOCALS)))
    invoke("run", worker, "--model", f"one={colours}", "--trace", trace)
    calls = {call["name"]: call["args"] for call in events(trace)}
    assert list(calls)[:2] == ["load-by-name", "init-execution-context"]
    if version in BY_CALLS:
        given, answer = calls["set-input"]["tensor"], calls["get-output"]["tensor"]
    else:
        given, answer = calls["compute"]["inputs"]["0"], calls["compute"]["outputs"]["0"]
    assert (given["shape"], given["max"], given["mean"]) == ([1, 4, 4, 3], 255, 85)
    assert answer["shape"] == [1, 5]


def test_stages_are_spans_around_the_calls(
    tmp_path: Path, red_image: Path, colours: Path, invoke: Invoke
) -> None:
    trace = tmp_path / "trace.json"
    done = invoke("classify", red_image, "--model", colours, "--trace", trace)
    assert done.code == 0
    spans = {span["name"]: span for span in events(trace, "stage")}
    assert {"image", "model", "worker", "run", "labels"} <= spans.keys()
    run = spans["run"]
    assert run["args"]["image"] == str(red_image)
    for call in events(trace):
        assert run["ts"] <= call["ts"]
        assert call["ts"] + call["dur"] <= run["ts"] + run["dur"]


def test_a_guest_that_traps_leaves_a_whole_trace(
    tmp_path: Path, make_worker: Make, colours: Path, invoke: Invoke
) -> None:
    wat = script([LOAD, OPEN], MEMORY).replace(AT_THE_END, "unreachable")
    trace = tmp_path / "trace.json"
    done = invoke(
        "run", make_worker(tmp_path, wat), "--model", f"colours={colours}", "--trace", trace
    )
    assert done.code == 4
    assert [call["name"] for call in events(trace)] == ["load_by_name", "init_execution_context"]
    (run,) = (span for span in events(trace, "stage") if span["name"] == "run")
    assert "trapped" in run["args"]["error"]


ENDLESS = script([LOAD], MEMORY).replace(AT_THE_END, "(loop $on (br $on))")


def test_a_guest_that_runs_out_of_time_leaves_a_whole_trace(
    tmp_path: Path, make_worker: Make, invoke: Invoke
) -> None:
    trace = tmp_path / "trace.json"
    worker = make_worker(tmp_path, ENDLESS)
    assert invoke("run", worker, "--timeout", "4", "--trace", trace).code == 5
    assert [call["name"] for call in events(trace)] == ["load_by_name"]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is a signal elsewhere")
def test_an_interrupted_run_leaves_a_whole_trace(tmp_path: Path, make_worker: Make) -> None:
    trace = tmp_path / "trace.json"
    worker = make_worker(tmp_path, ENDLESS)
    command = [sys.executable, "-m", "wasmlrun", "run", str(worker), "--trace", str(trace)]
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not (trace.exists() and trace.read_text() and events(trace)):
            assert time.monotonic() < until
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
    finally:
        running.kill()
        running.wait()
    assert [call["name"] for call in events(trace)] == ["load_by_name"]
    assert [end["name"] for end in events(trace, "end")] == ["interrupted"]


def test_v_prints_one_line_a_call(
    tmp_path: Path, make_worker: Make, colours: Path, invoke: Invoke
) -> None:
    worker = make_worker(tmp_path, script(ALL, MEMORY))
    done = invoke("run", "-v", worker, "--model", f"colours={colours}")
    lines = [line for line in done.stderr.splitlines() if line.startswith("wasi-nn: ")]
    assert [line.split()[1] for line in lines] == [name for name, *_ in ALL]
    assert lines[2].startswith(
        "wasi-nn: set_input context 2, input 0, tensor [1, 4, 4, 3] f32 (192 bytes, 0 to 255, "
        "mean 85) → errno 0 in "
    )
    assert lines[2].endswith(" ms")


def test_without_being_asked_nothing_of_it_is_imported(tmp_path: Path, make_worker: Make) -> None:
    worker = make_worker(tmp_path, script([LOAD], MEMORY))
    seen = f"""
import sys
sys.argv = ["wasmlrun", "run", {str(worker)!r}]
from wasmlrun.supervisor import parent
parent.supervise = lambda work, *_: work(parent.Board())
from wasmlrun.cli import invoke
invoke(sys.argv[1:])
print([m for m in sys.modules if m.startswith("wasmlrun.trace.") and m != "wasmlrun.trace.spans"],
      file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, check=False)
    assert done.stderr.decode().endswith("[]\n")


# --- the file ---------------------------------------------------------------------------------


def test_the_file_is_an_array_after_every_event(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    file = TraceFile(path)
    assert json.loads(path.read_text()) == []
    for count in range(1, 4):
        file.append({"name": f"event {count} – ü"})
        found = json.loads(path.read_text(encoding="utf-8"))
        assert [event["name"] for event in found] == [f"event {n} – ü" for n in range(1, count + 1)]


def test_an_older_trace_is_replaced_and_no_other_file_is(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    Trace(TraceFile(path), None, lambda text: None).instant("old")
    for _ in range(2):  # a trace, and one that is empty
        TraceFile(path)
        assert json.loads(path.read_text()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8 precious",
        b"[1, 2, 3]\n",
        b'[\n{"name":"process_name","ph":"M","pid":1,"tid":1,"args":{"name":"browser"}}\n]\n',
        b"[section]\nkey = 1\n",
        b"[",
    ],
)
def test_a_file_that_is_no_trace_stays_as_it_is(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UsageFault, match="exists and is no trace"):
        TraceFile(path)
    assert path.read_bytes() == content


def test_a_trace_goes_into_a_regular_file_and_waits_for_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(UsageFault, match="no regular file"):
            TraceFile(path)


def test_a_file_that_cannot_be_written_is_told_before_anything_runs(
    tmp_path: Path, red_image: Path, invoke: Invoke
) -> None:
    done = invoke("classify", red_image, "--trace", tmp_path / "none" / "trace.json")
    assert done.code == 2
    assert "--trace" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_ends_the_trace_and_not_the_run(tmp_path: Path) -> None:
    class Full(TraceFile):
        def append(self, event: dict[str, Any]) -> None:
            raise OSError(28, "No space left on device")

    warnings: list[str] = []
    trace = Trace(Full(tmp_path / "trace.json"), None, warnings.append)
    for _ in range(2):
        with trace.span("stage"):
            pass
    assert warnings == ["the trace ends here, it cannot be written: No space left on device"]


# --- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "data", "expected"),
    [
        (DType.U8, bytes([0, 10, 200]), (0, 200, 70)),
        (DType.I8, struct.pack("3b", -100, 0, 40), (-100, 40, -20)),
        (DType.F32, f32s(-1.5, 0.5, 4.0), (-1.5, 4.0, 1.0)),
        (DType.F16, struct.pack("<2e", 1.0, 3.0), (1, 3, 2)),
        (DType.F64, struct.pack("<2d", 1.0, 3.0), (1, 3, 2)),
        (DType.I64, struct.pack("<2q", -(2**40), 2**40), (-(2**40), 2**40, 0)),
        (DType.BF16, b"\x80\x3f\x40\x40", (1, 3, 2)),
    ],
)
def test_minimum_maximum_and_mean(
    dtype: DType, data: bytes, expected: tuple[float, float, float]
) -> None:
    found = statistics(Tensor((len(data) // dtype.size,), dtype, data))
    assert (found.minimum, found.maximum, found.mean) == expected


def test_numbers_that_are_not_finite_are_counted_apart() -> None:
    found = statistics(Tensor((4,), DType.F32, f32s(float("nan"), float("inf"), 1.0, 3.0)))
    assert (found.minimum, found.maximum, found.mean, found.not_finite) == (1, 3, 2, 2)
    assert statistics(Tensor((1,), DType.F32, f32s(float("nan")))).mean is None
    assert statistics(Tensor((0,), DType.F32, b"")).mean is None


def test_a_program_without_wasi_nn_has_stages_alone(
    tmp_path: Path, make_worker: Make, invoke: Invoke
) -> None:
    trace = tmp_path / "trace.json"
    assert invoke("run", make_worker(tmp_path, program("")), "--trace", trace).code == 0
    assert events(trace) == []
    # a program that is new is compiled; so small a one may have been met before
    names = {span["name"] for span in events(trace, "stage")}
    assert names - {"compile"} == {"worker", "code", "run"}
