"""`wasmlrun run`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wasmlrun.commands.options import (
    cache_options,
    device_options,
    limit_options,
    trace_options,
    verbosity_options,
)

PATH = click.Path(path_type=Path)


@click.command("run", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("worker")
@click.argument("arguments", nargs=-1, metavar="[-- ARGS...]")
@click.option("--manifest", type=PATH, metavar="FILE", help="Manifest to use.")
@click.option(
    "--dir", "dirs", multiple=True, metavar="HOST:GUEST[:rw]", help="Mount a folder; repeatable."
)
@click.option(
    "--env", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable; repeatable."
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="[NAME=]FILE",
    help="A model the program may load by name; repeatable.",
)
@click.option("--no-nn", is_flag=True, help="Provide no WASI-NN.")
@click.option("--writable", multiple=True, metavar="GUEST_PATH", help="Make a mount writable.")
@click.option(
    "--input-layout",
    type=click.Choice(["nhwc", "nchw"]),
    help="nhwc: tensors' bytes are H×W×C although their dims say N,C,H,W.",
)
@click.option(
    "--request",
    nargs=2,
    metavar="METHOD PATH",
    help="Send a Wasm Workers Server request and print the response's body.",
)
@click.option("--body", metavar="FILE", help="Body of the request; - is standard input.")
@device_options
@limit_options
@cache_options
@trace_options
@verbosity_options
def command(
    worker: str,
    arguments: tuple[str, ...],
    manifest: Path | None,
    dirs: tuple[str, ...],
    variables: tuple[str, ...],
    models: tuple[str, ...],
    no_nn: bool,
    writable: tuple[str, ...],
    input_layout: str | None,
    request: tuple[str, str] | None,
    body: str | None,
    trace: Path | None,
    verbosity: int,
    **rest: Any,
) -> int:
    """Run any WASI program in the sandbox.

    Its standard streams and exit code are passed through. What follows -- is the program's own
    command line. Without a manifest these options are all that the program gets; there is
    never a network.
    """
    from wasmlrun.commands.options import cache_from, chosen_limits, trace_from
    from wasmlrun.death import error_of
    from wasmlrun.errors import EXIT_INTERRUPTED, WasmlrunError
    from wasmlrun.messages import Messages
    from wasmlrun.stages import Board
    from wasmlrun.supervise import Death, supervise

    messages = Messages(verbosity)
    recorder = trace_from(trace, messages)

    def work(board: Board) -> int:
        from dataclasses import replace

        from wasmlrun.backends.openvino import OpenVINO
        from wasmlrun.devices import DeviceChoice
        from wasmlrun.limits import Limits, with_limits
        from wasmlrun.plan import (
            Wishes,
            find_manifest,
            find_worker,
            interpreted,
            named_models,
            preloaded,
        )
        from wasmlrun.protocols import wws
        from wasmlrun.report import write_raw
        from wasmlrun.run import grant_of, response_body, run_program

        try:
            path = find_worker(worker)
            found = find_manifest(
                Wishes(worker, manifest, allow_outside=rest["allow_outside"]), path
            )
            # a program's own output is what it is run for: it is bounded only when asked
            unbounded = replace(Limits(), output=None if request is None else Limits().output)
            limits = with_limits(
                with_limits(unbounded, found.limits if found else {}), chosen_limits(rest)
            )
            cache = cache_from(rest["no_cache"], messages.detail)
            backend = OpenVINO(rest["precision"], cache)
            path, grant = interpreted(
                path, grant_of(found, dirs, variables, writable, input_layout, no_nn=no_nn)
            )
            run = run_program(
                path,
                arguments,
                grant,
                {**(preloaded(found) if found else {}), **named_models(models)},
                DeviceChoice(backend, rest["device"], messages.warn, strict=rest["strict_device"]),
                backend,
                limits,
                cache,
                board,
                messages,
                request=wws.request(*request, wws.read_body(body)) if request else None,
                trace=recorder,
            )
            if request is None:
                return run.exit_code
            write_raw(response_body(run))
        except WasmlrunError as error:
            messages.error(error)
            return error.exit_code
        return 0

    def on_death(death: Death, board: Board) -> int:
        error = error_of(death, board.timeout)
        if recorder is not None:
            recorder.instant("killed", error=error.message)
        messages.error(error)
        return error.exit_code

    code = supervise(work, on_death, messages)
    if recorder is not None and code == EXIT_INTERRUPTED:
        recorder.instant("interrupted")
    return code
