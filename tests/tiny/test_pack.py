"""Real models as one module: the command, the library, the worker."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit.needs import needs
from kit.packed import Library
from kit.tflite_by_hand import colours
from PIL import Image
from tiny.conftest import Packer

from wasmlrun.binary.module import CoreModule, read
from wasmlrun.tiny.pack import Packed

WASI = {"environ_get", "environ_sizes_get", "fd_read", "fd_write", "proc_exit"}
SMALL = "mobilenet_v1_0.25_128_quant"
MODELS = [SMALL, "mobilenet_v2_1.0_224_quant", "tf2_mobilenet_v2_1.0_224_ptq"]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The colours' model, its labels, and a red picture."""
    (tmp_path / "colours.tflite").write_bytes(colours())
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    Image.new("RGB", (20, 10), (250, 30, 20)).save(tmp_path / "red.png")
    return tmp_path


def pack_colours(run_cli: Callable[..., Any], folder: Path, zig: dict[str, str]) -> Any:
    return run_cli(
        ["pack", "colours.tflite", "--labels", "labels.txt", "-o", "c.wasm", "--emit", "c"],
        cwd=folder,
        env=zig,
    )


def test_packed_classified_run_and_looked_at(
    run_cli: Callable[..., Any], written: Path, zig: dict[str, str]
) -> None:
    done = pack_colours(run_cli, written, zig)
    assert done.code == 0, done.stderr
    assert done.stdout == ""
    for line in ("takes 1×8×8×3 u8", "arena 208 bytes", "scratch", "memory"):
        assert line in done.stderr
    # no manifest, no --model
    done = run_cli(["classify", "red.png", "--worker", "c.wasm", "--expect", "red"], cwd=written)
    assert done.code == 0, done.stderr
    name, label, score, index = done.stdout.splitlines()[0].split("\t")
    assert (name, label, index) == ("red.png", "red", "0")
    # the program alone: a tensor in, labels out
    tensor = bytes([250, 30, 20]) * 64
    done = run_cli(["run", "c.wasm"], stdin=tensor, cwd=written)
    assert done.code == 0, done.stderr
    first = done.stdout.splitlines()[0].split("\t")
    assert (first[0], first[2]) == ("red", "0")
    assert float(first[1]) == pytest.approx(float(score), abs=1e-4)
    assert len(done.stdout.splitlines()) == 3
    for wrong in (tensor[:-1], tensor + b"x", b""):
        done = run_cli(["run", "c.wasm"], stdin=wrong, cwd=written)
        assert done.code == 1
        assert "not the tensor that this model takes: 1×8×8×3 u8, 192 bytes" in done.stderr
    done = run_cli(["inspect", "c.wasm"], cwd=written)
    assert "model inside\tcolours, takes 1×8×8×3 u8" in done.stdout
    assert "suggestion" not in done.stdout
    # the C that was kept
    layers = (written / "c-c" / "layers.h").read_text()
    assert "run_int8_average_pool(&average_pool_1" in layers
    assert (written / "c-c" / "worker.c").is_file()


def test_imports_only_wasi_and_exports_the_library(written: Path, packed: Packer) -> None:
    made = packed(colours())
    module = read(made.output.read_bytes())
    assert isinstance(module, CoreModule)
    assert {i.name for i in module.imports} <= WASI
    wanted = {"input", "input_size", "infer", "output", "output_size", "labels", "_start"}
    assert wanted <= set(module.exports)


def test_packing_again_gives_the_same_bytes(packed: Packer) -> None:
    first = packed(colours(), labels=["r", "g", "b"]).output.read_bytes()
    assert packed(colours(), labels=["r", "g", "b"]).output.read_bytes() == first


def test_labels_must_fit(run_cli: Callable[..., Any], written: Path) -> None:
    (written / "labels.txt").write_text("red\ngreen\n")
    done = run_cli(["pack", "colours.tflite", "--labels", "labels.txt"], cwd=written)
    assert done.code == 3
    assert "the model gives 3 scores and there are 2 labels" in done.stderr
    assert not (written / "colours.wasm").exists()


def test_other_formats_are_told(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "m.pb").write_bytes(b"\x0a\x03abc")
    done = run_cli(["pack", "m.pb"], cwd=tmp_path)
    assert done.code == 3
    assert "model m.pb is tensorflow; TensorFlow Lite and ONNX models can be packed" in done.stderr


def test_a_place_that_cannot_be_written_is_told(
    run_cli: Callable[..., Any], written: Path, zig: dict[str, str]
) -> None:
    done = run_cli(["pack", "colours.tflite", "-o", "none/c.wasm"], cwd=written, env=zig)
    assert done.code == 3
    assert "none/c.wasm cannot be written" in done.stderr


