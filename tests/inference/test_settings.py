"""`[infer]`: keys, kinds, what is merged with what, and every complaint."""

from __future__ import annotations

from pathlib import Path

import pytest

from wasmlrun.engines.protocol import Port
from wasmlrun.inference.inputs import INPUTS
from wasmlrun.inference.outputs import OUTPUTS
from wasmlrun.inference.outputs import kind_of as output_kind
from wasmlrun.inference.settings import KEYS, Settings, assigned, merged, read_settings
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.support.errors import BadManifest, UsageFault, WasmlrunError
from wasmlrun.support.tensor import DType

PICTURE = Port("picture", (1, 8, 8, 3), DType.F32)
FLAT = Port("numbers", (1, 8), DType.F32)


def settings_of(tmp_path: Path, text: str, *chosen: str, kind: str | None = None) -> Settings:
    path = tmp_path / "m.toml"
    path.write_text(f'version = "1"\n{text}\n')
    return read_settings([read_manifest(path)], chosen, kind, None)


def test_a_manifest_says_what_goes_in_and_what_comes_out(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    found = settings_of(
        tmp_path,
        """
        [infer]
        labels = "names.txt"
        [infer.input]
        kind = "picture"
        mean = 127.5
        [infer.output]
        kind = "detect"
        threshold = 1
        """,
    )
    assert found.labels == ["cat", "dog"]
    assert found.output_name == "detect"
    assert vars(found.output_options)["threshold"] == 1.0
    kind, options = found.input_for("x.bin", [FLAT])
    assert kind.read.__module__.endswith(".picture")
    assert vars(options)["mean"] == (127.5,)


def test_without_a_word_it_is_tensors_and_pictures() -> None:
    found = read_settings([], (), None, None)
    assert found.output_name == "tensor"
    assert found.input_for("a.jpg", [PICTURE])[0].read.__module__.endswith(".picture")
    assert found.input_for("a.npy", [PICTURE])[0].read.__module__.endswith(".tensor")
    with pytest.raises(BadManifest, match="cannot be told") as caught:
        found.input_for("a.txt", [FLAT])
    assert ", ".join(INPUTS) in str(caught.value.hint)


def test_a_classifiers_settings_serve_too(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\n")
    text = '[classify]\nsize = 8\nscale = 2.0\nlabels = "names.txt"\nscores = "logits"'
    found = settings_of(tmp_path, text)
    assert found.output_name == "labels"
    assert vars(found.output_options)["scores"] == "logits"
    assert found.labels == ["cat"]
    assert vars(found.input_for("a.jpg", [PICTURE])[1])["size"] == (8, 8)


def test_the_command_has_the_last_word(tmp_path: Path) -> None:
    text = '[infer.output]\nkind = "detect"\nthreshold = 0.25\nmost = 3'
    found = settings_of(tmp_path, text, "output.most=7", "output.label=face")
    assert vars(found.output_options) | {"threshold": 0.25, "most": 7, "label": "face"} == vars(
        found.output_options
    )
    # another kind begins anew, and takes what is set for it
    found = settings_of(tmp_path, text, "output.pooling=mean", kind="embed")
    assert found.output_name == "embed"
    assert vars(found.output_options)["pooling"] == "mean"


def test_several_manifests_are_read_in_turn(tmp_path: Path) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text(
        'version = "1"\n[infer.constants]\na = 1\n'
        '[infer.output]\nkind = "detect"\nmost = 3\nlabel = "x"'
    )
    second.write_text('version = "1"\n[infer.constants]\nb = 2\n[infer.output]\nmost = 4')
    found = read_settings([read_manifest(first), None, read_manifest(second)], (), None, None)
    assert found.constants == {"a": 1, "b": 2}
    assert vars(found.output_options)["most"] == 4
    assert vars(found.output_options)["label"] == "x"


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("output.threshold=0.6", {"output": {"threshold": 0.6}}),
        ("output.format=yolo", {"output": {"format": "yolo"}}),
        ('output.label=a "b" c', {"output": {"label": 'a "b" c'}}),
        ("constants.s={ 3 = 1.0 }", {"constants": {"s": {"3": 1.0}}}),
        ('constants."a/b"=[1, 2]', {"constants": {"a/b": [1, 2]}}),
    ],
)
def test_what_set_takes(text: str, table: dict[str, object]) -> None:
    assert assigned(text) == table


@pytest.mark.parametrize("text", ["output", "=1", "a b=1", "", "a..b=1"])
def test_what_set_does_not_take(text: str) -> None:
    with pytest.raises(UsageFault, match="not of the form KEY=VALUE"):
        assigned(text)


def test_tables_are_merged_unless_the_kind_is_another() -> None:
    assert merged({"a": {"x": 1}}, {"a": {"y": 2}}) == {"a": {"x": 1, "y": 2}}
    one, other = {"kind": "k", "x": 1}, {"kind": "l", "y": 2}
    assert merged({"a": one}, {"a": {"kind": "k", "y": 2}}) == {"a": {**one, "y": 2}}
    assert merged({"a": one}, {"a": other}) == {"a": other}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[infer]\nouput = 1", "infer.ouput is not a known key"),
        ("[infer]\noutput = 1", "infer.output must be a table"),
        ("[infer]\nlabels = 1", "infer.labels must be a path"),
        ("[infer]\nconstants = 1", "infer.constants must be a table of inputs"),
        ('[infer.output]\nkind = "boxes"', "infer.output.kind is 'boxes'"),
        ("[infer.output]\nkind = 1", "infer.output.kind must be a string"),
        ('[infer.input]\nkind = "sound"', "infer.input.kind is 'sound'"),
        ('[infer.output]\nkind = "detect"\nfrom = 1', "infer.output.from is not a known key"),
        ('[infer.output]\nkind = "detect"\nformat = "rcnn"', "infer.output.format is 'rcnn'"),
        ('[infer.output]\nkind = "detect"\nmost = 1.5', "most must be a whole number"),
        ('[infer.output]\nkind = "detect"\nmost = true', "most must be a whole number"),
        ('[infer.output]\nkind = "detect"\nthreshold = "x"', "threshold must be a number"),
        ('[infer.output]\nkind = "detect"\nlabel = 1', "label must be a string"),
        ('[infer.output]\nkind = "detect"\nrows_first = 1', "rows_first must be true or false"),
        ('[infer.output]\nkind = "detect"\nstrides = ["a"]', "a number or a list of numbers"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadManifest) as caught:
        settings_of(tmp_path, text)
    assert said in caught.value.message


def test_labels_do_not_leave_the_manifests_folder(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(WasmlrunError, match="labels"):
        settings_of(inner, '[infer]\nlabels = "../names.txt"')


def test_every_kind_is_there() -> None:
    for name in OUTPUTS:
        assert callable(output_kind(name).make)
    assert {"input", "output"} < set(KEYS)
