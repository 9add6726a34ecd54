"""Which model classifies when nobody names one.

A pulled classifier of ImageNet's thousand classes, the most exact first; without one, the
demonstration that is bundled. Only folders are looked at: a warm run imports nothing for it.
"""

from __future__ import annotations

from typing import Final

from wasmlrun.support import bundled
from wasmlrun.support.paths import is_file
from wasmlrun.support.settings import value
from wasmlrun.support.userdata import data_dir

PREFERRED: Final = (
    "efficientnet-lite2",
    "efficientnet-lite1",
    "efficientnet-lite0",
    "mobilenet-v2-tf2",
    "mobilenet-v2",
    "mobilenet-v1-0.25",
)
"""Names in the catalogue, by the share of ImageNet's pictures that they get right."""


def default_model() -> str:
    """The name, or file, of the model that is used when none is given."""
    chosen = value("model").text
    if chosen:
        return chosen
    shelf = data_dir() / "models"
    return next((n for n in PREFERRED if is_file(shelf / n / f"{n}.toml")), bundled.DEFAULT_MODEL)
