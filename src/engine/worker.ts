// The other side of worker-engine.ts: opens the model in this worker thread and runs its requests, posting what happens.
import { parentPort, workerData } from "node:worker_threads";
import type { LocalEngine } from "./local-engine.ts";
import { type OpenOptions, openModel } from "./open.ts";
import { EngineError, type EngineEvent, type GenerateRequest } from "./types.ts";
import type { FromWorker, ToWorker } from "./worker-engine.ts";

const port = parentPort as NonNullable<typeof parentPort>;
const post = (message: FromWorker): void => port.postMessage(message);
const running = new Map<number, AbortController>();

const failureOf = (error: unknown): { message: string; code?: string; field?: string } =>
  error instanceof EngineError
    ? { message: error.message, code: error.code, field: error.field }
    : { message: error instanceof Error ? error.message : String(error) };

async function answer(engine: LocalEngine, id: number, request: GenerateRequest): Promise<void> {
  const abort = new AbortController();
  running.set(id, abort);
  try {
    let events: EngineEvent[] = [];
    // Events of one step travel together: one message per step and request.
    const flush = (): void => {
      if (events.length > 0) post({ type: "events", id, events });
      events = [];
    };
    for await (const event of engine.submit({ ...request, signal: abort.signal })) {
      events.push(event);
      if (events.length === 1) queueMicrotask(flush);
    }
    flush();
    post({ type: "done", id });
  } catch (error) {
    post({ type: "failed", id, failure: failureOf(error) });
  } finally {
    running.delete(id);
  }
}

try {
  const { path, options } = workerData as { path: string; options: OpenOptions };
  const { engine } = await openModel(path, options);
  post({ type: "ready", model: engine.model });
  setInterval(() => post({ type: "stats", stats: engine.stats() }), 200).unref();
  port.on("message", (message: ToWorker) => {
    if (message.type === "submit") void answer(engine, message.id, message.request);
    else if (message.type === "cancel") running.get(message.id)?.abort();
    else if (message.type === "embed")
      engine
        .embed(message.inputs, message.pooling)
        .then((vectors) => post({ type: "vectors", id: message.id, vectors }))
        .catch((error) => post({ type: "failed", id: message.id, failure: failureOf(error) }));
    else if (message.type === "loadAdapter" || message.type === "unloadAdapter")
      (message.type === "loadAdapter"
        ? engine.loadAdapter(message.name, message.path)
        : engine.unloadAdapter(message.name)
      )
        .then(() => post({ type: "done", id: message.id }))
        .catch((error) => post({ type: "failed", id: message.id, failure: failureOf(error) }));
    else
      void engine.close().then(() => {
        post({ type: "closed" });
        port.close();
        process.exit(0);
      });
  });
} catch (error) {
  post({ type: "broken", failure: failureOf(error) });
}
