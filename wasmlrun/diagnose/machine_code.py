"""Whether machine code and bytecode that were made before run here without a compiler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import wasmtime

from wasmlrun.diagnose.escapes import Tried
from wasmlrun.sandbox import ahead_trial
from wasmlrun.sandbox.ahead import PORTABLE
from wasmlrun.support.errors import WasmlrunError

_ADDS: Final = """(module
  (func (export "_start") (local $number i32) (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (local.get $number)))
      (local.set $number (i32.add (local.get $number) (i32.const 1)))
      (br_if $next (i32.le_u (local.get $number) (i32.const 100))))
    (if (i32.ne (local.get $sum) (i32.const 5050)) (then unreachable))))"""
"""Adds up numbers, and traps when the sum is wrong."""


def try_all() -> Iterator[Tried]:
    """This processor's machine code, and Pulley's bytecode: each made, then loaded and run.

    The compiler makes both here; what is looked at is whether it was called again to run them.
    """
    module = bytes(wasmtime.wat2wasm(_ADDS))
    for target, runner in ((None, "the processor"), (PORTABLE, "Pulley")):
        name = f"run by {runner}"
        try:
            made = ahead_trial.compiled(module, target)
            again = ahead_trial.compilations_to_run(made)
        except WasmlrunError as e:
            yield Tried(name, False, e.message)
            continue
        how = f"{made.about['target']}: Cranelift was {'used' if again else 'not used'}"
        yield Tried(name, again == 0, how)
