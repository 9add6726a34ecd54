"""What a guest may load: builders, encodings, targets, names."""

from __future__ import annotations

import pytest
from kit.core_calls import (
    DATA,
    GRAPH,
    IDENTITY,
    LOAD,
    MODELS,
    NAME,
    ODD,
    ONNX,
    PARTS,
    memory,
)
from kit.core_guests import Call, Player, u32s
from kit.fakes import FakeEngine

from wasmlrun.engines.protocol import Engine
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.model_source import Encoding


def loading(
    parts: list[bytes], encoding: int, target: int = 0
) -> tuple[list[Call], dict[int, bytes]]:
    """A script that loads a model from its own memory."""
    pairs, content, at = [], {}, DATA
    for part in parts:
        pairs += [at, len(part)]
        if part:
            content[at] = part
        at += len(part)
    calls: list[Call] = [("load", PARTS, len(parts), encoding, target, GRAPH)]
    return calls, {PARTS: u32s(*pairs), GRAPH: u32s(ODD), **content}


PB, TORCH = b"\x0a\x10tensorflow", b"PK\x03\x04torch"
TFLITE, GGUF, XML = b"\x1c\0\0\0TFL3rest", b"GGUF\3\0\0\0", b"<?xml version='1.0'?><net/>"


@pytest.mark.parametrize(
    ("number", "parts", "encoding"),
    [
        (0, [XML, b"weights"], Encoding.OPENVINO),
        (1, [ONNX], Encoding.ONNX),
        (2, [PB], Encoding.TENSORFLOW),
        (3, [TORCH], Encoding.PYTORCH),
        (4, [TFLITE], Encoding.TENSORFLOW_LITE),
    ],
)
def test_each_encoding_takes_its_own_number_of_builders(
    play: Player, number: int, parts: list[bytes], encoding: Encoding
) -> None:
    engine = FakeEngine()
    played = play(*loading(parts, number), engine=engine)
    assert played.errnos == [0]
    ((source, device),) = engine.loads
    assert (source.encoding, list(source.parts), device) == (encoding, parts, "CPU")
    # and one more is refused
    played = play(*loading([*parts, b"more"], number))
    assert played.errnos == [1]
    assert played.sentence == (
        f"load: a model of encoding {encoding.value} has {len(parts)} part(s), "
        f"{len(parts) + 1} given"
    )
    assert played.u32(GRAPH) == ODD


@pytest.mark.parametrize("number", [5, 6])
@pytest.mark.parametrize(
    ("parts", "encoding"),
    [
        ([XML, b"weights"], Encoding.OPENVINO),
        ([ONNX], Encoding.ONNX),
        ([PB], Encoding.TENSORFLOW),
        ([TORCH], Encoding.PYTORCH),
        ([TFLITE], Encoding.TENSORFLOW_LITE),
        ([GGUF, b"{}"], Encoding.GGML),
    ],
)
def test_encodings_5_and_6_are_told_by_the_bytes(
    play: Player, number: int, parts: list[bytes], encoding: Encoding
) -> None:
    engine = FakeEngine()
    played = play(*loading(parts, number), engine=engine)
    assert played.errnos == [0]
    assert engine.loads[0][0].encoding is encoding


@pytest.mark.parametrize("number", [5, 6])
def test_autodetection_of_nothing_known_is_an_invalid_encoding(play: Player, number: int) -> None:
    played = play(*loading([b"\xff\xfe no model at all"], number))
    assert played.errnos == [2]
    assert played.sentence == "load: the model's bytes are of no known format"


@pytest.mark.parametrize("number", [5, 6])
def test_an_ir_without_weights_is_refused_when_it_is_detected_too(
    play: Player, number: int
) -> None:
    played = play(*loading([XML], number))
    assert played.errnos == [1]
    assert played.sentence == "load: a model of encoding openvino has 2 part(s), 1 given"


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (7, "neuralspeed"),
        (10, "mlx"),
        (11, "piper"),
        (12, "chattts"),
        (13, "openvino-genai"),
        (14, "bitnet"),
    ],
)
def test_wasmedges_own_encodings_are_named(play: Player, number: int, name: str) -> None:
    played = play(*loading([ONNX], number))
    assert played.errnos == [2]
    assert played.sentence.startswith(f"load: encoding {number} is WasmEdge's {name}, for which ")


def test_an_encoding_without_an_engine_is_named_before_its_builders_are_looked_at(
    play: Player,
) -> None:
    """ChatTTS has none: WasmEdge finds its model by itself."""
    played = play([("load", PARTS, 0, 12, 0, GRAPH)], {})
    assert played.errnos == [2]


