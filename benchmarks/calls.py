"""What WASI-NN's calls cost by themselves: a tensor of 602,112 bytes in and out, no inference.

python benchmarks/calls.py [-n 9]

A guest sets an input, computes and fetches the output, 200 times; the engine runs a model that
gives its input back. The time of the inferences is taken off; what is left is the guest, the
crossing of the sandbox's border, every check, and the copies into and out of the engine.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import wasmtime

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from kit.models_by_hand import identity_ir

from wasmlrun.engines.openvino import create
from wasmlrun.engines.pool import EnginePool
from wasmlrun.engines.protocol import Settings
from wasmlrun.manifest.grant import Grant
from wasmlrun.sandbox.worker import Runtime, Worker
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.limits import Limits
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session

SHAPE, SIZE, ROUNDS = (1, 224, 224, 3), 602_112, 200
DATA = 65536
GUEST = f"""(module
  (import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "init_execution_context" (func $open (param i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "set_input" (func $set (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
  (import "wasi_ephemeral_nn" "get_output"
    (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 24)
  (data (i32.const 0) "net")
  (func $ok (param i32) (if (local.get 0) (then unreachable)))
  (func (export "_start") (local $left i32)
    (call $ok (call $load (i32.const 0) (i32.const 3) (i32.const 8)))
    (call $ok (call $open (i32.load (i32.const 8)) (i32.const 12)))
    (i32.store (i32.const 64) (i32.const {SHAPE[0]}))
    (i32.store (i32.const 68) (i32.const {SHAPE[1]}))
    (i32.store (i32.const 72) (i32.const {SHAPE[2]}))
    (i32.store (i32.const 76) (i32.const {SHAPE[3]}))
    (i32.store (i32.const 32) (i32.const 64))
    (i32.store (i32.const 36) (i32.const 4))
    (i32.store (i32.const 40) (i32.const 1))
    (i32.store (i32.const 44) (i32.const {DATA}))
    (i32.store (i32.const 48) (i32.const {SIZE}))
    (local.set $left (i32.const {ROUNDS}))
    (loop $again
      (call $ok (call $set (i32.load (i32.const 12)) (i32.const 0) (i32.const 32)))
      (call $ok (call $compute (i32.load (i32.const 12))))
      (call $ok (call $get (i32.load (i32.const 12)) (i32.const 0) (i32.const {DATA + SIZE})
        (i32.const {SIZE}) (i32.const 16)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))))"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=9)
    runs = parser.parse_args().n
    source = ModelSource(Encoding.OPENVINO, identity_ir("f32", SHAPE))
    pool = GraphPool(EnginePool.of(create(Settings())), Board())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "guest.wasm"
        path.write_bytes(wasmtime.wat2wasm(GUEST))
        linked = Worker(Runtime(Limits()), path).linked(Grant(nn=True))
        times = []
        for _ in range(runs + 1):
            session = Session(pool, {"net": source})
            started = time.perf_counter()
            run = linked.run(session=session)
            elapsed = time.perf_counter() - started
            assert run.exit_code == 0
            assert run.output is not None
            assert len(run.output.data) == SIZE
            session.close()
            times.append((elapsed - session.inference_seconds) / ROUNDS * 1000)
    print(f"{SIZE} bytes, set_input and get_output: {statistics.median(times[1:]):.2f} ms")


if __name__ == "__main__":
    main()
