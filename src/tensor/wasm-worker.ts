// A thread of the WebAssembly device, in Node's worker_threads or a browser's Worker: instantiates the module over the shared memory
// with a stack of its own, and then either serves runs for ever (tid 1 and up) or runs programs when told to (the runner, tid 0).
import { type WasmMemory, type WasmModule, WebAssembly } from "./webassembly.ts";

export interface WorkerStart {
  module: WasmModule;
  memory: WasmMemory;
  /** Addresses in the memory. */
  device: number;
  stackTop: number;
  /** 0: the runner. */
  tid: number;
}

interface Exports {
  __stack_pointer: { value: number };
  worker(device: number, tid: number): void;
  run(program: number, registers: number, count: number, report: number): void;
}

interface Port {
  post(message: unknown): void;
  listen(handler: (message: unknown) => void): void;
}

async function openPort(): Promise<Port> {
  if (typeof process !== "undefined" && process.versions?.node) {
    const threads = "node:worker_threads"; // a variable: bundlers for the browser must not look for it
    const { parentPort } = (await import(/* @vite-ignore */ threads)) as typeof import("node:worker_threads");
    if (!parentPort) throw new Error("wasm-worker.ts runs in a worker only");
    return {
      post: (message) => parentPort.postMessage(message),
      listen: (handler) => parentPort.on("message", handler),
    };
  }
  const scope = globalThis as unknown as {
    postMessage(message: unknown): void;
    onmessage: (event: { data: unknown }) => void;
  };
  return {
    post: (message) => scope.postMessage(message),
    listen: (handler) => {
      scope.onmessage = ({ data }) => handler(data);
    },
  };
}

const port = await openPort();
let runner: Exports | undefined;
port.listen((message) => {
  if (runner) {
    const [program, registers, count, report] = message as [number, number, number, number];
    runner.run(program, registers, count, report);
    port.post("done");
    return;
  }
  const { module, memory, device, stackTop, tid } = message as WorkerStart;
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
  exports.__stack_pointer.value = stackTop;
  port.post("ready");
  if (tid === 0) runner = exports;
  else exports.worker(device, tid);
});
port.post("listening");
