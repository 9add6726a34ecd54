"""What a user sets once: variables and the configuration file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import wasmlrun
from wasmlrun.models.preferred import default_model
from wasmlrun.support.errors import BadFile
from wasmlrun.support.settings import CONFIG, SETTINGS, config_file, value
from wasmlrun.support.userdata import cache_dir, data_dir

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
GUESTS = {"MODEL", "MODEL_ENCODING", "INPUT", "INPUT_SHAPE", "INPUT_TYPE", "OUTPUT_SHAPE"}
GUESTS |= {"OUTPUT_TYPE", "INPUTS", "OUTPUTS", "SCRIPT", "SCRIPT_NAME"}
"""What guests are told, and scripts are handed over in."""
OURS = {"STARTED_NS", "COMPLETE"}
"""Of this program to itself, and of the shell's completion."""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(f'model = "mine"\ncache_dir = "{tmp_path}/c"\ndata_dir = "{tmp_path}/d"\n')
    monkeypatch.setenv(CONFIG, str(path))
    return path


def test_the_file_is_followed_and_variables_beat_it(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config_file() == written
    assert (cache_dir(), data_dir()) == (tmp_path / "c", tmp_path / "d")
    assert default_model() == "mine"
    assert value("model").origin == str(written)
    for key, setting in SETTINGS.items():
        monkeypatch.setenv(setting.variable, f"/by/{key}")
        assert value(key).text == f"/by/{key}"
        assert value(key).origin == setting.variable
    assert cache_dir() == Path("/by/cache_dir")


def test_without_a_file_nothing_is_set(own_home: dict[str, str]) -> None:
    assert config_file() == Path(own_home["XDG_CONFIG_HOME"]) / "wasmlrun" / "config.toml"
    for key in SETTINGS:
        assert (value(key).text, value(key).origin) == (None, "built in")


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("modle = 'x'", "unknown key: modle", "did you mean model?"),
        ("zzz = 'x'", "unknown key: zzz", "known: model, mirror"),
        ("model = 7", "model must be a string", 'model = "…"'),
        ("model =", "is not TOML", None),
        ("\udcff", "is not TOML", None),
    ],
)
def test_a_wrong_file_is_told(written: Path, text: str, what: str, hint: str | None) -> None:
    written.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BadFile, match=re.escape(what)) as caught:
        value("model")
    assert (hint or "") in (caught.value.hint or "")


def test_a_file_that_is_named_must_be_there(written: Path) -> None:
    written.unlink()
    with pytest.raises(BadFile, match="does not exist"):
        value("model")


def test_every_variable_is_in_one_table() -> None:
    """What the program reads, `wasmlrun config` shows and the README says."""
    used: set[str] = set()
    for path in Path(wasmlrun.__file__).parent.rglob("*.py"):
        used |= set(re.findall(r"\bWASMLRUN_([A-Z_]*[A-Z])\b", path.read_text(encoding="utf-8")))
    told = {setting.variable.removeprefix("WASMLRUN_") for setting in SETTINGS.values()}
    assert used - GUESTS - OURS == told | {"CONFIG"}
    for setting in SETTINGS.values():
        assert f"| `{setting.key}` | `{setting.variable}` |" in README
