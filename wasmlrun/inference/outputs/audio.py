"""Sound: the model's numbers as samples of a WAV file."""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Sequence

import numpy as np

from wasmlrun.inference.arrays import Array, one
from wasmlrun.inference.kind import Context, Made, OutputKind
from wasmlrun.inference.options import Options
from wasmlrun.support.errors import BadManifest, BadModel


class Audio(Options):
    """`[infer.output]` of kind audio."""

    index: int = 0
    """The number of the output that is meant."""
    rate: int = 16000
    """Samples a second."""
    peak: float = 0.0
    """What the loudest sample becomes, from 0 to 1; 0 leaves them as they are, cut off at 1."""


def make(outputs: Sequence[tuple[str, Array]], options: Audio, _: Context) -> Made:
    """Samples from -1 to 1, or of 16 bits, in one channel. Raises BadModel."""
    array = one(outputs, options.index, "audio")
    if not 1 <= options.rate <= 1_000_000:
        raise BadManifest("infer.output.rate must be from 1 to 1000000 samples a second")
    if sum(n > 1 for n in array.shape) > 1:
        raise BadModel(f"audio is samples of one channel, the model gives {list(array.shape)}")
    samples = array.reshape(-1).astype(np.float64)
    if array.dtype.kind in "iu":
        samples /= 32768
    samples = np.nan_to_num(samples)
    loudest = float(np.abs(samples).max()) if samples.size else 0.0
    if options.peak > 0 and loudest > 0:
        samples *= options.peak / loudest
    samples = np.clip(samples, -1, 1)

    def file() -> bytes:
        stream = io.BytesIO()
        with wave.open(stream, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(options.rate)
            out.writeframes((samples * 32767).round().astype("<i2").tobytes())
        return stream.getvalue()

    seconds = samples.size / options.rate
    level = math.sqrt(float((samples**2).mean())) if samples.size else 0.0
    facts = {"seconds": seconds, "rate": options.rate, "peak": loudest, "level": level}
    line = (f"{seconds:.2f} s", f"{options.rate} Hz", f"peak {loudest:.3f}", f"level {level:.3f}")
    return Made(facts, [line], file)


KIND = OutputKind(make, Audio)
