"""What a killed or crashed child means: which input is to blame, and which error that is."""

from __future__ import annotations

from wasmlrun.errors import BadImage, BadModel, LimitExceeded, WasmlrunError, WorkerFailed
from wasmlrun.limits import Limits, timeout_error
from wasmlrun.stages import Stage
from wasmlrun.supervise import Death


def error_of(death: Death, timeout: float) -> WasmlrunError:
    """The error to tell for a death; `timeout` is the time limit in seconds."""
    if death.timed_out:
        return timeout_error(Limits(timeout=timeout))
    if death.signal_name == "SIGKILL":
        return LimitExceeded(
            "the process was killed by the system, most likely for want of memory",
            "use a smaller model or image, or give the machine more memory",
        )
    doing = death.doing[0] if death.doing else None
    if doing is None:
        return WorkerFailed(f"the process crashed ({death.signal_name})")
    how = f"crashed ({death.signal_name})"
    if doing.stage is Stage.MODEL:
        return BadModel(
            f"the inference engine {how} while it read {doing.what}",
            "the model file is damaged, or made to attack; do not use it",
        )
    if doing.stage is Stage.INFERENCE:
        return BadModel(
            f"the inference engine {how} in {doing.what}",
            "the model is damaged, or made to attack; do not use it",
        )
    if doing.stage is Stage.IMAGE:
        return BadImage(
            f"the image decoder {how} at {doing.what}",
            "the image is damaged, or made to attack",
        )
    return WorkerFailed(f"the WebAssembly engine {how} in the worker, at {doing.what}")
