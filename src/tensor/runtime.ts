// The device over kernels/runtime.c, whose two hosts are the Node addon (native.ts) and WebAssembly (wasm.ts): buffers and their
// lives, binding, running in order, and errors as sentences. A host only moves bytes and calls.
import {
  type Device,
  type DeviceBuffer,
  type Executable,
  type HostArray,
  TensorError,
  type TensorErrorCode,
} from "./device.ts";
import { byteLength, type Dtype, dtypeCode, isPacked, unpackedDtype } from "./dtype.ts";
import { encodeProgram } from "./encode.ts";
import { planMemory } from "./plan.ts";
import type { Program, Tensor } from "./program.ts";
import { bindBuffers, checkRegisters, fillFrom, findBuffer, indexMessage } from "./reference.ts";

/** Status, subject, element, value, text: weir_error of kernels/runtime.h. Status 0 is success. */
export type Report = readonly [
  status: number,
  subject: number,
  element: number,
  value: number,
  text: string | undefined,
];

/** Memory of a host. */
export interface Block {
  readonly bytes: number;
  /** The bytes now; ask anew after every allocation. */
  view(): Uint8Array;
  release(): void;
}

export interface Host<Handle, B extends Block> {
  /** Names of the kernels in their order, "" where one is missing. */
  readonly kernels: readonly string[];
  /** Zeroed and aligned to 64 bytes; undefined when there is no memory. */
  allocate(bytes: number): B | undefined;
  setThreads(threads: number): void;
  program(words: Int32Array, arenaBytes: number): { handle?: Handle; report: Report };
  bind(program: Handle, slot: number, block: B): Report;
  run(program: Handle, registers: Int32Array): Report;
  runAsync(program: Handle, registers: Int32Array): Promise<Report>;
  free(program: Handle): void;
  /** Fills in two seconds per instruction: Executable.profile. */
  profile?(program: Handle, seconds: Float64Array): void;
  /** Bytes of one packed matrix, -1 where there is no packed form. */
  packBytes(dtype: number, rows: number, cols: number): number;
  /** Packs matrix `index` of several that lie one after the other in both blocks. */
  pack(dtype: number, rows: number, cols: number, source: B, target: B, index: number, count: number): void;
  close(): void;
}

class RuntimeBuffer<B extends Block> implements DeviceBuffer {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  private readonly memory: B;
  private users = 0;
  private freed = false;

  constructor(dtype: Dtype, shape: readonly number[], memory: B) {
    this.dtype = dtype;
    this.shape = [...shape];
    this.memory = memory;
  }

  /** The block, for the device; throws closed after free(). */
  block(): B {
    if (this.freed) throw new TensorError("closed", `the ${this.dtype}[${this.shape}] buffer was freed`);
    return this.memory;
  }

  view(): HostArray {
    const bytes = this.block().view();
    if (this.dtype === "f32") return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    if (this.dtype === "i32") return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    return bytes;
  }

  /** Gives the memory back, or lets the last executable that has it bound do so. */
  free(): void {
    if (this.freed) return;
    this.freed = true;
    if (this.users === 0) this.memory.release();
  }

  /** An executable takes hold of it. */
  hold(): void {
    this.users++;
  }

  letGo(): void {
    if (--this.users === 0 && this.freed) this.memory.release();
  }
}

export abstract class RuntimeDevice<Handle, B extends Block> implements Device {
  abstract readonly name: "native" | "wasm";
  abstract readonly description: string;
  protected readonly host: Host<Handle, B>;
  private readonly mostThreads: number;
  private readonly kernelNumbers = new Map<string, number>();
  private threadCount = 1;
  private closed = false;
  /** The last asynchronous run: the next waits for it, so runs keep their order. */
  private tail: Promise<unknown> = Promise.resolve();

  constructor(host: Host<Handle, B>, threads: number, mostThreads: number) {
    this.host = host;
    this.mostThreads = mostThreads;
    host.kernels.forEach((kernel, number) => {
      if (kernel) this.kernelNumbers.set(kernel, number);
    });
    this.threads = threads;
  }

