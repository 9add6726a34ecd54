"""Guests of other hosts run unchanged: a wws worker and a WasmEdge program, both in C.

The sources in guests/ were written against those hosts' interfaces; nothing in them knows of
wasmlrun, and nothing in wasmlrun knows of them.
"""

from __future__ import annotations

import json
import shutil
import struct
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.c_guests import compiled
from kit.models_by_hand import COLOURS, write_colours
from kit.outcome import Outcome
from PIL import Image

from wasmlrun.manifest.manifest import Classify, Mount
from wasmlrun.pipeline.protocols import tensor
from wasmlrun.sandbox.hints import remedy, was_refused
from wasmlrun.sandbox.outcome import GuestRun
from wasmlrun.support.tensor import DType, Tensor

Invoke = Callable[..., Outcome]


@pytest.fixture(scope="session")
def wws_worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worker and its model as its repository would have them, for wws."""
    folder = tmp_path_factory.mktemp("wws")
    compiled("wws_colours", folder)
    write_colours(folder / "models" / "colours", "model", dtype="u8", softmax=True)
    (folder / "images").mkdir()
    return folder


@pytest.fixture(scope="session")
def wasmedge_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled("wasmedge_classify", tmp_path_factory.mktemp("wasmedge"))


MANIFEST = """
name = "colours"
version = "1"

[features]
[features.wasi_nn]
allowed_backends = ["openvino"]

[[features.wasi_nn.preload_models]]
backend = "openvino"
provider = { type = "local", dir = "./models/colours" }
"""
SAVING = """
[vars]
SAVE_TO = "/tmp/images"

