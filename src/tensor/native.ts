// The native device: programs run by the C kernels in the Node addon that scripts/build-native.ts makes. Its buffers are ordinary
// typed arrays over memory that the addon allocated, so nothing is copied between TypeScript and C.
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { type Device, type DeviceBuffer, type Executable, type HostArray, TensorError } from "./device.ts";
import { byteLength, type Dtype, dtypeCode, isPacked, unpackedDtype } from "./dtype.ts";
import { encodeProgram } from "./encode.ts";
import { planMemory } from "./plan.ts";
import type { Program, Tensor } from "./program.ts";
import { bindBuffers, fillFrom, findBuffer } from "./reference.ts";
import { kernelNumbers, type RunReport, registerWords, runError, splitMatrices } from "./runtime.ts";

type Handle = object;

interface Addon {
  isas(): { name: string; kernels: string[] }[];
  device(isa: number): Handle;
  threads(device: Handle, threads: number, grain: number): void;
  allocate(bytes: number): ArrayBuffer | undefined;
  detach(buffer: ArrayBufferLike): void;
  program(device: Handle, words: Int32Array, arenaBytes: number, report: Float64Array): Handle | string | undefined;
  bind(program: Handle, slot: number, data: HostArray, report: Float64Array): string | undefined;
  run(program: Handle, registers: Int32Array, report: Float64Array): string | undefined;
  runAsync(program: Handle, registers: Int32Array): Promise<[number, number, number, number, string | undefined]>;
  free(program: Handle): void;
  packBytes(device: Handle, dtype: number, rows: number, cols: number): number;
  pack(device: Handle, dtype: number, source: Uint8Array, rows: number, cols: number, destination: Uint8Array): void;
  mapFile(path: string): ArrayBuffer;
  probe(what: 0 | 1, threads: number, milliseconds: number): number;
}

/** Where the build leaves the addon for this platform. */
export const nativePath = (): string =>
  fileURLToPath(new URL(`../../build/native/weir-${process.platform}-${process.arch}.node`, import.meta.url));

let loaded: Addon | undefined;

/** Loads the addon; throws the system's own error when it is absent or unusable. */
export function loadAddon(): Addon {
  loaded ??= createRequire(import.meta.url)(nativePath()) as Addon;
  return loaded;
}

/** Instruction sets this processor runs, worst first, with the instructions each has kernels for. */
export const nativeIsas = (): { name: string; kernels: string[] }[] => loadAddon().isas();

/** What the machine can do, measured now: bytes per second read, floating-point operations per second. */
export function probeMachine(threads: number, milliseconds = 300): { bandwidth: number; peak: number } {
  const addon = loadAddon();
  return { bandwidth: addon.probe(0, threads, milliseconds), peak: addon.probe(1, threads, milliseconds) };
}

/**
 * A file's bytes mapped into memory: pages are read when touched and can be dropped under pressure. Writes stay private. The file
 * must not be shortened while mapped. Freed with the last reference to it.
 */
export function mapFile(path: string): Uint8Array {
  return new Uint8Array(loadAddon().mapFile(path));
}

class NativeBuffer implements DeviceBuffer {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Executables that have it bound. */
  users = 0;
  private data: HostArray | undefined;
  /** Ends the memory's life; absent for memory that is not ours. */
  private release: (() => void) | undefined;
  private freed = false;

  constructor(dtype: Dtype, shape: readonly number[], data: HostArray, release?: () => void) {
    this.dtype = dtype;
    this.shape = shape;
    this.data = data;
    this.release = release;
  }

  view(): HostArray {
    if (!this.data || this.freed) throw new TensorError("closed", `the ${this.dtype}[${this.shape}] buffer was freed`);
    return this.data;
  }

  free(): void {
    this.freed = true;
    if (this.users > 0) return; // the last executable to let go of it ends it
    this.release?.();
    this.release = undefined;
    this.data = undefined;
  }

  drop(): void {
    this.users--;
    if (this.freed) this.free();
  }
}

