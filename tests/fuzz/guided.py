"""Coverage-guided fuzzing of one target with Atheris, the way OSS-Fuzz runs it.

    pip install atheris
    python tests/fuzz/guided.py TARGET [FOLDER …] [-max_total_time=60 …]
    python tests/fuzz/guided.py TARGET --seeds FOLDER

An input is the target's own bytes (`Target.read`); `--seeds` writes a hundred of the inputs that
`tests/fuzz/run.py` would make, to begin with. OSS-Fuzz packs one file a target: a copy of this one
that is called `fuzz_TARGET.py` needs no first argument, and build.sh is

    pip3 install .[test]
    for target in $(python3 tests/fuzz/guided.py --targets); do
      cp tests/fuzz/guided.py "tests/fuzz/fuzz_$target.py"
      compile_python_fuzzer "tests/fuzz/fuzz_$target.py" --paths tests
      python3 tests/fuzz/guided.py "$target" --seeds "seeds/$target"
      zip -jq "$OUT/fuzz_${target}_seed_corpus.zip" "seeds/$target"/*
    done

An exception that comes out of a target ends the fuzzer, as libFuzzer wants it: the program's own
errors are caught in the target.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

SEEDS = 100


def main() -> int:
    """Fuzz without end, or as long as libFuzzer's options say."""
    words = sys.argv[1:]
    if words == ["--targets"]:
        print(*_targets(), sep="\n")
        return 0
    own = Path(sys.argv[0]).stem
    name = own.removeprefix("fuzz_") if own.startswith("fuzz_") else words.pop(0)
    if words[:1] == ["--seeds"]:
        write_seeds(_targets()[name], Path(words[1]))
        return 0
    import atheris

    with atheris.instrument_imports(include=["wasmlrun"]):
        target = _targets()[name]
    target.begin(Path(tempfile.mkdtemp(prefix="wasmlrun-fuzz-")))

    def one(data: bytes) -> None:
        target.feed(target.read(data))

    atheris.Setup([sys.argv[0], *words], one)
    atheris.Fuzz()
    return 0


def write_seeds(target: Any, folder: Path) -> None:
    """Inputs to begin with."""
    from fuzz.target import source

    folder.mkdir(parents=True, exist_ok=True)
    for number in range(SEEDS):
        value = target.make(source(target.name, 0, number))
        (folder / f"{number:03}").write_bytes(target.written(value))


def _targets() -> dict[str, Any]:
    """By their names. Imported when the fuzzer looks on."""
    from fuzz.targets import all_targets

    return {target.name: target for target in all_targets()}


if __name__ == "__main__":
    sys.exit(main())
