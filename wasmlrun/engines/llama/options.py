"""The options of a language model, as guests of WasmEdge give them: a JSON object.

Names and defaults are WasmEdge's and llama.cpp's, but for the seed: without one the same guest
gives the same answer again.
"""

from __future__ import annotations

import math
from typing import Any

from wasmlrun.engines.options import changed, given_options
from wasmlrun.engines.protocol import EngineError
from wasmlrun.support.records import Record


class LlamaOptions(Record):
    """What is understood; a field is an option with `-` for `_`."""

    n_predict: int = -1
    ctx_size: int = 0
    """Tokens of a context; 0 is as many as the model was trained for."""
    batch_size: int = 2048
    ubatch_size: int = 512
    threads: int = 0
    """0 is as many as the engine may have."""
    temp: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    typ_p: float = 1.0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    last_n_penalty: int = 64
    seed: int = 0
    grammar: str = ""
    json_schema: str = ""
    reverse_prompt: str = ""
    ignore_eos: bool = False
    embedding: bool = False
    stream_stdout: bool = False


_DEFAULTS = LlamaOptions()
_LEAST = {
    "ctx_size": 0,
    "batch_size": 1,
    "ubatch_size": 1,
    "threads": 0,
    "last_n_penalty": -1,
}
_REFUSED = {
    "mmproj": "models that see pictures are not supported",
    "image": "models that see pictures are not supported",
    "tts": "models that speak are not supported",
}
"""Options without which a guest would get something else than it asked for."""


def read_options(data: bytes, before: LlamaOptions = _DEFAULTS) -> LlamaOptions:
    """The options before, with those in a JSON object.

    Others that WasmEdge knows (logs, GPUs, tuning) mean nothing here and are left alone.

    Raises:
        EngineError: it is no JSON object, or an option is of another type.
    """
    given = given_options(data)
    for name, why in _REFUSED.items():
        if given.get(name):
            raise EngineError(f"option {name}: {why}")
    return changed(before, given, _DEFAULTS, _number)


def _number(shown: str, name: str, value: Any) -> int | float:
    """One as the field's default is. Raises EngineError."""
    number = (
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    )
    if isinstance(getattr(_DEFAULTS, name), float):
        if number:
            return float(value)
        raise EngineError(f"option {shown} is a number, given was {value!r}")
    least = _LEAST.get(name, -(1 << 31))
    if not (number and value == int(value) and least <= value < 1 << 32):
        raise EngineError(f"option {shown} is a whole number from {least} on, given was {value!r}")
    return int(value)
