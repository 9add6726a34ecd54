"""What the processor can do, read from what the system says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wasmlrun.engines.openvino import create
from wasmlrun.engines.openvino.capi import Library
from wasmlrun.engines.protocol import Settings
from wasmlrun.support import cpu

Says = Callable[[str | None], None]

ZEN3 = "processor : 0\nmodel name : EPYC\nflags : fpu avx2 sha_ni\n\nprocessor : 1\n"
ZEN4 = "processor : 0\nmodel name : EPYC\nflags : fpu avx2 avx512_vnni\n"
ARM = "processor : 0\nFeatures : fp asimd\n"


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Iterator[Says]:
    """Lets /proc/cpuinfo have this text, or with None not exist."""
    read_bytes = Path.read_bytes

    def pretend(text: str | None) -> None:
        def read(path: Path) -> bytes:
            if str(path) != "/proc/cpuinfo":
                return read_bytes(path)
            if text is None:
                raise FileNotFoundError
            return text.encode()

        monkeypatch.setattr(Path, "read_bytes", read)
        cpu.description.cache_clear()

    yield pretend
    cpu.description.cache_clear()


@pytest.mark.parametrize(
    ("text", "saturates"), [(ZEN3, True), (ZEN4, False), (ARM, False), ("", False), (None, False)]
)
def test_byte_products_saturate_on_x86_before_vnni(
    says: Says, text: str | None, saturates: bool
) -> None:
    says(text)
    assert cpu.byte_products_saturate() is saturates


def test_processors_are_told_apart(says: Says) -> None:
    found = set()
    for text in (ZEN3, ZEN4, ARM, None):
        says(text)
        found.add(cpu.description())
    assert len(found) == 4
    assert all(found)


@pytest.mark.parametrize(
    ("text", "precision", "exact"),
    [(ZEN3, "f32", True), (ZEN3, "bf16", False), (ZEN4, "f32", False)],
)
def test_8_bit_models_are_computed_in_f32_where_bytes_are_not_exact(
    says: Says, monkeypatch: pytest.MonkeyPatch, text: str, precision: str, exact: bool
) -> None:
    says(text)
    given: dict[str, str] = {}
    call = Library.call

    def noticed(self: Library, name: str, *arguments: object) -> None:
        if name == "ov_core_set_property":
            key, value = (a.value.decode() for a in arguments[2:])  # type: ignore[attr-defined]
            given[key] = value
        call(self, name, *arguments)

    monkeypatch.setattr(Library, "call", noticed)
    create(Settings(precision)).prepare()
    assert given["INFERENCE_PRECISION_HINT"] == precision
    assert (given.get("LP_TRANSFORMS_MODE") == "NO") is exact
