// The WebAssembly device: the same C kernels, from the .wasm files beside it that scripts/build-wasm.ts makes. Runs in Node and in a
// page; with threads where shared memory is allowed, with relaxed SIMD where the runtime has it. Buffers lie in the module's linear
// memory (4 GB at most) and are given back by free().
import { TensorError } from "./device.ts";
import { type Block, type Host, type Report, RuntimeDevice } from "./runtime.ts";
import type { WorkerStart } from "./wasm-worker.ts";
import { type WasmMemory, type WasmModule, WebAssembly } from "./webassembly.ts";

interface Exports {
  allocate(bytes: number): number;
  release(data: number): void;
  kernel_count(): number;
  kernel_name(kernel: number): number;
  can_park(can: number): void;
  device(): number;
  threads(device: number, threads: number, grain: number): void;
  stop(device: number): void;
  program(device: number, words: number, count: number, arena: number, report: number): number;
  free_program(program: number): void;
  bind(program: number, slot: number, data: number, bytes: number, report: number): void;
  run(program: number, registers: number, count: number, report: number): void;
  pack_bytes(dtype: number, rows: number, cols: number): number;
  pack(dtype: number, source: number, rows: number, cols: number, target: number): void;
}

const inNode = typeof process !== "undefined" && Boolean(process.versions?.node);
const inWindow = typeof (globalThis as { document?: unknown }).document !== "undefined";
const isolated = inNode || (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true;

/** A module of one function that uses f32x4.relaxed_madd: valid only where relaxed SIMD is known. */
const RELAXED = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0],
  ...[65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11],
);

/** What this runtime offers. */
export const wasmFeatures = (): { relaxed: boolean; threads: boolean } => ({
  relaxed: WebAssembly.validate(RELAXED),
  threads: isolated && typeof SharedArrayBuffer !== "undefined",
});

