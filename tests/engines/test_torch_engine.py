"""PyTorch, held to the suite that every engine is held to, and what it must not do."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.engine_cases import colours_case, needs, sum_case

needs("torch", "torch")

import torch  # noqa: E402 - it may be absent

# TorchScript is on its way out, and files of it are what there is
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
from kit.torch_models import Colours, Sum, exported, scripted  # noqa: E402

from wasmlrun.engines import registry  # noqa: E402
from wasmlrun.engines.protocol import EngineError, Settings  # noqa: E402
from wasmlrun.engines.torch.archive import Archive  # noqa: E402
from wasmlrun.support.model_source import Encoding, ModelSource  # noqa: E402
from wasmlrun.testing import engine_suite  # noqa: E402
from wasmlrun.testing.engine_suite import Check, Example, Subject  # noqa: E402

PICTURE = torch.zeros(1, 3, 4, 4)
NUMBERS = torch.zeros(4, dtype=torch.int32)


def source(data: bytes) -> ModelSource:
    return ModelSource(Encoding.PYTORCH, (data,))


COLOURS = [colours_case(1, "NCHW"), colours_case(2, "NCHW")]
SUMS = [
    sum_case((1, 2, 3, 4), (5, 6, 7, 8)),
    sum_case((0, 0, 0, 0), (-1, 1, 0, 9)),
]
EXAMPLES = [
    Example(source(scripted(Colours())), COLOURS),
    Example(source(scripted(Sum())), SUMS),
    Example(source(exported(Colours(), PICTURE)), COLOURS),
    Example(source(exported(Sum(), NUMBERS, NUMBERS.clone())), SUMS),
    Example(
        source(exported(Colours(), PICTURE, free=(2, 3))),
        [COLOURS[0], colours_case(3, "NCHW", side=9)],
    ),
]


@pytest.mark.parametrize("check", engine_suite.CHECKS, ids=lambda check: check.__name__)
def test_it_is_an_engine(check: Check) -> None:
    check(Subject("torch", EXAMPLES))


def refused(data: bytes) -> str:
    with pytest.raises(EngineError) as caught:
        registry.get("torch", Settings()).load(source(data), "CPU")
    return str(caught.value)


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self._path),)


def replaced(data: bytes, name: str, content: bytes) -> bytes:
    """The archive with another entry of this name."""
    old, buffer = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as new:
        names = [info.filename for info in old.infolist()]
        root = names[0].partition("/")[0]
        for each in names:
            new.writestr(each, content if each == f"{root}/{name}" else old.read(each))
        if f"{root}/{name}" not in names:
            new.writestr(f"{root}/{name}", content)
    return buffer.getvalue()


def test_an_encrypted_entry_cannot_be_read() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("m/version", b"3")
    data = bytearray(out.getvalue())
    data[data.index(b"PK\x01\x02") + 8] = 1
    with pytest.raises(EngineError, match="version in the file cannot be read"):
        Archive(bytes(data)).read("version")


def test_pickles_of_python_are_refused_and_never_loaded(tmp_path: Path) -> None:
    made = tmp_path / "made"
    for saved in (Colours().state_dict(), Colours(), Evil(made)):
        buffer = io.BytesIO()
        torch.save(saved, buffer)
        assert "torch.jit.script(model).save(FILE)" in refused(buffer.getvalue())
    evil = pickle.dumps(Evil(made), protocol=2)
    script = scripted(Colours())
    for name in ("data.pkl", "constants.pkl", "code/__torch__.py.debug_pkl"):
        assert "refused" in refused(replaced(script, name, evil))
    program = exported(Colours(), PICTURE)
    config = {
        "config": {
            "matrix": {"path_name": "weight_0", "use_pickle": True, "tensor_meta": {}},
        }
    }
    changed = replaced(
        program, "data/weights/model_weights_config.json", json.dumps(config).encode()
    )
    assert "is a pickle of Python: refused" in refused(changed)
    # sample inputs are pickled too; nobody reads them
    changed = replaced(program, "data/sample_inputs/model.pt", evil)
    registry.get("torch", Settings()).load(source(changed), "CPU").close()
    assert not made.exists()


def test_torchscript_that_touches_files_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "written"

    class Saves(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.path = str(target)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.save(x, self.path)
            return x

    class Maps(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.from_file("/etc/passwd", False, 10, dtype=torch.uint8)

    assert "torch.save" in refused(scripted(Saves()))
    assert "torch.from_file" in refused(scripted(Maps()))
    assert not target.exists()


@pytest.mark.parametrize(
    "target",
    [
        "torch.load",
        "torch.ops.aten.from_file.default",
        "_operator.attrgetter",
        "os.system",
        "torch.ops.aten.__class__.mro",
        "torch.ops.profiler._record_function_enter.default",
    ],
)
def test_an_exported_program_calls_operators_alone(target: str) -> None:
    program = exported(Colours(), PICTURE)
    archive = zipfile.ZipFile(io.BytesIO(program))
    (name,) = [n for n in archive.namelist() if n.endswith("models/model.json")]
    graph = json.loads(archive.read(name))
    graph["graph_module"]["graph"]["nodes"][0]["target"] = target
    changed = replaced(program, "models/model.json", json.dumps(graph).encode())
    assert f"calls {target}" in refused(changed)
