"""`wasmlrun.Worker`: a worker and its model that classify many pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

from wasmlrun.api.calls import WORKER
from wasmlrun.api.result import Result
from wasmlrun.api.served import Served
from wasmlrun.api.serving import serving
from wasmlrun.api.settings import checked
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.limits import Limits
from wasmlrun.vision.values import source_of

if TYPE_CHECKING:
    from wasmlrun.vision.values import ImageLike

AnyPath = str | os.PathLike[str]


class Worker(Served):
    """A worker in the sandbox, its model loaded once, for any number of pictures.

    All arguments may be left out and mean what the options of `wasmlrun classify` mean. Nothing
    is started before the first picture, or `prepare`. Threads may share it. Close it, or use it
    in a `with` block.
    """

    def __init__(
        self,
        worker: AnyPath | None = None,
        *,
        manifest: AnyPath | None = None,
        model: AnyPath | None = None,
        labels: AnyPath | None = None,
        limits: Limits | Mapping[str, Any] | None = None,
        top: int = 5,
        expect: str | None = None,
        min_score: float | None = None,
        dirs: Sequence[str] = (),
        writable: Sequence[str] = (),
        arguments: Sequence[str] = (),
        input_layout: Literal["nhwc", "nchw"] | None = None,
        max_pixels: int | None = None,
        allow_outside: bool = False,
        trusted_keys: Sequence[AnyPath] = (),
        trusted_worker: bool = False,
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
        """`limits` are by their names in docs/limits.md; `timeout` is for each call. `dirs` are
        `HOST:GUEST[:rw]`, `arguments` the worker's own command line.

        `isolation` says where the work is done: in a process of its own, which may crash or
        hang, or in this process; with `require_isolation` it is an error when one of the walls
        around that process cannot stand. `parallel` is how many pictures at the same time, each
        in a process or thread of its own. A process is replaced after `calls_per_process` calls.

        Raises:
            UsageFault: a value that an argument cannot have.
        """
        self._parallel = parallel
        self._serving = serving(
            WORKER,
            checked(
                worker=worker,
                manifest=manifest,
                model=model,
                labels=labels,
                limits=limits,
                top=top,
                expect=expect,
                min_score=min_score,
                dirs=dirs,
                writable=writable,
                arguments=arguments,
                input_layout=input_layout,
                max_pixels=max_pixels,
                allow_outside=allow_outside,
                trusted_keys=trusted_keys,
                trusted_worker=trusted_worker,
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

    def classify(self, image: ImageLike, *, name: str | None = None) -> Result:
        """The answer for one picture: a path, the bytes of a file, a PIL image, or a numpy array
        of uint8 as height × width × 3 in RGB (× 4 with alpha, or height × width in grey).

        `name` is what messages call a picture that has no path.

        Raises:
            WasmlrunError: of the kind of what went wrong; BadImage for the picture, BadModel,
                BadWorker, WorkerFailed, LimitExceeded, …
            ValueError: the worker is closed.
        """
        return self._serving.classify(source_of(image, name), keep=True)

    async def aclassify(self, image: ImageLike, *, name: str | None = None) -> Result:
        """As `classify`, for asyncio: the wait is a thread's of the default executor."""
        import asyncio

        return await asyncio.to_thread(self.classify, image, name=name)

    @overload
    def classify_many(
        self, images: Iterable[ImageLike], *, errors: Literal["raise"] = "raise"
    ) -> Iterator[Result]: ...

    @overload
    def classify_many(
        self, images: Iterable[ImageLike], *, errors: Literal["return"]
    ) -> Iterator[Result | WasmlrunError]: ...

    def classify_many(
        self, images: Iterable[ImageLike], *, errors: Literal["raise", "return"] = "raise"
    ) -> Iterator[Result | WasmlrunError]:
        """The answers in the order of the pictures, each as soon as it and those before it are
        there. Only a few pictures are taken ahead, however many there are, and no result keeps
        a picture that it was not given as a path.

        With `errors="return"` a picture that fails gives its error and the rest goes on.
        """
        from wasmlrun.support.in_order import in_order

        one = partial(self._one, errors=errors)
        answers = in_order(one, images, self._parallel, ahead=2 * self._parallel)
        with closing(answers):
            for _, result in answers:
                yield result

    def _one(self, image: ImageLike, errors: str) -> Result | WasmlrunError:
        try:
            return self._serving.classify(
                source_of(image), keep=isinstance(image, (str, os.PathLike))
            )
        except WasmlrunError as error:
            if errors == "raise":
                raise
            return error
