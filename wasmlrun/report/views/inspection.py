"""The answer of `wasmlrun inspect`: a JSON object, and lines with names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from wasmlrun.binary.module import Memory
from wasmlrun.diagnose.inspection import (
    CompiledFacts,
    Facts,
    Group,
    ManifestFacts,
    ModelFacts,
    ProgramFacts,
)
from wasmlrun.report.answer import Answer, Columns
from wasmlrun.report.views import models
from wasmlrun.sandbox.ahead import PORTABLE
from wasmlrun.support.messages import printable
from wasmlrun.support.sizes import size_text

Object = dict[str, Any]
Lines = list[tuple[str, str]]


def answer(facts: Facts) -> Answer:
    """Everything; on a terminal the suggested manifest is a block to paste."""
    record, lines = _described(facts)
    suggestion = record.get("suggested_manifest") or ""
    footer = f"\nsuggested manifest:\n\n{suggestion}" if suggestion else ""
    suggested = [("suggestion", line) for line in suggestion.splitlines()]
    return Answer([record], [*lines, *suggested], Columns(lines, footer=footer))


def suggestion(facts: Facts) -> str:
    """The suggested manifest alone; nothing for a file that is one, or that needs none."""
    if isinstance(facts, ManifestFacts | CompiledFacts):
        return ""
    return printable(facts.suggestion)


def _described(facts: Facts) -> tuple[Object, Lines]:
    """The JSON object and the lines for a person."""
    if isinstance(facts, ProgramFacts):
        return _program(facts)
    if isinstance(facts, CompiledFacts):
        return _compiled(facts)
    if isinstance(facts, ManifestFacts):
        return _manifest(facts)
    return _model(facts)


def _program(facts: ProgramFacts) -> tuple[Object, Lines]:
    runs = not facts.missing and not facts.obstacles
    record: Object = {
        "file": str(facts.path),
        "kind": facts.kind,
        "size": facts.size,
        "runs_here": runs,
        "obstacles": facts.obstacles,
        "wasi_nn": facts.wasi_nn,
        "imports": [_group(group) for group in facts.groups],
        "missing": facts.missing,
        "memories": [_memory(memory) for memory in facts.memories],
        "producers": facts.producers,
        "exports": list(facts.exports),
        "suggested_manifest": facts.suggestion,
    }
    lines: Lines = [("file", str(facts.path)), ("kind", facts.kind), ("size", _size(facts.size))]
    lines.append(("runs here", "yes" if runs else "no"))
    lines += [("obstacle", obstacle) for obstacle in facts.obstacles]
    if facts.packed is not None:
        record["packed"] = dict(facts.packed)
        lines.append(("model inside", _inside(facts.packed)))
    lines.append(("WASI-NN", facts.wasi_nn or "not used"))
    for group in facts.groups:
        lines.append(("imports", f"{group.world}: {', '.join(map(_short, group.imports))}"))
    for group in facts.groups:
        if group.missing:
            lines.append(("missing", f"{', '.join(group.missing)} – {group.remedy}"))
    lines += [("memory", _memory_text(memory)) for memory in facts.memories]
    lines += [("producers", f"{kind}: {', '.join(n)}") for kind, n in facts.producers.items()]
    return record, lines


def _inside(packed: Mapping[str, Any]) -> str:
    """The model of a packed module, and what it takes."""
    given = packed.get("input", {})
    shape = "×".join(map(str, given.get("shape", ())))
    return f"{packed['model']['name']}, takes {shape} {given.get('dtype', '')}".strip()


def _compiled(facts: CompiledFacts) -> tuple[Object, Lines]:
    about, counts = facts.about, "fuel" in facts.about["settings"]
    bytecode = about["target"] == PORTABLE
    record: Object = {
        "file": str(facts.path),
        "kind": "compiled worker",
        "size": facts.size,
        "runs_here": facts.obstacle is None,
        "obstacles": [] if facts.obstacle is None else [facts.obstacle],
        "compiled_from": {"name": about["name"], "sha256": about["source"]},
        "target": about["target"],
        "native": bool(about.get("native")),
        "bytecode": bytecode,
        "wasmtime": about["wasmtime"],
        "counts_fuel": counts,
    }
    what = "bytecode, run by Pulley" if bytecode else f"machine code for {about['target']}"
    if record["native"]:
        what += ", this very processor"
    lines: Lines = [
        ("file", str(facts.path)),
        ("kind", f"compiled worker: {what}; Cranelift is not used"),
        ("size", _size(facts.size)),
        ("runs here", "no" if facts.obstacle else "yes"),
    ]
    if facts.obstacle is not None:
        lines.append(("obstacle", facts.obstacle))
    lines.append(("compiled from", f"{about['name']}, sha256 {about['source']}"))
    lines.append(("wasmtime", about["wasmtime"]))
    lines.append(("instructions", "counted, for --fuel" if counts else "not counted"))
    if facts.packed is not None:
        record["packed"] = dict(facts.packed)
        lines.append(("model inside", _inside(facts.packed)))
    return record, lines


def _group(group: Group) -> Object:
    return {
        "world": group.world,
        "names": list(group.imports),
        "missing": list(group.missing),
        "remedy": group.remedy,
    }


def _short(name: str) -> str:
    """Without the module, which the world's name says."""
    return name.partition(".")[2] if name.startswith("wasi_") else name


