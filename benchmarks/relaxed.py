"""What relaxed SIMD's dot product would be worth: the numbers of docs/tiny.md.

python benchmarks/relaxed.py [-n 200]

Compiles relaxed.c with ziglang and times its two loops in turn, in wasmtime and, if there is one,
in Node. Prints millions of products a second, medians, and how many sums differ.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PRODUCTS = 192 * 64 * 196
NODE = """
import { readFileSync } from "node:fs";
const code = readFileSync(process.argv[1]), none = new Proxy({}, { get: () => () => 0 });
const { instance } = await WebAssembly.instantiate(code, { wasi_snapshot_preview1: none });
const module = instance.exports, times = { pairs: [], fours: [] };
module.fill();
for (let i = 0; i < 50 + Number(process.argv[2]); i++)
  for (const name of ["pairs", "fours"]) {
    const started = process.hrtime.bigint();
    module[name]();
    if (i >= 50) times[name].push(Number(process.hrtime.bigint() - started) / 1e9);
  }
const median = (t) => t.sort((a, b) => a - b)[t.length >> 1];
console.log(median(times.pairs), median(times.fours), module.differences());
"""


def compiled(folder: Path) -> Path:
    module = folder / "relaxed.wasm"
    source = Path(__file__).with_suffix(".c")
    options = ["-target", "wasm32-wasi", "-O3", "-msimd128", "-mrelaxed-simd"]
    options += ["-mexec-model=reactor", "-o", str(module), str(source), "-Wl,--strip-all"]
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *options], check=True)
    return module


def in_wasmtime(module: Path, n: int) -> tuple[float, float, int]:
    import wasmtime

    engine = wasmtime.Engine()
    store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
    linker.define_wasi()
    store.set_wasi(wasmtime.WasiConfig())
    code = wasmtime.Module.from_file(engine, str(module))
    exports = linker.instantiate(store, code).exports(store)
    exports["fill"](store)
    times = {"pairs": [], "fours": []}
    for _ in range(n):
        for name, kept in times.items():
            started = time.perf_counter()
            exports[name](store)
            kept.append(time.perf_counter() - started)
    medians = [statistics.median(kept) for kept in times.values()]
    return *medians, exports["differences"](store)


def in_node(module: Path, n: int) -> tuple[float, float, int]:
    command = [
        "node",
        "--experimental-wasm-relaxed-simd",
        "--input-type=module",
        "-e",
        NODE,
        str(module),
        str(n),
    ]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(told[0]), float(told[1]), int(told[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=200)
    n = parser.parse_args().n
    with tempfile.TemporaryDirectory() as folder:
        module = compiled(Path(folder))
        found = {"wasmtime": in_wasmtime(module, n)}
        if shutil.which("node"):
            found["Node"] = in_node(module, n)
    for host, (pairs, fours, differences) in found.items():
        print(
            f"{host:9} pairs of 16 bits {PRODUCTS / pairs / 1e6:6.0f}, "
            f"fours of 8 bits {PRODUCTS / fours / 1e6:6.0f} million products a second: "
            f"{pairs / fours:.2f} times; {differences} sums differ"
        )


if __name__ == "__main__":
    main()
