"""whisper.cpp's public C API through ctypes: declarations and loading, nothing else.

The library travels inside the `pywhispercpp` wheel, whose Python part is not imported. The struct
of parameters grows with every release, at its end as a rule: it is taken whole, as the library
fills it with its defaults, and only fields in front are changed, after a look at whether they are
what they were when this was written. Header: `whisper.h`.
"""

from __future__ import annotations

import ctypes
from ctypes import (
    CFUNCTYPE,
    Structure,
    c_bool,
    c_char_p,
    c_float,
    c_int,
    c_int32,
    c_size_t,
    c_uint8,
    c_void_p,
)
from pathlib import Path
from typing import Any

from wasmlrun.engines import wheel
from wasmlrun.engines.protocol import EngineError

_ROOM = 1024
"""Bytes for a struct of parameters: those of 2026 have 300. What is too much is not looked at."""
GREEDY = 0


class ContextParams(Structure):
    """`whisper_context_params`: whether a GPU is used, the rest as the library made it."""

    _fields_ = [("use_gpu", c_bool), ("opaque", c_uint8 * _ROOM)]


class FullParams(Structure):
    """`whisper_full_params`, as far as it is looked at or changed."""

    _fields_ = [
        ("strategy", c_int),
        ("n_threads", c_int),
        ("n_max_text_ctx", c_int),
        ("offset_ms", c_int),
        ("duration_ms", c_int),
        ("translate", c_bool),
        ("no_context", c_bool),
        ("no_timestamps", c_bool),
        ("single_segment", c_bool),
        ("print_special", c_bool),
        ("print_progress", c_bool),
        ("print_realtime", c_bool),
        ("print_timestamps", c_bool),
        ("token_timestamps", c_bool),
        ("thold_pt", c_float),
        ("thold_ptsum", c_float),
        ("max_len", c_int),
        ("split_on_word", c_bool),
        ("max_tokens", c_int),
        ("debug_mode", c_bool),
        ("audio_ctx", c_int),
        ("tdrz_enable", c_bool),
        ("suppress_regex", c_void_p),
        ("initial_prompt", c_char_p),
        ("carry_initial_prompt", c_bool),
        ("prompt_tokens", c_void_p),
        ("prompt_n_tokens", c_int),
        ("language", c_char_p),
        ("detect_language", c_bool),
        ("opaque", c_uint8 * _ROOM),
    ]


LogCallback = CFUNCTYPE(None, c_int, c_char_p, c_void_p)
_SILENT = LogCallback(lambda level, text, data: None)
"""What it says is for its developers. Kept as long as the library is."""

# name -> what it returns, its arguments
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "whisper_log_set": (None, [LogCallback, c_void_p]),
    "whisper_version": (c_char_p, []),
    "whisper_context_default_params": (ContextParams, []),
    "whisper_full_default_params": (FullParams, [c_int]),
    "whisper_init_from_buffer_with_params_no_state": (
        c_void_p,
        [c_char_p, c_size_t, ContextParams],
    ),
    "whisper_free": (None, [c_void_p]),
    "whisper_init_state": (c_void_p, [c_void_p]),
    "whisper_free_state": (None, [c_void_p]),
    "whisper_is_multilingual": (c_int, [c_void_p]),
    "whisper_lang_id": (c_int, [c_char_p]),
    "whisper_full_with_state": (c_int, [c_void_p, c_void_p, FullParams, c_void_p, c_int]),
    "whisper_full_n_segments_from_state": (c_int, [c_void_p]),
    "whisper_full_get_segment_text_from_state": (c_char_p, [c_void_p, c_int]),
    "whisper_full_n_tokens_from_state": (c_int32, [c_void_p, c_int]),
}


def load() -> ctypes.CDLL:
    """The library, its functions declared and its messages off. Raises EngineError."""
    path = _library()
    lib = wheel.opened(path, "whisper.cpp's library", _FUNCTIONS)
    lib.whisper_log_set(_SILENT, None)
    usual = lib.whisper_full_default_params(GREEDY)
    in_place = (usual.strategy, usual.n_max_text_ctx, usual.offset_ms, usual.duration_ms)
    if in_place != (GREEDY, 16384, 0, 0) or round(usual.thold_pt, 3) != 0.01:
        raise EngineError(f"{path.name} is of an unknown version: its parameters have moved")
    if usual.initial_prompt is not None or usual.prompt_n_tokens or usual.language != b"en":
        raise EngineError(f"{path.name} is of an unknown version: its parameters have moved")
    return lib


def _library() -> Path:
    # beside the package's folder
    names = {
        "linux": "libwhisper.so.1",
        "darwin": "libwhisper*.dylib",
        "win32": "whisper.dll",
    }
    return wheel.library("pywhispercpp", "whisper.cpp's library", "..", names)
