"""CIFAR-10 as whole tensors, read from the archive of JPEG files.

The archive holds ``train/<class>/<name>.jpg`` and ``test/<class>/<name>.jpg``. 60,000 pictures of
32x32 pixels are 184 MB once decoded, so everything stays in memory and an epoch touches no file.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


@dataclass(frozen=True)
class Split:
    """Pictures as ``uint8 [N, 3, 32, 32]`` and their class indices as ``int64 [N]``."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Split:
        """Return the same split on another device."""
        return Split(self.images.to(device), self.labels.to(device))


def load_archive(archive: Path) -> tuple[Split, Split]:
    """Decode the training and the test pictures, each sorted by path so that runs repeat."""
    pictures: dict[str, list[tuple[str, int, np.ndarray]]] = {"train": [], "test": []}
    with tarfile.open(archive, "r|*") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            stream = tar.extractfile(member)
            if stream is None or path.suffix != ".jpg":
                continue
            split, label = path.parts[-3], CLASSES.index(path.parts[-2])
            with Image.open(io.BytesIO(stream.read())) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            pictures[split].append((member.name, label, pixels))
    train, test = (_stack(sorted(pictures[name], key=_path)) for name in ("train", "test"))
    return train, test


def _path(entry: tuple[str, int, np.ndarray]) -> str:
    return entry[0]


def _stack(entries: list[tuple[str, int, np.ndarray]]) -> Split:
    images = torch.from_numpy(np.stack([pixels for _, _, pixels in entries]))
    labels = torch.tensor([label for _, label, _ in entries])
    return Split(images.permute(0, 3, 1, 2).contiguous(), labels)
