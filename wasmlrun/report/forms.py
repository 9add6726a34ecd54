"""The forms of an answer that are written to a file of their own.

Each has its line here and a module of `wasmlrun.report.renderers`, imported when it is used; its
option, `--NAME FILE`, follows from that in every command whose answers it can tell.
"""

from __future__ import annotations

FILES = {"junit": "Write FILE as JUnit XML, one test case an image, for a CI server."}
"""Name -> help."""
