"""The Open Inference Protocol as data."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from wasmlrun.serve import oip
from wasmlrun.support.tensor import DType, Tensor


def body(**changes: Any) -> dict[str, Any]:
    entry = {"name": "in", "datatype": "FP32", "shape": [1, 3], "data": [1, 2.5, -3]}
    return {"inputs": [entry | changes]}


def parsed(value: Any, header: str | None = None, tail: bytes = b"") -> oip.Asked:
    return oip.parse(json.dumps(value).encode() + tail, header)


@pytest.mark.parametrize("data", [[1, 2.5, -3], [[1, 2.5, -3]], [[[1], [2.5]], -3]])
def test_numbers_in_json_flat_or_nested(data: Any) -> None:
    ((name, tensor),) = parsed(body(data=data)).inputs
    assert name == "in"
    assert tensor == Tensor((1, 3), DType.F32, struct.pack("<3f", 1, 2.5, -3))


@pytest.mark.parametrize("name", list(oip.TYPES))
def test_every_type_in_binary(name: str) -> None:
    data = bytes(range(3 * oip.TYPES[name].size))
    entry = {
        "name": "in",
        "datatype": name,
        "shape": [3],
        "parameters": {"binary_data_size": len(data)},
    }
    text = {"inputs": [entry], "parameters": {"binary_data_output": True}, "id": "7"}
    asked = parsed(text, str(len(json.dumps(text))), data)
    assert asked.inputs[0][1] == Tensor((3,), oip.TYPES[name], data)
    assert (asked.all_binary, asked.id) == (True, "7")
    answered, size = oip.answer("m", asked, [("out", asked.inputs[0][1])])
    assert size is not None
    assert answered[size:] == data
    assert json.loads(answered[:size])["outputs"][0]["datatype"] == name


def test_only_the_outputs_that_are_named_each_as_it_is_wanted() -> None:
    text = body() | {"outputs": [{"name": "b", "parameters": {"binary_data": True}}, {"name": "a"}]}
    tensors = [(n, Tensor((1,), DType.F32, struct.pack("<f", 1.5))) for n in "abc"]
    answered, size = oip.answer("m", parsed(text), tensors)
    head = json.loads(answered[:size])
    assert [o["name"] for o in head["outputs"]] == ["a", "b"]
    assert head["outputs"][0]["data"] == [1.5]
    assert answered[size:] == struct.pack("<f", 1.5)
    with pytest.raises(oip.Malformed, match="no output d"):
        oip.answer("m", parsed(body() | {"outputs": [{"name": "d"}]}), tensors)


def test_numbers_that_json_has_not() -> None:
    tensor = Tensor((2,), DType.F32, struct.pack("<2f", float("nan"), float("inf")))
    answered, _ = oip.answer("m", parsed(body()), [("o", tensor)])
    assert json.loads(answered)["outputs"][0]["data"] == [None, None]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], 'no list "inputs"'),
        ({"inputs": []}, "0 inputs"),
        ({"inputs": [{}] * 17}, "17 inputs"),
        ({"inputs": [1]}, 'no "name"'),
        (body(datatype="BYTES"), "datatype BYTES"),
        (body(shape=[1, -3]), "its shape"),
        (body(shape="x"), "its shape"),
        (body(shape=[4]), "3 numbers, its shape has 4"),
        (body(data=[[1, 2], [3, 4]]), "more numbers than the 3"),
        (body(shape=[1] * 17), "a list of up to 16 numbers"),
        # each is read; their product would take hours, and could not be written
        (body(shape=[10**4000] * 16), "its shape"),
        (body(shape=[2**31 + 1]), "its shape"),
        (body(shape=[2**31] * 16), "its shape has"),
        (body(shape=[3], name="n" * 257), "257 characters"),
        (body(data=["x"]), "must be numbers"),
        (body(data=None), "must be numbers"),
        (body(datatype="UINT8", data=[1, 2, 300]), "input in"),
        (body(datatype="BF16"), "no form in JSON"),
        (body(parameters={"binary_data_size": 12}), "the body 0"),
        (body(parameters={"binary_data_size": "12"}), "12 bytes"),
        (body() | {"outputs": 1}, '"outputs"'),
    ],
)
def test_what_is_malformed(value: Any, words: str) -> None:
    with pytest.raises(oip.Malformed, match=words):
        parsed(value)


@pytest.mark.parametrize(
    ("data", "header"),
    [(b"{", None), (b"\xff", None), (b"[" * 100_000, None), (b"{}", "9"), (b"{}", "-1")],
)  # fmt: skip
def test_bodies_that_are_no_json(data: bytes, header: str | None) -> None:
    with pytest.raises(oip.Malformed):
        oip.parse(data, header)
    text = json.dumps(body()).encode()
    with pytest.raises(oip.Malformed, match="1 bytes more"):
        oip.parse(text + b"x", str(len(text)))
