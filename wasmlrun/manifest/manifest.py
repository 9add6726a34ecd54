"""What a manifest says, once it is read and checked: frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wasmlrun.support.model_source import Demand
from wasmlrun.support.records import NOTHING, Record


class Mount(Record):
    """A host folder and the path the guest sees it under."""

    host: Path
    guest: str
    writable: bool = False
    said: bool = True
    """Whether somebody said if it may be written to."""
    within: Path | None = None
    """The folder that it must lie in when it is opened; None where the user named it himself."""


class Preload(Record):
    """A model folder that the guest may load by the folder's name."""

    folder: Path
    backend: str | None = None
    """The engine that is to run it; None is any."""

    @property
    def name(self) -> str:
        """What the guest passes to `load_by_name`."""
        return self.folder.name


class NnGrant(Record):
    """`[features.wasi_nn]`: whether and how the guest may use WASI-NN."""

    allowed_backends: tuple[str, ...] = ()
    preload_models: tuple[Preload, ...] = ()
    input_layout: str | None = None
    allowed_models: tuple[str, ...] | None = None
    """sha256 of every file of the models that may be loaded; None is any model."""

    @property
    def enabled(self) -> bool:
        """Without backends and without models the imports do not exist."""
        return bool(self.allowed_backends or self.preload_models)

    @property
    def engines(self) -> tuple[str, ...]:
        """The only engines that may be used, the preferred first; none is any."""
        named = [m.backend for m in self.preload_models if m.backend is not None]
        if not self.allowed_backends and len(named) < len(self.preload_models):
            return ()
        return tuple(dict.fromkeys([*self.allowed_backends, *named]))


class HttpGrant(Record):
    """`[features.http_requests]`: requests that the guest may send."""

    allowed_hosts: tuple[str, ...] = ()
    """Names, or NAME:PORT; none of them is "any"."""
    allowed_methods: tuple[str, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE")
    allow_http: bool = False
    """Whether http is allowed besides https."""
    allowed_private: tuple[str, ...] = ()
    """Hosts that may be on this machine or beside it; said by the user, never by a manifest."""


class Classify(Record):
    """`[classify]`: how an image becomes this worker's input and scores become labels.

    None is "not said": worked out from the model, or a documented default.
    """

    protocol: str = "tensor"
    model: str | None = None
    """Guest path of the model in a mounted folder, or the name of a preloaded model."""
    labels: Path | None = None
    size: tuple[int, int] | None = None
    """Height and width in pixels."""
    resize: str | None = None
    layout: str | None = None
    dtype: str | None = None
    color: str | None = None
    mean: tuple[float, ...] | None = None
    """Subtracted from each channel, in units of 0 to 255."""
    scale: tuple[float, ...] | None = None
    """Each channel is divided by it after the mean is subtracted."""
    scores: str = "auto"
    label_offset: int | None = None
    """Added to a score's index to find its label's line, counted from 0."""
    unsure_below: float | None = None
    """An answer whose first score is below it is doubted aloud; 0 to 1, None is never."""
    within: Path | None = None
    """No key: the folder that `labels` must not lead out of; None is anywhere."""


class Manifest(Record):
    """A manifest as read; paths are absolute."""

    path: Path
    name: str
    version: str
    vars: Mapping[str, str] = NOTHING
    nn: NnGrant = NnGrant()
    folders: tuple[Mount, ...] = ()
    http: HttpGrant = HttpGrant()
    kv_namespace: str | None = None
    """`[data.kv]`: the key/value store that the guest shares with others of the same name."""
    classify: Classify | None = None
    infer: Mapping[str, Any] | None = None
    """`[infer]` as it stands: `wasmlrun.inference.settings` knows its keys."""
    limits: Mapping[str, Any] = NOTHING
    """What `[limits]` says, by the names of `wasmlrun.support.limits.Limits`."""
    only_for_serve: tuple[str, ...] = ()
    """Tables that `serve` obeys and that mean nothing to other commands."""
    trust: Demand | None = None
    """`[trust]`: the keys of which one must have signed the models."""
    within: Path | None = None
    """The folder that no path in it may lead out of; None is anywhere."""
