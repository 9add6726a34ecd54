"""How a token is chosen from a model's logits: llama.cpp's chain of samplers."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_void_p

from wasmlrun.engines.llama.capi import TokenData, TokenDataArray
from wasmlrun.engines.llama.options import LlamaOptions
from wasmlrun.engines.protocol import EngineError
from wasmlrun.support.process import native_stderr_muted

_LLGUIDANCE = "%llguidance"
"""How a grammar begins that is written for llguidance."""
_INIT_LLGUIDANCE = "_Z22llama_sampler_init_llgPK11llama_vocabPKcS3_"


def chain(lib: ctypes.CDLL, vocab: int, options: LlamaOptions) -> int:
    """A chain of samplers in the order that llama.cpp's own programs have; to be freed.

    Raises:
        EngineError: the grammar or schema is not understood.
    """
    made: int = lib.llama_sampler_chain_init(True)
    try:
        for sampler in _samplers(lib, vocab, options):
            lib.llama_sampler_chain_add(made, sampler)
    except EngineError:
        lib.llama_sampler_free(made)
        raise
    return made


def _samplers(lib: ctypes.CDLL, vocab: int, options: LlamaOptions) -> list[int]:
    found: list[int] = []
    if options.grammar or options.json_schema:
        found.append(_grammar(lib, vocab, options))
    if (options.repeat_penalty, options.frequency_penalty, options.presence_penalty) != (1, 0, 0):
        found.append(
            lib.llama_sampler_init_penalties(
                options.last_n_penalty,
                options.repeat_penalty,
                options.frequency_penalty,
                options.presence_penalty,
            )
        )
    if options.temp <= 0:
        return [*found, lib.llama_sampler_init_greedy()]
    return [
        *found,
        lib.llama_sampler_init_top_k(options.top_k),
        lib.llama_sampler_init_typical(options.typ_p, 1),
        lib.llama_sampler_init_top_p(options.top_p, 1),
        lib.llama_sampler_init_min_p(options.min_p, 1),
        lib.llama_sampler_init_temp(options.temp),
        lib.llama_sampler_init_dist(options.seed & 0xFFFFFFFF),
    ]


def _grammar(lib: ctypes.CDLL, vocab: int, options: LlamaOptions) -> int:
    text = options.grammar or _of_schema(options.json_schema)
    if text.startswith(_LLGUIDANCE):
        # the library's C++ part; a library without it also makes no such grammars
        make = getattr(lib, _INIT_LLGUIDANCE, None)
        if make is None:
            raise EngineError("option grammar: this library understands GBNF only")
        make.restype, make.argtypes = c_void_p, [c_void_p, c_char_p, c_char_p]
        # it shows what is wrong with a grammar as the guest wrote it, whatever is in it
        with native_stderr_muted():
            made: int | None = make(vocab, b"lark", text.encode())
            refused = made is not None and not _restrains(lib, vocab, made)
        if refused:
            lib.llama_sampler_free(made)
            named = "grammar" if options.grammar else "json-schema"
            raise EngineError(f"option {named} is not understood: something in it is not known")
    else:
        with native_stderr_muted():
            made = lib.llama_sampler_init_grammar(vocab, text.encode(), b"root")
    if made is None:
        raise EngineError("option grammar is not understood: it is no GBNF with a root")
    return made


def _restrains(lib: ctypes.CDLL, vocab: int, sampler: int) -> bool:
    """Whether a sampler forbids any token as the first.

    llguidance logs what is wrong with a grammar, and then lets everything through.
    """
    count = lib.llama_vocab_n_tokens(vocab)
    candidates = (TokenData * count)(*((token, 0.0, 0.0) for token in range(count)))
    lib.llama_sampler_apply(sampler, byref(TokenDataArray(candidates, count, -1, False)))
    return any(candidate.logit != 0.0 for candidate in candidates)


def _of_schema(schema: str) -> str:
    from xllamacpp import json_schema_to_grammar  # its import takes longer than many tokens

    try:
        grammar: str = json_schema_to_grammar(schema)
    except (RuntimeError, ValueError, TypeError) as e:
        raise EngineError(f"option json-schema is not understood: {e}") from e
    return grammar
