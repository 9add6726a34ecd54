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


def description(models: Sequence[str]) -> dict[str, Any]:
    """The document; `models` are the names that are served."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wasmlrun",
            "version": wasmlrun.__version__,
            "description": "Machine-learning workers in WebAssembly, sandboxed.",
        },
        "paths": _paths(models),
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
        "/healthz": {"get": _get("It lives")},
        "/readyz": {"get": _get("It may be asked")},
        "/metrics": {"get": _get("Counters for Prometheus")},
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
