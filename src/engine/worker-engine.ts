// The engine in a thread of its own, so that computing never holds up the event loop of a server. Same contract as LocalEngine;
// what a request may be refused for arrives on its stream's first turn.
import { Worker } from "node:worker_threads";
import type { OpenOptions } from "./open.ts";
import {
  type Engine,
  EngineError,
  type EngineErrorCode,
  type EngineEvent,
  type EngineStats,
  type GenerateRequest,
  type ModelInfo,
} from "./types.ts";

interface Failure {
  message: string;
  code?: string;
  field?: string;
}

export type ToWorker =
  | { type: "submit"; id: number; request: GenerateRequest }
  | { type: "cancel"; id: number }
  | { type: "embed"; id: number; inputs: (number[] | Int32Array)[]; pooling: "mean" | "last" | undefined }
  | { type: "loadAdapter"; id: number; name: string; path: string }
  | { type: "unloadAdapter"; id: number; name: string }
  | { type: "close" };

export type FromWorker =
  | { type: "ready"; model: ModelInfo }
  | { type: "broken"; failure: Failure }
  | { type: "events"; id: number; events: EngineEvent[] }
  | { type: "done"; id: number }
  | { type: "failed"; id: number; failure: Failure }
  | { type: "vectors"; id: number; vectors: Float32Array[] }
  | { type: "stats"; stats: EngineStats }
  | { type: "closed" };

interface Waiting {
  events: EngineEvent[];
  vectors?: Float32Array[];
  done: boolean;
  failure?: Failure;
  wake?: () => void;
}

const errorOf = ({ message, code, field }: Failure): Error =>
  code ? new EngineError(code as EngineErrorCode, message, field) : new Error(message);

const NO_STATS: EngineStats = {
  running: 0,
  waiting: 0,
  cacheTokens: 0,
  cacheCapacity: 0,
  prefixHits: 0,
  prefixQueries: 0,
  promptTokens: 0,
  completionTokens: 0,
};

export class WorkerEngine implements Engine {
  readonly model: ModelInfo;
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private latest: EngineStats = NO_STATS;
  private next = 0;
  private gone: Failure | undefined;

  private constructor(worker: Worker, model: ModelInfo) {
    this.worker = worker;
    this.model = model;
    worker.on("message", (message: FromWorker) => this.receive(message));
    const fail = (message: string): void => {
      this.gone = { message, code: "closed" };
      for (const entry of this.waiting.values()) {
        entry.failure = this.gone;
        entry.done = true;
        entry.wake?.();
      }
    };
    worker.on("error", (error) => fail(`the engine's thread failed: ${error.message}`));
    worker.on("exit", () => fail("the engine is closed"));
  }

  /** Opens the model at `path` in a new thread; rejects with what went wrong there. */
  static open(path: string, options: OpenOptions = {}): Promise<WorkerEngine> {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: { path, options }, execArgv: [] });
    return new Promise((resolve, reject) => {
      const ended = (code: number): void =>
        reject(new Error(`the engine's thread ended with code ${code} while loading ${path}`));
      const first = (message: FromWorker): void => {
        if (message.type !== "ready" && message.type !== "broken") return;
        // Only these three: the worker's own listeners are what delivers messages at all.
        worker.off("error", reject).off("exit", ended).off("message", first);
        if (message.type === "ready") resolve(new WorkerEngine(worker, message.model));
        else {
          void worker.terminate();
          reject(errorOf(message.failure));
        }
      };
      worker.once("error", reject);
      worker.once("exit", ended);
      worker.on("message", first);
    });
  }

  private receive(message: FromWorker): void {
    if (message.type === "stats") {
      this.latest = message.stats;
      return;
    }
    if (!("id" in message)) return;
    const entry = this.waiting.get(message.id);
    if (!entry) return;
    if (message.type === "events") entry.events.push(...message.events);
    else {
      if (message.type === "failed") entry.failure = message.failure;
      if (message.type === "vectors") entry.vectors = message.vectors;
      entry.done = true;
    }
    entry.wake?.();
  }

  private send(message: ToWorker): Waiting {
    if (this.gone) throw errorOf(this.gone);
    const entry: Waiting = { events: [], done: false };
    if ("id" in message) this.waiting.set(message.id, entry);
    this.worker.postMessage(message);
    return entry;
  }

  submit(request: GenerateRequest): AsyncIterable<EngineEvent> {
    const { signal, ...plain } = request;
    const id = this.next++;
    const entry = this.send({ type: "submit", id, request: plain });
    const cancel = (): void => {
      if (!entry.done && !this.gone) this.worker.postMessage({ type: "cancel", id } satisfies ToWorker);
    };
    signal?.addEventListener("abort", cancel, { once: true });
    if (signal?.aborted) cancel();
    const { waiting } = this;
    return {
      async *[Symbol.asyncIterator]() {
        try {
          for (;;) {
            while (entry.events.length > 0) yield entry.events.shift() as EngineEvent;
            if (entry.failure) throw errorOf(entry.failure);
            if (entry.done) return;
            await new Promise<void>((resolve) => {
              entry.wake = resolve;
            });
          }
        } finally {
          signal?.removeEventListener("abort", cancel);
          cancel();
          waiting.delete(id);
        }
      },
    };
  }

  /** Waits for the answer to a message that has one. */
  private async call(message: Extract<ToWorker, { id: number }>): Promise<Waiting> {
    const entry = this.send(message);
    while (!entry.done) {
      await new Promise<void>((resolve) => {
        entry.wake = resolve;
      });
    }
    this.waiting.delete(message.id);
    if (entry.failure) throw errorOf(entry.failure);
    return entry;
  }

  async embed(inputs: (number[] | Int32Array)[], pooling?: "mean" | "last"): Promise<Float32Array[]> {
    const { vectors } = await this.call({ type: "embed", id: this.next++, inputs, pooling });
    return vectors as Float32Array[];
  }

  /** As of at most a fifth of a second ago. */
  stats(): EngineStats {
    return this.latest;
  }

  async loadAdapter(name: string, path: string): Promise<void> {
    await this.call({ type: "loadAdapter", id: this.next++, name, path });
  }

  async unloadAdapter(name: string): Promise<void> {
    await this.call({ type: "unloadAdapter", id: this.next++, name });
  }

  async close(): Promise<void> {
    if (this.gone) return;
    const exited = new Promise((resolve) => this.worker.once("exit", resolve));
    this.worker.postMessage({ type: "close" } satisfies ToWorker);
    await exited;
  }
}
