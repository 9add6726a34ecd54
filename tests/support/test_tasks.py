"""Calls in threads of their own."""

from __future__ import annotations

import threading

import pytest

from wasmlrun.support.tasks import Task


def test_no_room_for_a_thread_is_want_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(MemoryError, match="no room for a thread"):
        Task(int)
