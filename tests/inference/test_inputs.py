"""What a file becomes: a picture of a free size, arrays, bytes, words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wasmlrun.engines.protocol import Port
from wasmlrun.inference.arrays import array_of, tensor_of
from wasmlrun.inference.constants import constant
from wasmlrun.inference.inputs import kind_of
from wasmlrun.inference.inputs.text import Text, tokens
from wasmlrun.inference.kind import Box, Given, Wanted
from wasmlrun.support.errors import BadFile, BadManifest, BadModel
from wasmlrun.support.tensor import DType, Tensor

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "cafe", ",", "好", "a"]


def given(
    kind: str,
    path: Path,
    *ports: Port,
    labels: Sequence[str] | None = None,
    resize: str = "stretch",
    **options: Any,
) -> Given:
    found = kind_of(kind)
    return found.read(str(path), found.options(**options), Wanted(ports, labels, resize))


def port(*shape: int, dtype: DType = DType.F32, name: str = "x") -> Port:
    return Port(name, shape, dtype)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "p.png"
    Image.new("RGB", (60, 30), (255, 0, 0)).save(path)
    return path


@pytest.mark.parametrize(
    ("resize", "view"),
    [
        ("stretch", Box(0, 0, 60, 30)),
        ("pad", Box(0, -15, 60, 60)),
        ("crop", Box(16.875, 1.875, 26.25, 26.25)),
    ],
)
def test_the_tensor_shows_a_part_of_the_picture(picture: Path, resize: str, view: Box) -> None:
    found = given("picture", picture, port(1, 8, 8, 3), resize=resize)
    assert found.view == view
    assert found.size == (8, 8)
    assert found.picture is not None
    assert found.picture.size == (60, 30)


@pytest.mark.parametrize(
    ("shape", "options", "size"),
    [
        ((1, 3, -1, -1), {}, (30, 60)),
        ((1, 3, -1, -1), {"max_side": 20}, (10, 20)),
        ((1, -1, -1, 3), {"multiple": 32}, (32, 64)),
        ((1, 3, 48, -1), {}, (48, 96)),
        ((1, 3, -1, -1), {"height": 48, "multiple": 8}, (48, 96)),
        ((1, 3, -1, -1), {"size": (5, 7)}, (5, 7)),
    ],
)
def test_a_size_that_is_free_follows_the_picture(
    picture: Path, shape: tuple[int, ...], options: dict[str, Any], size: tuple[int, int]
) -> None:
    found = given("picture", picture, port(*shape), scale=(255.0,), mean=(0.0,), **options)
    assert found.size == size
    assert array_of(found.tensors[0]).max() == 1.0


def test_the_input_that_is_the_picture(picture: Path) -> None:
    ports = (port(26, name="weights"), port(1, 3, 4, 4), port(1, 1, 1, 100, name="style"))
    assert list(given("picture", picture, *ports).tensors) == [1]
    with pytest.raises(BadModel, match="no input y"):
        given("picture", picture, *ports, input="y")
    with pytest.raises(BadModel, match="no input of the model can be a picture") as caught:
        given("picture", picture, ports[0])
    assert caught.value.hint == "say what else it takes: --set input.kind=tensor"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": (1, 2, 3)}, "size must be pixels"),
        ({"size": (0,)}, "size must be pixels"),
        ({"mean": (1.0, 2.0)}, "mean must be one number or one per channel"),
        ({"scale": (0.0,)}, "scale must not be 0"),
    ],
)
def test_wrong_settings_of_a_picture(picture: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadManifest, match=said):
        given("picture", picture, port(1, 3, -1, -1), **options)


def test_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1, 2], np.int32))
    found = given("tensor", tmp_path / "a.npy", port(1, 2))
    assert array_of(found.tensors[0]).tolist() == [[1.0, 2.0]]
    np.savez(tmp_path / "a.npz", y=np.zeros((1, 3)), x=np.ones((1, 2)))
    found = given("tensor", tmp_path / "a.npz", port(1, 2), port(1, -1, name="y"))
    assert found.tensors[1].shape == (1, 3)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda p: p.write_bytes(b"no array"), "is no array of numbers"),
        (lambda p: p.write_bytes(b""), "is no array of numbers"),
        (lambda p: np.save(p, np.array([{}]), allow_pickle=True), "is no array of numbers"),
        (lambda p: np.save(p, np.array(["a"])), "holds no numbers"),
        (lambda p: np.save(p, np.zeros((1, 3))), r"x is \[1, 2\] f32, the array is \[1, 3\]"),
        (lambda p: p.unlink(missing_ok=True), "does not exist"),
        (lambda p: p.mkdir(), "is a folder"),
    ],
)
def test_what_is_no_array(tmp_path: Path, write: Any, said: str) -> None:
    path = tmp_path / "a.npy"
    write(path)
    with pytest.raises(BadFile, match=said):
        given("tensor", path, port(1, 2))


def test_an_array_for_an_input_that_is_not_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", z=np.ones((1, 2)))
    with pytest.raises(BadFile, match="no input z"):
        given("tensor", tmp_path / "a.npz", port(1, 2))


def test_both_ends_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"  abcdef\n")
    options: dict[str, Any] = {"begin": 4, "end": 3, "padding": 256, "strip": True}
    found = given("bytes", path, port(-1, 7, dtype=DType.I32), **options)
    assert array_of(found.tensors[0]).tolist() == [[*b"abcd", *b"def"]]
    path.write_bytes(b"ab")
    found = given("bytes", path, port(-1, 7, dtype=DType.I32), **options)
    assert array_of(found.tensors[0]).tolist() == [[97, 98, 256, 256, 256, 97, 98]]
    with pytest.raises(BadModel, match=r"not \[1, 7\] bytes"):
        given("bytes", path, port(-1, 8), **options)


def test_words_and_pieces_of_words() -> None:
    numbers = {piece: number for number, piece in enumerate(VOCABULARY)}
    assert tokens("Unaffable,  CAFÉ", numbers, Text()) == [2, 4, 5, 6, 8, 7, 3]
    assert tokens("好好 zzz\ta\u200b", numbers, Text()) == [2, 9, 9, 1, 10, 3]
    assert tokens("", numbers, Text()) == [2, 3]
    assert tokens("a a a a", numbers, Text(most=4)) == [2, 10, 10, 3]
    assert tokens("A", numbers, Text(lower=False)) == [2, 1, 3]
    assert tokens("a" * 101, numbers, Text()) == [2, 1, 3]
    with pytest.raises(BadManifest, match=r"no \[CLS\]"):
        tokens("a", {"a": 0}, Text())


def test_a_text_gives_numbers_mask_and_segments(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("unaffable")
    ports = [
        port(1, -1, dtype=DType.I64, name=name)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    found = given("text", path, *ports, labels=VOCABULARY)
    assert [array_of(found.tensors[n]).tolist() for n in range(3)] == [
        [[2, 4, 5, 6, 3]],
        [[1] * 5],
        [[0] * 5],
    ]
    with pytest.raises(BadManifest, match="needs a vocabulary"):
        given("text", path, *ports)
    with pytest.raises(BadModel, match="input pixels of the model is none"):
        given("text", path, *ports, port(1, name="pixels"), labels=VOCABULARY)
    path.write_bytes(b"\xff")
    with pytest.raises(BadFile, match=r"is not UTF-8 \(byte 0\)"):
        given("text", path, *ports, labels=VOCABULARY)


def test_constants() -> None:
    def numbers(value: object, *shape: int) -> list[float]:
        found = constant(value, Port("c", shape, DType.F32), "m.toml")
        return [float(n) for n in array_of(found).reshape(-1)]

    assert numbers(0.5, 1, 3) == [0.5] * 3
    assert numbers([1, 2], 2) == [1, 2]
    assert numbers({"1": 0.25}, 3) == [0, 0.25, 0]
    assert numbers(2, 1, -1) == [2], "a size that is free is 1"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([1], r"1 numbers for \[3\] f32"),
        ({"3": 1}, "3 = 1 is no number for one of 3 elements"),
        ({"x": 1}, "x = 1 is no number"),
        ({"0": "a"}, "0 = 'a' is no number"),
        ("a", "must be a number, a list"),
        (True, "must be a number, a list"),
    ],
)
def test_what_is_no_constant(value: object, said: str) -> None:
    with pytest.raises(BadManifest, match=said):
        constant(value, Port("c", (3,), DType.F32), "m.toml")


def test_a_constant_is_no_gigabyte() -> None:
    with pytest.raises(BadManifest, match="too large"):
        constant(0, Port("c", (1 << 20, 1 << 10), DType.F32), "m.toml")


def test_numbers_that_numpy_has_no_type_for() -> None:
    half = Tensor((2,), DType.BF16, b"\x80\x3f\x00\x40")
    assert array_of(half).tolist() == [1.0, 2.0]
    with pytest.raises(BadModel, match="bf16"):
        tensor_of(np.zeros(1), DType.BF16)
