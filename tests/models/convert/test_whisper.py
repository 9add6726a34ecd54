"""Whisper's weights out of CTranslate2's form: what is refused, and the filters of hearing.

That the whole file is right is known by its digest, and by what the model writes down
(tests/pipeline/test_speech_guests.py).
"""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest

from wasmlrun.models.convert.whisper import from_ctranslate2, mel_filters


def package(weights: bytes | None, words: bytes = b"a\n") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        if weights is not None:
            archive.writestr("p/model/model.bin", weights)
            archive.writestr("p/model/vocabulary.txt", words)
    return stream.getvalue()


def text(value: str) -> bytes:
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


HEAD = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<I", 3)
ONE = text("a") + struct.pack("<BIBI", 1, 2, 0, 8) + bytes(8)


@pytest.mark.parametrize(
    "data",
    [
        b"no zip",
        package(None),
        package(b""),
        package(struct.pack("<I", 6) + text("TransformerSpec") + struct.pack("<I", 3)),
        package(HEAD + struct.pack("<I", 1) + ONE[:-1]),
        package(HEAD + struct.pack("<I", 2) + ONE),
        package(HEAD + struct.pack("<I", 1) + ONE),
        package(HEAD + struct.pack("<I", 1) + text("a") + struct.pack("<BIBI", 1, 2, 99, 8)),
        package(
            HEAD + struct.pack("<I", 1) + text("a") + struct.pack("<BIBI", 1, 3, 0, 8) + bytes(8)
        ),
    ],
)
def test_what_is_no_model_of_whisper(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it was, in the words of whoever saw it
        from_ctranslate2(data)


def test_bands_of_hearing() -> None:
    filters = mel_filters(80)
    assert filters.shape == (80, 201)
    assert (filters >= 0).all()
    peaks = filters.argmax(1) * 40
    assert (np.diff(peaks) >= 0).all()
    # even steps up to 1000 Hz, then ever wider; the last band ends at 8000 Hz
    assert peaks[0] == 40
    assert 7400 < peaks[-1] < 8000
    assert (filters[-1] > 0).sum() > 5 * (filters[10] > 0).sum()
    # each band takes as much sound as any other
    area = filters[20:].sum(1) * 40
    assert area == pytest.approx(1, abs=0.15)
