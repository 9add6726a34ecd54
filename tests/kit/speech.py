"""Speech that a voice of the catalogue makes, spoken once a session by the sample worker."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kit import packages
from wasmlrun.models.store import Shelf

WORKERS = Path(__file__).parents[2] / "samples" / "workers"
SENTENCE = "Hello there. The quick brown fox jumps over the lazy dog."


def spoken(run: Callable[..., bytes], shelf: Path, text: str = SENTENCE, *arguments: str) -> bytes:
    """What the worker says, as a WAV file; `run` runs a command line and gives its stdout."""
    for name in ("hibari-tts", "hibari-spelling"):
        packages.pulled(name, shelf)
    voice, spelling = Shelf(shelf).path("hibari-tts"), Shelf(shelf).path("hibari-spelling")
    command = ["run", WORKERS / "speak" / "speak.wasm", "--dir", f"{voice}:/voice"]
    command += ["--model", f"voice={voice / 'hibari.onnx'}"]
    command += ["--model", f"spelling={spelling / 'hibari-spelling.onnx'}", "--", *arguments]
    return run(command, text.encode())


def samples(data: bytes) -> tuple[int, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Rate, and samples from -1 to 1, of a WAV file of 16 bits and one channel."""
    with wave.open(io.BytesIO(data)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        numbers = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
        return sound.getframerate(), numbers.astype(np.float64) / 32768


def wav(numbers: np.ndarray[tuple[int], np.dtype[np.float64]], rate: int) -> bytes:
    """A WAV file of 16 bits and one channel."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((numbers.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return stream.getvalue()
