"""docs/infer.md lists every kind of input and output, with its keys and their defaults."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from wasmlrun.inference.inputs import INPUTS
from wasmlrun.inference.inputs import kind_of as input_kind
from wasmlrun.inference.outputs import OUTPUTS
from wasmlrun.inference.outputs import kind_of as output_kind
from wasmlrun.inference.settings import read_settings
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.support.records import defaults

TEXT = (Path(__file__).parents[1] / "docs" / "infer.md").read_text(encoding="utf-8")
PARTS = dict(re.findall(r"^## (Inputs|Outputs)\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S))


def sections(part: str) -> dict[str, str]:
    return dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", PARTS[part], re.M | re.S))


def test_every_kind_has_its_section() -> None:
    assert list(sections("Inputs")) == list(INPUTS)
    assert list(sections("Outputs")) == list(OUTPUTS)


@pytest.mark.parametrize(
    ("part", "name"),
    [*(("Inputs", name) for name in INPUTS), *(("Outputs", name) for name in OUTPUTS)],
)
def test_the_keys_are_those_that_are_read(part: str, name: str) -> None:
    kind = input_kind(name) if part == "Inputs" else output_kind(name)
    known, said = defaults(kind.options), {}
    for cell, default, text in re.findall(
        r"^\| (`.*?`) \| ?(.*?) ?\| (.*?) \|$", sections(part)[name], re.M
    ):
        for key in re.findall(r"`(\w+)`", cell):
            said[key] = default
            for choice in kind.choices.get(key, ()):
                assert choice in text or "[classify]" in text, (key, choice)
    assert sorted(said) == sorted(known)
    for key, default in said.items():
        if default.startswith("`"):
            assert json.loads(default.strip("`")) == known[key], key
        else:
            assert known[key] in ("", ()), key


def test_the_example_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.S)
    (tmp_path / "x.toml").write_text(example)
    (tmp_path / "labels.txt").write_text("face\n")
    found = read_settings([read_manifest(tmp_path / "x.toml")], (), None, None)
    assert (found.output_name, found.labels) == ("detect", ["face"])
    assert found.constants == {"scale factor": 1.0}
