"""Pixels become a worker's input tensor: size, colours, numbers, layout.

No numpy on the usual ways: Pillow's own bytes are a u8 tensor already, and strided slices of
Python arrays interleave planes at the same speed.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from wasmlrun.manifest.manifest import Classify
from wasmlrun.support.errors import BadModel
from wasmlrun.support.records import Record
from wasmlrun.support.tensor import DType, Tensor, describe

if TYPE_CHECKING:
    from wasmlrun.engines.protocol import Port

CROP_FRACTION = 0.875
DEFAULT_SIZE = 224
# Networks from TensorFlow's world take -1 to 1, those from PyTorch's world take ImageNet's
# mean and deviation; layout is what tells the worlds apart.
TENSORFLOW_NORM = ((127.5,), (127.5,))
IMAGENET_NORM = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


class InputSpec(Record):
    """Everything that turns pixels into the tensor; `[classify]` and the model decide it."""

    height: int
    width: int
    resize: str
    layout: str
    dtype: DType
    color: str
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def channels(self) -> int:
        """1 for gray, else 3."""
        return 1 if self.color == "gray" else 3

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape with a batch of one."""
        if self.layout == "NHWC":
            return (1, self.height, self.width, self.channels)
        return (1, self.channels, self.height, self.width)


def resolve(wanted: Classify, port: Port | None) -> InputSpec:
    """Combine what the manifest says, what the model has, and the defaults.

    Raises:
        BadModel: the model takes no picture, or contradicts the manifest.
    """
    layout, height, width, channels, dtype = _from_port(wanted, port)
    color = wanted.color or ("gray" if channels == 1 else "RGB")
    if channels is not None and (color == "gray") != (channels == 1):
        raise BadModel(
            f"the manifest says color = {color!r} and the model takes {channels} channel(s)",
            'gray is 1 channel, "RGB" and "BGR" are 3',
        )
    mean, scale = wanted.mean, wanted.scale
    if mean is None and scale is None and dtype in (DType.F32, DType.F16):
        mean, scale = TENSORFLOW_NORM if layout == "NHWC" else IMAGENET_NORM
        if color == "gray":
            mean, scale = TENSORFLOW_NORM
    if color == "BGR" and wanted.mean is None and mean is not None:
        mean, scale = mean[::-1], (scale or (1.0,))[::-1]
    return InputSpec(
        height=height,
        width=width,
        resize=wanted.resize or "crop",
        layout=layout,
        dtype=dtype,
        color=color,
        mean=mean or (0.0,),
        scale=scale or (1.0,),
    )


def to_tensor(image: Image.Image, spec: InputSpec) -> Tensor:
    """The picture, in mode RGB, as the worker's input."""
    scaled = scale_to(image, spec)
    if spec.color == "gray":
        scaled = scaled.convert("L")
    elif spec.color == "BGR":
        red, green, blue = scaled.split()
        scaled = Image.merge("RGB", (blue, green, red))
    if spec.dtype in (DType.U8, DType.I8):
        return Tensor(spec.shape, spec.dtype, _bytes(scaled, spec))
    return Tensor(spec.shape, spec.dtype, _floats(scaled, spec))


