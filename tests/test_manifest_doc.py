"""docs/manifest.md lists the keys that are read, with their defaults, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wasmlrun.inference.settings import read_settings
from wasmlrun.manifest.manifest import Classify
from wasmlrun.manifest.reader import (
    COLORS,
    DTYPES,
    LAYOUTS,
    PROTOCOLS,
    RESIZES,
    SCORES,
    read_manifest,
)
from wasmlrun.support.errors import BadManifest
from wasmlrun.support.limits import TABLE
from wasmlrun.support.records import defaults

TEXT = (Path(__file__).parents[1] / "docs" / "manifest.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
EXAMPLES = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
WRONG = "qqqqqqqqqqqqqqqq"
# how an unknown key is put into each table
TABLES = {
    "The file itself": f"{WRONG} = 1",
    "features": f"[features]\n{WRONG} = 1",
    "features.wasi_nn": f"[features.wasi_nn]\n{WRONG} = 1",
    "features.wasi_nn.preload_models": f"[[features.wasi_nn.preload_models]]\n{WRONG} = 1",
    "features.wasi_nn.preload_models.provider": (
        f"[[features.wasi_nn.preload_models]]\nprovider = {{ {WRONG} = 1 }}"
    ),
    "features.http_requests": f"[features.http_requests]\n{WRONG} = 1",
    "data": f"[data]\n{WRONG} = 1",
    "data.kv": f"[data.kv]\n{WRONG} = 1",
    "folders": f"[[folders]]\n{WRONG} = 1",
    "classify": f"[classify]\n{WRONG} = 1",
    "infer": f"[infer]\n{WRONG} = 1",
    "limits": f"[limits]\n{WRONG} = 1",
    "trust": f'[trust]\nkeys = ["k"]\n{WRONG} = 1',
}


def rows(section: str) -> dict[str, list[str]]:
    """Key -> type, default and text."""
    found = re.findall(
        r"^\| `(\w+)`(?: \*)? \| (.*?) \| (.*?) \| ?(.*?) ?\|$", section, re.MULTILINE
    )
    return {key: list(cells) for key, *cells in found}


def test_every_table_is_there() -> None:
    assert list(SECTIONS) == list(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_the_keys_are_those_that_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(
        f"{TABLES[name]}\n" if name == "The file itself" else f'version = "1"\n{TABLES[name]}\n'
    )
    with pytest.raises(BadManifest) as caught:
        read_settings([read_manifest(path)], (), None, None)
    assert caught.value.hint is not None
    known = caught.value.hint.removeprefix("known here: ").split(", ")
    assert sorted(rows(SECTIONS[name])) == sorted(known)


def test_defaults_of_classify() -> None:
    said = rows(SECTIONS["classify"])
    for key, value in defaults(Classify).items():
        if value is not None:
            assert said[key][1] == f'`"{value}"`', key


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("protocol", PROTOCOLS),
        ("resize", RESIZES),
        ("layout", LAYOUTS),
        ("dtype", DTYPES),
        ("color", COLORS),
        ("scores", SCORES),
    ],
)
def test_every_value_is_named(key: str, values: tuple[str, ...]) -> None:
    text = rows(SECTIONS["classify"])[key][2]
    assert [v for v in re.findall(r'`"(\w+)"`', text) if v in values][: len(values)] == list(values)


def test_limits_are_those_of_the_table() -> None:
    said = rows(SECTIONS["limits"])
    for name, limit in TABLE.items():
        default = "none" if limit.default is None else f"{limit.default:.0f}"
        kind = "number" if limit.is_time else "integer"
        unit = "seconds" if limit.is_time else limit.unit
        assert said[name] == [kind, default, unit]
    assert list(said) == list(TABLE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_are_read(example: str, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    path = tmp_path / "x.toml"
    path.write_text(example, encoding="utf-8")
    assert read_manifest(path).version == "1"


def test_every_key_has_an_example() -> None:
    for name, section in SECTIONS.items():
        if name in ("The file itself", "limits"):
            continue
        for key in rows(section):
            assert re.search(rf"\b{key}\b", "\n".join(EXAMPLES)), key
