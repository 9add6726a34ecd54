"""The pages of the server's own: their files, and the policy under which a browser runs them."""

from __future__ import annotations

from pathlib import Path

from wasmlrun.serve.answers import Reply

_FILES = Path(__file__).parent / "web"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = (
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("permissions-policy", "camera=(self), microphone=(), geolocation=()"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-cache"),
)


class Pages:
    """The files in memory, by path."""

    def __init__(self) -> None:
        self._answers = {}
        for file in sorted(_FILES.iterdir()):
            if file.suffix in _TYPES:
                headers = (("content-type", _TYPES[file.suffix]), *HEADERS)
                self._answers[f"/web/{file.name}"] = Reply(200, headers, file.read_bytes())
        self._answers["/"] = self._answers["/web/index.html"]
        self._answers["/docs"] = self._answers["/web/docs.html"]

    def find(self, path: str) -> Reply | None:
        """The file of a path."""
        return self._answers.get(path)
