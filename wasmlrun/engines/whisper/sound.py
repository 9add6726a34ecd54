"""Sound as whisper.cpp hears it: samples of one channel, f32, 16,000 a second.

A WAV file is recognised by its first bytes; anything else is taken for such samples already.
"""

from __future__ import annotations

import struct

import numpy as np

from wasmlrun.engines.protocol import EngineError

RATE = 16000
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_RATES = range(1000, 400_001)


def samples_of(data: bytes) -> bytes:
    """The samples, from -1 to 1. Raises EngineError."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _of_wav(data)
    if not data or len(data) % 4:
        raise EngineError(f"{len(data)} bytes of sound are neither a WAV file nor samples of f32")
    samples = np.frombuffer(data, "<f4")
    if not np.isfinite(samples).all():
        raise EngineError("the samples are not finite numbers")
    return data


def _of_wav(data: bytes) -> bytes:
    form, rate, channels, bits, body = _parts(data)
    kinds = {(_PCM, 8): "u1", (_PCM, 16): "<i2", (_PCM, 32): "<i4", (_FLOAT, 32): "<f4"}
    if (form, bits) not in kinds or not channels or rate not in _RATES:
        raise EngineError(
            f"a WAV file of form {form}, {bits} bits, {channels} channels at {rate} Hz cannot be "
            "read: PCM of 8, 16 or 32 bits and f32 can"
        )
    whole = len(body) - len(body) % (channels * bits // 8)
    numbers = np.frombuffer(body[:whole], kinds[form, bits]).reshape(-1, channels)
    if not len(numbers):
        raise EngineError("the WAV file has no samples")
    scale = {8: 128, 16: 32768, 32: 2147483648}[bits] if form == _PCM else 1
    middle = 128 if (form, bits) == (_PCM, 8) else 0
    sound = (numbers.astype(np.float64).mean(1) - middle) / scale
    sound = np.nan_to_num(sound).clip(-1, 1)
    if rate != RATE:
        sound = _resampled(sound, rate)
    return bytes(sound.astype("<f4").tobytes())


def _parts(data: bytes) -> tuple[int, int, int, int, bytes]:
    """Form, rate, channels, bits and the samples' bytes. Raises EngineError."""
    at, head = 12, None
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        body = data[at + 8 : at + 8 + size]
        if name == b"fmt " and len(body) >= 16:
            form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
            if form == _EXTENSIBLE and len(body) >= 26:
                form = struct.unpack_from("<H", body, 24)[0]
            head = form, rate, channels, bits
        if name == b"data" and head is not None:
            return (*head, body)
        at += 8 + size + size % 2
    raise EngineError("the WAV file has no format or no samples")


def _resampled(sound: np.ndarray, rate: int) -> np.ndarray:
    """The same sound at 16,000 samples a second, by its spectrum: nothing is mirrored."""
    count = max(1, round(len(sound) * RATE / rate))
    spectrum = np.fft.rfft(sound)
    found: np.ndarray = np.fft.irfft(spectrum, count) * (count / len(sound))
    return found
