"""Arguments of `Worker` and `Program` beside the options of `classify` and `run`."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

import wasmlrun
from wasmlrun.api import settings
from wasmlrun.commands import classify, run
from wasmlrun.commands.line.reader import Choice, Command, Option

# how answers are written and shown, what arrives later, what a person is asked, a server that is
# warm already, and how other hosts' command lines say `model` and `models`
NOT_HERE = {
    *("as_json", "junit", "trace", "quiet", "verbosity", "install", "via", "raw"),
    *("nn_preload", "wasmtime", "show", "watch", "output", "explain"),
}
# what a call is given instead
OF_A_CALL = {"images", "request", "body"}
OTHERWISE = {"no_cache": "cache", "variables": "env"}
OWN = {"limits", "isolation", "parallel", "calls_per_process"}


def names_of(command: Command) -> set[str]:
    found = {p.name for p in command.parameters}
    named = {OTHERWISE.get(name, name) for name in found - NOT_HERE - OF_A_CALL}
    return {name for name in named if not name.startswith("limit_")}


@pytest.mark.parametrize(
    ("kind", "command", "calls"),
    [
        (wasmlrun.Worker, classify.command, set()),
        (wasmlrun.Program, run.command, {"arguments"}),
    ],
)
def test_every_option_has_its_argument(
    kind: Callable[..., object], command: Command, calls: set[str]
) -> None:
    assert set(inspect.signature(kind).parameters) == names_of(command) - calls | OWN


def test_choices_are_the_commands() -> None:
    options = [p for p in classify.command.parameters if isinstance(p, Option)]
    choices = {p.name: set(p.kind.values) for p in options if isinstance(p.kind, Choice)}
    choices = {name: values for name, values in choices.items() if name not in NOT_HERE}
    assert choices == {
        "device": set(settings.DEVICES),
        "precision": set(settings.PRECISIONS),
        "input_layout": set(settings.LAYOUTS),
    }
