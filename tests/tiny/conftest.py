"""Packing in tests: with the compiler's own cache, which must outlive the tests' home."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from kit.needs import needs

from wasmlrun.manifest.manifest import Classify
from wasmlrun.support.messages import Messages
from wasmlrun.support.model_source import source_of
from wasmlrun.tiny.pack import Order, Packed, Subject, compile_ready, make_ready
from wasmlrun.tiny.ready import packed as packed_ready
from wasmlrun.tiny.ready import unpacked
from wasmlrun.toolkit.toolchains.installer import Installer

Packer = Callable[..., Packed]


@pytest.fixture
def zig(outside: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Variables with which the compiler finds its cache."""
    needs("ziglang", "ziglang")
    cache = outside.get("ZIG_GLOBAL_CACHE_DIR", str(Path(outside["HOME"], ".cache", "zig")))
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", cache)
    return {"ZIG_GLOBAL_CACHE_DIR": cache}


@pytest.fixture
def packed(zig: dict[str, str], tmp_path: Path) -> Packer:
    """`packed(model, simd=…, …)`: a model's bytes as a module."""

    def make(
        model: bytes,
        *,
        simd: str = "simd",
        labels: Sequence[str] | None = None,
        settings: Classify | None = None,
        decode: bool = False,
        keep: Path | None = None,
        page: Path | None = None,
    ) -> Packed:
        source, decode = source_of([model], None), decode or page is not None
        subject = Subject("model.tflite", source, settings or Classify(), labels)
        # on its way as from a process to another
        made = unpacked(*packed_ready(make_ready(subject, decode=decode)))
        order = Order("model", tmp_path / f"{simd}.wasm", simd, decode, keep, page)
        return compile_ready(made, order, Installer(Messages(-1), allowed=False))

    return make