const arrayOver = (dtype: Dtype, memory: ArrayBufferLike, offset: number, bytes: number): HostArray => {
  if (dtype === "f32") return new Float32Array(memory, offset, bytes / 4);
  if (dtype === "i32") return new Int32Array(memory, offset, bytes / 4);
  return new Uint8Array(memory, offset, bytes);
};

export interface NativeOptions {
  /** Threads of a run, the calling one included; the number of processors when absent. */
  threads?: number;
  /** One of nativeIsas(); the best when absent. */
  isa?: string;
  /** Bytes that an instruction list must touch per thread before another thread is worth waking. */
  grain?: number;
}

export class NativeDevice implements Device {
  readonly name = "native";
  readonly isa: string;
  private readonly addon: Addon;
  private readonly handle: Handle;
  private readonly numbers: Map<string, number>;
  private readonly grain: number;
  private threadCount = 1;
  private closed = false;
  /** The last asynchronous run: the next waits for it, so runs keep their order. */
  private tail: Promise<unknown> = Promise.resolve();

  constructor(options: NativeOptions = {}) {
    this.addon = loadAddon();
    const isas = this.addon.isas();
    const which = options.isa === undefined ? isas.length - 1 : isas.findIndex(({ name }) => name === options.isa);
    if (which < 0) {
      const names = isas.map(({ name }) => name).join(", ");
      throw new TensorError("no_kernel", `this processor has no instruction set ${options.isa}; it has ${names}`);
    }
    this.isa = isas[which].name;
    this.numbers = kernelNumbers(isas[which].kernels);
    this.handle = this.addon.device(which);
    this.grain = options.grain ?? 1 << 16;
    this.threads = options.threads ?? availableParallelism();
  }

  get description(): string {
    return `native kernels, ${this.isa}, ${this.threadCount} thread${this.threadCount === 1 ? "" : "s"}`;
  }

  get threads(): number {
    return this.threadCount;
  }

  set threads(count: number) {
    if (!Number.isInteger(count) || count < 1 || count > 256)
      throw new TensorError("size_out_of_range", `threads must be a whole number from 1 to 256, not ${count}`);
    this.threadCount = count;
    this.addon.threads(this.handle, count, this.grain);
  }

  private open(): void {
    if (this.closed) throw new TensorError("closed", "the native device was closed");
  }

  private allocate(dtype: Dtype, shape: readonly number[], bytes: number): NativeBuffer {
    this.open();
    const memory = this.addon.allocate(bytes);
    if (!memory) throw new TensorError("out_of_memory", `no memory for a ${dtype}[${shape}] buffer of ${bytes} bytes`);
    return new NativeBuffer(dtype, [...shape], arrayOver(dtype, memory, 0, bytes), () => this.addon.detach(memory));
  }

  buffer(dtype: Dtype, shape: readonly number[], data?: ArrayLike<number> | ArrayBufferView): DeviceBuffer {
    if (isPacked(dtype)) throw new TensorError("wrong_binding", "packed buffers are made by pack()");
    const buffer = this.allocate(dtype, shape, byteLength(unpackedDtype(dtype), shape));
    if (data) fillFrom(buffer.view(), dtype, data);
    return buffer;
  }

  /**
   * A buffer over bytes that already lie somewhere (a mapped file, a SharedArrayBuffer), used in place without a copy. f32 and i32
   * need a byte offset divisible by 4. The memory must not be transferred or shrunk while the buffer is in use.
   */
  wrap(dtype: Dtype, shape: readonly number[], bytes: Uint8Array): DeviceBuffer {
    const needed = byteLength(unpackedDtype(dtype), shape);
    if (isPacked(dtype) || bytes.length !== needed)
      throw new TensorError("wrong_binding", `${dtype}[${shape}] takes ${needed} bytes, not ${bytes.length}`);
    const align = dtype === "f32" || dtype === "i32" ? 4 : 1;
    if (bytes.byteOffset % align !== 0)
      throw new TensorError("wrong_binding", `${dtype} cannot lie at byte offset ${bytes.byteOffset}; copy it`);
    return new NativeBuffer(dtype, [...shape], arrayOver(dtype, bytes.buffer, bytes.byteOffset, needed));
  }