@pytest.mark.parametrize("number", [8, 15, 99, 0xFFFFFFFF])
def test_an_unknown_encoding_is_refused(play: Player, number: int) -> None:
    played = play(*loading([ONNX], number))
    assert played.errnos == [2]
    assert played.sentence.startswith(f"load: encoding {number} is not supported (0 openvino, ")


def test_an_empty_model_is_refused(play: Player) -> None:
    played = play(*loading([b""], 1))
    assert played.errnos == [1]
    assert played.sentence == "load: the model is empty"


@pytest.mark.parametrize("count", [0, 65, 0xFFFFFFFF, 0x20000000])
def test_a_wrong_number_of_builders_is_refused(play: Player, count: int) -> None:
    played = play([("load", PARTS, count, 1, 0, GRAPH)], {})
    assert played.errnos == [1]
    assert played.sentence == f"load: {count} builders given, between 1 and 64 are possible"


def test_a_model_that_the_engine_refuses_is_a_runtime_error(play: Player, openvino: Engine) -> None:
    played = play(*loading([b"<net>not an IR</net>", b"\0"], 0), engine=openvino)
    assert played.errnos == [5]
    assert played.sentence.startswith("load: the openvino model cannot be loaded on CPU: ")


def test_pytorch_and_ggml_are_named_as_what_openvino_does_not_read(
    play: Player, openvino: Engine
) -> None:
    played = play(*loading([TORCH], 3), engine=openvino)
    assert played.errnos == [2]
    assert "the engine openvino does not read pytorch models" in played.sentence


@pytest.mark.parametrize(
    ("target", "found", "device"),
    [
        (0, ["CPU", "GPU"], "CPU"),
        (1, ["CPU", "GPU"], "GPU"),
        (1, ["CPU", "GPU.0", "GPU.1"], "GPU"),
        (2, ["CPU", "NPU"], "NPU"),
        (3, ["CPU", "GPU"], "AUTO"),
        (3, ["CPU"], "CPU"),
    ],
)
def test_targets_cpu_gpu_tpu_and_auto(
    play: Player, target: int, found: list[str], device: str
) -> None:
    engine = FakeEngine(found=found)
    played = play(*loading([ONNX], 1, target), engine=engine)
    assert played.errnos == [0]
    assert [used for _, used in engine.loads] == [device]
    assert played.warnings == []


def test_an_absent_device_is_cpu_with_one_warning(play: Player) -> None:
    engine = FakeEngine()
    calls, content = loading([ONNX], 1, 1)
    played = play(calls * 2, content, engine=engine)
    assert played.errnos == [0, 0]
    assert [used for _, used in engine.loads] == ["CPU"]
    assert played.warnings == ["device GPU is not on this machine (found: CPU); using CPU"]


def test_an_absent_device_ends_the_run_when_devices_are_strict(play: Player) -> None:
    with pytest.raises(UsageFault) as caught:
        play(*loading([ONNX], 1, 2), strict_device=True)
    assert caught.value.message == "device NPU is not on this machine (found: CPU)"
    assert caught.value.hint == "leave out --strict-device to fall back to CPU"


@pytest.mark.parametrize("target", [4, 0xFFFFFFFF])
def test_an_unknown_target_is_refused(play: Player, target: int) -> None:
    played = play(*loading([ONNX], 1, target))
    assert played.errnos == [1]
    assert played.sentence == (
        f"load: execution target {target} is unknown (0 cpu, 1 gpu, 2 tpu, 3 auto)"
    )


def test_an_unknown_name_is_not_found_and_the_known_ones_are_named(play: Player) -> None:
    models = {"mobilenet": IDENTITY, "resnet": IDENTITY}
    played = play([LOAD], memory(), models=models)
    assert played.errnos == [8]
    assert played.sentence == "load_by_name: no model is named 'm' (known: mobilenet, resnet)"


@pytest.mark.parametrize("size", [5000, 0xFFFFFFFF])
def test_a_name_of_absurd_length_is_refused(play: Player, size: int) -> None:
    played = play([("load_by_name", NAME, size, GRAPH)], memory(), models=MODELS)
    assert played.errnos == [1]
    assert played.sentence == f"load_by_name: a name of {size} bytes; 4096 may be"


def test_a_name_that_is_no_text_is_refused(play: Player) -> None:
    played = play([LOAD], {NAME: b"\xff"})
    assert played.errnos == [1]
    assert played.sentence == "load_by_name: the name is not UTF-8"
