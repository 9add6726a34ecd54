"""An image file as the picture that a model takes, of a fixed size or of one that is free."""

from __future__ import annotations

from wasmlrun.engines.protocol import Port
from wasmlrun.inference.kind import Box, Given, InputKind, Wanted
from wasmlrun.inference.options import Options
from wasmlrun.manifest.manifest import Classify
from wasmlrun.manifest.reader import COLORS, DTYPES, LAYOUTS, RESIZES
from wasmlrun.support.errors import BadManifest, BadModel
from wasmlrun.support.records import replace
from wasmlrun.vision import preprocess
from wasmlrun.vision.source import ImageFile


class Picture(Options):
    """`[infer.input]` of kind picture; empty and 0 stand for "not said"."""

    size: tuple[int, ...] = ()
    resize: str = ""
    layout: str = ""
    dtype: str = ""
    color: str = ""
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    max_side: int = 1024
    """The longer side of a picture for a model that takes any size, in pixels."""
    height: int = 0
    """Where only the width is free: it follows the picture's."""
    multiple: int = 1
    """Free sizes are multiples of it."""
    input: str = ""
    """The name of the model's input; the first that can be a picture."""


def read(name: str, options: Picture, wanted: Wanted) -> Given:
    """The picture as one of the model's inputs. Raises BadImage, BadModel."""
    number = _picture_port(wanted.ports, options.input)
    picture = ImageFile(name).decoded(max_pixels=wanted.max_pixels)
    port = wanted.ports[number]
    settings = _settings(options, port, picture.size, wanted.resize)
    spec = preprocess.resolve(settings, port)
    return Given(
        {number: preprocess.to_tensor(picture, spec)},
        picture,
        _view(spec, picture.size),
        (spec.height, spec.width),
    )


def could_be(port: Port) -> bool:
    """Whether an input has the shape of a picture."""
    return len(port.shape) == 4 and (1 in port.shape[1:] or 3 in port.shape[1:])


def _picture_port(ports: list[Port] | tuple[Port, ...] | object, name: str) -> int:
    assert isinstance(ports, (list, tuple))
    names = [port.name for port in ports]
    if name:
        if name not in names:
            raise BadModel(f"the model has no input {name}", f"it has: {', '.join(names)}")
        return names.index(name)
    for number, port in enumerate(ports):
        if could_be(port):
            return number
    raise BadModel(
        f"no input of the model can be a picture (inputs: {', '.join(names)})",
        "say what else it takes: --set input.kind=tensor",
    )


def _settings(options: Picture, port: Port, size: tuple[int, int], resize: str) -> Classify:
    if len(options.size) > 2 or not all(isinstance(n, int) and n > 0 for n in options.size):
        raise BadManifest("infer.input.size must be pixels: one number, or [height, width]")
    for key in ("mean", "scale"):
        if len(getattr(options, key)) not in (0, 1, 3):
            raise BadManifest(f"infer.input.{key} must be one number or one per channel")
    if 0 in options.scale:
        raise BadManifest("infer.input.scale must not be 0: channels are divided by it")
    settings = Classify(
        size=(options.size[0], options.size[-1]) if options.size else None,
        resize=options.resize or resize,
        layout=options.layout or None,
        dtype=options.dtype or None,
        color=options.color or None,
        mean=options.mean or None,
        scale=options.scale or None,
    )
    layout = settings.layout or (preprocess.guess_layout(port.shape) if could_be(port) else None)
    if settings.size is not None or layout is None or len(port.shape) != 4:
        return settings
    sides = port.shape[1:3] if layout == "NHWC" else port.shape[2:4]
    if -1 not in sides:
        return settings
    return replace(settings, size=_free(options, sides, size), resize="stretch")


def _free(options: Picture, sides: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int]:
    """Height and width for a model that leaves one or both to the picture."""
    width, height = size
    fixed = sides[0] if sides[0] != -1 else options.height
    if fixed:
        wide = sides[1] if sides[1] != -1 else _rounded(width * fixed / height, options)
        return fixed, min(wide, max(options.max_side, fixed))
    factor = min(1.0, options.max_side / max(width, height))
    return _rounded(height * factor, options), (
        sides[1] if sides[1] != -1 else _rounded(width * factor, options)
    )


def _rounded(side: float, options: Picture) -> int:
    step = max(1, options.multiple)
    return max(step, round(side / step) * step)


def _view(spec: preprocess.InputSpec, size: tuple[int, int]) -> Box:
    """The part of the picture that the tensor shows, as `preprocess.scale_to` takes it."""
    width, height = size
    if spec.resize == "stretch" or size == (spec.width, spec.height):
        return Box(0, 0, width, height)
    ratios = (width / spec.width, height / spec.height)
    factor = max(ratios) if spec.resize == "pad" else min(ratios) * preprocess.CROP_FRACTION
    wide, high = spec.width * factor, spec.height * factor
    return Box((width - wide) / 2, (height - high) / 2, wide, high)


KIND = InputKind(
    read, Picture, {"resize": RESIZES, "layout": LAYOUTS, "dtype": DTYPES, "color": COLORS}
)