@pytest.mark.parametrize("name", MODELS)
def test_real_models_answer_as_the_reference(name: str, packed: Packer, shared_data: Path) -> None:
    needs("ai_edge_litert", "ai-edge-litert")
    from kit.packed import litert

    model = (shared_data / "models" / f"{name}.tflite").read_bytes()
    made: Packed = packed(model)
    assert made.size <= len(model) + 120_000
    library = Library(made.output)
    side = 128 if name == SMALL else 224
    for picture in ("cat_720p.jpg", "parrot.jpg"):
        image = Image.open(shared_data / "images" / picture).convert("RGB").resize((side, side))
        inputs = np.asarray(image, np.uint8)[None]
        wanted = litert(model, inputs)
        got = np.frombuffer(library(inputs.tobytes()), np.uint8).reshape(wanted.shape)
        assert np.abs(got.astype(int) - wanted.astype(int)).max() <= 1
        assert list(got[0].argsort(kind="stable")[-3:]) == list(
            wanted[0].argsort(kind="stable")[-3:]
        )
    assert library.memory == made.memory
    if name == SMALL:
        assert library.memory <= 1 << 20


def test_the_smallest_hosts_need_no_vectors(packed: Packer, shared_data: Path) -> None:
    model = (shared_data / "models" / f"{SMALL}.tflite").read_bytes()
    inputs = np.random.default_rng(0).integers(0, 256, 128 * 128 * 3).astype(np.uint8).tobytes()
    with_vectors = Library(packed(model).output)(inputs)
    assert Library(packed(model, simd="none").output)(inputs) == with_vectors


def test_check_passes(run_cli: Callable[..., Any], written: Path, zig: dict[str, str]) -> None:
    assert pack_colours(run_cli, written, zig).code == 0
    done = run_cli(["check", "c.wasm"], cwd=written)
    assert done.code == 0, done.stdout


def test_served(
    run_cli: Callable[..., Any], written: Path, zig: dict[str, str], own_home: dict[str, str]
) -> None:
    needs("uvicorn", "uvicorn")
    from kit.served import Served

    assert pack_colours(run_cli, written, zig).code == 0
    env = {**os.environ, **own_home}
    with Served("--worker", "c.wasm", "--processes", "1", env=env, cwd=written) as server:
        reply = server.ask("POST", "/classify", (written / "red.png").read_bytes())
    assert reply.status == 200, reply.body
    assert json.loads(reply.body)["predictions"][0]["label"] == "red"


def test_signed_as_a_model_is(
    run_cli: Callable[..., Any], written: Path, zig: dict[str, str]
) -> None:
    needs("cryptography", "cryptography")
    from kit.signed import make_keys

    own, other = make_keys(written, "own"), make_keys(written, "other")
    assert pack_colours(run_cli, written, zig).code == 0
    words = ["classify", "red.png", "--worker", "c.wasm", "--expect", "red", "--trusted-key"]
    done = run_cli([*words, own.public], cwd=written)
    assert done.code == 3
    assert "has no signature" in done.stderr
    done = run_cli(["models", "sign", "c.wasm", "--key", own.private], cwd=written)
    assert done.code == 0, done.stderr
    done = run_cli(["models", "verify", "c.wasm", "--trusted-key", own.public], cwd=written)
    assert done.code == 0, done.stderr
    done = run_cli([*words, own.public], cwd=written)
    assert done.code == 0, done.stderr
    assert run_cli([*words, other.public], cwd=written).code == 3
    with (written / "c.wasm").open("ab") as file:
        file.write(b"\0\x02\x01x")  # a section more: still a module
    done = run_cli([*words, own.public], cwd=written)
    assert done.code == 3
    assert "not what was signed" in done.stderr


def test_compiled_ahead_it_still_says_what_it_takes(
    run_cli: Callable[..., Any], written: Path, zig: dict[str, str]
) -> None:
    assert pack_colours(run_cli, written, zig).code == 0
    assert run_cli(["compile", "c.wasm"], cwd=written).code == 0
    (written / "c.wasm").unlink()
    words = ["classify", "red.png", "--worker", "c.cwasm", "--expect", "red"]
    done = run_cli([*words, "--trace", "trace.json"], cwd=written)
    assert done.code == 0, done.stderr
    spans = {event["name"] for event in json.loads((written / "trace.json").read_text())}
    assert "worker" in spans
    assert "compile" not in spans
    # machine code of somebody else's is refused here too
    done = run_cli(words, cwd=written, env={"WASMLRUN_DATA_DIR": str(written / "other")})
    assert done.code == 3
    assert "is machine code that this wasmlrun did not make" in done.stderr
