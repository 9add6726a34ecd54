"""Small models written by hand, so that tests of the sandbox need no downloads or converters.

`colours` is a classifier: the mean of each colour channel of a picture of 4 × 4 pixels, times
a matrix. Its five classes are red, green, blue, bright and dark.
"""

from __future__ import annotations

import struct
from pathlib import Path

COLOURS = ["red", "green", "blue", "bright", "dark"]
# one row a channel, one column a class
_MATRIX = [
    [1.0, -0.5, -0.5, 0.2, -0.2],
    [-0.5, 1.0, -0.5, 0.2, -0.2],
    [-0.5, -0.5, 1.0, 0.2, -0.2],
]


def colours_matrix() -> list[list[float]]:
    """One row a channel, one column a class."""
    return _MATRIX


def colours_ir(
    dtype: str = "f32", *, side: str = "4", softmax: bool = False, layout: str = "NHWC"
) -> tuple[bytes, bytes]:
    """The classifier as OpenVINO IR: XML and weights. `side` may be -1, a size that is free."""
    shape = f"1,{side},{side},3" if layout == "NHWC" else f"1,3,{side},{side}"
    axes = (1, 2) if layout == "NHWC" else (2, 3)
    weights = struct.pack("<2q", *axes)
    weights += struct.pack("<15f", *(x for row in _MATRIX for x in row))
    precision = _precision(dtype)
    dims = "".join(f"<dim>{n}</dim>" for n in shape.split(","))
    three = "<dim>1</dim><dim>3</dim>"
    five = "<dim>1</dim><dim>5</dim>"
    final, edge = ("soft", '<edge from-layer="5" from-port="2" to-layer="7" to-port="0"/>')
    soft = f"""
    <layer id="7" name="soft" type="SoftMax" version="opset8"><data axis="1"/>
      <input><port id="0" precision="FP32">{five}</port></input>
      <output><port id="1" precision="FP32" names="scores">{five}</port></output></layer>"""
    if not softmax:
        final, edge, soft = "matmul", "", ""
    result_from = '"7" from-port="1"' if softmax else '"5" from-port="2"'
    names = "" if softmax else ' names="scores"'
    xml = f"""<?xml version="1.0"?>
<net name="colours" version="11">
  <layers>
    <layer id="0" name="picture" type="Parameter" version="opset1">
      <data shape="{shape.replace("-1", "?")}" element_type="{dtype}"/>
      <output><port id="0" precision="{precision}" names="picture">{dims}</port></output></layer>
    <layer id="1" name="float" type="Convert" version="opset1"><data destination_type="f32"/>
      <input><port id="0" precision="{precision}">{dims}</port></input>
      <output><port id="1" precision="FP32">{dims}</port></output></layer>
    <layer id="2" name="axes" type="Const" version="opset1">
      <data element_type="i64" shape="2" offset="0" size="16"/>
      <output><port id="0" precision="I64"><dim>2</dim></port></output></layer>
    <layer id="3" name="mean" type="ReduceMean" version="opset1"><data keep_dims="false"/>
      <input><port id="0" precision="FP32">{dims}</port>
        <port id="1" precision="I64"><dim>2</dim></port></input>
      <output><port id="2" precision="FP32">{three}</port></output></layer>
    <layer id="4" name="matrix" type="Const" version="opset1">
      <data element_type="f32" shape="3, 5" offset="16" size="60"/>
      <output><port id="0" precision="FP32"><dim>3</dim><dim>5</dim></port></output></layer>
    <layer id="5" name="matmul" type="MatMul" version="opset1">
      <data transpose_a="false" transpose_b="false"/>
      <input><port id="0" precision="FP32">{three}</port>
        <port id="1" precision="FP32"><dim>3</dim><dim>5</dim></port></input>
      <output><port id="2" precision="FP32"{names}>{five}</port></output></layer>{soft}
    <layer id="6" name="{final}/result" type="Result" version="opset1">
      <input><port id="0" precision="FP32">{five}</port></input></layer>
  </layers>
  <edges>
    <edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
    <edge from-layer="1" from-port="1" to-layer="3" to-port="0"/>
    <edge from-layer="2" from-port="0" to-layer="3" to-port="1"/>
    <edge from-layer="3" from-port="2" to-layer="5" to-port="0"/>
    <edge from-layer="4" from-port="0" to-layer="5" to-port="1"/>{edge}
    <edge from-layer={result_from} to-layer="6" to-port="0"/>
  </edges>
</net>
"""
    return xml.encode(), weights


def write_colours(folder: Path, name: str = "colours", **how: object) -> Path:
    """Write the classifier into a folder; return the XML's path."""
    folder.mkdir(parents=True, exist_ok=True)
    xml, weights = colours_ir(**how)  # type: ignore[arg-type]
    path = folder / f"{name}.xml"
    path.write_bytes(xml)
    path.with_suffix(".bin").write_bytes(weights)
    return path


def identity_ir(dtype: str, shape: tuple[int, ...]) -> tuple[bytes, bytes]:
    """A model that gives back its input, of any element type."""
    precision = _precision(dtype)
    dims = "".join(f"<dim>{n}</dim>" for n in shape)
    xml = f"""<?xml version="1.0"?>
<net name="identity" version="11">
  <layers>
    <layer id="0" name="x" type="Parameter" version="opset1">
      <data shape="{",".join(map(str, shape))}" element_type="{dtype}"/>
      <output><port id="0" precision="{precision}" names="x">{dims}</port></output></layer>
    <layer id="1" name="y" type="Reshape" version="opset1"><data special_zero="false"/>
      <input><port id="0" precision="{precision}">{dims}</port>
        <port id="1" precision="I64"><dim>{len(shape)}</dim></port></input>
      <output><port id="2" precision="{precision}" names="y">{dims}</port></output></layer>
    <layer id="2" name="shape" type="Const" version="opset1">
      <data element_type="i64" shape="{len(shape)}" offset="0" size="{8 * len(shape)}"/>
      <output><port id="0" precision="I64"><dim>{len(shape)}</dim></port></output></layer>
    <layer id="3" name="result" type="Result" version="opset1">
      <input><port id="0" precision="{precision}">{dims}</port></input></layer>
  </layers>
  <edges>
    <edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
    <edge from-layer="2" from-port="0" to-layer="1" to-port="1"/>
    <edge from-layer="1" from-port="2" to-layer="3" to-port="0"/>
  </edges>
</net>
"""
    return xml.encode(), struct.pack(f"<{len(shape)}q", *shape)


def _precision(dtype: str) -> str:
    """The name that IR's ports have for an element type."""
    names = {"f16": "FP16", "f32": "FP32", "f64": "FP64", "boolean": "BOOL"}
    return names.get(dtype, dtype.upper())
