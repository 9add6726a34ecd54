"""Models named as WasmEdge and wasmtime name them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kit.core_guests import program
from kit.outcome import Outcome

from wasmlrun.pipeline.foreign import Named, from_wasmedge, from_wasmtime
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.model_source import Encoding

# loads the model "net" by its name, and exits with the error number
LOADS = program(
    "(call $proc_exit (call $load (i32.const 0) (i32.const 3) (i32.const 16)))",
    before='(import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) '
    "(result i32)))",
    data={0: b"net"},
)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a:OpenVINO:CPU:m.xml,m.bin", Named("a", Encoding.OPENVINO, "cpu", Path("m.xml"))),
        ("a:OpenVINO:CPU:m.xml:m.bin", Named("a", Encoding.OPENVINO, "cpu", Path("m.xml"))),
        ("a:onnx:GPU:m.onnx", Named("a", Encoding.ONNX, "gpu", Path("m.onnx"))),
        ("a:Tensorflow:TPU:m.pb", Named("a", Encoding.TENSORFLOW, "tpu", Path("m.pb"))),
        ("a:TensorflowLite:AUTO:m", Named("a", Encoding.TENSORFLOW_LITE, "auto", Path("m"))),
        ("a:PyTorch:CPU:m.pt", Named("a", Encoding.PYTORCH, "cpu", Path("m.pt"))),
        ("default:GGML:AUTO:c:m.gguf", Named("default", Encoding.GGML, "auto", Path("c:m.gguf"))),
        ("a:AutoDetect:CPU:m", Named("a", None, "cpu", Path("m"))),
    ],
)
def test_wasmedges_names(text: str, named: Named) -> None:
    assert from_wasmedge(text) == named


def test_wasmtimes_names() -> None:
    found = from_wasmtime("nn,nn-graph=openvino::./fixture,nn-graph=onnx::/models/net")
    assert [(n.name, n.encoding) for n in found] == [
        ("fixture", Encoding.OPENVINO),
        ("net", Encoding.ONNX),
    ]


@pytest.mark.parametrize(
    ("parse", "text", "message", "hint"),
    [
        (from_wasmedge, "a:onnx:m.onnx", "not of the form NAME:ENCODING:TARGET:PATH", "as in"),
        (from_wasmedge, "a:onnx:FPGA:m", "no target is named FPGA", "known: cpu, gpu, tpu, auto"),
        (from_wasmedge, "a:onx:CPU:m", "no encoding is named onx", "did you mean onnx?"),
        (
            from_wasmedge,
            "a:Piper:CPU:m",
            "no engine here runs models of the encoding Piper",
            "wasmlrun engines",
        ),
        (from_wasmedge, "a:openvino:CPU:m.xml,n.bin", "n.bin is not what belongs to m.xml", "IR"),
        (from_wasmtime, "http", "only nn and nn-graph=FORMAT::DIR are known", "as in"),
        (from_wasmtime, "nn-graph=winml::d", "no engine here runs models", "wasmlrun engines"),
    ],
)
def test_what_is_wrong_is_told(
    parse: Callable[[str], object], text: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageFault) as caught:
        parse(text)
    assert message in caught.value.message
    assert caught.value.hint is not None
    assert hint in caught.value.hint


def test_both_options_give_a_program_its_model(
    run_cli: Callable[..., Outcome],
    make_worker: Callable[..., Path],
    colours: Path,
    tmp_path: Path,
) -> None:
    worker = make_worker(tmp_path, LOADS)
    weights = colours.with_suffix(".bin")
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "model.xml").write_bytes(colours.read_bytes())
    (folder / "model.bin").write_bytes(weights.read_bytes())
    assert run_cli(["run", worker]).code == 8  # not found
    for option, value in (
        ("--nn-preload", f"net:OpenVINO:CPU:{colours},{weights}"),
        ("--nn-preload", f"net:AutoDetect:AUTO:{colours}"),
        ("-S", f"nn,nn-graph=openvino::{folder}"),
    ):
        done = run_cli(["run", option, value, worker])
        assert (done.code, done.stderr) == (0, ""), option
    done = run_cli(["run", "--nn-preload", f"net:ONNX:CPU:{colours}", worker])
    assert done.code == 3
    assert "is said to be onnx and is openvino" in done.stderr


def test_a_model_of_language_that_does_not_exist_is_told_to_the_guest(
    run_cli: Callable[..., Outcome], make_worker: Callable[..., Path], tmp_path: Path
) -> None:
    """WasmEdge's examples expect its number for it; other models are missed before they start."""
    worker = make_worker(tmp_path, LOADS)
    done = run_cli(["run", "--nn-preload", "net:GGML:AUTO:absent.gguf", worker])
    assert (done.code, done.stdout) == (103, "")
    done = run_cli(["run", "--nn-preload", "net:ONNX:AUTO:absent.onnx", worker])
    assert (done.code, done.stderr.splitlines()[0]) == (
        3,
        "error: model absent.onnx does not exist",
    )


def test_classify_takes_them_and_a_name_of_ones_own(
    run_cli: Callable[..., Outcome], colours: Path, red_image: Path
) -> None:
    labels = ["--labels", colours.with_suffix(".txt"), "-k", "1"]
    for words in (
        ["--nn-preload", f"default:OpenVINO:CPU:{colours}"],
        ["-S", f"nn-graph=openvino::{colours.parent}"],
        ["--model", f"mine={colours}"],
    ):
        done = run_cli(["classify", red_image, *words, *labels])
        assert done.code == 0, done.stderr
        assert done.stdout.split("\t")[1] == "red"
