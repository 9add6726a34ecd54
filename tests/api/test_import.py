"""What `import wasmlrun` costs, and what it offers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import wasmlrun


def test_importing_it_imports_nothing_of_weight() -> None:
    program = (
        "import sys; before = set(sys.modules); import wasmlrun; wasmlrun.__version__; "
        "import json; print(json.dumps([m for m in set(sys.modules) - before if '.' in m]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert [m for m in json.loads(done.stdout) if m.startswith("wasmlrun")] == []
    assert not {"numpy", "PIL", "openvino", "wasmtime"} & set(json.loads(done.stdout))


def test_all_that_it_names_is_there() -> None:
    assert set(dir(wasmlrun)) == set(wasmlrun.__all__)
    for name in wasmlrun.__all__:
        assert getattr(wasmlrun, name) is not None
    errors = [getattr(wasmlrun, n) for n in wasmlrun.__all__ if n not in ("__version__",)]
    kinds = {e for e in errors if isinstance(e, type) and issubclass(e, wasmlrun.WasmlrunError)}
    from wasmlrun.support import errors as module

    assert kinds == {
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, wasmlrun.WasmlrunError)
    }
    with pytest.raises(AttributeError, match="has no attribute 'worker_that_is_not'"):
        wasmlrun.worker_that_is_not  # noqa: B018


def test_type_checkers_may_believe_it() -> None:
    assert (Path(wasmlrun.__file__).parent / "py.typed").exists()
