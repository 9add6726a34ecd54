"""Packed models against their references on many pictures: are the five best the same?

python benchmarks/agreement.py --models DIR --pictures ARCHIVE [-n 200]

ARCHIVE is a tar with JPEG files, such as CIFAR-10's. 8-bit models are compared with LiteRT's
reference kernels, the default model with OpenVINO.
"""

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from kit.packed import Library

ROOT = Path(__file__).parents[1]
FILES = (
    "mobilenet_v1_0.25_128_quant.tflite",
    "mobilenet_v2_1.0_224_quant.tflite",
    "tf2_mobilenet_v2_1.0_224_ptq.tflite",
)
DEFAULT = ROOT / "models" / "mobilenet-cifar10" / "mobilenet-cifar10.onnx"


def pictures(archive: Path, count: int) -> Iterator[Image.Image]:
    with tarfile.open(archive) as tar:
        for member in tar:
            if count and member.name.endswith((".jpg", ".jpeg")):
                file = tar.extractfile(member)
                assert file is not None
                yield Image.open(io.BytesIO(file.read())).convert("RGB")
                count -= 1


def litert(model: Path) -> tuple[Callable, tuple[int, int]]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    given, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(array):
        interpreter.set_tensor(given["index"], array)
        interpreter.invoke()
        return interpreter.get_tensor(answer["index"]).reshape(-1)

    return run, tuple(int(n) for n in given["shape"][1:3])


def openvino(model: Path) -> tuple[Callable, tuple[int, int]]:
    import openvino as ov

    compiled = ov.Core().compile_model(str(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    shape = tuple(compiled.inputs[0].shape)
    return lambda array: compiled(array)[0].reshape(-1), (shape[1], shape[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("-n", type=int, default=200)
    given = parser.parse_args()
    for model in [*(given.models / file for file in FILES), DEFAULT]:
        reference, size = (litert if model.suffix == ".tflite" else openvino)(model)
        with tempfile.TemporaryDirectory() as folder:
            module = Path(folder, "m.wasm")
            words = ["pack", str(model), "-q", "-o", str(module)]
            subprocess.run([sys.executable, "-m", "wasmlrun", *words], check=True)
            library = Library(module)
            same, worst = 0, 0.0
            for picture in pictures(given.pictures, given.n):
                array = np.asarray(picture.resize(size[::-1]), np.uint8)[None]
                wanted = reference(array)
                got = np.frombuffer(library(array.tobytes()), wanted.dtype)
                apart = np.abs(got.astype(float) - wanted.astype(float)).max()
                worst = max(worst, float(apart))
                best = [np.argsort(-s.astype(float), kind="stable")[:5] for s in (got, wanted)]
                same += bool((best[0] == best[1]).all())
            print(f"{model.name}: five best the same {same}/{given.n}, apart at most {worst:.2g}")


if __name__ == "__main__":
    main()
