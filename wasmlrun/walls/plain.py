"""Walls on their way to the process that is to stand behind them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wasmlrun.walls.child import Fence
from wasmlrun.walls.reach import Reach


def plain(fence: Fence | None) -> dict[str, object] | None:
    """A fence as JSON has it, its places absolute; None is no walls at all."""
    if fence is None:
        return None
    reach = fence.reach
    return {
        "required": fence.required,
        "reach": None
        if reach is None
        else {
            "reading": [str(place.absolute()) for place in reach.reading],
            "writing": [str(place.absolute()) for place in reach.writing],
            "mounts": [
                [str(place.absolute()), None if within is None else str(within.absolute())]
                for place, within in reach.mounts
            ],
            "anywhere": reach.anywhere,
            "network": reach.network,
            "graphics": reach.graphics,
        },
    }


def fence_from(plain: Mapping[str, Any]) -> Fence:
    """The fence that `plain` made this of."""
    told = plain["reach"]
    if told is None:
        return Fence(None, plain["required"])
    places = {name: tuple(map(Path, told[name])) for name in ("reading", "writing")}
    mounts = tuple(
        (Path(place), None if within is None else Path(within)) for place, within in told["mounts"]
    )
    return Fence(Reach(**{**told, **places, "mounts": mounts}), plain["required"])
