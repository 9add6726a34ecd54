"""`[infer]` of a manifest, and what a command says instead of it, as settings to work with."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wasmlrun.engines.protocol import Port
from wasmlrun.inference.inputs import INPUTS
from wasmlrun.inference.inputs import kind_of as input_kind
from wasmlrun.inference.inputs.picture import could_be
from wasmlrun.inference.kind import InputKind, OutputKind
from wasmlrun.inference.options import Options, check_known, read_options
from wasmlrun.inference.outputs import OUTPUTS
from wasmlrun.inference.outputs import kind_of as output_kind
from wasmlrun.manifest.manifest import Classify, Manifest
from wasmlrun.support.errors import BadManifest, UsageFault
from wasmlrun.support.records import NOTHING, Record, defaults
from wasmlrun.vision.labels import read_labels

KEYS = ("model", "labels", "input", "output", "constants")
_COMMAND_LINE = "the command line"


class Settings(Record):
    """How a model is asked, and what its answer is."""

    output_name: str
    output: OutputKind
    output_options: Options
    input_name: str | None
    """None is: worked out from the file and the model."""
    input_table: Mapping[str, Any]
    where: str
    """Where the user would change it."""
    labels: Sequence[str] | None = None
    constants: Mapping[str, Any] = NOTHING
    """Inputs that are always the same, by name."""

    def input_for(self, file: str, ports: Sequence[Port]) -> tuple[InputKind, Options]:
        """How the file becomes the model's input.

        Raises:
            BadManifest: nobody says, and it cannot be told; or an option is wrong.
        """
        name = self.input_name or _guessed(file, ports)
        if name is None:
            raise BadManifest(
                "what the model takes cannot be told from its inputs",
                f"say it: --set input.kind=KIND, one of {', '.join(INPUTS)}",
            )
        kind = input_kind(name)
        table = {key: value for key, value in self.input_table.items() if key != "kind"}
        prefix = "infer.input."
        return kind, read_options(kind.options, table, kind.choices, prefix, self.where)


def read_settings(
    manifests: Sequence[Manifest | None],
    chosen: Sequence[str],
    kind: str | None,
    labels: Path | None,
) -> Settings:
    """The settings of a model: of several manifests the later ones say more, then come the
    command's output `kind`, its `KEY=VALUE`s and its labels.

    Raises:
        BadManifest, UsageFault: a key is not known, or its value is wrong.
        BadLabels: the labels cannot be read.
    """
    table: dict[str, Any] = {}
    where, lines = _COMMAND_LINE, None
    for manifest in manifests:
        if manifest is None:
            continue
        said = manifest.infer if manifest.infer is not None else _of_classify(manifest.classify)
        if said is None:
            continue
        where, found = str(manifest.path), dict(said)
        if "labels" in found:
            lines = _labels(found.pop("labels"), manifest)
        elif manifest.infer is None and manifest.classify and manifest.classify.labels:
            lines = read_labels(manifest.classify.labels, within=manifest.classify.within)
        table = merged(table, found)
    if kind is not None and _kind_in(table, "output", where) != kind:
        table = {**table, "output": {"kind": kind}}
    for text in chosen:
        table = merged(table, assigned(text))
    if labels is not None:
        lines = read_labels(labels)
    for key in table:
        check_known(key, KEYS, "infer.", where)
    return _settings(table, where, lines)


def assigned(text: str) -> dict[str, Any]:
    """`KEY=VALUE` as a table: the key with dots, the value as in TOML or a bare word.

    Raises:
        UsageFault: it is not of that form.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageFault(f"--set {text}: not of the form KEY=VALUE", "--set output.threshold=0.6")
    for written in (value, _quoted(value)):
        try:
            return tomllib.loads(f"{key}={written}")
        except (tomllib.TOMLDecodeError, ValueError):
            continue
    raise UsageFault(f"--set {text}: not of the form KEY=VALUE", "--set output.threshold=0.6")


def merged(table: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A table with another's values; tables in it are merged too. One that names another kind
    begins anew.
    """
    found = dict(table)
    for key, value in more.items():
        before = found.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            other = "kind" in value and value["kind"] != before.get("kind")
            found[key] = dict(value) if other else merged(before, value)
        else:
            found[key] = value
    return found


def _settings(table: Mapping[str, Any], where: str, lines: Sequence[str] | None) -> Settings:
    output = _kind_in(table, "output", where) or "tensor"
    source = _kind_in(table, "input", where)
    for name, names, key in ((output, OUTPUTS, "output"), (source, INPUTS, "input")):
        if name is not None and name not in names:
            raise BadManifest(
                f"{where}: infer.{key}.kind is {name!r}", f"possible: {', '.join(names)}"
            )
    constants = table.get("constants", {})
    if not isinstance(constants, dict):
        raise BadManifest(f"{where}: infer.constants must be a table of inputs by name")
    kind = output_kind(output)
    options = {k: v for k, v in table.get("output", {}).items() if k != "kind"}
    return Settings(
        output,
        kind,
        read_options(kind.options, options, kind.choices, "infer.output.", where),
        source,
        table.get("input", {}),
        where,
        lines,
        constants,
    )


def _kind_in(table: Mapping[str, Any], key: str, where: str) -> str | None:
    found = table.get(key, {})
    if not isinstance(found, dict):
        raise BadManifest(
            f"{where}: infer.{key} must be a table", f'write [infer.{key}] and kind = "…"'
        )
    kind = found.get("kind")
    if kind is not None and not isinstance(kind, str):
        raise BadManifest(f"{where}: infer.{key}.kind must be a string")
    return kind


def _labels(value: object, manifest: Manifest) -> list[str]:
    if not isinstance(value, str) or not value or "\0" in value:
        raise BadManifest(
            f"{manifest.path}: infer.labels must be a path", 'write labels = "names.txt"'
        )
    return read_labels(manifest.path.absolute().parent / value, within=manifest.within)


def _of_classify(classify: Classify | None) -> dict[str, Any] | None:
    """A classifier's settings as those of a model of which nothing else is known."""
    if classify is None or classify.protocol != "tensor":
        return None
    keys = ("size", "resize", "layout", "dtype", "color", "mean", "scale")
    picture = {
        key: list(value) if isinstance(value, tuple) else value
        for key in keys
        if (value := getattr(classify, key)) is not None
    }
    scores = classify.scores
    said = {name for name in defaults(Classify) if getattr(classify, name) is not None}
    if said <= {"protocol", "scores"}:
        return None
    return {
        "input": {"kind": "picture", **picture},
        "output": {"kind": "labels", "scores": scores},
    }


def _guessed(file: str, ports: Sequence[Port]) -> str | None:
    if file.endswith((".npy", ".npz")):
        return "tensor"
    return "picture" if any(map(could_be, ports)) else None


def _quoted(text: str) -> str:
    import json

    return json.dumps(text)