  get threads(): number {
    return this.threadCount;
  }

  /** Threads of a run, the calling one included. Throws size_out_of_range. */
  set threads(count: number) {
    if (!Number.isInteger(count) || count < 1 || count > this.mostThreads) {
      const range = `a whole number from 1 to ${this.mostThreads}`;
      throw new TensorError("size_out_of_range", `the device's threads must be ${range}, not ${count}`);
    }
    this.threadCount = count;
    this.host.setThreads(count);
  }

  protected checkOpen(): void {
    if (this.closed) throw new TensorError("closed", "the device was closed");
  }

  private allocate(dtype: Dtype, shape: readonly number[], bytes: number): RuntimeBuffer<B> {
    this.checkOpen();
    const block = this.host.allocate(bytes);
    if (!block) throw new TensorError("out_of_memory", `no memory for a ${dtype}[${shape}] buffer of ${bytes} bytes`);
    return new RuntimeBuffer(dtype, shape, block);
  }

  buffer(dtype: Dtype, shape: readonly number[], data?: ArrayLike<number> | ArrayBufferView): DeviceBuffer {
    if (isPacked(dtype)) throw new TensorError("wrong_binding", "packed buffers are made by pack()");
    const buffer = this.allocate(dtype, shape, plainBytes(dtype, shape));
    try {
      if (data) fillFrom(buffer.view(), dtype, data);
    } catch (error) {
      buffer.free();
      throw error;
    }
    return buffer;
  }

  /** `weights` rearranged for this machine in a new buffer; `weights` itself where there is no packed form of its dtype. */
  pack(weights: DeviceBuffer): DeviceBuffer {
    this.checkOpen();
    if (isPacked(weights.dtype) || weights.shape.length < 2) return weights;
    const source = this.blockOf("the weights", weights);
    const [rows, cols] = weights.shape.slice(-2);
    const matrices = weights.shape.slice(0, -2).reduce((product, d) => product * d, 1);
    const code = dtypeCode(weights.dtype);
    const each = this.host.packBytes(code, rows, cols);
    if (each < 0) return weights;
    const packed = this.allocate(`packed:${unpackedDtype(weights.dtype)}`, weights.shape, each * matrices);
    for (let i = 0; i < matrices; i++) this.host.pack(code, rows, cols, source, packed.block(), i, matrices);
    return packed;
  }

  protected wrapBlock(dtype: Dtype, shape: readonly number[], block: B): DeviceBuffer {
    this.checkOpen();
    return new RuntimeBuffer(dtype, shape, block);
  }

  private blockOf(what: string, buffer: DeviceBuffer): B {
    if (!(buffer instanceof RuntimeBuffer)) throw new TensorError("wrong_binding", `${what} lie on another device`);
    return (buffer as RuntimeBuffer<B>).block();
  }

