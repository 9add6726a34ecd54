"""The decoder in the module against Pillow and wasmlrun's own preprocessing."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit.packed import Library
from kit.tflite_by_hand import INT8, INT32, ByHand
from PIL import Image
from tiny.conftest import Packer

from wasmlrun.engines.protocol import Port
from wasmlrun.manifest.manifest import Classify
from wasmlrun.support.tensor import DType
from wasmlrun.vision import decode
from wasmlrun.vision.preprocess import resolve, to_tensor

HEIGHT, WIDTH = 40, 48
Array = np.ndarray[Any, Any]


def model(dtype: str = "u8") -> bytes:
    """Takes a picture of 40 × 48; what it answers does not matter."""
    b = ByHand()
    quant = (1 / 128, 128) if dtype == "u8" else ()
    given = b.tensor([1, HEIGHT, WIDTH, 3], dtype, *quant)
    answer = b.tensor([1, 1, 1, 3], dtype, *quant)
    options = [(0, INT8, 1), (1, INT32, 1), (2, INT32, 1), (3, INT32, WIDTH), (4, INT32, HEIGHT)]
    b.add("AVERAGE_POOL_2D", [given], answer, *options, (5, INT8, 0))
    return b.data(given, answer)


def scene(width: int = 131, height: int = 97, mode: str = "RGB") -> Image.Image:
    """Soft shapes and a hard edge, as photographs have."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    red = 128 + 100 * np.sin(x / 17) * np.cos(y / 11)
    green = 255 * (x + y) / (width + height)
    blue = np.where((x - width / 2) ** 2 + (y - height / 2) ** 2 < 900, 220, 40)
    picture = Image.fromarray(np.dstack([red, green, blue]).clip(0, 255).astype(np.uint8))
    if mode in ("RGBA", "LA"):
        alpha = Image.fromarray((x * 255 / width).astype(np.uint8))
        picture.putalpha(alpha)
    return picture.convert(mode)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def oriented(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(scene(), "JPEG", quality=95, exif=exif)


def sixteen_bits() -> bytes:
    deep = Image.fromarray((np.arange(97 * 131).reshape(97, 131) * 5).astype(np.uint16))
    return saved(deep, "PNG")


CASES: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: saved(scene(), "JPEG", quality=90),
    "JPEG, colours at full size": lambda: saved(scene(), "JPEG", quality=90, subsampling=0),
    "JPEG, colours at half the width": lambda: saved(scene(), "JPEG", quality=80, subsampling=1),
    "progressive": lambda: saved(scene(), "JPEG", quality=85, progressive=True),
    "progressive, full size": lambda: saved(
        scene(), "JPEG", quality=60, progressive=True, subsampling=0
    ),
    "restarts": lambda: saved(scene(), "JPEG", quality=85, restart_marker_blocks=3),
    "grey JPEG": lambda: saved(scene(mode="L"), "JPEG", quality=85),
    "inks": lambda: saved(scene(mode="CMYK"), "JPEG", quality=90),
    "own tables": lambda: saved(scene(), "JPEG", quality=75, optimize=True),
    "one pixel": lambda: saved(scene(1, 1), "JPEG", quality=90),
    "a line": lambda: saved(scene(300, 2), "JPEG", quality=90),
    "PNG": lambda: saved(scene(), "PNG"),
    "PNG, not compressed": lambda: saved(scene(), "PNG", compress_level=0),
    "PNG, grey": lambda: saved(scene(mode="L"), "PNG"),
    "PNG, transparent": lambda: saved(scene(mode="RGBA"), "PNG"),
    "PNG, grey and transparent": lambda: saved(scene(mode="LA"), "PNG"),
    "PNG, palette": lambda: saved(scene(mode="P"), "PNG"),
    "PNG, 16 colours": lambda: saved(scene().quantize(16), "PNG"),
    "PNG, transparent palette": lambda: saved(scene(mode="P"), "PNG", transparency=3),
    "PNG, transparent colour": lambda: saved(scene(), "PNG", transparency=(128, 0, 40)),
    "PNG, black and white": lambda: saved(scene(mode="1"), "PNG"),
    "PNG, 16 bits": sixteen_bits,
    **{f"turned {n}": lambda n=n: oriented(n) for n in range(2, 9)},  # type: ignore[misc]
}


class Decoder:
    """A packed module that decodes."""

    def __init__(self, module: Path) -> None:
        self.library = Library(module)

    def __call__(self, data: bytes) -> bytes:
        """The tensor; raises ValueError with what the decoder says."""
        why = self.library.call_with("decode", len(self.put(data)))
        if why:
            raise ValueError(self.library.text(why))
        return self.library.memory_at(self.library.call("input"), self.library.call("input_size"))

    def put(self, data: bytes) -> bytes:
        self.library.write(self.library.call_with("picture", len(data)), data)
        return data


