// The reference device: runs every instruction by its obvious TypeScript implementation, in float32 or float64. It is the oracle
// for the other devices and the last resort where neither addon nor wasm can run; it makes no attempt at speed.
import { type Device, type DeviceBuffer, type Executable, type HostArray, TensorError } from "./device.ts";
import { byteLength, type Dtype, isPacked, unpackedDtype } from "./dtype.ts";
import type { Value } from "./op.ts";
import { type Dim, maxDim, type Program, type Tensor } from "./program.ts";

class ReferenceBuffer implements DeviceBuffer {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  private data: HostArray;

  constructor(dtype: Dtype, shape: readonly number[], data: HostArray) {
    this.dtype = dtype;
    this.shape = shape;
    this.data = data;
  }

  view(): HostArray {
    return this.data;
  }

  free(): void {}
}

export class ReferenceDevice implements Device {
  readonly name = "reference";
  readonly precision: "f32" | "f64";
  threads = 1;

  constructor(precision: "f32" | "f64" = "f32") {
    this.precision = precision;
  }

  get description(): string {
    return `TypeScript, ${this.precision === "f64" ? "float64" : "float32"}, one thread`;
  }

  private allocate(dtype: Dtype, shape: readonly number[]): HostArray {
    const elements = shape.reduce((product, d) => product * d, 1);
    if (dtype === "f32") return this.precision === "f64" ? new Float64Array(elements) : new Float32Array(elements);
    if (dtype === "i32") return new Int32Array(elements);
    return new Uint8Array(byteLength(unpackedDtype(dtype), shape));
  }

  buffer(dtype: Dtype, shape: readonly number[], data?: ArrayLike<number> | ArrayBufferView): DeviceBuffer {
    const array = this.allocate(dtype, shape);
    if (data) fillFrom(array, dtype, data);
    return new ReferenceBuffer(dtype, [...shape], array);
  }

  pack(weights: DeviceBuffer): DeviceBuffer {
    const array = weights.view().slice() as HostArray;
    const dtype = isPacked(weights.dtype) ? weights.dtype : (`packed:${weights.dtype}` as Dtype);
    return new ReferenceBuffer(dtype, weights.shape, array);
  }

  compile(program: Program, bindings: Record<string, DeviceBuffer> = {}): Executable {
    const buffers = bindBuffers(this, program, bindings);
    const temps = new Map<Tensor, HostArray>();
    const dataOf = (tensor: Tensor): HostArray => {
      const base = tensor.base;
      const bound = buffers.get(base);
      if (bound) return bound.view();
      let array = temps.get(base);
      if (!array) {
        array = this.allocate(base.dtype, base.shape.map(maxDim));
        temps.set(base, array);
      }
      return array;
    };
    const run = (given: Record<string, number> = {}): void => {
      const registers = checkRegisters(program, given);
      const value = (tensor: Tensor): Value => {
        const shape = tensor.shape.map((d) => resolve(d, registers));
        const data = dataOf(tensor);
        if (isPacked(tensor.dtype) || (tensor.dtype !== "f32" && tensor.dtype !== "i32"))
          return { data, shape, dtype: unpackedDtype(tensor.dtype) };
        return {
          data: data.subarray(
            0,
            shape.reduce((product, d) => product * d, 1),
          ) as Value["data"],
          shape,
          dtype: tensor.dtype,
        };
      };
      for (const tensor of program.tensors) if (tensor.range && !tensor.viewOf) checkRange(tensor, value(tensor));
      for (const { op, inputs, outputs, ints, floats } of program.instructions) {
        op.reference({
          inputs: inputs.map((tensor) => tensor && value(tensor)) as Value[],
          outputs: outputs.map(value),
          ints: [...ints],
          floats: [...floats],
        });
      }
    };
    return {
      run,
      runAsync: async (registers) => run(registers),
      buffer: (tensor) => findBuffer(program, buffers, tensor),
      arenaBytes: 0,
      free: () => temps.clear(),
    };
  }

  close(): void {}
}

