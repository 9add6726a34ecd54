"""`wasmlrun compile`: a worker as machine code, to run it without a compiler."""

from __future__ import annotations

from pathlib import Path

import click

from wasmlrun.commands.line.clickform import verbosity_options, with_options
from wasmlrun.commands.line.options import ISOLATION, PROCESS_MEMORY

TARGETS = ("native", "x86_64", "aarch64", "riscv64", "pulley64")


@click.command("compile", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("worker", type=click.Path(path_type=Path), metavar="WORKER")
@click.option(
    "--target",
    type=click.Choice(TARGETS),
    default="native",
    show_default=True,
    help="native: this very processor. x86_64 …: any of its kind. pulley64: bytecode for all.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: WORKER.cwasm here.")
@click.option("--count-fuel", is_flag=True, help="For runs with --fuel: instructions are counted.")
@click.option("--trust", is_flag=True, help="WORKER is a .cwasm of somebody you trust: run it.")
@with_options(PROCESS_MEMORY, ISOLATION)
@verbosity_options
def command(
    worker: Path,
    target: str,
    output: Path | None,
    count_fuel: bool,
    trust: bool,
    limit_process_memory: int | None,
    require_isolation: bool,
    verbosity: int,
) -> int:
    """Compile WORKER to machine code that runs without a compiler.

    The file is run by your own wasmlrun only, of the same version of wasmtime and for the same
    processor; anything else is refused with the reason. The limit and the walls are the compiler's.
    """
    from wasmlrun.commands.work.in_child import terminable
    from wasmlrun.report.reporter import silent
    from wasmlrun.sandbox import ahead
    from wasmlrun.sandbox.ahead_making import Bounds, compile_ahead
    from wasmlrun.support.limits import Limits
    from wasmlrun.support.messages import Messages
    from wasmlrun.support.sizes import size_text
    from wasmlrun.tiny import description

    messages = Messages(verbosity)

    def work() -> None:
        if trust:
            about = ahead.trust(worker)
            messages.info(f"{worker}: {about['name']} for {about['target']} is trusted from now on")
            return
        made = output or Path(worker.with_suffix(ahead.SUFFIX).name)
        chosen = None if target == "native" else target
        memory = limit_process_memory or Limits().process_memory
        about = compile_ahead(
            worker,
            made,
            chosen,
            fuel=count_fuel,
            front=description.front,
            bounds=Bounds(memory, require_isolation),
        )
        size = size_text(made.stat().st_size)
        kind = about["target"] + (", this very processor" if about["native"] else "")
        messages.info(f"{made}: {size}, for {kind} and wasmtime {about['wasmtime']}")

    return silent(messages).run(lambda: terminable(work))
