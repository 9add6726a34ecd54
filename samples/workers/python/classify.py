"""An image classifier: the picture's tensor on stdin, the five best classes on stdout."""

import os
import sys

from wasi_nn import Graph, Tensor

# 1. Read the tensor: its shape and type from the environment, its bytes from stdin.
dims = [int(n) for n in os.environ["WASMLRUN_INPUT_SHAPE"].split(",")]
picture = Tensor(dims, os.environ["WASMLRUN_INPUT_TYPE"], sys.stdin.buffer.read())

# 2. Load the model by the name that the host knows it by.
graph = Graph.load_by_name(os.environ["WASMLRUN_MODEL"])
context = graph.open()

# 3. Run it.
context.set_input(0, picture)
context.compute()
output = context.output(0)

# 4. Rank: the five best scores, the lower index first where two are equal.
if os.environ["WASMLRUN_OUTPUT_TYPE"] == "u8":
    scores = [n / 256 for n in output]
else:
    scores = list(memoryview(output).cast("f"))
classes = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:5]

# 5. Answer with lines of INDEX<TAB>SCORE.
for i in classes:
    print(f"{i}\t{scores[i]:.9g}")