[[folders]]
from = "./images"
to = "/tmp/images"
"""


def worker(folder: Path, manifest: str) -> Path:
    (folder / "wws_colours.toml").write_text(manifest)
    return folder / "wws_colours.wasm"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """All red; if its bytes were believed to be planes, it would be dark."""
    path = tmp_path / "picture.bmp"
    Image.new("RGB", (8, 8), (255, 0, 0)).save(path)
    return path


# --- Wasm Workers Server ------------------------------------------------------------------------


def test_wws_worker_classifies(wws_worker: Path, picture: Path, invoke: Invoke) -> None:
    path = worker(wws_worker, MANIFEST)
    done = invoke(
        "classify", picture, "--worker", path, "--input-layout", "nhwc", "--expect", "red"
    )
    assert done.code == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert lines[0][1] == "red"
    assert {line[1] for line in lines} == set(COLOURS)


def test_wws_worker_whose_layout_was_not_said_is_found_out(
    wws_worker: Path, picture: Path, invoke: Invoke
) -> None:
    words = ["classify", picture, "--worker", worker(wws_worker, MANIFEST)]
    done = invoke(*words, "--expect", "red")
    assert done.code == 0, done.stderr
    assert done.stderr.count("sends the picture as H×W×C") == 1
    # who says it is believed
    assert "H×W×C, as hosts" not in invoke(*words, "--input-layout", "nhwc").stderr
    assert invoke(*words, "--input-layout", "nchw").code == 4


def test_wws_worker_run_without_a_known_picture_is_told_how(
    wws_worker: Path, picture: Path, tmp_path: Path, invoke: Invoke
) -> None:
    body = tmp_path / "body"
    body.write_bytes(b64encode(picture.read_bytes()))
    path = worker(wws_worker, MANIFEST)
    done = invoke("run", path, "--request", "POST", "/", "--body", body)
    assert done.code == 4
    assert "for a guest built for a host of before mid-2024: --input-layout nhwc" in done.stderr


def test_wws_worker_answers_requests(wws_worker: Path, invoke: Invoke) -> None:
    path = worker(wws_worker, MANIFEST)
    done = invoke("run", path, "--request", "GET", "/")
    assert (done.code, done.stdout) == (0, "<p>send a picture</p>")


def test_wws_worker_gets_its_body_from_a_file(
    wws_worker: Path, picture: Path, tmp_path: Path, invoke: Invoke
) -> None:
    body = tmp_path / "body"
    body.write_bytes(b64encode(picture.read_bytes()))
    path = worker(wws_worker, MANIFEST)
    done = invoke("run", path, "--request", "POST", "/", "--body", body, "--input-layout", "nhwc")
    assert done.code == 0, done.stderr
    assert max(json.loads(done.stdout)["data"], key=lambda pair: pair[1])[0] == "red"


@pytest.mark.parametrize("command", ["classify", "run"])
def test_wws_worker_that_writes_where_it_may_not_is_told_so(
    command: str, wws_worker: Path, picture: Path, tmp_path: Path, invoke: Invoke
) -> None:
    path = worker(wws_worker, MANIFEST + SAVING + "writable = false\n")
    if command == "classify":
        arguments = ["classify", picture, "--worker", path, "--input-layout", "nhwc"]
    else:
        body = tmp_path / "body"
        body.write_bytes(b64encode(picture.read_bytes()))
        arguments = [
            "run",
            path,
            "--request",
            "POST",
            "/",
            "--body",
            body,
            "--input-layout",
            "nhwc",
        ]
    saved = wws_worker / "images" / "image.bmp"
    saved.unlink(missing_ok=True)
    done = invoke(*arguments)
    assert done.code == 4
    assert "hint: to let it write to /tmp/images, which is read-only: --writable /tmp/images" in (
        done.stderr.splitlines()
    )
    assert not saved.exists()
    done = invoke(*arguments, "--writable", "/tmp/images")
    assert (done.code, saved.read_bytes()) == (0, picture.read_bytes()), done.stderr


@pytest.mark.parametrize("command", ["classify", "run"])
def test_wws_worker_writes_into_a_copy_where_nobody_said_whether_it_may(
    command: str, wws_worker: Path, picture: Path, tmp_path: Path, run_cli: Invoke
) -> None:
    path = worker(wws_worker, MANIFEST + SAVING)
    arguments: list[str | Path] = ["classify", picture, "--worker", path]
    if command == "run":
        body = tmp_path / "body"
        body.write_bytes(b64encode(picture.read_bytes()))
        arguments = ["run", path, "--request", "POST", "/", "--body", body]
    saved = wws_worker / "images" / "image.bmp"
    saved.unlink(missing_ok=True)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = run_cli([*arguments, "--input-layout", "nhwc"], env={"TMPDIR": str(temporary)})
    assert done.code == 0, done.stderr
    assert not saved.exists()
    assert list(temporary.iterdir()) == []


def test_wws_worker_that_refuses_the_picture(
    wws_worker: Path, red_image: Path, invoke: Invoke
) -> None:
    done = invoke("classify", red_image, "--worker", worker(wws_worker, MANIFEST))
    assert done.code == 4
    assert "the worker answered with status 400: not a BMP" in done.stderr


# --- WasmEdge -----------------------------------------------------------------------------------


@pytest.fixture
def red_files(tmp_path: Path, colours: Path) -> Path:
    """A folder with a model and a picture as raw bytes."""
    write_colours(tmp_path, "model", dtype="u8", softmax=True)
    (tmp_path / "photo.raw").write_bytes(bytes([255, 0, 0]) * 16)
    shutil.copy(colours.parent / "colours.txt", tmp_path / "labels.txt")
    return tmp_path


def test_wasmedge_program_runs_with_a_mounted_folder(
    wasmedge_program: Path, red_files: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(red_files)
    done = invoke("run", "--dir", ".:.", wasmedge_program, "--", "model.xml", "photo.raw")
    assert done.code == 0, done.stderr
    assert done.stdout.startswith("Executed graph inference\n   1.) [0](")


def test_wasmedge_program_classifies_whatever_it_prints(
    wasmedge_program: Path,
    red_files: Path,
    red_image: Path,
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(red_files)
    done = invoke(
        "classify", red_image, "--worker", wasmedge_program, "--dir", ".:.",
        "--arg", "model.xml", "--arg", "photo.raw", "--labels", "labels.txt", "--expect", "red",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [rows[0][1], rows[0][3]] == ["red", "0"]
    assert len(rows) == 5
    assert "Executed graph inference" in done.stderr


def test_a_ranking_of_its_own_is_the_answer_only_of_workers_that_know_the_protocol() -> None:
    scores = Tensor((1, 2), DType.F32, struct.pack("<2f", 0.25, 0.75))
    run = GuestRun(b"0\t0.9\n", 0, scores, None)
    settings = Classify()
    (own,) = tensor.predictions(run, settings, ["a", "b"], 1)
    (fetched,) = tensor.predictions(run, settings, ["a", "b"], 1, own_ranking=False)
    assert (own.label, fetched.label) == ("a", "b")
    alone = GuestRun(b"0\t0.9\n", 0, None, None)
    (only,) = tensor.predictions(alone, settings, ["a", "b"], 1, own_ranking=False)
    assert only.label == "a"


def test_wasmedge_program_without_its_folder_says_what_is_missing(
    wasmedge_program: Path, red_image: Path, invoke: Invoke
) -> None:
    done = invoke(
        "classify", red_image, "--worker", wasmedge_program, "--arg", "model.xml", "--arg", "x"
    )
    assert done.code == 4
    assert "exited with code 1" in done.stderr
    assert "hint: a worker sees no folder of this machine: --dir HOST:GUEST mounts one" in (
        done.stderr.splitlines()
    )


def test_wasmedge_program_with_a_real_model(
    wasmedge_program: Path, shared_data: Path, tmp_path: Path, invoke: Invoke
) -> None:
    photo = shared_data / "images" / "cat_720p.jpg"
    with Image.open(photo) as image:
        raw = image.convert("RGB").resize((224, 224)).tobytes()
    (tmp_path / "photo.raw").write_bytes(raw)
    models = shared_data / "models"
    done = invoke(
        "classify", photo, "--worker", wasmedge_program,
        "--dir", f"{models}:models", "--dir", f"{tmp_path}:.",
        "--arg", "models/mobilenet_v2_1.0_224_quant.tflite", "--arg", "photo.raw",
        "--labels", models / "imagenet_labels.txt", "--expect", "Egyptian cat",
    )  # fmt: skip
    assert done.code == 0, done.stderr


# --- read-only folders --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "/tmp/images/x: Operation not permitted",
        'Os { code: 63, kind: PermissionDenied, message: "Operation not permitted" }',
        "PermissionError: [Errno 63] Operation not permitted: '/tmp/images/x'",
        "open /tmp/images/x: Capabilities insufficient",
        "Error: EPERM: not so",
        "os error 76",
    ],
)
def test_a_guest_that_may_not_write_is_understood(said: str) -> None:
    assert was_refused(said)


@pytest.mark.parametrize("said", ["", "no such file", "os error 44", "code: 630", "HYPERM"])
def test_other_complaints_are_not_taken_for_it(said: str) -> None:
    assert not was_refused(said)


def test_a_guest_that_finds_no_file_is_told_of_folders_only_when_it_has_none(
    tmp_path: Path,
) -> None:
    said = "model.xml: No such file or directory"
    assert (remedy([], said) or "").startswith("a worker sees no folder of this machine")
    assert remedy([], "wrong shape") is None
    assert "sees no folder" not in (remedy([Mount(tmp_path, "/m")], said) or "")


def test_the_remedy_names_the_folder_the_guest_spoke_of(tmp_path: Path) -> None:
    mounts = [Mount(tmp_path, "/models"), Mount(tmp_path, "/tmp/images"), Mount(tmp_path, ".")]
    assert remedy(mounts, "/tmp/images/x: Operation not permitted") == (
        "to let it write to /tmp/images, which is read-only: --writable /tmp/images"
    )
    assert remedy(mounts, "index out of bounds") is None, "nothing was refused"
    writable = [Mount(tmp_path, "/tmp/images", writable=True)]
    assert remedy(writable, "/tmp/images/x: Operation not permitted") is None
