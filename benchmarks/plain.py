"""What wasmlrun replaces: ten lines of Python with OpenVINO, nothing sandboxed.

python plain.py MODEL LABELS IMAGE [CACHE_DIR]
"""

import sys

import numpy as np
import openvino as ov
from PIL import Image

model, labels, picture, *cache = sys.argv[1:]
core = ov.Core()
if cache:
    core.set_property({"CACHE_DIR": cache[0]})
compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
image = Image.open(picture).convert("RGB")
side = min(image.size) * 0.875
box = ((image.width - side) / 2, (image.height - side) / 2)
box += (box[0] + side, box[1] + side)
pixels = np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR, box=box))[None]
scores = compiled(pixels)[0][0]
names = open(labels).read().splitlines()
for index in np.argsort(-scores.astype(np.float32))[:5]:
    print(f"{names[index]}\t{scores[index]}")