def _memory(memory: Memory) -> Object:
    return {
        "minimum": memory.minimum,
        "maximum": memory.maximum,
        "shared": memory.shared,
        "imported": memory.imported,
    }


def _memory_text(memory: Memory) -> str:
    most = (
        "no limit of its own" if memory.maximum is None else f"{size_text(memory.maximum)} at most"
    )
    text = f"{size_text(memory.minimum)} at the start, {most}"
    return text + ", shared" * memory.shared + ", imported" * memory.imported


def _manifest(facts: ManifestFacts) -> tuple[Object, Lines]:
    manifest, here = facts.manifest, facts.worker.is_file()
    record: Object = {
        "file": str(manifest.path),
        "kind": "manifest",
        "size": facts.size,
        "name": manifest.name,
        "version": manifest.version,
        "worker": str(facts.worker) if here else None,
        "variables": {
            name: {"from_host": host, "set": host in os.environ}
            for name, host in facts.asked.items()
        },
        "wasi_nn": manifest.nn.enabled,
        "preload_models": {p.name: str(p.folder) for p in manifest.nn.preload_models},
        "folders": [
            {"from": str(m.host), "to": m.guest, "writable": m.writable} for m in manifest.folders
        ],
        "protocol": manifest.classify.protocol if manifest.classify else None,
        "limits": dict(manifest.limits),
        "only_for_serve": list(manifest.only_for_serve),
    }
    lines: Lines = [
        ("file", str(manifest.path)),
        ("kind", "manifest"),
        ("size", _size(facts.size)),
        ("name", f"{manifest.name}, version {manifest.version}"),
        ("worker", str(facts.worker) if here else f"none: {facts.worker.name} is not beside it"),
    ]
    for name, host in facts.asked.items():
        state = "set" if host in os.environ else "not set, so empty"
        lines.append(("variable", f"{name} from the host's ${host} ({state})"))
    lines.append(("WASI-NN", "allowed" if manifest.nn.enabled else "not allowed"))
    lines += [("model", f"{p.name}: {p.folder}") for p in manifest.nn.preload_models]
    for m in manifest.folders:
        lines.append(
            ("folder", f"{m.guest}: {m.host}, {'writable' if m.writable else 'read-only'}")
        )
    if manifest.classify is not None:
        lines.append(("protocol", manifest.classify.protocol))
    lines += [("limit", f"{name} = {value}") for name, value in manifest.limits.items()]
    lines += [("only for", f"serve: [{name}]") for name in manifest.only_for_serve]
    return record, lines


def _model(facts: ModelFacts) -> tuple[Object, Lines]:
    about, lines = models.described(None, None, None, None, facts.info)
    record = {"file": str(facts.path), "kind": "model", **about}
    record["suggested_manifest"] = facts.suggestion
    return record, [("file", str(facts.path)), ("kind", "model"), *lines]


def _size(size: int) -> str:
    return f"{size} bytes" + (f" ({size_text(size)})" if size >= 1000 else "")
