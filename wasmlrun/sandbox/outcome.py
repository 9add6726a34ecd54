"""What a guest did in one run, and the error for a run that ended without an answer."""

from __future__ import annotations

from collections.abc import Mapping

from wasmlrun.support.errors import BadModel, WorkerFailed
from wasmlrun.support.records import NOTHING, Record
from wasmlrun.support.tensor import Tensor
from wasmlrun.wasi_nn.errors import NnError


class GuestRun(Record):
    """What an instance did."""

    stdout: bytes
    exit_code: int
    output: Tensor | None
    """The tensor that the guest fetched last."""
    failure: NnError | None
    """The last WASI-NN call that failed."""
    hint: str | None = None
    """What may help if it failed."""
    inference_seconds: float = 0.0
    """How long its computations took, all together."""
    outputs: Mapping[int | str, Tensor] = NOTHING
    """All that it fetched, by the numbers or names that it used, where that was asked for."""


def explain(run: GuestRun, what: str) -> WorkerFailed | BadModel:
    """The error for a run that ended without an answer, with the WASI-NN call to blame."""
    if run.failure is None:
        return WorkerFailed(what, run.hint)
    message = f"{what} – its last failed WASI-NN call: {run.failure.message}"
    if run.failure.model:
        return BadModel(message, "check the model file with: wasmlrun models info FILE")
    return WorkerFailed(message, run.hint)