async function readBytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const urls: Record<string, URL> = {
    weir: new URL("./wasm/weir.wasm", import.meta.url),
    "weir-relaxed": new URL("./wasm/weir-relaxed.wasm", import.meta.url),
    "weir-threads": new URL("./wasm/weir-threads.wasm", import.meta.url),
    "weir-relaxed-threads": new URL("./wasm/weir-relaxed-threads.wasm", import.meta.url),
  };
  const url = urls[name];
  if (inNode && url.protocol === "file:") {
    const files = "node:fs/promises"; // a variable: bundlers for the browser must not look for it
    const { readFile } = (await import(/* @vite-ignore */ files)) as typeof import("node:fs/promises");
    return new Uint8Array(await readFile(url));
  }
  const answer = await fetch(url);
  if (!answer.ok) throw new TensorError("no_kernel", `${url} cannot be loaded: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
}

const modules = new Map<string, Promise<WasmModule>>();
function loadModule(name: string): Promise<WasmModule> {
  let module = modules.get(name);
  if (!module) {
    module = readBytes(name).then((bytes) => WebAssembly.compile(bytes));
    module.catch(() => modules.delete(name));
    modules.set(name, module);
  }
  return module;
}

interface Thread {
  post(message: unknown): void;
  /** The next message from it. */
  next(): Promise<unknown>;
  terminate(): void;
}

async function startThread(start: WorkerStart): Promise<Thread> {
  const queue: unknown[] = [];
  const waiting: { resolve(message: unknown): void; reject(error: unknown): void }[] = [];
  const arrive = (message: unknown): void => {
    const first = waiting.shift();
    if (first) first.resolve(message);
    else queue.push(message);
  };
  const fail = (error: unknown): void => {
    for (const { reject } of waiting.splice(0)) reject(error);
  };
  const next = (): Promise<unknown> =>
    queue.length > 0
      ? Promise.resolve(queue.shift())
      : new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  let thread: Thread;
  let idle = (): void => {};
  if (inNode) {
    const threads = "node:worker_threads";
    const { Worker } = (await import(/* @vite-ignore */ threads)) as typeof import("node:worker_threads");
    const worker = new Worker(new URL("./wasm-worker.ts", import.meta.url), {
      name: `weir ${start.tid}`,
      execArgv: [], // the process's own options may forbid a file as the entry
    });
    worker.on("message", arrive);
    worker.on("error", fail);
    idle = () => worker.unref();
    thread = {
      post: (message) => worker.postMessage(message),
      next: async () => {
        worker.ref(); // the process stays while somebody waits for an answer
        try {
          return await next();
        } finally {
          worker.unref();
        }
      },
      terminate: () => void worker.terminate(),
    };
  } else {
    interface BrowserWorker {
      postMessage(message: unknown): void;
      terminate(): void;
      onmessage: (event: { data: unknown }) => void;
      onerror: (event: { message: string }) => void;
    }
    const { Worker } = globalThis as unknown as {
      Worker: new (url: URL, options: { type: "module" }) => BrowserWorker;
    };
    const worker = new Worker(new URL("./wasm-worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => arrive(data);
    worker.onerror = ({ message }) => fail(new TensorError("no_kernel", `a worker of the device failed: ${message}`));
    thread = { post: (message) => worker.postMessage(message), next, terminate: () => worker.terminate() };
  }
  await thread.next(); // listening
  thread.post(start);
  await thread.next(); // ready
  idle();
  return thread;
}

interface WasmBlock extends Block {
  address: number;
}

const STACK = 1 << 20;
const REPORT_BYTES = 40;

class WasmHost implements Host<number, WasmBlock> {
  readonly kernels: readonly string[];
  readonly variant: string;
  private readonly exports: Exports;
  private readonly memory: WasmMemory;
  private readonly module: WasmModule;
  private readonly shared: boolean;
  private readonly device: number;
  private readonly grain: number;
  private readonly workers: Thread[] = [];
  private runner: Promise<Thread> | undefined;

  constructor(variant: string, module: WasmModule, memory: WasmMemory, shared: boolean, grain: number) {
    this.variant = variant;
    this.module = module;
    this.memory = memory;
    this.shared = shared;
    this.grain = grain;
    this.exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
    this.exports.can_park(inWindow ? 0 : 1);
    this.device = this.exports.device();
    const count = this.exports.kernel_count();
    this.kernels = Array.from({ length: count }, (_, i) => this.text(this.exports.kernel_name(i)) ?? "");
  }

  /** Starts the workers of a team of `threads`, this one included. Throws when one cannot start. */
  async start(threads: number): Promise<void> {
    const starts = Array.from({ length: threads - 1 }, (_, i) => this.thread(i + 1));
    const failed: unknown[] = [];
    for (const result of await Promise.allSettled(starts)) {
      if (result.status === "fulfilled") this.workers.push(result.value);
      else failed.push(result.reason);
    }
    if (failed.length > 0) throw failed[0];
  }

  private thread(tid: number): Promise<Thread> {
    const stackTop = this.take(STACK) + STACK;
    return startThread({ module: this.module, memory: this.memory, device: this.device, stackTop, tid });
  }

  private text(address: number): string | undefined {
    if (address === 0) return undefined;
    const bytes = new Uint8Array(this.memory.buffer, address >>> 0);
    let text = "";
    for (let i = 0; bytes[i] !== 0; i++) text += String.fromCharCode(bytes[i]);
    return text;
  }

  private take(bytes: number): number {
    const address = this.exports.allocate(bytes) >>> 0;
    if (address === 0) throw new TensorError("out_of_memory", `no room for ${bytes} bytes in the WebAssembly memory`);
    return address;
  }

  /** Writes words to a block of their own with room for a report behind them; returns its address. */
  private write(words: Int32Array): number {
    const address = this.take(REPORT_BYTES + words.byteLength);
    new Int32Array(this.memory.buffer, address + REPORT_BYTES, words.length).set(words);
    return address;
  }

  private report(address: number): Report {
    const [status, subject, element, value, text] = new Float64Array(this.memory.buffer, address, 5);
    return [status, subject, element, value, this.text(text)];
  }

  allocate(bytes: number): WasmBlock | undefined {
    const address = this.exports.allocate(bytes) >>> 0;
    if (address === 0) return undefined;
    return {
      address,
      bytes,
      view: () => new Uint8Array(this.memory.buffer, address, bytes),
      release: () => this.exports.release(address),
    };
  }

  setThreads(threads: number): void {
    this.exports.threads(this.device, threads, this.grain);
  }

  program(words: Int32Array, arenaBytes: number): { handle?: number; report: Report } {
    const at = this.write(words);
    try {
      const handle = this.exports.program(this.device, at + REPORT_BYTES, words.length, arenaBytes, at) >>> 0;
      const report = this.report(at);
      return handle === 0 ? { report } : { handle, report };
    } finally {
      this.exports.release(at);
    }
  }

  bind(program: number, slot: number, block: WasmBlock): Report {
    const at = this.take(REPORT_BYTES);
    try {
      this.exports.bind(program, slot, block.address, block.bytes, at);
      return this.report(at);
    } finally {
      this.exports.release(at);
    }
  }

  run(program: number, registers: Int32Array): Report {
    const at = this.write(registers);
    try {
      this.exports.run(program, at + REPORT_BYTES, registers.length, at);
      return this.report(at);
    } finally {
      this.exports.release(at);
    }
  }

  /** In a worker where memory is shared, else at once. */
  async runAsync(program: number, registers: Int32Array): Promise<Report> {
    if (!this.shared) return this.run(program, registers);
    this.runner ??= this.thread(0);
    const runner = await this.runner;
    const at = this.write(registers);
    try {
      runner.post([program, at + REPORT_BYTES, registers.length, at]);
      await runner.next();
      return this.report(at);
    } finally {
      this.exports.release(at);
    }
  }

  free(program: number): void {
    this.exports.free_program(program);
  }

  packBytes(dtype: number, rows: number, cols: number): number {
    return this.exports.pack_bytes(dtype, rows, cols);
  }

  pack(dtype: number, rows: number, cols: number, source: WasmBlock, target: WasmBlock, i: number, n: number): void {
    const part = ({ address, bytes }: WasmBlock): number => address + (bytes / n) * i;
    this.exports.pack(dtype, part(source), rows, cols, part(target));
  }

  close(): void {
    this.exports.stop(this.device);
    for (const worker of this.workers) worker.terminate();
    void this.runner?.then((runner) => runner.terminate());
  }
}

export interface WasmOptions {
  /** Threads of a run, the calling one included. 1 or absent: the build without shared memory. */
  threads?: number;
  /** Whether to use relaxed SIMD; where the runtime has it when absent. */
  relaxed?: boolean;
  /** Bytes that a run must touch per thread before another thread is worth waking. */
  grain?: number;
}

/** The largest memory the runtime lets us reserve, down to 256 MB. */
function reserve(shared: boolean): WasmMemory {
  for (let maximum = 65536; ; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: 64, maximum, shared });
    } catch (error) {
      if (maximum <= 4096) throw new TensorError("out_of_memory", `no WebAssembly memory: ${(error as Error).message}`);
    }
  }
}

export class WasmDevice extends RuntimeDevice<number, WasmBlock> {
  readonly name = "wasm";
  private readonly variant: string;

  private constructor(host: WasmHost, threads: number) {
    super(host, threads, threads);
    this.variant = host.variant;
  }

  /** Loads the fitting build and starts its threads. Throws a TensorError where WebAssembly SIMD is missing. */
  static async open({ threads = 1, relaxed, grain = 1 << 16 }: WasmOptions = {}): Promise<WasmDevice> {
    const features = wasmFeatures();
    const count = features.threads ? Math.max(1, Math.min(threads, 64)) : 1;
    const shared = count > 1;
    const variant = `weir${(relaxed ?? features.relaxed) ? "-relaxed" : ""}${shared ? "-threads" : ""}`;
    let module: WasmModule;
    try {
      module = await loadModule(variant);
    } catch (error) {
      if (error instanceof TensorError) throw error;
      throw new TensorError("no_kernel", `${variant}.wasm cannot be used here: ${(error as Error).message}`);
    }
    const host = new WasmHost(variant, module, reserve(shared), shared, grain);
    try {
      await host.start(count);
    } catch (error) {
      host.close();
      throw error;
    }
    return new WasmDevice(host, count);
  }

  get description(): string {
    const simd = this.variant.includes("relaxed") ? "relaxed SIMD" : "SIMD128";
    return `WebAssembly, ${simd}, ${this.threads} thread${this.threads === 1 ? "" : "s"}`;
  }
}
