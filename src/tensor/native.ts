// The native device: programs run by the C kernels in the Node addon that scripts/build-native.ts makes. Its buffers are typed
// arrays over memory that the addon allocated, so nothing is copied between TypeScript and C.
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { type DeviceBuffer, TensorError } from "./device.ts";
import { byteLength, type Dtype, dtypeCode, isPacked, unpackedDtype } from "./dtype.ts";
import { type Block, type Host, type Report, RuntimeDevice } from "./runtime.ts";

type Handle = object;

interface Addon {
  isas(): { name: string; kernels: string[] }[];
  device(isa: number): Handle;
  threads(device: Handle, threads: number, grain: number): void;
  allocate(bytes: number): ArrayBuffer | undefined;
  detach(buffer: ArrayBufferLike): void;
  program(device: Handle, words: Int32Array, arenaBytes: number, report: Float64Array): Handle | string | undefined;
  bind(program: Handle, slot: number, data: Uint8Array, report: Float64Array): string | undefined;
  run(program: Handle, registers: Int32Array, report: Float64Array): string | undefined;
  runAsync(program: Handle, registers: Int32Array): Promise<Report>;
  profile(program: Handle, seconds: Float64Array): void;
  free(program: Handle): void;
  packBytes(device: Handle, dtype: number, rows: number, cols: number): number;
  pack(device: Handle, dtype: number, source: Uint8Array, rows: number, cols: number, target: Uint8Array): void;
  mapFile(path: string): ArrayBuffer;
  forget(bytes: Uint8Array): void;
  probe(what: 0 | 1, threads: number, milliseconds: number): number;
}

/** Where the build leaves the addon for this platform. */
export const nativePath = (): string =>
  fileURLToPath(new URL(`../../build/native/weir-${process.platform}-${process.arch}.node`, import.meta.url));

let loaded: Addon | undefined;

/** Loads the addon; throws the system's own error when it is absent or unusable. */
function loadAddon(): Addon {
  loaded ??= createRequire(import.meta.url)(nativePath()) as Addon;
  return loaded;
}

/** Instruction sets this processor runs, worst first, with the instructions each has kernels for ("" where it has none). */
export const nativeIsas = (): { name: string; kernels: string[] }[] => loadAddon().isas();

/** What the machine can do, measured now: bytes per second read, floating-point operations per second. */
export function probeMachine(threads: number, milliseconds = 300): { bandwidth: number; peak: number } {
  const addon = loadAddon();
  return { bandwidth: addon.probe(0, threads, milliseconds), peak: addon.probe(1, threads, milliseconds) };
}

/**
 * A file's bytes mapped into memory: pages are read when touched and can be dropped under pressure. Writes stay private. The file
 * must not be shortened while mapped. Unmapped when nothing refers to it any more.
 */
export function mapFile(path: string): Uint8Array {
  const bytes = new Uint8Array(loadAddon().mapFile(path));
  mapped.add(bytes.buffer);
  return bytes;
}

const mapped = new WeakSet<ArrayBufferLike>();

/** Lets the system take back the memory of bytes of a mapped file (others are left alone); reading them again reads the file again. */
export function forget(bytes: Uint8Array): void {
  if (mapped.has(bytes.buffer)) loadAddon().forget(bytes);
}

interface NativeBlock extends Block {
  array: Uint8Array;
}

class NativeHost implements Host<Handle, NativeBlock> {
  readonly isa: string;
  readonly kernels: readonly string[];
  private readonly addon: Addon;
  private readonly device: Handle;
  private readonly grain: number;
  private readonly numbers = new Float64Array(4);

  constructor(isa: string | undefined, grain: number) {
    this.addon = loadAddon();
    const isas = this.addon.isas();
    const which = isa === undefined ? isas.length - 1 : isas.findIndex(({ name }) => name === isa);
    if (which < 0) {
      const names = isas.map(({ name }) => name).join(", ");
      throw new TensorError("no_kernel", `this processor has no instruction set ${isa}; it has ${names}`);
    }
    this.isa = isas[which].name;
    this.kernels = isas[which].kernels;
    this.device = this.addon.device(which);
    this.grain = grain;
  }

