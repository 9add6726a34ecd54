"""What outputs become: labels, masks, pictures, vectors, texts, sound, numbers."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from kit.numbers import f32, whole
from PIL import Image

from wasmlrun.inference.arrays import Array
from wasmlrun.inference.kind import Box, Context, Given, Made
from wasmlrun.inference.outputs import kind_of
from wasmlrun.support.errors import BadLabels, BadManifest, BadModel

PICTURE = Image.new("RGB", (40, 20), (10, 20, 30))
GIVEN = Given({}, PICTURE, Box(0, 0, 40, 20), (10, 20))


def made(
    kind: str,
    *outputs: Array,
    labels: Sequence[str] | None = None,
    suffix: str = "",
    given: Given = GIVEN,
    **options: Any,
) -> Made:
    found = kind_of(kind)
    named = [(f"out{number}", array) for number, array in enumerate(outputs)]
    return found.make(named, found.options(**options), Context(given, labels, suffix))


def picture_of(result: Made) -> Image.Image:
    assert result.file is not None
    return Image.open(io.BytesIO(result.file()))


def test_the_highest_scores() -> None:
    scores = f32([[0.1, 0.7, 0.2]])
    result = made("labels", scores, labels=["a", "b", "c"], top=2)
    assert [p["label"] for p in result.facts["predictions"]] == ["b", "c"]
    assert result.lines[0] == ("b", "0.7000", "1")
    with pytest.raises(BadLabels, match="3 scores and there are 1 labels"):
        made("labels", scores, labels=["a"])


def test_eight_bit_scores_are_shares_of_256() -> None:
    result = made("labels", whole([[0, 255, 1]], "uint8"))
    assert result.facts["predictions"][0]["score"] == pytest.approx(255 / 256)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_picture_in_either_layout(layout: str) -> None:
    array = np.zeros((1, 10, 20, 3), np.float32)
    array[0, :, :10, 0] = 1.2
    array[0, :, 10:, 2] = 0.5
    if layout == "NCHW":
        array = array.transpose(0, 3, 1, 2)
    result = made("image", array)
    image = picture_of(result)
    assert (image.size, image.mode) == ((20, 10), "RGB")
    assert image.getpixel((2, 5)) == (255, 0, 0)
    assert image.getpixel((15, 5)) == (0, 0, 128)
    assert result.facts["width"] == 20


def test_a_picture_gets_its_shape_back() -> None:
    square = np.zeros((1, 3, 8, 8), np.float32)
    assert picture_of(made("image", square)).size == PICTURE.size
    assert picture_of(made("image", square, restore=False)).size == (8, 8)


def test_a_picture_from_other_numbers_and_in_grey() -> None:
    array = f32([[-1, 0], [1, 3]])[None, None]
    image = picture_of(made("image", array, low=-1, high=1, restore=False))
    assert image.mode == "L"
    assert list(image.tobytes()) == [0, 128, 255, 255]
    assert picture_of(made("image", array, suffix=".jpg")).format == "JPEG"
    assert picture_of(made("image", array, suffix=".webp")).format == "WEBP"
    with pytest.raises(BadManifest, match="high must not be the same"):
        made("image", array, low=1, high=1)
    with pytest.raises(BadModel, match="at most 4 channels, the model's has 9"):
        made("image", np.zeros((1, 9, 9, 9), np.float32))
    with pytest.raises(BadModel, match="one picture"):
        made("image", np.zeros((2, 9, 9, 3), np.float32))


def test_a_mask_of_one_class() -> None:
    scores = np.zeros((1, 10, 20, 1), np.float32)
    scores[0, :, :5] = 1
    result = made("segment", scores, labels=["person"])
    assert result.facts["segments"] == [{"label": "person", "share": 0.25}]
    overlay = picture_of(result).convert("RGB")
    assert overlay.size == PICTURE.size
    assert overlay.getpixel((39, 10)) == (10, 20, 30)
    assert overlay.getpixel((2, 10)) != (10, 20, 30)
    mask = picture_of(made("segment", scores, show="mask"))
    assert (mask.mode, mask.getpixel((2, 10)), mask.getpixel((39, 10))) == ("L", 255, 0)
    cut = picture_of(made("segment", scores, show="cutout"))
    assert cut.getpixel((2, 10)) == (10, 20, 30, 255)
    assert cut.getpixel((39, 10)) == (10, 20, 30, 0)
    named = made("segment", scores, labels=["person"], label="somebody")
    assert named.facts["segments"] == [{"label": "somebody", "share": 0.25}]
    logits = made("segment", (scores - 0.5) * 20, sigmoid=True)
    assert logits.facts["segments"][0]["share"] == 0.25


def test_a_mask_of_several_classes_lies_where_the_tensor_did() -> None:
    scores = np.zeros((1, 3, 10, 10), np.float32)
    scores[0, 0] = 0.5
    scores[0, 2, :, :5] = 1
    given = Given({}, PICTURE, Box(10, 0, 20, 20), (10, 10))
    result = made("segment", scores, labels=["none", "cat", "dog"], given=given)
    assert result.facts["segments"] == [{"label": "dog", "share": 0.5}]
    overlay = picture_of(result).convert("RGB")
    assert [overlay.getpixel((x, 10)) != (10, 20, 30) for x in (5, 15, 25, 35)] == [
        *(False, True, False, False)
    ]
    with pytest.raises(BadLabels, match="3 classes apart and there are 1"):
        made("segment", scores, labels=["a"])


def test_a_vector() -> None:
    result = made("embed", f32([[3, 4]]), normalise=True)
    assert result.facts == {"dimensions": 2, "vector": pytest.approx([0.6, 0.8])}
    assert result.file is not None
    assert np.load(io.BytesIO(result.file())).tolist() == pytest.approx([0.6, 0.8])
    as_json = made("embed", f32([[3, 4]]), suffix=".json")
    assert as_json.file is not None
    assert json.loads(as_json.file()) == [3.0, 4.0]


def test_vectors_of_tokens_become_one() -> None:
    tokens = f32([[[1, 0], [3, 2], [100, 100]]])
    given = Given({}, mask=f32([1, 1, 0]))
    assert made("embed", tokens, pooling="mean", given=given).facts["vector"] == [2, 1]
    assert made("embed", tokens, pooling="first").facts["vector"] == [1, 0]
    with pytest.raises(BadModel, match="cannot pool"):
        made("embed", f32([[1]]), pooling="mean")


def test_letters_of_steps_become_a_text() -> None:
    steps = [0, 1, 1, 0, 1, 2, 3, 0]
    scores = np.full((1, len(steps), 4), 0.01, np.float32)
    for step, letter in enumerate(steps):
        scores[0, step, letter] = 0.9
    result = made("text", scores, labels=["a", "b"])
    assert result.facts == {"text": "aab ", "score": pytest.approx(0.9)}
    assert made("text", scores, labels=["a", "b", "c"]).facts["text"] == "aabc"
    # no letter at all
    assert made("text", scores[:, :1], labels=["a", "b"]).facts == {"text": "", "score": 0.0}
    with pytest.raises(BadLabels, match="3 letters apart and 1 labels name them"):
        made("text", scores, labels=["a"])
    with pytest.raises(BadLabels, match="no file names them"):
        made("text", scores)
    with pytest.raises(BadModel, match="steps, letters"):
        made("text", scores[0, 0])


def test_bytes_are_a_text_already() -> None:
    result = made("text", np.frombuffer("grün".encode(), np.uint8), format="bytes")
    assert result.facts == {"text": "grün"}
    assert result.file is not None
    assert result.file() == "grün\n".encode()


def test_sound_is_a_wav_file() -> None:
    tone = np.sin(np.arange(8000) * 2 * np.pi * 440 / 16000).astype(np.float32) * 2
    result = made("audio", tone[None, None], rate=16000)
    assert result.facts["seconds"] == 0.5
    assert result.facts["peak"] == pytest.approx(2, abs=0.01)
    assert result.file is not None
    with wave.open(io.BytesIO(result.file())) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16000, 1, 2)
        samples = np.frombuffer(sound.readframes(8000), "<i2")
    assert samples.max() == 32767, "cut off"
    spectrum = np.abs(np.fft.rfft(samples))
    assert spectrum.argmax() == 220
    quiet = made("audio", tone, peak=0.5)
    assert quiet.file is not None
    with wave.open(io.BytesIO(quiet.file())) as sound:
        assert abs(np.frombuffer(sound.readframes(8000), "<i2")).max() == 16384
    with pytest.raises(BadModel, match="one channel"):
        made("audio", np.zeros((2, 9), np.float32))
    with pytest.raises(BadManifest, match="rate must be"):
        made("audio", tone, rate=0)


def test_numbers_as_they_are() -> None:
    one, two = f32([[1, 2]]), whole([3])
    single = made("tensor", one)
    assert single.lines == [("out0", "[1, 2]", "float32", "1 to 2")]
    assert single.file is not None
    assert np.load(io.BytesIO(single.file())).tolist() == [[1, 2]]
    several = made("tensor", one, two)
    assert several.file is not None
    archive = np.load(io.BytesIO(several.file()))
    assert archive["out1"].tolist() == [3]
    odd = made("tensor", f32([np.nan, np.inf]))
    assert odd.facts["outputs"][0]["max"] is None
    json.dumps(odd.facts, allow_nan=False)


@pytest.mark.parametrize("kind", ["labels", "image", "segment", "embed", "text", "audio"])
def test_an_output_that_is_not_there(kind: str) -> None:
    with pytest.raises(BadModel, match=f"{kind} wants output 3, and the model has 1"):
        made(kind, f32([1]), index=3)