/** Copies host data into a buffer's array; f32 to f64 converts, raw bytes are copied as they are. */
export function fillFrom(array: HostArray, dtype: Dtype, data: ArrayLike<number> | ArrayBufferView): void {
  const source = data as ArrayLike<number>;
  const raw = dtype !== "f32" && dtype !== "i32" && ArrayBuffer.isView(data) && !(data instanceof Uint8Array);
  const from = raw
    ? new Uint8Array(
        (data as ArrayBufferView).buffer,
        (data as ArrayBufferView).byteOffset,
        (data as ArrayBufferView).byteLength,
      )
    : source;
  if (from.length !== array.length)
    throw new TensorError("wrong_binding", `${from.length} values were given for a buffer of ${array.length}`);
  array.set(from);
}

export const resolve = (d: Dim, registers: Map<string, number>): number =>
  typeof d === "number" ? d : (registers.get(d.register.name) as number) * d.factor;

/** Every register must be given, whole and within 0..max. */
export function checkRegisters(program: Program, given: Record<string, number>): Map<string, number> {
  const registers = new Map<string, number>();
  for (const { name, max } of program.registers) {
    const value = given[name];
    if (value === undefined)
      throw new TensorError("size_out_of_range", `program ${program.name}: register ${name} was not given`);
    if (!Number.isInteger(value) || value < 0 || value > max) {
      throw new TensorError(
        "size_out_of_range",
        `program ${program.name}: register ${name} must be a whole number from 0 to ${max}, not ${value}`,
      );
    }
    registers.set(name, value);
  }
  return registers;
}

function checkRange(tensor: Tensor, value: Value): void {
  const { min, max } = tensor.range as { min: number; max: number };
  value.data.forEach((index, at) => {
    if (index < min || index >= max) throw new TensorError("index_out_of_range", indexMessage(tensor, index, at));
  });
}

export const indexMessage = (tensor: Tensor, index: number, at: number): string =>
  `${tensor.name}[${at}] is ${index}, but must lie in ${tensor.range?.min}..${(tensor.range?.max ?? 0) - 1}`;

/** Buffers for every base tensor that outlives a run: bound ones checked for dtype and size, the others newly allocated. */
export function bindBuffers(
  device: Pick<Device, "buffer">,
  program: Program,
  bindings: Record<string, DeviceBuffer>,
): Map<Tensor, DeviceBuffer> {
  const buffers = new Map<Tensor, DeviceBuffer>();
  const bases = program.tensors.filter((tensor) => tensor.kind !== "temp" && !tensor.viewOf);
  for (const name of Object.keys(bindings)) {
    if (!bases.some((tensor) => tensor.name === name))
      throw new TensorError("wrong_binding", `program ${program.name} has no tensor named ${name} to bind`);
  }
  for (const tensor of bases) {
    const shape = tensor.shape.map(maxDim);
    const bound = bindings[tensor.name];
    if (!bound) {
      if (isPacked(tensor.dtype)) throw new TensorError("wrong_binding", `${tensor.name} is packed and must be bound`);
      buffers.set(tensor, device.buffer(tensor.dtype, shape));
      continue;
    }
    const elements = (dims: readonly number[]): number => dims.reduce((product, d) => product * d, 1);
    if (bound.dtype !== tensor.dtype || elements(bound.shape) !== elements(shape)) {
      throw new TensorError(
        "wrong_binding",
        `${tensor.name} is ${tensor.dtype}[${shape}], but ${bound.dtype}[${bound.shape}] was bound`,
      );
    }
    buffers.set(tensor, bound);
  }
  return buffers;
}

export function findBuffer(
  program: Program,
  buffers: Map<Tensor, DeviceBuffer>,
  tensor: Tensor | string,
): DeviceBuffer {
  const base =
    typeof tensor === "string"
      ? program.tensors.find((other) => other.name === tensor && !other.viewOf && other.kind !== "temp")
      : tensor.base;
  const buffer = base && buffers.get(base);
  if (!buffer)
    throw new TensorError(
      "wrong_binding",
      `program ${program.name} has no buffer for ${tensor}; temps vanish with the run, mark what you read with program.output`,
    );
  return buffer;
}
