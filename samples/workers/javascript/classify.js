// An image classifier: the picture's tensor on stdin, the five best classes on stdout.
import { env, Graph, readStdin, Tensor } from "wasi_nn";

// 1. Read the tensor: its shape and type from the environment, its bytes from stdin.
const dims = env.WASMLRUN_INPUT_SHAPE.split(",").map(Number);
const input = new Tensor(dims, env.WASMLRUN_INPUT_TYPE, readStdin());

// 2. Load the model by the name that the host knows it by.
const graph = Graph.loadByName(env.WASMLRUN_MODEL);
const context = graph.open();

// 3. Run it.
context.setInput(0, input);
context.compute();
const output = context.output(0);

// 4. Rank: the five best scores, the lower index first where two are equal.
const scores =
  env.WASMLRUN_OUTPUT_TYPE === "u8"
    ? Array.from(new Uint8Array(output), (n) => n / 256)
    : Array.from(new Float32Array(output));
const classes = [...scores.keys()].sort((a, b) => scores[b] - scores[a] || a - b).slice(0, 5);

// 5. Answer with lines of INDEX<TAB>SCORE.
for (const i of classes) console.log(`${i}\t${scores[i]}`);
