"""Models that attack the engine: each ends with the right exit code and a sentence.

They are recipes, a small valid model and a change, found by the fuzzer; no crasher is a file here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from fuzz.bases import onnx, onnx_that_grows, tflite
from kit.needs import needs
from kit.outcome import Outcome

Command = Callable[..., Outcome]


def changed(model: bytes, old: bytes, new: bytes) -> bytes:
    assert model.count(old) == 1, "the base model changed: find the place anew"
    return model.replace(old, new)


def pool_without_input() -> bytes:
    """A node has lost its only input (a crash in OpenVINO 2026.4)."""
    return changed(onnx(), b"\x0a\x19\x0a\x01u\x12\x01g", b"\x0a\x19\x80\x01u\x12\x01g")


def convolution_without_weights() -> bytes:
    """A node has lost its second input (a crash in the same)."""
    return changed(onnx(), b"\x0a\x01x\x0a\x01w", b"\x0a\x01x\x1a\x01w")


CRASHERS = (pool_without_input, convolution_without_weights)


def picture_of_any_size(side: int) -> bytes:
    """The input's height and width are as large as the file says."""
    shape = struct.pack("<5I", 4, 1, 8, 8, 3)
    found = tflite()
    first = found.index(shape)
    return found[:first] + struct.pack("<5I", 4, 1, side, side, 3) + found[first + 20 :]


@pytest.fixture
def classify(tmp_path: Path, red_image: Path, run_cli: Command) -> Command:
    """Runs the command with a model of these bytes."""

    def run(model: bytes, suffix: str, *options: str) -> Outcome:
        path = tmp_path / f"hostile{suffix}"
        path.write_bytes(model)
        return run_cli(["classify", red_image, "--model", path, *options])

    return run


def test_the_bases_are_good_models(classify: Command) -> None:
    """The control: what is refused below is refused for the change."""
    assert classify(onnx(), ".onnx").code == 0
    assert classify(tflite(), ".tflite").code == 0
    assert classify(picture_of_any_size(16), ".tflite").code == 0


@pytest.mark.parametrize("crasher", CRASHERS)
def test_a_model_that_crashes_the_parser(crasher: Callable[[], bytes], classify: Command) -> None:
    outcome = classify(crasher(), ".onnx")
    assert (outcome.code, outcome.stdout) == (3, "")
    # an engine in which the fault is mended refuses it by itself
    assert re.match(
        r"error: (the inference engine crashed \(SIG\w+\) while it read|model) .*hostile\.onnx"
        r".*\nhint: .*\n$",
        outcome.stderr,
    )


@pytest.mark.parametrize("command", ["inspect", "models info", "bench"])
def test_every_command_that_reads_a_model_survives_it(
    command: str, tmp_path: Path, red_image: Path, run_cli: Command
) -> None:
    path = tmp_path / "hostile.onnx"
    path.write_bytes(pool_without_input())
    words = [red_image, "--model", path, "-n", "1"] if command == "bench" else [path]
    outcome = run_cli([*command.split(), *words])
    assert (outcome.code, outcome.stdout) == (4 if command == "bench" else 3, "")
    assert re.match(
        r"error: (the inference engine crashed \(SIG\w+\) while it read|model) ", outcome.stderr
    )


def test_a_guest_that_crashes_the_parser(
    tmp_path: Path, make_worker: Callable[..., Path], run_cli: Command
) -> None:
    """The same bytes, from a worker that passes them to `load` itself."""
    from kit.core_guests import script, u32s

    model = pool_without_input()
    memory = {64: u32s(4096, len(model)), 4096: model}
    worker = make_worker(tmp_path, script([("load", 64, 1, 1, 0, 256)], memory))
    outcome = run_cli(["run", worker, "--max-output", "1"])
    if outcome.code == 5:  # the engine refused the model, and the guest went on to print
        assert "the output limit" in outcome.stderr
    else:
        assert outcome.code == 3
        assert re.match(
            r"error: the inference engine crashed \(SIG\w+\) while it read an? onnx model of "
            rf"{len(model)} bytes\nhint: ",
            outcome.stderr,
        )


