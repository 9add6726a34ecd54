// WASI-NN for AssemblyScript: the imports of a core module behind two classes, one file.
//
// A failure is thrown as NnError; AssemblyScript programs end at an exception.

export enum Type { F16 = 0, F32 = 1, U8 = 3 }

export class NnError extends Error {
  constructor(what: string, public number: u32) {
    super(what + ": " + (number < <u32>texts.length ? texts[number] : "error " + number.toString()));
  }
}

/** A model's input; one of i8 is given as U8. */
export class Tensor {
  constructor(public dims: StaticArray<u32>, public type: Type, public data: Uint8Array) {}
}

/** A loaded model. */
export class Graph {
  private constructor(private handle: u32) {}

  static loadByName(name: string): Graph {
    const text = String.UTF8.encode(name);
    const out = new StaticArray<u32>(1);
    check("load_by_name", load_by_name(changetype<usize>(text), text.byteLength, changetype<usize>(out)));
    return new Graph(out[0]);
  }

  open(): Context {
    const out = new StaticArray<u32>(1);
    check("init_execution_context", init_execution_context(this.handle, changetype<usize>(out)));
    return new Context(out[0]);
  }
}

/** A model's inputs and outputs for one computation after another. */
export class Context {
  constructor(private handle: u32) {}

  setInput(index: u32, tensor: Tensor): void {
    const record = new StaticArray<u32>(5);
    record[0] = <u32>changetype<usize>(tensor.dims);
    record[1] = tensor.dims.length;
    record[2] = tensor.type;
    record[3] = <u32>tensor.data.dataStart;
    record[4] = tensor.data.length;
    check("set_input", set_input(this.handle, index, changetype<usize>(record)));
  }

  compute(): void {
    check("compute", compute(this.handle));
  }

  output(index: u32): Uint8Array {
    const size = new StaticArray<u32>(1);
    let data = new Uint8Array(16384);
    let number = get_output(this.handle, index, data.dataStart, data.length, changetype<usize>(size));
    if (number == TOO_LARGE && size[0] > <u32>data.length) {
      data = new Uint8Array(size[0]); // the host has said how much it is
      number = get_output(this.handle, index, data.dataStart, data.length, changetype<usize>(size));
    }
    check("get_output", number);
    return data.subarray(0, size[0]);
  }
}

const TOO_LARGE: u32 = 7;
const texts: StaticArray<string> = [
  "ok", "invalid argument", "invalid encoding", "missing memory", "busy",
  "runtime error", "unsupported operation", "too large", "not found",
];

function check(what: string, number: u32): void {
  if (number != 0) throw new NnError(what, number);
}

@external("wasi_ephemeral_nn", "load_by_name")
declare function load_by_name(name: usize, size: u32, graph: usize): u32;
@external("wasi_ephemeral_nn", "init_execution_context")
declare function init_execution_context(graph: u32, context: usize): u32;
@external("wasi_ephemeral_nn", "set_input")
declare function set_input(context: u32, index: u32, tensor: usize): u32;
@external("wasi_ephemeral_nn", "compute")
declare function compute(context: u32): u32;
@external("wasi_ephemeral_nn", "get_output")
declare function get_output(context: u32, index: u32, buffer: usize, capacity: u32, size: usize): u32;
