"""The floor: OpenVINO's C API through ctypes, an exported blob, one inference on raw bytes.

No sandbox, no picture, no labels, no checks: what is left is Python's start and OpenVINO's work.

python floor.py BLOB SHAPE
"""

import ctypes
import importlib.util
import sys
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path


class Shape(ctypes.Structure):
    _fields_ = [("rank", c_int64), ("dims", POINTER(c_int64))]


blob, dims = Path(sys.argv[1]).read_bytes(), [int(n) for n in sys.argv[2].split(",")]
package = Path(importlib.util.find_spec("openvino").origin).parent
lib = ctypes.CDLL(str(next((package / "libs").glob("libopenvino_c.so*"))))
core, compiled, request, tensor, shape = c_void_p(), c_void_p(), c_void_p(), c_void_p(), Shape()
u8 = 16
lib.ov_core_import_model.argtypes = [c_void_p, c_char_p, c_size_t, c_char_p, c_void_p]
lib.ov_tensor_create.argtypes = [c_int, Shape, c_void_p]
status = [
    lib.ov_core_create(byref(core)),
    lib.ov_core_set_property(core, b"CPU", c_char_p(b"INFERENCE_PRECISION_HINT"), c_char_p(b"f32")),
    lib.ov_core_import_model(core, blob, len(blob), b"CPU", byref(compiled)),
    lib.ov_compiled_model_create_infer_request(compiled, byref(request)),
    lib.ov_shape_create(c_int64(len(dims)), (c_int64 * len(dims))(*dims), byref(shape)),
    lib.ov_tensor_create(u8, shape, byref(tensor)),
    lib.ov_infer_request_set_input_tensor_by_index(request, c_size_t(0), tensor),
    lib.ov_infer_request_infer(request),
]
sys.stdout.write(f"{status}\n")
sys.stdout.flush()
import os  # noqa: E402

os._exit(any(status))
