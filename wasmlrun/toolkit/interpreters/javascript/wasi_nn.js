// What a JavaScript worker imports: WASI-NN as classes, the environment and standard input.
const host = globalThis.__host;
delete globalThis.__host;

const TYPES = { f16: 0, f32: 1, u8: 3, i8: 3, i32: 4, i64: 5 };

/** A call that the host refused; `number` is WASI-NN's. */
export class NnError extends Error {
  constructor(what, number, text) {
    super(`${what}: ${text}`);
    this.name = "NnError";
    this.number = number;
  }
}
globalThis.__wasi_nn_error = (...args) => new NnError(...args);

/** A model's input: its dimensions, "u8", "f32" …, and its bytes in a Uint8Array. */
export class Tensor {
  constructor(dims, type, data) {
    if (!(type in TYPES)) throw new TypeError(`unknown type ${type}`);
    this.dims = dims;
    this.type = type;
    this.data = data;
  }
}

/** A loaded model. */
export class Graph {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  static loadByName(name) {
    return new Graph(host.loadByName(name));
  }

  open() {
    return new Context(host.open(this.#handle));
  }
}

/** A model's inputs and outputs for one computation after another. */
export class Context {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  setInput(index, { dims, type, data }) {
    host.setInput(this.#handle, index, Uint32Array.from(dims), TYPES[type], data);
    return this;
  }

  compute() {
    host.compute(this.#handle);
    return this;
  }

  /** The output's bytes in an ArrayBuffer: make a Float32Array or Uint8Array of it. */
  output(index) {
    return host.getOutput(this.#handle, index);
  }
}

/** The worker's environment variables. */
export const env = host.env;

/** Everything on standard input, or a file of a mounted folder, as a Uint8Array. */
export const readStdin = () => new Uint8Array(host.read("-"));
export const readFile = (path) => new Uint8Array(host.read(path));

const show = (value) =>
  typeof value === "object" && value !== null && !(value instanceof Error)
    ? JSON.stringify(value)
    : String(value);
const print = globalThis.__print;
delete globalThis.__print;
const line = (values) => values.map(show).join(" ") + "\n";
const out = (...values) => print(line(values));
const err = (...values) => host.write(2, line(values));
globalThis.console = { log: out, info: out, debug: out, trace: err, warn: err, error: err };
