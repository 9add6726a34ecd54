"""From a chat's messages to the prompt that a model was trained with.

The form is in the model's file, as a template of Jinja. llama.cpp does not run it: it knows some
dozens of families by what their templates look like, and writes the messages as they do.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import create_string_buffer

from wasmlrun.engines.llama.capi import ChatMessage
from wasmlrun.engines.protocol import EngineError


def prompt_of(lib: ctypes.CDLL, model: int, messages: Sequence[tuple[str, str]]) -> bytes:
    """The prompt of messages, each (role, text), up to where the model is to answer.

    Raises:
        EngineError: the model has no template, or one of a family that is not known.
    """
    template: bytes | None = lib.llama_model_chat_template(model, None)
    if template is None:
        raise EngineError("the model has no chat template: it only continues texts")
    encoded = [(role.encode(), text.encode()) for role, text in messages]
    chat = (ChatMessage * len(encoded))(*(ChatMessage(*pair) for pair in encoded))
    room = 1024 + 2 * sum(len(role) + len(text) for role, text in encoded)
    while True:
        written = create_string_buffer(room)
        size: int = lib.llama_chat_apply_template(template, chat, len(chat), True, written, room)
        if size < 0:
            raise EngineError("the model's chat template is of no family that llama.cpp knows")
        if size <= room:
            return written.raw[:size]
        room = size
