// The engine in its own thread: answers, cancellation, refusals, and a model that cannot be opened.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineError } from "./types.ts";
import { WorkerEngine } from "./worker-engine.ts";

test("a worker answers, cancels, refuses and closes", async () => {
  const engine = await WorkerEngine.open("models/tutor");
  let tokens = 0;
  let finished = "";
  for await (const event of engine.submit({ prompt: [0, 3, 20, 21, 4, 5], maxTokens: 5, ignoreEos: true })) {
    if (event.type === "token") tokens++;
    if (event.type === "finish") finished = event.reason;
  }
  assert.equal(tokens, 5);
  assert.equal(finished, "length");
  const abort = new AbortController();
  for await (const event of engine.submit({ prompt: [0, 3], maxTokens: 400, ignoreEos: true, signal: abort.signal })) {
    if (event.type === "token") abort.abort();
    if (event.type === "finish") finished = event.reason;
  }
  assert.equal(finished, "cancelled");
  await assert.rejects(async () => {
    for await (const _ of engine.submit({ prompt: [] }));
  }, EngineError);
  assert.equal((await engine.embed([[5, 6, 7]])).length, 1);
  await assert.rejects(
    engine.loadAdapter("x", "models/none"),
    (error) => error instanceof EngineError && error.code === "adapter_mismatch" && error.field === "adapter",
  );
  await assert.rejects(engine.unloadAdapter("x"), EngineError);
  await engine.close();
});

test("what cannot be opened says why", async () => {
  await assert.rejects(WorkerEngine.open("models/none"), /models\/none/);
});
