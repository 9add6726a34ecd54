"""Results as `batch` and `classify --json` write them, made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def answered(image: str, *guesses: tuple[str, float], total: float = 10.0) -> dict[str, Any]:
    """A row with an answer; classes are numbered by their place."""
    return {
        "schema": 1,
        "image": image,
        "worker": "mobilenet",
        "model": "net",
        "predictions": [
            {"index": n, "label": label, "score": score} for n, (label, score) in enumerate(guesses)
        ],
        "timings_ms": {"run": total / 2, "total": total},
    }


def failed(image: str | None, code: str, message: str) -> dict[str, Any]:
    """A row without one."""
    return {
        "schema": 1,
        "image": image,
        "error": {"code": code, "message": message, "hint": None},
    }


def write_rows(path: Path, *rows: dict[str, Any]) -> Path:
    """A result in JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
