"""whisper.cpp with a real, small model; sound of every form; options; what it refuses."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kit import packages, speech
from kit.needs import needs

from wasmlrun.engines import registry
from wasmlrun.engines.language import LanguageGraph
from wasmlrun.engines.protocol import Engine, EngineError, Settings
from wasmlrun.engines.whisper.options import WhisperOptions, read_options
from wasmlrun.engines.whisper.sound import RATE, samples_of
from wasmlrun.support.model_source import Encoding, ModelSource, read_model

TONE = 0.5 * np.sin(np.arange(8000) * 2 * np.pi * 440 / 8000)


@pytest.fixture(scope="module")
def engine() -> Engine:
    needs("pywhispercpp", "pywhispercpp")
    return registry.get("whisper", Settings())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        packages.with_outside(patch)
        folder = packages.pulled("whisper-tiny-en", tmp_path_factory.mktemp("shelf"))
    return (folder / "whisper-tiny-en.ggml").read_bytes()


@pytest.fixture(scope="module")
def graph(engine: Engine, whole: bytes) -> Iterator[LanguageGraph]:
    loaded = engine.load(ModelSource(Encoding.WHISPER, (whole,)), "CPU")
    assert isinstance(loaded, LanguageGraph)
    yield loaded
    loaded.close()


def test_it_tells_what_it_is(engine: Engine) -> None:
    assert engine.about.encodings == (Encoding.WHISPER,)
    assert engine.version()[0].isdigit()
    assert list(engine.devices()) == ["CPU"]
    with pytest.raises(EngineError, match=r"whisper.cpp has no device GPU here"):
        engine.load(ModelSource(Encoding.WHISPER, (b"lmgg",)), "GPU")


def test_the_model_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "ggml-tiny.en.bin"
    path.write_bytes(b"lmgg" + bytes(100))
    assert read_model(path).encoding is Encoding.WHISPER


def test_silence_is_no_speech_and_a_context_is_asked_twice(graph: LanguageGraph) -> None:
    context = graph.converse(b"")
    context.prompt(bytes(4 * RATE))
    for _ in range(2):
        context.begin()
        pieces = []
        while (piece := context.advance()) is not None:
            pieces.append(piece)
        # what is written for silence: nothing, or a remark in brackets
        text = b"".join(pieces).strip()
        assert text == b"" or text[:1] in (b"[", b"("), text
    context.close()
    context.close()
    with pytest.raises(EngineError, match="was closed"):
        context.begin()


def test_what_it_does_not_do(graph: LanguageGraph) -> None:
    with pytest.raises(EngineError, match="takes sound, no tensors"):
        graph.open()
    context = graph.converse(b"")
    with pytest.raises(EngineError, match="there is no sound"):
        context.begin()
    with pytest.raises(EngineError, match="no vector"):
        context.embedding()
    context.close()


@pytest.mark.parametrize("data", [b"lmgg", b"lmgg" + bytes(44), b"no model"])
def test_a_damaged_model_is_refused(engine: Engine, data: bytes) -> None:
    with pytest.raises(EngineError, match="does not read the file"):
        engine.load(ModelSource(Encoding.WHISPER, (data,)), "CPU")


@pytest.mark.parametrize("cut", [-1, -1000, 1_000_000, 400_000, 60])
def test_a_model_that_is_cut_off_is_refused(engine: Engine, whole: bytes, cut: int) -> None:
    with pytest.raises(EngineError, match="does not read the file"):
        engine.load(ModelSource(Encoding.WHISPER, (whole[:cut],)), "CPU")


def form(kind: int, bits: int, channels: int, rate: int, body: bytes, extra: bytes = b"") -> bytes:
    width = channels * bits // 8
    fmt = struct.pack("<HHIIHH", kind, channels, rate, rate * width, width, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt
    chunks += b"LIST" + struct.pack("<I", 3) + b"abc\0"  # of odd length, with a byte to fill up
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks


FORMS = {
    "16 bits": form(1, 16, 1, 8000, (TONE * 32767).astype("<i2").tobytes()),
    "8 bits": form(1, 8, 1, 8000, (TONE * 127 + 128).astype("u1").tobytes()),
    "32 bits": form(1, 32, 1, 8000, (TONE * 2147483647).astype("<i4").tobytes()),
    "f32": form(3, 32, 1, 8000, TONE.astype("<f4").tobytes()),
    "stereo": form(1, 16, 2, 8000, np.repeat(TONE * 32767, 2).astype("<i2").tobytes()),
    "extensible": form(
        0xFFFE,
        16,
        1,
        8000,
        (TONE * 32767).astype("<i2").tobytes(),
        struct.pack("<HHIH", 22, 16, 4, 1) + bytes(14),
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_sound_of_every_form(name: str) -> None:
    sound = np.frombuffer(samples_of(FORMS[name]), "<f4")
    assert len(sound) == RATE, "one second, at twice the rate"
    spectrum = np.abs(np.fft.rfft(sound))
    assert spectrum.argmax() == 440
    assert np.abs(sound).max() == pytest.approx(0.5, abs=0.02)


def test_samples_are_taken_as_they_are() -> None:
    data = np.array([0, 0.5, -1], "<f4").tobytes()
    assert samples_of(data) == data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "0 bytes of sound are neither"),
        (b"abc", "3 bytes of sound are neither"),
        (np.array([np.nan], "<f4").tobytes(), "not finite"),
        (b"RIFF\0\0\0\0WAVE", "no format or no samples"),
        (form(1, 16, 1, 8000, b""), "no samples"),
        (form(2, 4, 1, 8000, b"abcd"), "form 2, 4 bits"),
        (form(1, 16, 0, 8000, b"abcd"), "0 channels"),
        (form(1, 16, 1, 1, b"abcd"), "at 1 Hz"),
    ],
)
def test_what_is_no_sound(data: bytes, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        samples_of(data)


def test_options_are_wasmedges() -> None:
    given = {"translate": True, "language": "de", "max-len": 9, "enable-log": True, "threads": 1}
    chosen = read_options(json.dumps(given).encode())
    assert (chosen.translate, chosen.language, chosen.max_len) == (True, "de", 9)
    again = read_options(b'{"language": "auto"}', chosen)
    assert (again.language, again.threads) == ("auto", 1)
    assert read_options(b"{}") == WhisperOptions()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[", "not JSON"),
        (b"[]", "no JSON object"),
        (b'{"translate": 1}', "translate is true or false"),
        (b'{"language": 1}', "language is a text"),
        (b'{"threads": "x"}', "threads is a whole number"),
        (b'{"threads": true}', "threads is a whole number"),
    ],
)
def test_wrong_options(data: bytes, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        read_options(data)


def test_speech_is_written_down_whatever_its_rate(graph: LanguageGraph) -> None:
    # a tone; what a voice says is in tests/pipeline/test_speech_guests.py
    context = graph.converse(b'{"max-len": 5, "split-on-word": true, "prompt": "Hello"}')
    context.configure(b'{"duration-time": 500}')
    context.prompt(speech.wav(TONE, 44100))
    context.begin()
    while context.advance() is not None:
        assert context.facts.output_tokens > 0
    assert not context.wishes.stream
    context.close()
