"""The manifest: a TOML file beside the worker that says what the worker gets.

The format is Wasm Workers Server's, so that its manifests work unchanged; `[classify]`,
`writable` and the keys of `[features.wasi_nn]` other than `allowed_backends` and
`preload_models` are wasmlrun's own. The manifest is read and checked once, here; the rest of
the program trusts the frozen `Manifest`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from wasmlrun.manifest.manifest import (
    Classify,
    HttpGrant,
    Manifest,
    Mount,
    NnGrant,
    Preload,
)
from wasmlrun.manifest.mounts import check_folders
from wasmlrun.support import beneath
from wasmlrun.support.errors import BadManifest
from wasmlrun.support.limits import MAX_MANIFEST_BYTES
from wasmlrun.support.limits import TABLE as LIMITS
from wasmlrun.support.model_source import Demand
from wasmlrun.support.paths import is_dir
from wasmlrun.support.records import defaults

PROTOCOLS: Final = ("tensor", "wws")
RESIZES: Final = ("crop", "stretch", "pad")
LAYOUTS: Final = ("NHWC", "NCHW")
DTYPES: Final = ("u8", "i8", "f32", "f16")
COLORS: Final = ("RGB", "BGR", "gray")
KEYS: Final = (
    "name",
    "version",
    "vars",
    "features",
    "folders",
    "classify",
    "infer",
    "limits",
    "data",
    "trust",
)
NN_KEYS: Final = ("allowed_backends", "preload_models", "input_layout", "allowed_models")
SCORES: Final = ("auto", "probabilities", "logits")


def read_manifest(
    path: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    allow_outside: bool = False,
    within: Path | None = None,
    root: Path | None = None,
    writable: bool = False,
) -> Manifest:
    """Read and check a manifest.

    A manifest may come from anywhere: unless `allow_outside`, it names folders and files below
    its own folder only, or below `root` where that is given. One that was only found, beside a
    file that the user named, must itself lie `within` that file's folder. `writable` is what a
    mount is that does not say.

    Raises:
        BadManifest: with the file, the key and the remedy.
    """
    import tomllib  # only here: a model without a manifest is classified without it

    try:
        within = None if allow_outside else within
        data = tomllib.loads(beneath.read(path, MAX_MANIFEST_BYTES, within=within).decode())
    except FileNotFoundError:
        raise BadManifest(f"manifest {path} does not exist") from None
    except IsADirectoryError:
        raise BadManifest(f"manifest {path} is a folder", "name the .toml file in it") from None
    except beneath.Outside as e:
        raise BadManifest(f"manifest {path} cannot be read: {e.strerror}", e.hint) from e
    except OSError as e:
        raise BadManifest(f"manifest {path} cannot be read: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise BadManifest(f"manifest {path} is not UTF-8 (byte {e.start})") from e
    except tomllib.TOMLDecodeError as e:
        raise BadManifest(f"manifest {path} is not valid TOML: {e}") from e
    except ValueError as e:  # a number of thousands of digits
        raise BadManifest(f"manifest {path} is not valid TOML: {e}") from e
    except RecursionError:
        raise BadManifest(f"manifest {path} is nested too deeply") from None
    reader = _Reader(path, environ, allow_outside=allow_outside, root=root, writable=writable)
    return reader.manifest(data)


class _Reader:
    """Turns parsed TOML into a Manifest; knows the file it came from for its messages."""

    def __init__(
        self,
        path: Path,
        environ: Mapping[str, str],
        *,
        allow_outside: bool,
        root: Path | None,
        writable: bool,
    ) -> None:
        self._path = path
        self._allow_outside = allow_outside
        self._writable = writable
        self._base = path.absolute().parent
        self._root = root
        self._within = None if allow_outside else root or self._base
        self._environ = environ

    def manifest(self, data: dict[str, Any]) -> Manifest:
        self._known(data, "", KEYS)
        if "version" not in data:
            raise self._fault("version", "is missing", 'add a line: version = "1"')
        features = self._table(data, "features")
        self._known(features, "features.", ("wasi_nn", "http_requests"))
        only_for_serve = [key for key in ("data",) if key in data]
        only_for_serve += [f"features.{key}" for key in ("http_requests",) if key in features]
        folders = self._folders(data)
        check_folders(folders, f"[[folders]] in {self._path}")
        return Manifest(
            path=self._path,
            name=self._string(data, "name", self._path.stem),
            version=self._string(data, "version", ""),
            vars=self._vars(self._table(data, "vars")),
            nn=self._nn(self._table(features, "wasi_nn", "features.")),
            folders=folders,
            http=self._http(self._table(features, "http_requests", "features.")),
            kv_namespace=self._kv_namespace(self._table(data, "data")),
            classify=self._classify(data),
            infer=self._table(data, "infer") if "infer" in data else None,
            limits=self._limits(self._table(data, "limits")),
            only_for_serve=tuple(only_for_serve),
            trust=self._trust(data),
            within=self._within,
        )

    def _vars(self, table: dict[str, Any]) -> dict[str, str]:
        found = {}
        for name, value in table.items():
            if not isinstance(value, str):
                raise self._fault(f"vars.{name}", "must be a string", f'write {name} = "{value}"')
            if "\0" in name + value or "=" in name:
                raise self._fault(f"vars.{name}", "has a character that no environment can hold")
            # as in Wasm Workers Server: "$NAME" is the host's variable, empty when unset
            from_host = value.startswith("$") and " " not in value
            found[name] = self._environ.get(value[1:], "") if from_host else value
        return found

    def _kv_namespace(self, data: dict[str, Any]) -> str | None:
        self._known(data, "data.", ("kv",))
        if "kv" not in data:
            return None
        table = self._table(data, "kv", "data.")
        self._known(table, "data.kv.", ("namespace",))
        namespace = self._string(table, "namespace", "", "data.kv.")
        if not namespace:
            raise self._fault("data.kv.namespace", "is missing", 'write namespace = "counter"')
        return namespace

    def _http(self, table: dict[str, Any]) -> HttpGrant:
        prefix = "features.http_requests."
        self._known(table, prefix, ("allowed_hosts", "allowed_methods", "allow_http"))
        chosen: dict[str, Any] = {}
        for key, example in (("allowed_hosts", "example.com"), ("allowed_methods", "GET")):
            names = table.get(key, [])
            if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
                raise self._fault(
                    prefix + key, "must be a list of names", f'write {key} = ["{example}"]'
                )
            if key in table:
                chosen[key] = tuple(n.lower() if key == "allowed_hosts" else n for n in names)
        allow = table.get("allow_http", False)
        if not isinstance(allow, bool):
            raise self._fault(prefix + "allow_http", "must be true or false")
        return HttpGrant(**chosen, allow_http=allow)

    def _nn(self, table: dict[str, Any]) -> NnGrant:
        prefix = "features.wasi_nn."
        self._known(table, prefix, NN_KEYS)
        backends = table.get("allowed_backends", [])
        if not isinstance(backends, list) or not all(isinstance(b, str) for b in backends):
            raise self._fault(
                prefix + "allowed_backends",
                "must be a list of names",
                'write allowed_backends = ["openvino"]',
            )
        for backend in backends:
            self._engine(backend, prefix + "allowed_backends")
        layout = table.get("input_layout")
        if layout is not None:
            self._one_of(layout, ("nhwc", "nchw"), prefix + "input_layout")
        return NnGrant(tuple(backends), self._preloads(table), layout, self._digests(table))

    def _engine(self, value: object, key: str) -> None:
        from wasmlrun.engines import registry  # a warm start without a manifest needs none

        if not isinstance(value, str) or not registry.is_known(value):
            raise self._fault(key, f"is {value!r}", registry.nearest(str(value)))

    def _digests(self, table: dict[str, Any]) -> tuple[str, ...] | None:
        key = "features.wasi_nn.allowed_models"
        if "allowed_models" not in table:
            return None
        digests = table["allowed_models"]
        if not isinstance(digests, list) or not all(
            isinstance(d, str) and re.fullmatch(r"sha256:[0-9a-f]{64}", d) for d in digests
        ):
            raise self._fault(
                key,
                'must be a list of "sha256:…" with 64 hexadecimal digits each',
                f"wasmlrun models lock {self._path} writes it",
            )
        return tuple(digest.removeprefix("sha256:") for digest in digests)

    def _trust(self, data: dict[str, Any]) -> Demand | None:
        if "trust" not in data:
            return None
        table = self._table(data, "trust")
        self._known(table, "trust.", ("keys", "worker"))
        keys = table.get("keys")
        if not isinstance(keys, list) or not keys:
            raise self._fault(
                "trust.keys", "must be a list of key files", 'write keys = ["./release.pub"]'
            )
        files = tuple(self._path_at({"keys": key}, "keys", "trust.") for key in keys)
        worker = table.get("worker", False)
        if not isinstance(worker, bool):
            raise self._fault("trust.worker", "must be true or false")
        return Demand(files, str(self._path), worker, self._within)

    def _limits(self, table: dict[str, Any]) -> dict[str, Any]:
        self._known(table, "limits.", tuple(LIMITS))
        for name, value in table.items():
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 < value < float("inf"):
                raise self._fault(f"limits.{name}", "must be a number above 0")
            if not LIMITS[name].is_time and not isinstance(value, int):
                raise self._fault(f"limits.{name}", "must be a whole number")
            if value > LIMITS[name].most:
                raise self._fault(f"limits.{name}", f"must be at most {LIMITS[name].most:g}")
        return {name: float(v) if LIMITS[name].is_time else v for name, v in table.items()}

    def _preloads(self, table: dict[str, Any]) -> tuple[Preload, ...]:
        key = "features.wasi_nn.preload_models"
        found = []
        for entry in self._tables(table, "preload_models", key):
            self._known(entry, key + ".", ("backend", "provider"))
            backend = entry.get("backend")
            if backend is not None:
                self._engine(backend, key + ".backend")
            provider = entry.get("provider")
            if not isinstance(provider, dict):
                raise self._fault(
                    key + ".provider",
                    "is missing",
                    'write provider = { type = "local", dir = "./models/NAME" }',
                )
            self._known(provider, key + ".provider.", ("type", "dir"))
            self._one_of(provider.get("type", "local"), ("local",), key + ".provider.type")
            folder = self._folder_at(provider, "dir", key + ".provider.")
            if not is_dir(folder):
                raise self._fault(key + ".provider.dir", f"is no folder: {folder}")
            found.append(Preload(folder, backend))
        names = [preload.name for preload in found]
        for name in names:
            if names.count(name) > 1:
                raise self._fault(key, f"has two folders of the name {name!r}")
        return tuple(found)

    def _folders(self, data: dict[str, Any]) -> tuple[Mount, ...]:
        found = []
        for entry in self._tables(data, "folders", "folders"):
            self._known(entry, "folders.", ("from", "to", "writable"))
            guest = entry.get("to")
            if not isinstance(guest, str) or not guest or "\0" in guest:
                raise self._fault("folders.to", "must be the guest's path", 'write to = "/models"')
            writable = entry.get("writable", self._writable)
            if not isinstance(writable, bool):
                raise self._fault("folders.writable", "must be true or false")
            host, said = self._folder_at(entry, "from", "folders."), "writable" in entry
            found.append(Mount(host, guest, writable, said, self._within))
        return tuple(found)

    def _classify(self, data: dict[str, Any]) -> Classify | None:
        if "classify" not in data:
            return None
        table = self._table(data, "classify")
        names = tuple(name for name in defaults(Classify) if name != "within")
        self._known(table, "classify.", names)
        chosen: dict[str, Any] = {}
        for key, values in (
            ("protocol", PROTOCOLS),
            ("resize", RESIZES),
            ("layout", LAYOUTS),
            ("dtype", DTYPES),
            ("color", COLORS),
            ("scores", SCORES),
        ):
            if key in table:
                chosen[key] = self._one_of(table[key], values, f"classify.{key}")
        if "model" in table:
            chosen["model"] = self._string(table, "model", "", "classify.")
        if "labels" in table:
            chosen["labels"] = self._path_at(table, "labels", "classify.")
            chosen["within"] = self._within
        if "size" in table:
            chosen["size"] = self._size(table["size"])
        for key in ("mean", "scale"):
            if key in table:
                chosen[key] = self._channels(table[key], f"classify.{key}")
        if 0.0 in chosen.get("scale", ()):
            raise self._fault("classify.scale", "must not be 0: channels are divided by it")
        if "label_offset" in table:
            offset = table["label_offset"]
            if not isinstance(offset, int) or isinstance(offset, bool):
                raise self._fault("classify.label_offset", "must be a whole number")
            chosen["label_offset"] = offset
        if "unsure_below" in table:
            bound = table["unsure_below"]
            if (
                isinstance(bound, bool)
                or not isinstance(bound, (int, float))
                or not 0 <= bound <= 1
            ):
                raise self._fault(
                    "classify.unsure_below",
                    "must be a score from 0 to 1",
                    "write unsure_below = 0.5",
                )
            chosen["unsure_below"] = float(bound)
        return Classify(**chosen)

    def _size(self, value: Any) -> tuple[int, int]:
        pair = [value, value] if isinstance(value, int) else value
        if (
            isinstance(pair, list)
            and len(pair) == 2
            and all(isinstance(n, int) and not isinstance(n, bool) for n in pair)
            and all(1 <= n <= 8192 for n in pair)
        ):
            return pair[0], pair[1]
        raise self._fault(
            "classify.size",
            "must be 1 to 8192 pixels: one number, or [height, width]",
            "write size = 224",
        )

    def _channels(self, value: Any, key: str) -> tuple[float, ...]:
        numbers = value if isinstance(value, list) else [value]
        if len(numbers) not in (1, 3) or not all(
            isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers
        ):
            raise self._fault(
                key, "must be one number or one per channel", "write mean = [123.7, 116.3, 103.5]"
            )
        return tuple(float(n) for n in numbers)

    def _known(self, table: Mapping[str, Any], prefix: str, names: tuple[str, ...]) -> None:
        for key in table:
            if key not in names:
                # only when it is needed: importing it takes longer than reading a manifest
                from difflib import get_close_matches

                near = get_close_matches(key, names, 1, 0.5)
                hint = (
                    f"did you mean {prefix}{near[0]}?"
                    if near
                    else f"known here: {', '.join(names)}"
                )
                raise self._fault(prefix + key, "is not a known key", hint)

    def _one_of(self, value: Any, values: tuple[str, ...], key: str) -> str:
        if value not in values or not isinstance(value, str):
            raise self._fault(key, f"is {value!r}", f"possible: {', '.join(values)}")
        return value

    def _string(self, table: Mapping[str, Any], key: str, default: str, prefix: str = "") -> str:
        value = table.get(key, default)
        if not isinstance(value, str):
            raise self._fault(prefix + key, "must be a string", f'write {key} = "{value}"')
        return value

    def _path_at(self, table: Mapping[str, Any], key: str, prefix: str) -> Path:
        value = table.get(key)
        if not isinstance(value, str) or not value or "\0" in value:
            raise self._fault(prefix + key, "must be a path", f'write {key} = "./folder"')
        return Path(os.path.normpath(self._base / value))

    def _folder_at(self, table: Mapping[str, Any], key: str, prefix: str) -> Path:
        """A folder that a guest will see: below the manifest's own, links followed."""
        folder = self._path_at(table, key, prefix)
        # not Path.resolve(), which raises for links that lead in a circle
        place = Path(os.path.realpath(folder))
        base = os.path.realpath(self._root or self._base)
        bounds = "the served folder" if self._root else "the manifest's folder"
        if not self._allow_outside and not place.is_relative_to(base):
            raise self._fault(
                prefix + key,
                f"leaves {bounds}: {folder}",
                "if you trust this manifest, say --allow-outside",
            )
        return folder

    def _table(self, table: Mapping[str, Any], key: str, prefix: str = "") -> dict[str, Any]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            raise self._fault(prefix + key, "must be a table", f"write [{prefix}{key}]")
        return value

    def _tables(self, table: Mapping[str, Any], key: str, full: str) -> list[dict[str, Any]]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self._fault(full, "must be a list of tables", f"write [[{full}]]")
        return value

    def _fault(self, key: str, what: str, hint: str | None = None) -> BadManifest:
        return BadManifest(f"{self._path}: {key} {what}", hint)
