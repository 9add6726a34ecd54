// An image classifier: the picture's tensor on stdin, the five best classes on stdout.
import { Graph, Tensor, Type } from "./wasi_nn";

function variable(name: string): string {
  if (!process.env.has(name)) {
    throw new Error(name + " is not set; run this worker with wasmlrun classify");
  }
  return process.env.get(name);
}

function numbers(text: string): StaticArray<u32> {
  const parts = text.split(",");
  const found = new StaticArray<u32>(parts.length);
  for (let i = 0; i < parts.length; i++) found[i] = U32.parseInt(parts[i]);
  return found;
}

function typeNamed(name: string): Type {
  if (name == "f32") return Type.F32;
  if (name == "f16") return Type.F16;
  return Type.U8; // i8 as well: WASI-NN has no type of its own for it
}

function readStdin(): Uint8Array {
  let buffer = new ArrayBuffer(1 << 16);
  let size = 0;
  while (true) {
    const got = process.stdin.read(buffer, size);
    if (got <= 0) return Uint8Array.wrap(buffer, 0, size);
    size += got;
    if (size == buffer.byteLength) {
      const larger = new ArrayBuffer(2 * size);
      memory.copy(changetype<usize>(larger), changetype<usize>(buffer), size);
      buffer = larger;
    }
  }
}

function scoresOf(output: Uint8Array, type: string): Float32Array {
  if (type != "u8") return Float32Array.wrap(output.buffer, output.byteOffset, output.length / 4);
  const scores = new Float32Array(output.length);
  for (let i = 0; i < output.length; i++) scores[i] = <f32>output[i] / 256;
  return scores;
}

/** The highest scores' indices, the lower index first where two are equal. */
function best(scores: Float32Array, count: i32): i32[] {
  const found: i32[] = [];
  while (found.length < min(count, scores.length)) {
    let top = -1;
    for (let i = 0; i < scores.length; i++) {
      if (!found.includes(i) && (top < 0 || scores[i] > scores[top])) top = i;
    }
    found.push(top);
  }
  return found;
}

// 1. Read the tensor: its shape and type from the environment, its bytes from stdin.
const dims = numbers(variable("WASMLRUN_INPUT_SHAPE"));
const type = typeNamed(variable("WASMLRUN_INPUT_TYPE"));
const picture = readStdin();

// 2. Load the model by the name that the host knows it by.
const graph = Graph.loadByName(variable("WASMLRUN_MODEL"));
const context = graph.open();

// 3. Run it.
context.setInput(0, new Tensor(dims, type, picture));
context.compute();
const output = context.output(0);

// 4. Rank: the five best scores.
const scores = scoresOf(output, variable("WASMLRUN_OUTPUT_TYPE"));
const classes = best(scores, 5);

// 5. Answer with lines of INDEX<TAB>SCORE.
for (let i = 0; i < classes.length; i++) {
  process.stdout.write(classes[i].toString() + "\t" + scores[classes[i]].toString() + "\n");
}
