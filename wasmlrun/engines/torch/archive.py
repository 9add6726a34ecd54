"""PyTorch's files are zip archives: which of its formats one is, and that it is harmless.

PyTorch's own pickles run any Python that their author wants when they are loaded, so they are
never loaded here. TorchScript is a language of its own, read by PyTorch's C++; what it could do
to files and processes is refused before it is read. Of an ExportedProgram only its JSON and its
raw weights are read.
"""

from __future__ import annotations

import io
import pickletools
import re
import zipfile

from wasmlrun.engines.protocol import EngineError

# a name of TorchScript's operators: torch.NAME(…), ops.NAMESPACE.NAME(…)
_TORCH_CALL = re.compile(r"\btorch\s*\.\s*([A-Za-z_]\w*)")
_OPS_CALL = re.compile(r"\bops\s*\.\s*([A-Za-z_]\w*)\s*\.\s*([A-Za-z_]\w*)")
_CLASS = re.compile(r"\btorch\s*\.\s*classes\s*\.\s*([A-Za-z_]\w*)")
_NAMESPACES = {"aten", "prim", "quantized"}
# they read and write files, map memory, or talk to other processes
_REFUSED = {
    "save",
    "from_file",
    "load",
    "rpc_async",
    "rpc_remote",
    "rpc_sync",
    "PythonOp",
    "IgnoredPythonOp",
}
_CLASSES = {"quantized"}
_PICKLED = re.compile(
    r"__torch__(\.\w+)* \w+|torch\.jit\._pickle \w+|torch\._utils _rebuild_\w+"
    r"|torch \w+|collections OrderedDict"
)
_PICKLED_TORCH = re.compile(r"torch (\w+Storage|per_\w+|\w+int\w*|float\w*|bfloat16|bool|device)")


class Archive:
    """A zip archive in memory whose entries lie below one folder."""

    def __init__(self, data: bytes) -> None:
        """Raises EngineError when it is no zip archive."""
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            self.names = [name.partition("/")[2] for name in self._zip.namelist()]
            self._root = self._zip.namelist()[0].partition("/")[0] if self.names else ""
        except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError) as e:
            raise EngineError(f"the file is no archive of PyTorch: {e}") from e

    def read(self, name: str) -> bytes:
        """The bytes of an entry. Raises EngineError when there is none, or it is damaged."""
        try:
            return self._zip.read(f"{self._root}/{name}")
        except KeyError:
            raise EngineError(f"the file has no {name}") from None
        # RuntimeError of what is encrypted, or packed in a way that is not known
        except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, OSError) as e:
            raise EngineError(f"{name} in the file cannot be read: {e}") from e

    @property
    def is_script(self) -> bool:
        """Whether it is TorchScript."""
        return "constants.pkl" in self.names and any(n.startswith("code/") for n in self.names)

    @property
    def is_exported(self) -> bool:
        """Whether it is an ExportedProgram."""
        return "archive_format" in self.names

    def check_script(self) -> None:
        """Refuse TorchScript that could do more than compute. Raises EngineError."""
        for name in self.names:
            if name.endswith(".py"):
                _check_code(name, self.read(name).decode(errors="replace"))
            elif name.endswith(".pkl") or name.endswith(".debug_pkl"):
                _check_pickle(name, self.read(name))


def _check_code(name: str, text: str) -> None:
    for called in _TORCH_CALL.findall(text):
        if called in _REFUSED:
            raise EngineError(
                f"the model calls torch.{called} ({name}): refused, it may only compute"
            )
    for space, called in _OPS_CALL.findall(text):
        if space not in _NAMESPACES or called in _REFUSED:
            raise EngineError(
                f"the model calls {space}::{called} ({name}): refused, it may only compute"
            )
    for space in _CLASS.findall(text):
        if space not in _CLASSES:
            raise EngineError(f"the model uses the class torch.classes.{space}: refused")


def _check_pickle(name: str, data: bytes) -> None:
    try:
        operations = list(pickletools.genops(data))
    except (ValueError, IndexError, UnicodeDecodeError) as e:
        raise EngineError(f"{name} in the file cannot be read: {e}") from e
    for operation, argument, _ in operations:
        if operation.name in ("STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"):
            raise EngineError(f"{name} in the file is no pickle of TorchScript: refused")
        if operation.name != "GLOBAL":
            continue
        found = str(argument)
        _check_code(name, found.replace(" ", "."))
        good = _PICKLED.fullmatch(found)
        if not good or (found.startswith("torch ") and not _PICKLED_TORCH.fullmatch(found)):
            raise EngineError(f"{name} in the file names {found}: refused")
