"""`wasmlrun.Program`: any WASI program in the sandbox, run any number of times."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from wasmlrun.api.calls import PROGRAM
from wasmlrun.api.result import Completed
from wasmlrun.api.served import Served
from wasmlrun.api.serving import serving
from wasmlrun.api.settings import checked
from wasmlrun.support.limits import Limits
from wasmlrun.support.records import NOTHING

AnyPath = str | os.PathLike[str]


class Program(Served):
    """A program, compiled once; each run is a fresh instance. Threads may share it.

    Arguments mean what the options of `wasmlrun run` mean. Close it, or use it in a `with` block.
    """

    def __init__(
        self,
        worker: AnyPath,
        *,
        manifest: AnyPath | None = None,
        dirs: Sequence[str] = (),
        env: Mapping[str, str] = NOTHING,
        models: Mapping[str, AnyPath] = NOTHING,
        no_nn: bool = False,
        writable: Sequence[str] = (),
        input_layout: Literal["nhwc", "nchw"] | None = None,
        allow_outside: bool = False,
        trusted_keys: Sequence[AnyPath] = (),
        trusted_worker: bool = False,
        limits: Limits | Mapping[str, Any] | None = None,
        backend: str | None = None,
        device: Literal["CPU", "GPU", "NPU", "AUTO"] | None = None,
        strict_device: bool = False,
        precision: Literal["f32", "bf16", "f16"] = "f32",
        cache: bool = True,
        isolation: Literal["process", "thread"] = "process",
        require_isolation: bool = False,
        parallel: int = 1,
        calls_per_process: int | None = None,
    ) -> None:
        """`env` are its variables and `models` the models that it may load, by name; the rest is
        as for `Worker`.

        Raises:
            UsageFault: a value that an argument cannot have.
        """
        self._serving = serving(
            PROGRAM,
            checked(
                worker=worker,
                manifest=manifest,
                dirs=dirs,
                env=env,
                models=models,
                no_nn=no_nn,
                writable=writable,
                input_layout=input_layout,
                allow_outside=allow_outside,
                trusted_keys=trusted_keys,
                trusted_worker=trusted_worker,
                limits=limits,
                backend=backend,
                device=device,
                strict_device=strict_device,
                precision=precision,
                cache=cache,
                isolation=isolation,
                require_isolation=require_isolation,
                parallel=parallel,
                calls_per_process=calls_per_process,
            ),
        )

    def run(self, arguments: Sequence[str] = (), *, stdin: bytes | str = b"") -> Completed:
        """Run it to its end; whatever exit code it ends with is a result.

        Raises:
            WasmlrunError: it could not be started, trapped, or reached a limit.
            ValueError: it is closed.
        """
        data = stdin.encode() if isinstance(stdin, str) else bytes(stdin)
        return self._serving.run([str(argument) for argument in arguments], data)

    async def arun(self, arguments: Sequence[str] = (), *, stdin: bytes | str = b"") -> Completed:
        """As `run`, for asyncio: the wait is a thread's of the default executor."""
        import asyncio

        return await asyncio.to_thread(self.run, arguments, stdin=stdin)
