"""What a caller chose, checked, and in a form that goes to another process as JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from wasmlrun.support.errors import UsageFault
from wasmlrun.support.limits import TABLE, Limits

ApiSettings = dict[str, Any]
"""Options by name; every value is as JSON has it. Paths hold from `folder` on."""

DEVICES = ("CPU", "GPU", "NPU", "AUTO")
PRECISIONS = ("f32", "bf16", "f16")
LAYOUTS = ("nhwc", "nchw")
ISOLATIONS = ("process", "thread")


def checked(**options: Any) -> ApiSettings:
    """The options, with paths as text.

    Raises:
        UsageFault: a value that the option does not have.
    """
    for name, known in (
        ("device", DEVICES),
        ("precision", PRECISIONS),
        ("input_layout", LAYOUTS),
        ("isolation", ISOLATIONS),
    ):
        value = options.get(name)
        if value is not None and value not in known:
            raise UsageFault(f"{name} = {value!r} is none of {', '.join(known)}")
    for name in ("top", "max_pixels", "parallel", "calls_per_process"):
        value = options.get(name)
        if value is not None and not (isinstance(value, int) and value >= 1):
            raise UsageFault(f"{name} = {value!r} is not a whole number from 1 on")
    settings = {name: _plain(value) for name, value in options.items()}
    settings["limits"] = chosen_limits(options.get("limits"))
    settings["folder"] = os.getcwd()  # noqa: PTH109 - a name that need not be resolved
    return settings


def chosen_limits(limits: Limits | Mapping[str, Any] | None) -> dict[str, float | int | None]:
    """The limits that are set, by name.

    Raises:
        UsageFault: there is none of this name, or not of this value.
    """
    if limits is None:
        return {}
    given = {k: getattr(limits, k) for k in TABLE} if isinstance(limits, Limits) else dict(limits)
    for name, value in given.items():
        limit = TABLE.get(name)
        if limit is None:
            raise UsageFault(f"there is no limit {name!r}", f"there are: {', '.join(TABLE)}")
        kinds = (int, float) if limit.is_time else (int,)
        right = isinstance(value, kinds) and not isinstance(value, bool) and value > 0
        if value is not None and not (right and value <= limit.most):
            what = "number of seconds" if limit.is_time else f"whole number of {limit.unit}"
            raise UsageFault(f"the limit {name} is a {what}, not {value!r}")
    return given


def timeout_of(settings: ApiSettings) -> float:
    """Seconds that a call may take at most: a manifest can only lower it."""
    chosen = settings["limits"].get("timeout")
    return float(chosen if chosen is not None else Limits().timeout)


def memory_of(settings: ApiSettings) -> int:
    """Bytes that a process may have at most: a manifest can only lower it."""
    chosen = settings["limits"].get("process_memory")
    return int(chosen if chosen is not None else Limits().process_memory)


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
