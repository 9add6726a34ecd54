"""Pictures on their way to another process, and small ones from it."""

from __future__ import annotations

from PIL import Image

from wasmlrun.supervisor.answering import Handler, Say
from wasmlrun.supervisor.channel import Message
from wasmlrun.supervisor.stages import Board, Stage
from wasmlrun.support.limits import MAX_PIXELS
from wasmlrun.vision.decode import configure_process
from wasmlrun.vision.source import ImageSource
from wasmlrun.vision.values import ImageBytes, ImagePixels

THUMBNAIL_SIDE = 192
"""Pixels."""


def picture_message(source: ImageSource) -> Message:
    """A picture as a call. Raises BadImage when it cannot be read."""
    if isinstance(source, ImagePixels):
        image = source.decoded(max_pixels=1 << 62)  # it is decoded: the child counts
        return Message({"name": source.name, "size": image.size}, (image.tobytes(),))
    return Message({"name": source.name}, (source.encoded(),))


def picture_of(message: Message) -> ImageSource:
    """The picture of a call."""
    name, size, data = message.head["name"], message.head.get("size"), message.parts[0]
    if size is None:
        return ImageBytes(name, bytes(data))
    return ImagePixels(name, Image.frombuffer("RGB", tuple(size), bytes(data), "raw", "RGB", 0, 1))


def begin(opening: Message, board: Board, say: Say) -> Handler:
    """What a child does that makes thumbnails; see `wasmlrun.supervisor.answering`."""
    configure_process(MAX_PIXELS)

    def answer(message: Message) -> Message:
        source = picture_of(message)
        with board.doing(Stage.IMAGE, source.name):
            return Message({}, (thumbnail(source),))

    return answer


def thumbnail(source: ImageSource) -> bytes:
    """A small PNG of a picture. Raises BadImage."""
    image = source.decoded(at_least=THUMBNAIL_SIDE)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return ImagePixels(source.name, image).encoded()
