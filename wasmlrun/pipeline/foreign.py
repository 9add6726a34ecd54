"""Models named in the words of other hosts: WasmEdge's --nn-preload, wasmtime's -S nn-graph.

--nn-preload NAME:ENCODING:TARGET:PATH[:PATH…], with commas too
-S nn-graph=FORMAT::DIR
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from wasmlrun.support.errors import UsageFault
from wasmlrun.support.model_source import Encoding
from wasmlrun.support.records import Record

ENCODINGS: dict[str, Encoding | None] = {
    **{encoding.value: encoding for encoding in Encoding},
    # the file's own bytes tell
    "autodetect": None,
}
ELSEWHERE = (
    "neuralspeed",
    "pytorchaoti",
    "mlx",
    "piper",
    "chattts",
    "openvinogenai",
    "bitnet",
    "winml",
)
"""Encodings of other hosts that no engine here runs."""
TARGETS = ("cpu", "gpu", "tpu", "auto")


class Named(Record):
    """A model that another host's option names."""

    name: str
    encoding: Encoding | None
    target: str
    path: Path

    @property
    def words(self) -> str:
        """The same as the value of --model."""
        return f"{self.name}={self.path}"


def from_wasmedge(text: str) -> Named:
    """The value of --nn-preload. Raises UsageFault when it is not of that form."""
    option = f"--nn-preload {text}"
    parts = text.split(":", 3)
    if len(parts) != 4 or not all(parts):
        raise UsageFault(
            f"{option}: not of the form NAME:ENCODING:TARGET:PATH",
            "as in --nn-preload default:OpenVINO:CPU:model.xml,model.bin",
        )
    name, encoding, target, files = parts
    if target.lower() not in TARGETS:
        raise UsageFault(f"{option}: no target is named {target}", f"known: {', '.join(TARGETS)}")
    found = _encoding(option, encoding)
    weights = found.format.weights if found is not None else None
    if weights:
        # a colon may also stand in a path: only that behind the first file is between two
        files = re.sub(r"(?<=\.xml):", ",", files, count=1, flags=re.IGNORECASE)
    first, *others = map(Path, files.split(","))
    expected = [first.with_suffix(weights)] if weights else []
    if others and others != expected:
        raise UsageFault(
            f"{option}: {others[0]} is not what belongs to {first}",
            "an OpenVINO IR is NAME.xml and NAME.bin in one folder, any other model one file",
        )
    return Named(name, found, target.lower(), first)


def from_wasmtime(text: str) -> list[Named]:
    """The value of -S: `nn`, and `nn-graph=FORMAT::DIR`. Raises UsageFault for another."""
    found = []
    for word in text.split(","):
        key, equals, value = word.partition("=")
        if key == "nn" and value in ("", "y", "yes", "true"):
            continue  # it is there without being asked for
        form, colons, folder = value.partition("::")
        if key != "nn-graph" or not equals or not colons or not folder:
            raise UsageFault(
                f"-S {word}: of wasmtime's options only nn and nn-graph=FORMAT::DIR are known here",
                "as in -S nn,nn-graph=onnx::./mobilenet",
            )
        path = Path(folder)
        found.append(Named(path.absolute().name, _encoding(f"-S {word}", form), "cpu", path))
    return found


def named_elsewhere(preloads: Sequence[str], wasmtime: Sequence[str]) -> list[Named]:
    """All that both options name. Raises UsageFault."""
    return [*map(from_wasmedge, preloads), *(n for text in wasmtime for n in from_wasmtime(text))]


def _encoding(option: str, text: str) -> Encoding | None:
    word = text.lower().replace("-", "").replace("_", "")
    if word in ENCODINGS:
        return ENCODINGS[word]
    if word in ELSEWHERE:
        raise UsageFault(
            f"{option}: no engine here runs models of the encoding {text}",
            "wasmlrun engines lists what there is",
        )
    from difflib import get_close_matches

    near = get_close_matches(word, ENCODINGS, 1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(ENCODINGS)}"
    raise UsageFault(f"{option}: no encoding is named {text}", hint)