  compile(program: Program, bindings: Record<string, DeviceBuffer> = {}): Executable {
    this.checkOpen();
    const plan = planMemory(program);
    const { words, externals } = encodeProgram(program, plan, (name) => {
      const number = this.kernelNumbers.get(name);
      if (number !== undefined) return number;
      throw new TensorError("no_kernel", `program ${program.name}: ${name} has no kernel here (${this.description})`);
    });
    for (const [name, bound] of Object.entries(bindings)) this.blockOf(`${name}'s bytes`, bound);
    const made = this.host.program(words, plan.arenaBytes);
    const handle = made.handle;
    if (handle === undefined) throw runError(program, made.report, externals);
    let buffers: Map<Tensor, RuntimeBuffer<B>>;
    const own: RuntimeBuffer<B>[] = [];
    try {
      const allocating = {
        buffer: (dtype: Dtype, shape: readonly number[]) => {
          const buffer = this.allocate(dtype, shape, plainBytes(dtype, shape));
          own.push(buffer);
          return buffer;
        },
      };
      buffers = bindBuffers(allocating, program, bindings) as Map<Tensor, RuntimeBuffer<B>>;
      externals.forEach((tensor, slot) => {
        const report = this.host.bind(handle, slot, (buffers.get(tensor) as RuntimeBuffer<B>).block());
        if (report[0] !== 0) throw runError(program, report, externals);
      });
    } catch (error) {
      this.host.free(handle);
      for (const buffer of own) buffer.free();
      throw error;
    }
    for (const buffer of buffers.values()) buffer.hold();

    const byName = new Map<string, DeviceBuffer>();
    const named = (name: string): DeviceBuffer => {
      const found = findBuffer(program, buffers as Map<Tensor, DeviceBuffer>, name);
      byName.set(name, found);
      return found;
    };
    let running = 0;
    let ended = false;
    const end = (): void => {
      this.host.free(handle);
      for (const buffer of own) buffer.free();
      for (const buffer of buffers.values()) buffer.letGo();
    };
    const check = (): void => {
      this.checkOpen();
      if (ended) throw new TensorError("closed", `program ${program.name} was freed`);
    };
    const settle = (report: Report): void => {
      if (report[0] !== 0) throw runError(program, report, externals);
    };
    const profile = (): Float64Array => {
      check();
      const seconds = new Float64Array(program.instructions.length * 2);
      this.host.profile?.(handle, seconds);
      return seconds;
    };
    return {
      run: (registers) => {
        check();
        settle(this.host.run(handle, registerWords(program, registers)));
      },
      runAsync: async (registers) => {
        check();
        const given = registerWords(program, registers);
        running++;
        const turn = this.tail.then(() => {
          this.checkOpen();
          return this.host.runAsync(handle, given);
        });
        this.tail = turn.catch(() => undefined);
        try {
          settle(await turn);
        } finally {
          if (--running === 0 && ended) end();
        }
      },
      buffer: (tensor) =>
        typeof tensor === "string"
          ? (byName.get(tensor) ?? named(tensor))
          : findBuffer(program, buffers as Map<Tensor, DeviceBuffer>, tensor),
      arenaBytes: plan.arenaBytes,
      ...(this.host.profile ? { profile } : {}),
      free: () => {
        if (ended) return;
        ended = true;
        if (running === 0) end();
      },
    };
  }

  /** No run or allocation after this; what is already bound stays readable. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.host.close();
  }
}

/** As byteLength, with every shape that cannot be as a TensorError. */
function plainBytes(dtype: Dtype, shape: readonly number[]): number {
  if (shape.some((d) => !Number.isInteger(d) || d < 0))
    throw new TensorError("size_out_of_range", `[${shape}] is no shape: every size must be a whole number, 0 or more`);
  const bytes = byteLength(unpackedDtype(dtype), shape);
  if (!Number.isSafeInteger(bytes)) throw new TensorError("out_of_memory", `no memory for a ${dtype}[${shape}] buffer`);
  return bytes;
}

/** The registers in the program's order; throws size_out_of_range where one is missing or out of range. */
function registerWords(program: Program, given: Record<string, number> = {}): Int32Array {
  const values = checkRegisters(program, given);
  return Int32Array.from(program.registers, ({ name }) => values.get(name) as number);
}

const CODES: Record<number, TensorErrorCode> = {
  2: "no_kernel",
  3: "wrong_binding",
  4: "size_out_of_range",
  5: "index_out_of_range",
  6: "out_of_memory",
};

/** The error for a report whose status is not 0. */
function runError(program: Program, report: Report, externals: readonly Tensor[]): TensorError {
  const [status, subject, element, value, text] = report;
  const where = `program ${program.name}`;
  const code = CODES[status] ?? "wrong_binding";
  if (status === 5) {
    const tensor = program.tensors.filter((other) => other.kind !== "temp" && !other.viewOf)[subject];
    return new TensorError(code, indexMessage(tensor, value, element));
  }
  if (status === 3) {
    const sizes = value > element ? ` (${element} bytes, ${value} are needed)` : "";
    return new TensorError(code, `${where}: ${externals[subject] ?? `slot ${subject}`}: ${text}${sizes}`);
  }
  if (status === 6) return new TensorError(code, `${where}: ${text} (${value} bytes)`);
  return new TensorError(code, `${where}: ${text ?? `status ${status}`} (word ${subject})`);
}
