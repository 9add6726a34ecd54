"""What a wheel has besides the package: man pages and shell completions, made while it is built."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MADE = Path("build", "share")


class Manual(BuildHookInterface[Any]):
    """Calls `docs/manual.py`, which needs click and the package itself and no engine."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make them for a wheel; an editable install has none."""
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        share = root / MADE
        shutil.rmtree(share, ignore_errors=True)
        sys.path[:0] = [str(root), str(root / "docs")]
        from manual import write

        for place in write(share):
            build_data["shared_data"][str(share / place)] = f"share/{place}"
