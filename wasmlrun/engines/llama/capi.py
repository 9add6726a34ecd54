"""llama.cpp's public C API through ctypes: declarations and loading, nothing else.

The library travels inside the `xllamacpp` wheel, whose Python part is not imported. The structs
of parameters grow with every release, at their end as a rule: they are taken whole, as the
library fills them with its defaults, and only the first fields of one of them are changed,
after a look at whether they are what they were when this was written. Header: `llama.h`.
"""

from __future__ import annotations

import ctypes
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_bool,
    c_char_p,
    c_float,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint32,
    c_void_p,
)
from pathlib import Path
from typing import Any

from wasmlrun.engines import wheel
from wasmlrun.engines.protocol import EngineError

_ROOM = 1024
"""Bytes for a struct of parameters: those of 2026 have 150. What is too much is not looked at."""


class ModelParams(Structure):
    """`llama_model_params`, as the library made them."""

    _fields_ = [("opaque", c_uint8 * _ROOM)]


class ContextParams(Structure):
    """`llama_context_params`: the sizes in front, the rest as the library made them."""

    _fields_ = [
        ("n_ctx", c_uint32),
        ("n_batch", c_uint32),
        ("n_ubatch", c_uint32),
        ("n_seq_max", c_uint32),
        ("opaque", c_uint8 * _ROOM),
    ]


_USUAL = (512, 2048, 512, 1)
"""What the sizes in front of `llama_context_params` are by default."""


class Batch(Structure):
    """`llama_batch`, made by `llama_batch_get_one`."""

    _fields_ = [
        ("n_tokens", c_int32),
        ("token", c_void_p),
        ("embd", c_void_p),
        ("pos", c_void_p),
        ("n_seq_id", c_void_p),
        ("seq_id", c_void_p),
        ("logits", c_void_p),
    ]


class ChatMessage(Structure):
    """`llama_chat_message`: who says what."""

    _fields_ = [("role", c_char_p), ("content", c_char_p)]


class TokenData(Structure):
    """`llama_token_data`: a candidate for the next token."""

    _fields_ = [("id", c_int32), ("logit", c_float), ("p", c_float)]


class TokenDataArray(Structure):
    """`llama_token_data_array`: the candidates that samplers are applied to."""

    _fields_ = [
        ("data", POINTER(TokenData)),
        ("size", c_size_t),
        ("selected", c_int64),
        ("sorted", c_bool),
    ]


LogCallback = CFUNCTYPE(None, c_int, c_char_p, c_void_p)
_SILENT = LogCallback(lambda level, text, data: None)
"""What it says is for its developers. Kept as long as the library is."""

# name -> what it returns, its arguments
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "llama_backend_init": (None, []),
    "llama_log_set": (None, [LogCallback, c_void_p]),
    "llama_model_default_params": (ModelParams, []),
    "llama_context_default_params": (ContextParams, []),
    "llama_model_load_from_file": (c_void_p, [c_char_p, ModelParams]),
    "llama_model_free": (None, [c_void_p]),
    "llama_model_get_vocab": (c_void_p, [c_void_p]),
    "llama_model_n_embd": (c_int32, [c_void_p]),
    "llama_model_has_encoder": (c_bool, [c_void_p]),
    "llama_model_has_decoder": (c_bool, [c_void_p]),
    "llama_model_chat_template": (c_char_p, [c_void_p, c_char_p]),
    "llama_chat_apply_template": (
        c_int32,
        [c_char_p, POINTER(ChatMessage), c_size_t, c_bool, c_char_p, c_int32],
    ),
    "llama_init_from_model": (c_void_p, [c_void_p, ContextParams]),
    "llama_free": (None, [c_void_p]),
    "llama_n_ctx": (c_uint32, [c_void_p]),
    "llama_n_batch": (c_uint32, [c_void_p]),
    "llama_set_n_threads": (None, [c_void_p, c_int32, c_int32]),
    "llama_set_embeddings": (None, [c_void_p, c_bool]),
    "llama_get_memory": (c_void_p, [c_void_p]),
    "llama_memory_clear": (None, [c_void_p, c_bool]),
    "llama_batch_get_one": (Batch, [c_void_p, c_int32]),
    "llama_decode": (c_int32, [c_void_p, Batch]),
    "llama_encode": (c_int32, [c_void_p, Batch]),
    "llama_get_embeddings_ith": (POINTER(c_float), [c_void_p, c_int32]),
    "llama_get_embeddings_seq": (POINTER(c_float), [c_void_p, c_int32]),
    "llama_tokenize": (
        c_int32,
        [c_void_p, c_char_p, c_int32, c_void_p, c_int32, c_bool, c_bool],
    ),
    "llama_token_to_piece": (c_int32, [c_void_p, c_int32, c_char_p, c_int32, c_int32, c_bool]),
    "llama_vocab_is_eog": (c_bool, [c_void_p, c_int32]),
    "llama_vocab_n_tokens": (c_int32, [c_void_p]),
    # the parameters of a chain are one bool, no_perf
    "llama_sampler_chain_init": (c_void_p, [c_bool]),
    "llama_sampler_chain_add": (None, [c_void_p, c_void_p]),
    "llama_sampler_init_greedy": (c_void_p, []),
    "llama_sampler_init_dist": (c_void_p, [c_uint32]),
    "llama_sampler_init_top_k": (c_void_p, [c_int32]),
    "llama_sampler_init_top_p": (c_void_p, [c_float, c_size_t]),
    "llama_sampler_init_min_p": (c_void_p, [c_float, c_size_t]),
    "llama_sampler_init_typical": (c_void_p, [c_float, c_size_t]),
    "llama_sampler_init_temp": (c_void_p, [c_float]),
    "llama_sampler_init_penalties": (c_void_p, [c_int32, c_float, c_float, c_float]),
    "llama_sampler_init_grammar": (c_void_p, [c_void_p, c_char_p, c_char_p]),
    "llama_sampler_sample": (c_int32, [c_void_p, c_void_p, c_int32]),
    "llama_sampler_apply": (None, [c_void_p, POINTER(TokenDataArray)]),
    "llama_sampler_free": (None, [c_void_p]),
}


def load() -> ctypes.CDLL:
    """The library, its functions declared and its messages off. Raises EngineError."""
    path = _library()
    lib = wheel.opened(path, "llama.cpp's library", _FUNCTIONS)
    usual = lib.llama_context_default_params()
    if (usual.n_ctx, usual.n_batch, usual.n_ubatch, usual.n_seq_max) != _USUAL:
        raise EngineError(f"{path.name} is of an unknown version: its parameters have moved")
    lib.llama_log_set(_SILENT, None)
    lib.llama_backend_init()
    return lib


def _library() -> Path:
    names = {"linux": "xllamacpp*.so", "win32": "xllamacpp*.pyd"}
    return wheel.library("xllamacpp", "llama.cpp's library", "", names)
