"""The key/value stores of workers, one for each namespace.

As in Wasm Workers Server a worker is given its whole store and gives it back whole. In memory
it is gone with the process; in a file of SQLite it stays.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from wasmlrun.support.errors import UsageFault

MAX_STORE = 16 << 20
"""Bytes of one namespace's store, as JSON."""


class Stores(Protocol):
    """Stores of workers, each under its namespace."""

    def read(self, namespace: str) -> Mapping[str, Any]:
        """The whole store; empty when nothing was kept."""

    def replace(self, namespace: str, store: Mapping[str, Any]) -> None:
        """Keep this from now on. Raises TooMuch."""

    def close(self) -> None:
        """Let go of the file."""


class TooMuch(Exception):
    """A worker wants to keep more than it may."""


class InMemory:
    """Stores that are gone with the process."""

    def __init__(self) -> None:
        self._stores: dict[str, str] = {}

    def read(self, namespace: str) -> Mapping[str, Any]:
        """The whole store; empty when nothing was kept."""
        found: Mapping[str, Any] = json.loads(self._stores.get(namespace, "{}"))
        return found

    def replace(self, namespace: str, store: Mapping[str, Any]) -> None:
        """Keep this from now on. Raises TooMuch."""
        self._stores[namespace] = _text(store)

    def close(self) -> None:
        """Do nothing: no file is held."""


class InFile:
    """Stores in a file of SQLite; what was answered is on the disk."""

    def __init__(self, path: Path) -> None:
        """Raises UsageFault when the file cannot be opened, or is another's."""
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS stores (namespace TEXT PRIMARY KEY, store TEXT)"
                " WITHOUT ROWID"
            )
        except sqlite3.Error as e:
            raise UsageFault(f"--kv {path}: {e}", "name a file that may be created there") from e

    def read(self, namespace: str) -> Mapping[str, Any]:
        """The whole store; empty when nothing was kept."""
        row = self._database.execute(
            "SELECT store FROM stores WHERE namespace = ?", (namespace,)
        ).fetchone()
        found: Mapping[str, Any] = json.loads(row[0]) if row else {}
        return found

    def replace(self, namespace: str, store: Mapping[str, Any]) -> None:
        """Keep this from now on. Raises TooMuch."""
        self._database.execute(
            "INSERT INTO stores VALUES (?, ?) ON CONFLICT (namespace) DO UPDATE SET store = ?",
            (namespace, text := _text(store), text),
        )

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def _text(store: Mapping[str, Any]) -> str:
    text = json.dumps(store)
    if len(text) > MAX_STORE:
        raise TooMuch(f"a store of {len(text)} bytes, {MAX_STORE} may be")
    return text
