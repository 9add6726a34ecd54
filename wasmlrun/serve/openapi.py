"""The API's description in OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import wasmlrun

_SCHEMAS = {
    "Classification": {
        "type": "object",
        "properties": {
            "schema": {"const": 1},
            "image": {"type": "string"},
            "worker": {"type": "string"},
            "model": {"type": ["string", "null"]},
            "predictions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "index": {"type": ["integer", "null"]},
                        "label": {"type": "string"},
                        "score": {"type": "number"},
                    },
                },
            },
            "timings_ms": {
                "type": "object",
                "additionalProperties": {"type": "number"},
            },
        },
    },
    "Error": {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "hint": {"type": "string"},
                },
            }
        },
    },
}


def description(models: Sequence[str], chats: Sequence[str] = ()) -> dict[str, Any]:
    """The document; `models` are the names that are served, `chats` those of language models."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wasmlrun",
            "version": wasmlrun.__version__,
            "description": "Machine-learning workers in WebAssembly, sandboxed.",
        },
        "paths": (_paths(models) if models else {}) | (_chats(chats) if chats else {}) | _OWN,
        "components": {"schemas": _SCHEMAS},
    }


def _paths(models: Sequence[str]) -> dict[str, Any]:
    """Every address, with what it takes and gives."""
    model = {
        "name": "model",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": list(models)},
    }
    return {
        "/classify": _classify(models),
        "/models": {"get": _get("The models that are served")},
        "/v2": {"get": _get("Open Inference Protocol: the server")},
        "/v2/health/live": {"get": _get("Open Inference Protocol: it lives")},
        "/v2/health/ready": {"get": _get("Open Inference Protocol: it may be asked")},
        "/v2/models/{model}": {
            "get": {**_get("A model's inputs and outputs"), "parameters": [model]}
        },
        "/v2/models/{model}/ready": {
            "get": {**_get("Whether a model may be asked"), "parameters": [model]}
        },
        "/v2/models/{model}/infer": {
            "post": {
                "summary": "Run a model on tensors, in JSON or with the binary extension",
                "parameters": [model],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {}, "application/octet-stream": {}},
                },
                "responses": {"200": {"description": "the outputs"}},
            }
        },
    }


def _chats(names: Sequence[str]) -> dict[str, Any]:
    """The addresses of chats, whose forms are OpenAI's."""
    model = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
    body = {
        "type": "object",
        "properties": {
            "model": {"type": "string", "enum": list(names)},
            "messages": {"type": "array", "items": {"type": "object"}},
            "stream": {"type": "boolean", "default": False},
            "max_completion_tokens": {"type": "integer", "minimum": 1},
        },
        "required": ["model", "messages"],
    }
    return {
        "/v1/models": {"get": _get("OpenAI: the language models")},
        "/v1/models/{model}": {"get": {**_get("OpenAI: a language model"), "parameters": [model]}},
        "/v1/chat/completions": {
            "post": {
                "summary": "OpenAI: the next message of a chat, whole or as a stream of events",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": body}},
                },
                "responses": {"200": {"description": "the answer"}},
            }
        },
    }


def _classify(models: Sequence[str]) -> dict[str, Any]:
    """`/classify`: a picture in, labels out."""
    picture = {"schema": {"type": "string", "format": "binary"}}
    form = {
        "schema": {
            "type": "object",
            "properties": {"image": {"type": "string", "format": "binary"}},
            "required": ["image"],
        }
    }
    answers = {
        "200": _json("#/components/schemas/Classification"),
        "400": _json("#/components/schemas/Error", "no picture, or one that cannot be read"),
        "413": _json("#/components/schemas/Error", "the body is too large"),
        "502": _json("#/components/schemas/Error", "the process that did the work crashed"),
        "503": _json("#/components/schemas/Error", "busy; see Retry-After"),
        "504": _json("#/components/schemas/Error", "out of time"),
    }
    return {
        "post": {
            "summary": "Classify a picture",
            "parameters": [
                _query("top", {"type": "integer", "default": 5, "minimum": 1}),
                _query("model", {"type": "string", "enum": list(models)}),
            ],
            "requestBody": {
                "required": True,
                "content": {"multipart/form-data": form, "image/*": picture},
            },
            "responses": answers,
        }
    }


def _json(reference: str, text: str = "the answer") -> dict[str, Any]:
    return {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": reference}}},
    }


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _get(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "the answer"}}}


_OWN = {
    "/healthz": {"get": _get("It lives")},
    "/readyz": {"get": _get("It may be asked")},
    "/metrics": {"get": _get("Counters for Prometheus")},
}