def scale_to(image: Image.Image, spec: InputSpec) -> Image.Image:
    """Bring a picture to the spec's size: crop, stretch or pad."""
    target = (spec.width, spec.height)
    bilinear = Image.Resampling.BILINEAR
    if image.size == target:
        return image
    if spec.resize == "stretch":
        return image.resize(target, bilinear)
    width, height = image.size
    if spec.resize == "pad":
        factor = min(spec.width / width, spec.height / height)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        canvas = Image.new("RGB", target, (128, 128, 128))
        canvas.paste(
            image.resize(size, bilinear),
            ((spec.width - size[0]) // 2, (spec.height - size[1]) // 2),
        )
        return canvas
    # the centre of the picture scaled so that its shorter side is size ÷ 0.875, in one step:
    # only the part that is kept is scaled
    return image.resize(target, bilinear, box=seen_box(image.size, spec))


def seen_box(size: tuple[int, int], spec: InputSpec) -> tuple[float, float, float, float]:
    """What `scale_to` shows of a picture of this size: left, top, right, bottom in its pixels.

    Padding lies outside of the picture.
    """
    width, height = size
    if size == (spec.width, spec.height) or spec.resize == "stretch":
        return 0.0, 0.0, float(width), float(height)
    factors = (width / spec.width, height / spec.height)
    factor = max(factors) if spec.resize == "pad" else min(factors) * CROP_FRACTION
    box_width, box_height = spec.width * factor, spec.height * factor
    left, top = (width - box_width) / 2, (height - box_height) / 2
    return left, top, left + box_width, top + box_height


def _from_port(wanted: Classify, port: Port | None) -> tuple[str, int, int, int | None, DType]:
    size = wanted.size
    dtype = DType(wanted.dtype) if wanted.dtype else DType.U8
    if port is None:
        height, width = size or (DEFAULT_SIZE, DEFAULT_SIZE)
        return wanted.layout or "NHWC", height, width, None, dtype
    shape = port.shape
    if len(shape) != 4 or shape[0] not in (1, -1):
        raise BadModel(
            f"the model's input {port.name} is {describe(shape, port.dtype)}, "
            "not a batch of one picture",
            "a classifier takes [1, height, width, channels] or [1, channels, height, width]",
        )
    layout = wanted.layout or guess_layout(shape)
    if layout is None:
        raise BadModel(
            f"the layout of the model's input {describe(shape, port.dtype)} cannot be told",
            'say layout = "NHWC" or "NCHW" under [classify] in a manifest',
        )
    if guess_layout(shape) not in (None, layout):
        raise BadModel(
            f"the manifest says layout = {layout!r} and the model's input is "
            f"{describe(shape, port.dtype)}, {guess_layout(shape)}",
            "is it the manifest of another model?",
        )
    _, *rest = shape
    height, width, channels = rest if layout == "NHWC" else (rest[1], rest[2], rest[0])
    height = _agree(height, size and size[0], "height")
    width = _agree(width, size and size[1], "width")
    if channels not in (1, 3, -1):
        raise BadModel(f"the model's input has {channels} channels; pictures have 1 or 3")
    allowed = (DType.U8, DType.I8, DType.F32, DType.F16)
    if port.dtype not in allowed:
        raise BadModel(
            f"the model takes {port.dtype.value} numbers",
            f"pictures can be given as {', '.join(t.value for t in allowed)}",
        )
    if wanted.dtype and DType(wanted.dtype) is not port.dtype:
        raise BadModel(
            f"the manifest says dtype = {wanted.dtype!r} and the model takes {port.dtype.value}"
        )
    return layout, height, width, None if channels == -1 else channels, port.dtype


def guess_layout(shape: Sequence[int]) -> str | None:
    """The layout of a four-dimensional picture input, by where 1 or 3 channels can be."""
    last, second = shape[3] in (1, 3), shape[1] in (1, 3)
    if last and not second:
        return "NHWC"
    if second and not last:
        return "NCHW"
    return None


def _agree(model: int, manifest: int | None, side: str) -> int:
    if model == -1:
        return manifest or DEFAULT_SIZE
    if manifest is not None and manifest != model:
        raise BadModel(f"the manifest says {side} {manifest} and the model takes {model} pixels")
    return model


def _bytes(image: Image.Image, spec: InputSpec) -> bytes:
    data = image.tobytes()
    if spec.layout == "NCHW" and spec.channels == 3:
        data = data[0::3] + data[1::3] + data[2::3]
    if spec.dtype is DType.I8:
        # signed models are quantised around 0: value - 128
        data = data.translate(bytes(value ^ 0x80 for value in range(256)))
    return data


def _floats(image: Image.Image, spec: InputSpec) -> bytes:
    planes = []
    for index, band in enumerate(image.split()):
        mean = spec.mean[index % len(spec.mean)]
        scale = spec.scale[index % len(spec.scale)]
        # a table of the 256 possible values, exact in double precision, then f32
        table = array("f", [(value - mean) / scale for value in range(256)])
        planes.append(array("f", map(table.__getitem__, band.tobytes())))
    if spec.layout == "NCHW" or len(planes) == 1:
        joined = array("f")
        for plane in planes:
            joined.extend(plane)
    else:
        joined = array("f", bytes(4 * sum(map(len, planes))))
        for index, plane in enumerate(planes):
            joined[index :: len(planes)] = plane
    if spec.dtype is DType.F32:
        return joined.tobytes()
    import numpy as np  # half precision is rare, and Python's arrays have no such type

    return np.frombuffer(joined, dtype=np.float32).astype(np.float16).tobytes()
