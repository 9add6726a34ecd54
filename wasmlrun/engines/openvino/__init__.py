"""The OpenVINO backend, over OpenVINO's C API."""

from wasmlrun.engines.openvino.engine import OpenVINO

__all__ = ["OpenVINO"]
