"""Export a checkpoint as OpenVINO IR and ONNX, and measure both on the test pictures.

Both files take a ``uint8 [1, 32, 32, 3]`` RGB picture and give ``float32 [1, 10]`` probabilities:
scaling, the mirrored second look and the softmax are part of the graph. Weights are float16.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
import torch
from data import CLASSES, Split, load_archive
from network import MobileNetCifar
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

NAME = "mobilenet-cifar10"
# Tensors smaller than this stay float32 in the ONNX file: biases and constants weigh nothing.
SMALL = 1000
# Side of the middle that the second look enlarges.
MIDDLE = 0.85
# Share of the test pictures that `unsure_below` may doubt.
FALSE_ALARMS = 0.095


def enlarge(x: Tensor) -> Tensor:
    """The middle of ``[N, 3, H, W]`` pictures, MIDDLE of the side, at the full size again.

    Rows and columns are mixed by matrices, for engines that cannot resize.
    """
    for side in (2, 3):
        size = int(x.shape[side])  # a traced size would make all of it double precision
        place = ((torch.arange(size) + 0.5) * MIDDLE + size * (1 - MIDDLE) / 2 - 0.5)[None, :]
        mix = (1 - (place - torch.arange(size)[:, None]).abs()).clamp_min(0)
        x = (x.transpose(2, 3) @ mix).transpose(2, 3) if side == 2 else x @ mix
    return x


class Classifier(nn.Module):
    """The exported graph: bytes in, probabilities out, four looks at the picture averaged.

    They are the whole picture, its middle, and their mirror images. The network's last output,
    "none of the classes", is shared out among the classes: a picture of nothing known gets ten
    probabilities that are alike, and no high one.
    """

    def __init__(self, network: MobileNetCifar) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Map ``uint8 [1, H, W, 3]`` to ``float32 [1, classes]``."""
        x = image.permute(0, 3, 1, 2).float()
        x = torch.cat([x, enlarge(x)])
        logits = self.network(torch.cat([x, x.flip(3)]))
        known, nothing = (
            logits.mean(dim=0, keepdim=True).softmax(dim=1).split([len(CLASSES), 1], dim=1)
        )
        return known + nothing / len(CLASSES)


def load_averaged(checkpoint: Path) -> MobileNetCifar:
    """Read the moving average of the weights out of a checkpoint."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["averaged"]
    prefix = "module."
    weights = {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
    network = MobileNetCifar(len(weights["classifier.bias"]))
    network.load_state_dict(weights)
    return network.eval()


def fold(module: nn.Module) -> None:
    """Fold batch normalisation into the convolutions and round their weights to float16."""
    for child in module.children():
        fold(child)
    if isinstance(module, nn.Sequential) and isinstance(module[0], nn.Conv2d):
        module[0] = fuse_conv_bn_eval(module[0], module[1])
        module[1] = nn.Identity()
    if isinstance(module, nn.Linear | nn.Sequential):
        for parameter in module.parameters():
            if parameter.numel() >= SMALL:
                parameter.data = parameter.data.half().float()


def halve(model: onnx.ModelProto) -> None:
    """Store the large weights as float16, each followed by a cast to float32."""
    casts = []
    for index, tensor in enumerate(model.graph.initializer):
        weights = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or weights.size < SMALL:
            continue
        half = f"{tensor.name}.half"
        casts.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
        model.graph.initializer[index].CopyFrom(
            numpy_helper.from_array(weights.astype(np.float16), half)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def export(checkpoint: Path, out: Path) -> None:
    """Write the IR, the ONNX file, the labels and the checksums."""
    network = load_averaged(checkpoint)
    fold(network)
    classifier = Classifier(network).eval()
    example = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    buffer = io.BytesIO()
    torch.onnx.export(
        classifier,
        (example,),
        buffer,
        input_names=["image"],
        output_names=["probabilities"],
        opset_version=17,
        dynamo=False,
    )
    model = onnx.load_from_string(buffer.getvalue())
    halve(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, out / f"{NAME}.onnx")
    converted = ov.convert_model(out / f"{NAME}.onnx")
    ov.save_model(converted, out / f"{NAME}.xml", compress_to_fp16=True)
    (out / "labels.txt").write_text("".join(f"{name}\n" for name in CLASSES))


def write_checksums(out: Path) -> None:
    """Write ``SHA256SUMS`` over the files of the model, in the format of ``sha256sum -c``."""
    names = [f"{NAME}.xml", f"{NAME}.bin", f"{NAME}.onnx", f"{NAME}.toml", "labels.txt"]
    lines = [
        f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}\n"
        for name in names
        if (out / name).exists()
    ]
    (out / "SHA256SUMS").write_text("".join(lines))


def probabilities(path: Path, data: Split) -> np.ndarray:
    """Run an exported model over all pictures with OpenVINO in float32, one at a time."""
    core = ov.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    pictures = data.images.permute(0, 2, 3, 1).contiguous().numpy()
    return np.concatenate([compiled(picture[None])[0] for picture in pictures])


def print_bound(scores: np.ndarray) -> None:
    """Print the `unsure_below` for the manifest: found on half of the pictures, tried on half."""
    highest = scores.max(axis=1)
    bound = np.floor(1000 * np.quantile(highest[::2], FALSE_ALARMS)) / 1000
    print(f"unsure_below = {bound:.3f} doubts {np.mean(highest[1::2] < bound):.1%} of the others")


def measure(out: Path, archive: Path) -> None:
    """Print the accuracy of both files on the test pictures, in total and per class."""
    _, test = load_archive(archive)
    labels = test.labels.numpy()
    results = {name: probabilities(out / name, test) for name in (f"{NAME}.xml", f"{NAME}.onnx")}
    for name, scores in results.items():
        right = scores.argmax(axis=1) == labels
        print(f"{name}: {right.mean():.2%} of {len(labels)}")
        for index, label in enumerate(CLASSES):
            print(f"  {label:<11} {right[labels == index].mean():.1%}")
    first, second = results.values()
    print_bound(first)
    print(f"largest difference of a probability: {np.abs(first - second).max():.2e}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Export a checkpoint and measure the result.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path, help="folder for the model's files")
    parser.add_argument("--archive", type=Path, help="cifar10.tar.gz, to measure the accuracy")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    export(options.checkpoint, options.out)
    write_checksums(options.out)
    if options.archive:
        measure(options.out, options.archive)


if __name__ == "__main__":
    main()