  /** Weights rearranged for this machine; `weights` itself where the instruction set has no packed form of its dtype. */
  pack(weights: DeviceBuffer): DeviceBuffer {
    this.open();
    if (isPacked(weights.dtype)) return weights;
    const split = splitMatrices(weights.shape);
    if (!split) return weights;
    const { matrices, rows, cols } = split;
    const code = dtypeCode(weights.dtype);
    const each = this.addon.packBytes(this.handle, code, rows, cols);
    if (each < 0) return weights;
    const packed = this.allocate(`packed:${unpackedDtype(weights.dtype)}`, weights.shape, each * matrices);
    const from = weights.view();
    const source = new Uint8Array(from.buffer, from.byteOffset, from.byteLength);
    const target = packed.view() as Uint8Array;
    const stride = source.length / matrices;
    for (let i = 0; i < matrices; i++) {
      const matrix = source.subarray(i * stride, (i + 1) * stride);
      this.addon.pack(this.handle, code, matrix, rows, cols, target.subarray(i * each, (i + 1) * each));
    }
    return packed;
  }

  compile(program: Program, bindings: Record<string, DeviceBuffer> = {}): Executable {
    this.open();
    const plan = planMemory(program);
    const { words, externals } = encodeProgram(program, plan, (name) => {
      const number = this.numbers.get(name);
      if (number === undefined)
        throw new TensorError(
          "no_kernel",
          `program ${program.name}: the native device (${this.isa}) has no kernel ${name}`,
        );
      return number;
    });
    for (const [name, bound] of Object.entries(bindings)) {
      if (!(bound instanceof NativeBuffer))
        throw new TensorError("wrong_binding", `${name} is bound to a buffer of another device`);
      bound.view();
    }
    const report = new Float64Array(4);
    const handle = this.addon.program(this.handle, words, plan.arenaBytes, report);
    if (typeof handle !== "object") throw runError(program, [report[0], report[1], report[2], report[3], handle]);
    const buffers = bindBuffers(this, program, bindings) as Map<Tensor, NativeBuffer>;
    externals.forEach((tensor, slot) => {
      const text = this.addon.bind(handle, slot, (buffers.get(tensor) as NativeBuffer).view(), report);
      if (report[0] !== 0) {
        this.addon.free(handle);
        throw runError(program, [report[0], report[1], report[2], report[3], text], externals);
      }
    });
    const own = [...buffers].filter(([tensor]) => !(tensor.name in bindings)).map(([, buffer]) => buffer);
    for (const buffer of buffers.values()) buffer.users++;

    let running = 0;
    let ended = false;
    const end = (): void => {
      this.addon.free(handle);
      for (const buffer of own) buffer.free();
      for (const buffer of buffers.values()) buffer.drop();
    };
    const check = (): void => {
      this.open();
      if (ended) throw new TensorError("closed", `program ${program.name} was freed`);
    };
    return {
      run: (registers) => {
        check();
        const text = this.addon.run(handle, registerWords(program, registers), report);
        if (report[0] !== 0) throw runError(program, [report[0], report[1], report[2], report[3], text], externals);
      },
      runAsync: async (registers) => {
        check();
        const given = registerWords(program, registers);
        running++;
        const turn = this.tail.then(() => this.addon.runAsync(handle, given));
        this.tail = turn.catch(() => undefined);
        try {
          const result: RunReport = await turn;
          if (result[0] !== 0) throw runError(program, result, externals);
        } finally {
          if (--running === 0 && ended) end();
        }
      },
      buffer: (tensor) => findBuffer(program, buffers as Map<Tensor, DeviceBuffer>, tensor),
      arenaBytes: plan.arenaBytes,
      free: () => {
        if (ended) return;
        ended = true;
        if (running === 0) end();
      },
    };
  }

  close(): void {
    this.closed = true;
  }
}