  private report(text: string | undefined): Report {
    const [status, subject, element, value] = this.numbers;
    return [status, subject, element, value, text];
  }

  allocate(bytes: number): NativeBlock | undefined {
    const memory = this.addon.allocate(bytes);
    if (!memory) return undefined;
    const array = new Uint8Array(memory);
    return { array, bytes, view: () => array, release: () => this.addon.detach(memory) };
  }

  setThreads(threads: number): void {
    this.addon.threads(this.device, threads, this.grain);
  }

  program(words: Int32Array, arenaBytes: number): { handle?: Handle; report: Report } {
    const handle = this.addon.program(this.device, words, arenaBytes, this.numbers);
    return typeof handle === "object" ? { handle, report: this.report(undefined) } : { report: this.report(handle) };
  }

  bind(program: Handle, slot: number, block: NativeBlock): Report {
    return this.report(this.addon.bind(program, slot, block.array, this.numbers));
  }

  run(program: Handle, registers: Int32Array): Report {
    return this.report(this.addon.run(program, registers, this.numbers));
  }

  runAsync(program: Handle, registers: Int32Array): Promise<Report> {
    return this.addon.runAsync(program, registers);
  }

  profile(program: Handle, seconds: Float64Array): void {
    this.addon.profile(program, seconds);
  }

  free(program: Handle): void {
    this.addon.free(program);
  }

  packBytes(dtype: number, rows: number, cols: number): number {
    return this.addon.packBytes(this.device, dtype, rows, cols);
  }

  pack(
    dtype: number,
    rows: number,
    cols: number,
    source: NativeBlock,
    target: NativeBlock,
    i: number,
    n: number,
  ): void {
    const part = ({ array }: NativeBlock): Uint8Array =>
      array.subarray((array.length / n) * i, (array.length / n) * (i + 1));
    this.addon.pack(this.device, dtype, part(source), rows, cols, part(target));
  }

  close(): void {}
}

export interface NativeOptions {
  /** Threads of a run, the calling one included; the number of processors when absent. */
  threads?: number;
  /** One of nativeIsas(); the best when absent. */
  isa?: string;
  /** Bytes that a run must touch per thread before another thread is worth waking. */
  grain?: number;
}

export class NativeDevice extends RuntimeDevice<Handle, NativeBlock> {
  readonly name = "native";
  readonly isa: string;

  constructor({ threads = availableParallelism(), isa, grain = 1 << 16 }: NativeOptions = {}) {
    const host = new NativeHost(isa, grain);
    super(host, Math.min(threads, 256), 256);
    this.isa = host.isa;
  }

  get description(): string {
    return `native kernels, ${this.isa}, ${this.threads} thread${this.threads === 1 ? "" : "s"}`;
  }

  /**
   * A buffer over bytes that already lie somewhere (a mapped file, a SharedArrayBuffer), used in place without a copy; for a packed
   * dtype they are what pack() made. f32 and i32 need a byte offset divisible by 4. The memory must not be transferred or shrunk
   * while the buffer is in use.
   */
  wrap(dtype: Dtype, shape: readonly number[], bytes: Uint8Array): DeviceBuffer {
    const plain = unpackedDtype(dtype);
    const [rows, cols] = shape.slice(-2);
    const matrices = shape.slice(0, -2).reduce((product, d) => product * d, 1);
    const needed = isPacked(dtype)
      ? matrices * this.host.packBytes(dtypeCode(plain), rows, cols)
      : byteLength(plain, shape);
    if (bytes.length !== needed)
      throw new TensorError("wrong_binding", `${dtype}[${shape}] takes ${needed} bytes, not ${bytes.length}`);
    if ((plain === "f32" || plain === "i32") && bytes.byteOffset % 4 !== 0)
      throw new TensorError("wrong_binding", `${dtype} cannot lie at byte offset ${bytes.byteOffset}; copy it`);
    return this.wrapBlock(dtype, shape, { array: bytes, bytes: needed, view: () => bytes, release: () => {} });
  }
}
