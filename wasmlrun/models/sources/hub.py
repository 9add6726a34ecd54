"""`hf:OWNER/REPOSITORY@REVISION/PATH`: a file of a Hugging Face repository.

The conventions are huggingface_hub's: `HF_ENDPOINT` names another hub, `HF_TOKEN` or the file
of a login says who asks, `HF_HUB_OFFLINE` forbids asking.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

from wasmlrun.models.connection import Transfer
from wasmlrun.models.sources.located import Located
from wasmlrun.support.errors import DownloadFailed, UsageFault

DEFAULT_ENDPOINT: Final = "https://huggingface.co"
_ADDRESS = re.compile(
    r"hf:(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?/(?P<path>.+)", re.ASCII
)


def locate(address: str, transfer: Transfer) -> Located:
    """Where the hub keeps the file.

    Raises:
        UsageFault: the address is not of the form.
        DownloadFailed: HF_HUB_OFFLINE forbids asking.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise UsageFault(
            f"{address!r} names no file of a repository",
            "write hf:OWNER/REPOSITORY@REVISION/PATH; a commit as revision always means the same",
        )
    repository, revision, path = match.group("repository", "revision", "path")
    name = PurePosixPath(path).name
    if transfer.mirror is not None:
        return Located(address, name)
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise DownloadFailed(
            f"{address} cannot be fetched: HF_HUB_OFFLINE is set", "unset it, or name a mirror"
        )
    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    url = f"{endpoint}/{repository}/resolve/{quote(revision or 'main')}/{quote(path)}"
    return Located(url, name, headers=_token(os.environ))


def configuration(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """The file that the hub's own client keeps a token in."""
    home = environ.get("HF_HOME") or Path(environ.get("XDG_CACHE_HOME") or "~/.cache")
    path = Path(environ.get("HF_TOKEN_PATH") or Path(home) / "huggingface" / "token")
    if environ.get("HF_HOME") and not environ.get("HF_TOKEN_PATH"):
        path = Path(environ["HF_HOME"]) / "token"
    return [path.expanduser()]


def _token(environ: Mapping[str, str]) -> dict[str, str]:
    token = environ.get("HF_TOKEN")
    if not token:
        (path,) = configuration(environ)
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return {}
    return {"Authorization": f"Bearer {token}"} if token else {}
