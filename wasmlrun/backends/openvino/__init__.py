"""The OpenVINO backend, over OpenVINO's C API."""

from wasmlrun.backends.openvino.backend import OpenVINO

__all__ = ["OpenVINO"]