def expected(data: bytes, settings: Classify, dtype: DType) -> Array:
    """What wasmlrun would give the model, without its shortcut for large JPEGs."""
    spec = resolve(settings, Port("", (1, HEIGHT, WIDTH, 3), dtype))
    tensor = to_tensor(decode.decode(data, "picture"), spec)
    kind = np.float32 if dtype is DType.F32 else np.uint8
    return np.frombuffer(tensor.data, kind)


@pytest.fixture
def decoder(packed: Packer) -> Decoder:
    return Decoder(packed(model(), decode=True).output)


def test_every_kind_of_picture(decoder: Decoder) -> None:
    apart = {}
    for case, make in CASES.items():
        data = make()
        got = np.frombuffer(decoder(data), np.uint8).astype(int)
        difference = np.abs(got - expected(data, Classify(), DType.U8).astype(int))
        apart[case] = int(difference.max())
    assert {case: most for case, most in apart.items() if most > 1} == {}


@pytest.mark.parametrize("resize", ["crop", "stretch", "pad"])
def test_every_way_to_the_models_size(resize: str, packed: Packer) -> None:
    settings = Classify(resize=resize, color="BGR", mean=(120.0, 110.0, 100.0), scale=(60.0,))
    decoder = Decoder(packed(model("f32"), settings=settings, decode=True).output)
    for size in ((131, 97), (20, 300), (48, 40), (7, 5)):
        data = saved(scene(*size), "PNG")
        got = np.frombuffer(decoder(data), np.float32)
        # one step of 255, divided by the scale
        wanted = expected(data, settings, DType.F32)
        assert np.abs(got - wanted).max() <= 1 / 60 + 1e-6, size


def test_damaged_pictures_are_told_and_never_trap(decoder: Decoder) -> None:
    chance = random.Random(3)
    told = set()
    for case in ("JPEG", "progressive", "restarts", "PNG", "PNG, palette", "inks"):
        whole = CASES[case]()
        for attempt in range(60):
            if attempt % 2:
                data = whole[: chance.randrange(4, len(whole))]
            else:
                bent = bytearray(whole)
                for _ in range(chance.randrange(1, 6)):
                    bent[chance.randrange(3, len(bent))] = chance.randrange(256)
                data = bytes(bent)
            try:
                decoder(data)
            except ValueError as error:
                told.add(str(error))
    with pytest.raises(ValueError, match="this is no JPEG and no PNG"):
        decoder(b"GIF89a" + bytes(100))
    assert any("JPEG ends too early" in text for text in told)
    assert any("PNG ends too early" in text for text in told)
    # and then a good one again
    good = CASES["JPEG"]()
    assert decoder(good)


def test_a_picture_that_is_too_large_is_refused(decoder: Decoder) -> None:
    huge = bytearray(saved(scene(8, 8), "PNG"))
    huge[16:24] = (60000).to_bytes(4, "big") * 2
    with pytest.raises(ValueError, match="of a kind that is not read"):
        decoder(bytes(huge))


def test_a_picture_on_standard_input(
    run_cli: Callable[..., Any], tmp_path: Path, zig: dict[str, str]
) -> None:
    (tmp_path / "m.tflite").write_bytes(model())
    done = run_cli(["pack", "m.tflite", "--decode"], cwd=tmp_path, env=zig)
    assert done.code == 0, done.stderr
    # longer than the tensor, shorter than the tensor, and cut
    large, small = saved(scene(400, 300), "PNG"), saved(scene(20, 20), "JPEG")
    assert len(large) > HEIGHT * WIDTH * 3 > len(small)
    for data in (large, small):
        done = run_cli(["run", "m.wasm"], stdin=data, cwd=tmp_path)
        assert done.code == 0, done.stderr
        assert len(done.stdout.splitlines()) == 3
    done = run_cli(["run", "m.wasm"], stdin=large[:5000], cwd=tmp_path)
    assert done.code == 1
    assert "the PNG ends too early, or is damaged" in done.stderr


def test_only_pictures_are_decoded(
    run_cli: Callable[..., Any], tmp_path: Path, zig: dict[str, str]
) -> None:
    b = ByHand()
    given = b.tensor([1, 10], "f32")
    answer = b.add("TANH", [given], b.tensor([1, 10], "f32"))
    (tmp_path / "m.tflite").write_bytes(b.data(given, answer))
    done = run_cli(["pack", "m.tflite", "--decode"], cwd=tmp_path, env=zig)
    assert done.code == 3
    assert "model m.tflite takes no picture, so that nothing can be decoded" in done.stderr
    assert run_cli(["pack", "m.tflite"], cwd=tmp_path, env=zig).code == 0
    (tmp_path / "x.png").write_bytes(saved(scene(), "PNG"))
    done = run_cli(["classify", "x.png", "--worker", "m.wasm"], cwd=tmp_path)
    assert done.code == 3
    assert "worker m.wasm holds a model that takes no picture" in done.stderr
    assert "hint: give it a tensor: wasmlrun run m.wasm < tensor.raw" in done.stderr
