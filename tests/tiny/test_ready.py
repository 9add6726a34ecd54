"""From the process that read a model to the one that starts a compiler: what may pass."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit import taken_over
from kit.tflite_by_hand import colours

from wasmlrun.manifest.manifest import Classify
from wasmlrun.support.model_source import source_of
from wasmlrun.tiny.pack import Subject, make_ready
from wasmlrun.tiny.ready import checked_c, packed, unpacked

Head = dict[str, Any]


@pytest.fixture(scope="module")
def sent() -> tuple[Head, tuple[bytes, bytes]]:
    """The colours' model made ready, through JSON as it is sent."""
    subject = Subject("m.tflite", source_of([colours()], None), Classify(), ["red", "ö", "b"])
    head, parts = packed(make_ready(subject, decode=True))
    return json.loads(json.dumps(head)), parts


def test_what_was_sent_arrives(sent: tuple[Head, tuple[bytes, bytes]]) -> None:
    made = unpacked(*sent)
    assert packed(made) == sent
    assert made.sha256 == hashlib.sha256(colours()).hexdigest()
    assert made.ends.picture is not None
    assert "run_int8_average_pool" in made.source.layers


WRONG = [
    ("sha256", "0" * 63),
    ("sha256", 5),
    ("labels", ["a\nb"]),
    ("labels", [3]),
    ("labels", ["\ud800"]),
    ("input", {"shape": [1] * 9, "dtype": "u8"}),
    ("input", {"shape": [1 << 20, 1 << 20], "dtype": "u8"}),
    ("input", {"shape": ["8; };"], "dtype": "u8"}),
    ("input", {"shape": [8], "dtype": 'u8"'}),
    ("input", {"shape": [-8], "dtype": "u8"}),
    ("input", None),
    ("output", {"shape": [3], "dtype": "i64"}),
    ("quant", [math.inf, 0]),
    ("quant", ["1", 0]),
    ("quant", [1.0, 0.5]),
    ("quant", [1.0]),
    ("input_at", -1),
    ("input_at", True),
    ("classes", 1 << 32),
    ("logits", 1),
    ("label_offset", "0"),
    ("picture", {}),
    ("scratch", '1] = {\n#embed "/etc/passwd"\n}; int x['),
    ("arena", 1.5),
    ("operations", None),
    ("unsure_below", math.nan),
]


@pytest.mark.parametrize(
    ("key", "value"), WRONG, ids=[f"{k}-{n}" for n, (k, _) in enumerate(WRONG)]
)
def test_numbers_that_are_none_do_not_pass(
    sent: tuple[Head, tuple[bytes, bytes]], key: str, value: Any
) -> None:
    head, parts = sent
    assert key in head
    with pytest.raises((ValueError, LookupError, TypeError)):
        unpacked({**head, key: value}, parts)
    with pytest.raises(LookupError):
        unpacked({k: v for k, v in head.items() if k != key}, parts)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", [0, 8]),
        ("size", [8]),
        ("resize", "x'"),
        ("layout", "HWC"),
        ("dtype", "u9"),
        ("color", 3),
        ("mean", []),
        ("mean", [0.0] * 4),
        ("scale", [math.inf]),
    ],
)
def test_pictures_that_are_none_do_not_pass(
    sent: tuple[Head, tuple[bytes, bytes]], key: str, value: Any
) -> None:
    head = copy.deepcopy(sent[0])
    head["picture"][key] = value
    with pytest.raises((ValueError, LookupError, TypeError)):
        unpacked(head, sent[1])


@pytest.mark.parametrize(
    "line",
    [
        '#include "/etc/passwd"',
        '#embed "/etc/passwd"',
        '%:include "/etc/passwd"',
        '??=include "/etc/passwd"',
        '/* a */ #embed "/etc/passwd"',
        '_Pragma("clang x")',
        'asm(".incbin \\"/etc/passwd\\"");',
        "__asm__(a);",
        "asm(a);",
        "a = __builtin_trap();",
        "int a[1];",
        "a = 'a';",
        "/* a",
        "/* a */ */",
        "/* a\n#define b */",
        "// a",
        "a\\",
        "a\rb",
        "ä = 1;",
        "a\0",
    ],
)
def test_c_that_was_not_written_there_does_not_pass(
    sent: tuple[Head, tuple[bytes, bytes]], line: str
) -> None:
    head, (layers, constants) = sent
    with pytest.raises(ValueError, match="its C has what was not written there"):
        unpacked(head, (layers + line.encode() + b"\n", constants))


def test_names_of_a_model_may_say_anything_in_their_comments() -> None:
    text = (
        '  /* 0: a #include "b" \u00d7 asm __x // é, 1x2 */\n  run(&a_1, (int8_t *)(b + 1e-05f));\n'
    )
    assert checked_c(text) == text


TAKEN_OVER = """
from wasmlrun.tiny import pack, ready
from wasmlrun.tiny.source import Source

make, send = pack.make_ready, ready.packed

def made(*arguments, **named):
    get_out()
    return make(*arguments, **named)

def sent(made):
    head, (layers, constants) = send(made)
    return {{**head, **{head!r}}}, (layers + {c!r}, constants)

pack.make_ready, ready.packed = made, sent
"""


@pytest.fixture
def packed_by(tmp_path: Path, zig: dict[str, str]) -> Callable[..., Any]:
    """`packed_by(head, c)`: what pack says when the process that reads the model is hostile."""
    (tmp_path / "colours.tflite").write_bytes(colours())

    def run(head: Head, c: bytes) -> subprocess.CompletedProcess[str]:
        code = TAKEN_OVER.format(head=head, c=c)
        return taken_over.run(code, ["pack", "colours.tflite"], tmp_path)

    return run


def test_the_model_is_read_behind_walls(packed_by: Callable[..., Any], tmp_path: Path) -> None:
    done = packed_by({}, b"")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "colours.wasm").stat().st_size > 0
    assert taken_over.attempts(done.stderr) == taken_over.ALL_REFUSED


@pytest.mark.parametrize(
    ("head", "c"), [({"arena": -1}, b""), ({}, b'#embed "secret"\n'), ({"sha256": None}, b"")]
)
def test_what_a_taken_over_process_hands_over_is_not_compiled(
    packed_by: Callable[..., Any], tmp_path: Path, head: Head, c: bytes
) -> None:
    done = packed_by(head, c)
    assert done.returncode == 4
    assert "the process that did the work answered with what is no model" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "colours.wasm").exists()


# a compiler that never ends, and one that it has started
ENDLESS = """#!/bin/sh
[ "$1" = version ] && { echo 1.0.0; exit; }
sleep 600 &
echo $! > "$0.started"
wait
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_it_leaves_nothing(tmp_path: Path, number: signal.Signals, code: int) -> None:
    (tmp_path / "colours.tflite").write_bytes(colours())
    tools, temporary = tmp_path / "tools", tmp_path / "temporary"
    for folder in (tools, temporary):
        folder.mkdir()
    (tools / "zig").write_text(ENDLESS)
    (tools / "zig").chmod(0o755)
    env = {**os.environ, "TMPDIR": str(temporary), "PATH": f"{tools}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "wasmlrun", "pack", "colours.tflite"]
    with subprocess.Popen(command, env=env, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as run:
        started = tools / "zig.started"
        deadline = time.monotonic() + 60
        while not started.is_file() or not started.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        run.send_signal(number)
        _, err = run.communicate(timeout=60)
    assert run.returncode == code, err
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "colours.wasm").exists()
    compiler = Path("/proc", started.read_text().strip())
    while compiler.exists() and "Z" not in compiler.joinpath("stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
