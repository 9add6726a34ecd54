"""Small guests that use WASI itself, and the error numbers they may get."""

from __future__ import annotations

from kit.core_guests import program

# WASI preview 1
NOTCAPABLE, NOENT, PERM, BADF = 76, 44, 63, 8

# copies standard input to standard output
CAT = program(
    """
    (loop $again
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 4096))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (i32.store (i32.const 4) (i32.load (i32.const 8)))
      (if (i32.load (i32.const 8)) (then
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
        (br $again))))"""
)


def strings(kind: str) -> str:
    """A program that prints its arguments (`args`) or its environment (`environ`)."""
    return program(
        """
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (drop (call $get (i32.const 64) (i32.const 1024)))
        (i32.store (i32.const 16) (i32.const 1024))
        (i32.store (i32.const 20) (i32.load (i32.const 4)))
        (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))""",
        before=f"""
        (import "wasi_snapshot_preview1" "{kind}_sizes_get"
          (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "{kind}_get" (func $get (param i32 i32) (result i32)))""",
    )


def opening(path: str, *, create: bool = False) -> str:
    """A program that opens a file below its first mounted folder; exits with the errno."""
    rights = (1 << 1) | ((1 << 6) if create else 0)
    return program(
        f"""
        (call $proc_exit (call $open (i32.const 3) (i32.const 1) (i32.const 16)
          (i32.const {len(path)}) (i32.const {1 if create else 0}) (i64.const {rights})
          (i64.const 0) (i32.const 0) (i32.const 8)))""",
        before="""(import "wasi_snapshot_preview1" "path_open" (func $open
          (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))""",
        data={16: path.encode()},
    )


NN_GUEST = """(module
  (import "wasi_ephemeral_nn" "compute" (func (param i32) (result i32)))
  (memory (export "memory") 1) (func (export "_start")))"""