def damaged(model: bytes) -> list[bytes]:
    """Cut off, with sizes that reach far beyond the file, and with bytes thrown about."""
    random = Random(7)
    thrown = bytearray(model)
    for _ in range(12):
        thrown[random.randrange(8, len(model))] = random.randrange(256)
    middle = len(model) // 2
    far = model[:middle] + b"\xff\xff\xff\x7f" * 2 + model[middle + 8 :]
    return [model[:middle], far, bytes(thrown)]


@pytest.mark.parametrize(
    ("engine", "module", "suffix", "model"),
    [
        ("litert", "ai_edge_litert", ".tflite", tflite),
        ("onnx", "onnxruntime", ".onnx", onnx),
    ],
)
def test_damaged_models_end_with_a_sentence_in_the_other_engines_too(
    engine: str, module: str, suffix: str, model: Callable[[], bytes], classify: Command
) -> None:
    needs(module, engine)
    assert classify(model(), suffix, "--backend", engine).code == 0
    codes = []
    for data in damaged(model()):
        outcome = classify(data, suffix, "--backend", engine)
        codes.append(outcome.code)
        assert outcome.code in (0, 3, 4), outcome.stderr
        assert outcome.code == 0 or re.search(r"^error: ", outcome.stderr, re.MULTILINE)
        assert "a bug in wasmlrun" not in outcome.stderr
    assert codes[0] == 3


def test_a_torchscript_that_eats_memory(classify: Command) -> None:
    needs("torch", "torch")
    import torch
    from kit.torch_models import scripted

    class Eats(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.look = torch.nn.Conv2d(3, 5, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.look(x).mean((2, 3)) + torch.zeros(1 << 36).sum()
            return made

    outcome = classify(scripted(Eats()), ".pt", "--max-process-memory", "1G")
    assert (outcome.code, outcome.stdout) == (5, "")
    assert outcome.stderr.startswith("error: the process_memory limit of 1073741824 bytes was")


def test_a_model_that_eats_memory(classify: Command) -> None:
    outcome = classify(onnx_that_grows(1 << 30), ".onnx", "--max-process-memory", "1G")
    assert outcome.code == 5
    assert outcome.stderr.startswith("error: the process_memory limit of 1073741824 bytes was")


def test_a_model_that_wants_a_picture_larger_than_all_memory(classify: Command) -> None:
    for side in (20_000, 1 << 30):
        outcome = classify(picture_of_any_size(side), ".tflite", "--max-process-memory", "1G")
        # whether the engine or the program is first to refuse it
        assert outcome.code in (3, 5), outcome.stderr
        assert outcome.stderr.startswith("error: ")
        assert "a bug in wasmlrun" not in outcome.stderr


def test_the_size_of_a_picture_is_looked_at_before_it_is_drawn(classify: Command) -> None:
    outcome = classify(picture_of_any_size(1000), ".tflite", "--max-tensor-bytes", "1M")
    assert outcome.code == 5
    assert outcome.stderr.startswith(
        "error: the tensor_bytes limit of 1048576 bytes was reached: "
        "the model wants a picture of 1000 × 1000, 3000000 bytes\n"
    )


def test_a_picture_that_takes_more_memory_than_there_is(
    tmp_path: Path, colours: Path, run_cli: Command
) -> None:
    from PIL import Image

    path = tmp_path / "large.png"
    Image.new("RGB", (9000, 9000)).save(path)
    arguments = ["classify", path, "--model", colours, "--max-process-memory"]
    assert run_cli([*arguments, "2G"]).code == 0
    outcome = run_cli([*arguments, "300M"])
    assert outcome.code == 5, outcome.stderr
    assert "the process_memory limit of 314572800 bytes was reached" in outcome.stderr
