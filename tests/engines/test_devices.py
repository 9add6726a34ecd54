"""From the device that is asked for to one that this machine has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz.bases import onnx
from kit.fakes import FakeEngine
from kit.needs import needs
from kit.outcome import Outcome

from wasmlrun.engines import registry
from wasmlrun.engines.devices import DeviceChoice
from wasmlrun.support.errors import UsageFault


def choose(
    wanted: str | None, target: str, found: list[str], *, strict: bool = False
) -> tuple[str, list[str]]:
    warnings: list[str] = []
    choice = DeviceChoice(wanted, warnings.append, strict=strict)
    return choice(FakeEngine(found=found), target), warnings


@pytest.mark.parametrize(
    ("wanted", "target", "found", "device"),
    [
        (None, "cpu", ["CPU", "GPU"], "CPU"),
        (None, "gpu", ["CPU", "GPU"], "GPU"),
        (None, "gpu", ["CPU", "GPU.1"], "GPU"),
        (None, "tpu", ["CPU", "NPU"], "NPU"),
        (None, "auto", ["CPU", "NPU"], "AUTO"),
        (None, "auto", ["CPU"], "CPU"),
        ("GPU", "cpu", ["CPU", "GPU"], "GPU"),
        ("CPU", "gpu", ["CPU", "GPU"], "CPU"),
        ("AUTO", "cpu", ["CPU"], "CPU"),
    ],
)
def test_a_present_device_is_used_and_a_flag_beats_the_guest(
    wanted: str | None, target: str, found: list[str], device: str
) -> None:
    assert choose(wanted, target, found) == (device, [])


@pytest.mark.parametrize(("wanted", "target"), [("GPU", "cpu"), (None, "gpu")])
def test_an_absent_device_is_cpu_with_a_warning(wanted: str | None, target: str) -> None:
    assert choose(wanted, target, ["CPU", "NPU"]) == (
        "CPU",
        ["device GPU is not on this machine (found: CPU, NPU); using CPU"],
    )


def test_an_absent_device_is_an_error_when_devices_are_strict() -> None:
    with pytest.raises(UsageFault) as caught:
        choose("NPU", "cpu", ["CPU"], strict=True)
    assert caught.value.message == "device NPU is not on this machine (found: CPU)"


@pytest.mark.parametrize("name", ["litert", "llama", "onnx", "torch", "whisper"])
@pytest.mark.parametrize(("target", "device"), [("gpu", "GPU"), ("tpu", "NPU")])
def test_an_engine_without_such_a_device_is_named_whatever_the_machine_has(
    name: str, target: str, device: str
) -> None:
    engine = FakeEngine(about=registry.about(name))
    warnings: list[str] = []
    message = f"the engine {name} has no device {device} (it computes on: CPU)"
    assert DeviceChoice(None, warnings.append)(engine, target) == "CPU"
    assert warnings == [f"{message}; using CPU"]
    with pytest.raises(UsageFault) as caught:
        DeviceChoice(None, warnings.append, strict=True)(engine, target)
    assert caught.value.message == message
    assert caught.value.hint == (
        "leave out --strict-device to fall back to CPU; wasmlrun engines lists what others have"
    )


def test_the_command_ends_with_it(
    run_cli: Callable[..., Outcome], red_image: Path, tmp_path: Path
) -> None:
    needs("onnxruntime", "onnxruntime")
    model = tmp_path / "net.onnx"
    model.write_bytes(onnx())
    words = ["classify", red_image, "--model", model, "--backend", "onnx", "--device", "npu"]
    done = run_cli(words)
    assert done.code == 0
    assert "warning: the engine onnx has no device NPU (it computes on: CPU); using CPU" in (
        done.stderr
    )
    done = run_cli([*words, "--strict-device"])
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the engine onnx has no device NPU (it computes on: CPU)")


def test_the_warning_comes_once() -> None:
    warnings: list[str] = []
    choice = DeviceChoice(None, warnings.append)
    engine = FakeEngine()
    assert [choice(engine, "gpu"), choice(engine, "gpu")] == ["CPU", "CPU"]
    assert len(warnings) == 1


def test_plain_cpu_never_asks_the_engine_what_there_is() -> None:
    class Untouchable(FakeEngine):
        def devices(self) -> list[str]:
            raise AssertionError("asked")

    assert DeviceChoice(None, print)(Untouchable(), "cpu") == "CPU"
