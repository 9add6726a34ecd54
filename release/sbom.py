"""What a wheel is made of and what it needs, as a CycloneDX document.

    python release/sbom.py FOLDER

cyclonedx-py describes the environment that runs this: names, versions, licences. Kept of it are
the packages that wasmlrun requires (`required`) and those of its extras for users (`optional`),
with what they require in turn; the bundled workers, model and pictures are added with their sha256.
Without a time and a serial number in it, the same environment gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
NAME = "wasmlrun"
LICENCE = [{"license": {"id": "Apache-2.0", "acknowledgement": "declared"}}]
OWN = {"docs", "test", "test-torch", "release", "pins", "all"}
"""Extras of those who work on wasmlrun."""
APART = {"torch"}
"""Extras whose packages differ from machine to machine, and which tests can do without."""


def required(project: dict[str, Any]) -> tuple[set[str], set[str]]:
    """The packages, with what they require, of a plain installation, and of all extras besides."""
    extras = project["optional-dependencies"]
    plain = _closure(project["dependencies"])
    chosen = [line for name in extras.keys() - OWN - APART for line in extras[name]]
    return plain, _closure(chosen) - plain


def _closure(lines: list[str]) -> set[str]:
    found: set[tuple[str, str]] = set()
    waiting = [(Requirement(line), "") for line in lines]
    while waiting:
        wanted, extra = waiting.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(wanted.name)
        for asked in {"", *wanted.extras}:
            if (name, asked) not in found:
                found.add((name, asked))
                requires = metadata.requires(name) or []
                waiting += [(Requirement(line), asked) for line in requires]
    return {name for name, _ in found}


def bundled() -> list[dict[str, Any]]:
    """The files that travel in the wheel and are not Python, as components."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]
    included = build["build"]["targets"]["wheel"]["force-include"]
    components = []
    for source, place in sorted(included.items()):
        path = ROOT / source
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            inside = Path(place, file.relative_to(path)) if path.is_dir() else Path(place)
            is_model = file.suffix in (".xml", ".bin", ".onnx")
            components.append(
                {
                    "bom-ref": f"file:{inside.as_posix()}",
                    "type": "machine-learning-model" if is_model else "file",
                    "name": inside.as_posix(),
                    "hashes": [
                        {"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}
                    ],
                    "licenses": LICENCE,
                }
            )
    return components


def described() -> dict[str, Any]:
    """The environment, as cyclonedx-py sees it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "environment.json")
        words = ["-m", "cyclonedx_py", "environment", "--output-reproducible", "--no-validate"]
        words += ["--pyproject", "pyproject.toml", "--output-format", "JSON"]
        words += ["--output-file", str(place), sys.executable]
        # of the whole environment; what is kept of it is validated
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        found: dict[str, Any] = json.loads(place.read_bytes())
        return found


def document() -> str:
    """The document."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plain, optional = required(project)
    found = described()
    kept = []
    for component in found["components"]:
        name = canonicalize_name(component["name"])
        if name in plain or name in optional:
            kept.append({**component, "scope": "required" if name in plain else "optional"})
    files = bundled()
    root = found["metadata"]["component"]
    root["version"] = metadata.version(NAME)
    root["purl"] = f"pkg:pypi/{NAME}@{root['version']}"
    names = {component["bom-ref"] for component in kept}
    edges = [edge for edge in found["dependencies"] if edge["ref"] in names | {root["bom-ref"]}]
    for edge in edges:
        edge["dependsOn"] = sorted(names.intersection(edge.get("dependsOn", ())))
        if edge["ref"] == root["bom-ref"]:
            edge["dependsOn"] += [component["bom-ref"] for component in files]
    found |= {"components": [*kept, *files], "dependencies": edges}
    return json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def fault_of(text: str) -> str | None:
    """What the schema has against a document; None for nothing."""
    version = SchemaVersion.from_version(json.loads(text)["specVersion"])
    fault = JsonStrictValidator(version).validate_str(text)
    return None if fault is None else str(fault)


def main() -> None:
    """Write `wasmlrun-VERSION.cdx.json` into the folder."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{NAME}-{metadata.version(NAME)}.cdx.json"
    text = document()
    fault = fault_of(text)
    if fault is not None:
        raise SystemExit(f"the document does not follow CycloneDX: {fault}")
    place.write_text(text, encoding="utf-8")
    print(place)


if __name__ == "__main__":
    main()
