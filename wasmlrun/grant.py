"""What one guest may touch: the sum of manifest and command line, and nothing besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from wasmlrun.errors import UsageFault
from wasmlrun.manifest import Manifest, Mount


@dataclass(frozen=True, slots=True)
class Grant:
    """Folders, environment and WASI-NN of a guest."""

    mounts: tuple[Mount, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    nn: bool = False
    nhwc_input: bool = False
    said_by: str = "the command line"
    """Where the user would change it."""


def from_manifest(manifest: Manifest) -> Grant:
    """What a manifest grants."""
    return Grant(
        mounts=manifest.folders,
        environ=manifest.vars,
        nn=manifest.nn.enabled,
        nhwc_input=manifest.nn.input_layout == "nhwc",
        said_by=str(manifest.path),
    )


def with_writable(grant: Grant, guest_paths: Iterable[str]) -> Grant:
    """The grant with these mounted folders writable.

    Raises:
        UsageFault: a path that is not mounted.
    """
    mounts = list(grant.mounts)
    for path in guest_paths:
        matching = [i for i, m in enumerate(mounts) if m.guest.rstrip("/") == path.rstrip("/")]
        if not matching:
            known = ", ".join(m.guest for m in mounts) or "none"
            raise UsageFault(
                f"--writable {path}: no folder is mounted there", f"mounted folders: {known}"
            )
        for i in matching:
            mounts[i] = replace(mounts[i], writable=True)
    return replace(grant, mounts=tuple(mounts))
