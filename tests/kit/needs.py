"""What a test needs beyond the package itself."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest


def needs(module: str, package: str) -> None:
    """Skip without a package; in CI fail."""
    if find_spec(module) is None:
        reason = f"{package} is missing: pip install {package}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
