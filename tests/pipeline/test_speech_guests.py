"""A worker speaks, another hears that somebody does, a third writes down what was said."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from kit import packages, speech
from kit.needs import needs

WORKERS = speech.WORKERS
GUESTS = Path(__file__).parents[2].parent / "shared" / "guests"


def run(command: Sequence[object], stdin: bytes) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "wasmlrun", *map(str, command)],
        input=stdin,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def failing(command: Sequence[object], stdin: bytes) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "wasmlrun", *map(str, command)],
        input=stdin,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode != 0
    assert done.stdout == b"", "no half answer"
    return done.stderr.decode()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture(scope="module")
def said(shelf: Path) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        packages.with_outside(patch)
        return speech.spoken(run, shelf)


@pytest.fixture(autouse=True)
def _registries(monkeypatch: pytest.MonkeyPatch) -> None:
    packages.with_outside(monkeypatch)


def test_what_it_says_is_speech(said: bytes) -> None:
    rate, sound = speech.samples(said)
    assert rate == 24000
    assert 3 < len(sound) / rate < 7, "as long as a person takes for the sentence"
    assert 0.01 < sound.std() < 0.5
    frames = sound[: len(sound) // 1200 * 1200].reshape(-1, 1200) * np.hanning(1200)
    power = (np.abs(np.fft.rfft(frames)) ** 2).mean(0)
    hertz = np.fft.rfftfreq(1200, 1 / rate)
    # a voice: most of it below 4 kHz, little below its pitch
    assert power[(hertz > 80) & (hertz < 4000)].sum() > 0.9 * power.sum()
    # loud syllables and pauses between them
    loud = np.sqrt((frames**2).mean(1))
    assert np.percentile(loud, 10) < 0.1 * np.percentile(loud, 90)
    # vowels have a pitch: the loudest frame repeats itself at 80 to 400 Hz
    at = int(loud.argmax()) * 1200
    part = sound[at : at + 2400]
    again = np.correlate(part, part, "full")[len(part) :]
    assert again[rate // 400 : rate // 80].max() > 0.3 * (part**2).sum(), "noise has 0.1"


def test_it_says_the_same_again_and_faster_when_asked(shelf: Path) -> None:
    one = speech.spoken(run, shelf, "Hello.")
    assert speech.spoken(run, shelf, "Hello.") == one
    faster = speech.spoken(run, shelf, "Hello.", "2")
    assert len(faster) < 0.8 * len(one)


def test_what_cannot_be_said(shelf: Path, said: bytes) -> None:
    assert said

    def fails(command: Sequence[object], stdin: bytes) -> bytes:
        return failing(command, stdin).encode()

    assert b"has nothing to say" in speech.spoken(fails, shelf, " \n")
    assert b"the speed: must be" in speech.spoken(fails, shelf, "Hello.", "9")
    assert b"longer than 65,535 bytes" in speech.spoken(fails, shelf, "a " * 40000)
    # without its dictionary
    words = ["run", WORKERS / "speak" / "speak.wasm"]
    assert "mount the model's folder" in failing(words, b"Hello.")


def test_it_is_heard_who_speaks_when(said: bytes, shelf: Path) -> None:
    model = packages.pulled("silero-vad", shelf) / "silero_vad_openvino_16k.onnx"
    rate, sound = speech.samples(said)
    count = len(sound) * 16000 // rate
    slower = np.interp(np.arange(count) * rate / 16000, np.arange(len(sound)), sound)
    silence = np.zeros(16000)
    command = ["run", WORKERS / "hear" / "hear.wasm", "--model", f"vad={model}"]
    out = run(command, speech.wav(np.concatenate([silence, slower, silence]), 16000))
    times = [tuple(map(float, line.split("\t"))) for line in out.decode().splitlines()]
    assert 1 <= len(times) <= 4
    assert 0.9 < times[0][0] < 1.6
    assert 1 + len(slower) / 16000 - 1 < times[-1][1] < 1 + len(slower) / 16000 + 0.3
    assert sum(end - begin for begin, end in times) > 0.6 * len(slower) / 16000
    assert run(command, speech.wav(silence, 16000)) == b""
    noise = np.random.default_rng(1).normal(0, 0.05, 32000)
    assert run(command, speech.wav(noise, 16000)) == b""
    assert "is not 16 bits, one channel" in failing(command, said)
    assert "is no WAV file" in failing(command, b"")


def test_what_is_said_is_written_down(said: bytes, shelf: Path) -> None:
    needs("pywhispercpp", "pywhispercpp")
    model = packages.pulled("whisper-tiny-en", shelf) / "whisper-tiny-en.ggml"
    command = ["run", WORKERS / "listen" / "listen.wasm", "--model", f"default={model}"]
    text = run(command, said).decode()
    assert "quick brown fox jumps over the lazy dog." in " ".join(text.split())
    assert text.startswith("Hello there.")
    assert "neither a WAV file nor samples" in failing(command, b"abc")


def test_wasmedges_own_example_hears(said: bytes, shelf: Path, tmp_path: Path) -> None:
    guest = GUESTS / "whisper-basic.wasm"
    if not guest.is_file():
        pytest.skip(f"an addition for those who have it: {guest}")
    needs("pywhispercpp", "pywhispercpp")
    model = packages.pulled("whisper-tiny-en", shelf) / "whisper-tiny-en.ggml"
    (tmp_path / "m.bin").write_bytes(model.read_bytes())
    (tmp_path / "a.wav").write_bytes(said)
    out = run(["run", "--dir", f"{tmp_path}:.", guest, "--", "m.bin", "a.wav"], b"")
    assert b"quick brown fox" in out
    assert os.fspath(tmp_path).encode() not in out
