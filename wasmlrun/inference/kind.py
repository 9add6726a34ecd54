"""What a kind of input and a kind of output are, and what passes between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wasmlrun.inference.options import Options
from wasmlrun.support.limits import MAX_PIXELS
from wasmlrun.support.records import NOTHING, Record

if TYPE_CHECKING:
    from PIL import Image

    from wasmlrun.engines.protocol import Port
    from wasmlrun.inference.arrays import Array
    from wasmlrun.support.tensor import Tensor


class Box(Record):
    """A rectangle in pixels of a picture; it may reach beyond its edges."""

    left: float
    top: float
    width: float
    height: float


class Wanted(Record):
    """What an input kind is told besides its own options."""

    ports: Sequence[Port]
    """The model's inputs."""
    labels: Sequence[str] | None = None
    """The lines of the file that `labels` names; a text's vocabulary."""
    resize: str = "stretch"
    """How a picture is brought to size where the manifest does not say."""
    max_pixels: int = MAX_PIXELS


class Given(Record):
    """What the file became, and what to show answers on."""

    tensors: Mapping[int, Tensor]
    """The model's inputs by their numbers."""
    picture: Image.Image | None = None
    """In RGB, upright, of its own size."""
    view: Box = Box(0, 0, 1, 1)
    """What part of the picture the tensor shows, in the picture's pixels."""
    size: tuple[int, int] = (0, 0)
    """Height and width of the picture in the tensor."""
    mask: Array | None = None
    """Of a text: 1 for each token that counts, [tokens]."""


class InputKind(Record):
    """How a file becomes tensors."""

    read: Callable[[str, Any, Wanted], Given]
    """Of a file's name (- is standard input), the kind's options, and the model's inputs. Raises
    WasmlrunError."""
    options: type[Options] = Options
    choices: Mapping[str, Sequence[str]] = NOTHING


class Made(Record):
    """What an output kind makes of a model's outputs."""

    facts: Mapping[str, Any]
    """For JSON; the keys are a contract."""
    lines: Sequence[Sequence[str]]
    """For a person, and for other programs."""
    file: Callable[[], bytes] | None = None
    """What `-o` writes; None where there is no such thing."""


class Context(Record):
    """What an output kind is told besides its own options."""

    given: Given
    labels: Sequence[str] | None = None
    suffix: str = ""
    """Of the file that `-o` names, `.json`; empty where none is named."""


class OutputKind(Record):
    """What a model's outputs become."""

    make: Callable[[Sequence[tuple[str, Array]], Any, Context], Made]
    """Of the outputs with their names, in order, and the kind's options. Raises BadModel,
    BadLabels."""
    options: type[Options] = Options
    choices: Mapping[str, Sequence[str]] = NOTHING
    resize: str = "stretch"
    """How pictures are brought to the model's size for it, where the manifest does not say."""
