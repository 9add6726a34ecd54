"""A model is what was given, and cannot make the engine read other files of the host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz.bases import onnx, onnx_with_external_data
from kit.outcome import Outcome

from wasmlrun.engines.protocol import Engine, EngineError
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import DType, Tensor


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "secret.txt"
    path.write_bytes(b"a secret of the host")
    monkeypatch.chdir(tmp_path)
    return path


def parts(encoding: Encoding, model: bytes) -> tuple[bytes, ...]:
    return (model, b"") if encoding is Encoding.OPENVINO else (model,)


@pytest.mark.parametrize(
    "encoding",
    [Encoding.ONNX, Encoding.OPENVINO, Encoding.TENSORFLOW, Encoding.TENSORFLOW_LITE],
)
@pytest.mark.parametrize("location", ["secret.txt", "./secret.txt", "{}/secret.txt", "../{}"])
def test_external_data_is_refused_whatever_the_model_is_said_to_be(
    openvino: Engine, secret: Path, encoding: Encoding, location: str
) -> None:
    name = location.format(secret.parent)
    source = ModelSource(encoding, parts(encoding, onnx_with_external_data(name)))
    with pytest.raises(EngineError) as caught:
        openvino.load(source, "CPU")
    assert "a secret" not in str(caught.value)


def test_a_model_cannot_name_the_file_it_is_in(openvino: Engine, secret: Path) -> None:
    """The control: the recipe works where a file of this name is, which is its own alone."""
    own = ModelSource(Encoding.ONNX, (onnx_with_external_data("model.onnx"),))
    graph = openvino.load(own, "CPU")
    context = graph.open()
    context.set_input(0, Tensor((1,), DType.F32, bytes(4)))
    context.compute()
    outputs = [bytes(context.output(n).data) for n in range(len(graph.outputs))]
    assert own.parts[0][:8] in outputs


@pytest.mark.parametrize("before", [b"\n", b" ", b"\0", b"\xef\xbb\xbf\n", b"\x08"])
def test_what_is_no_xml_is_no_ir(openvino: Engine, before: bytes) -> None:
    source = ModelSource(Encoding.OPENVINO, (before + onnx(), b""))
    with pytest.raises(EngineError, match="its XML does not start with <"):
        openvino.load(source, "CPU")


def test_the_command_refuses_it_in_words(
    run_cli: Callable[..., Outcome], secret: Path, red_image: Path
) -> None:
    model = secret.with_name("evil.onnx")
    model.write_bytes(onnx_with_external_data("secret.txt"))
    outcome = run_cli(["classify", red_image, "--model", model], cwd=secret.parent)
    assert outcome.code == 3
    assert outcome.stderr.startswith(f"error: model {model} cannot be read as onnx: ")
    assert "a secret" not in outcome.stdout + outcome.stderr
