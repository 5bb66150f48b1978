// Models come and go in memory: loading once, making room, replacing, canaries, adapters.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ConfigError, parseConfig } from "./config.ts";
import { ServerError } from "./errors.ts";
import { ModelRegistry } from "./registry.ts";
import { type ScriptedEngine, scriptedModel } from "./testing/scripted.ts";

const root = mkdtempSync(join(tmpdir(), "weir-models-"));
for (const name of ["a", "b", "c"]) {
  mkdirSync(join(root, name));
  writeFileSync(join(root, name, "model.safetensors"), Buffer.alloc(1000));
}
const path = (name: string) => ({ path: join(root, name) });

function registry(config: object) {
  const loads: string[] = [];
  const engines: ScriptedEngine[] = [];
  const made = new ModelRegistry(parseConfig(config), async (from) => {
    loads.push(from.slice(root.length + 1));
    const model = scriptedModel({ weightBytes: 1000 });
    engines.push(model.engine);
    return model;
  });
  return { made, loads, engines };
}

test("a model is loaded once, when first asked for, by however many ask at once", async () => {
  const { made, loads } = registry({ models: { a: path("a"), b: path("b") } });
  assert.deepEqual(loads, []);
  const leases = await Promise.all([made.acquire("a"), made.acquire("a"), made.acquire("a")]);
  assert.deepEqual(loads, ["a"]);
  for (const lease of leases) lease.release();
  assert.deepEqual(
    made.list().map((each) => [each.id, each.loaded]),
    [
      ["a", true],
      ["b", false],
    ],
  );
  await made.close();
});

test("names: aliases, the default for names sent by habit, and a clear refusal of others", () => {
  const { made } = registry({ models: { a: path("a"), b: path("b") }, aliases: { small: "a" }, defaultModel: "b" });
  assert.equal(made.resolve("small", "").name, "a");
  for (const habit of ["gpt-4o", "deepseek-chat", "claude-opus-5", "o3-mini"])
    assert.equal(made.resolve(habit, "").name, "b");
  assert.throws(
    () => made.resolve("smal", ""),
    (error: unknown) => error instanceof ServerError && error.status === 404,
  );
  assert.throws(() => made.resolve("__proto__", ""), ServerError);
  assert.throws(() => registry({ models: { a: path("a") }, aliases: { x: "y" } }), ConfigError);
  assert.throws(() => registry({ models: { a: { path: "/does/not/exist" } } }), /is not at/);
  assert.throws(() => registry({ models: { a: {} } }), /either path/);
});

test("memory: the longest unused model makes room; models that answer are not taken away", async () => {
  const { made, loads, engines } = registry({
    models: { a: path("a"), b: path("b"), c: path("c") },
    memoryBytes: 2500,
  });
  (await made.acquire("a")).release();
  const b = await made.acquire("b");
  (await made.acquire("c")).release();
  assert.deepEqual(
    engines.map((engine) => engine.closed),
    [true, false, false],
  );
  const c = await made.acquire("c");
  await assert.rejects(
    made.acquire("a"),
    (error: unknown) => error instanceof ServerError && error.status === 503 && error.retryAfter! > 0,
  );
  c.release();
  (await made.acquire("a")).release();
  assert.deepEqual(loads, ["a", "b", "c", "a"]);
  b.release();
  await made.close();
});

test("idle models are unloaded, busy ones kept", async () => {
  const { made, engines } = registry({ models: { a: { ...path("a"), idleSeconds: 10 } } });
  const lease = await made.acquire("a");
  made.sweep(Date.now() + 11_000);
  assert.equal(engines[0].closed, false);
  lease.release();
  made.sweep(Date.now() + 9_000);
  assert.equal(engines[0].closed, false);
  made.sweep(Date.now() + 11_000);
  assert.equal(engines[0].closed, true);
  await made.close();
});

test("a replaced model answers its running requests to the end, new ones go to the new weights", async () => {
  const { made, loads, engines } = registry({ models: { a: path("a") } });
  const old = await made.acquire("a");
  made.define("a", parseConfig({ models: { a: path("b") } }).models.a);
  const fresh = await made.acquire("a");
  assert.deepEqual(loads, ["a", "b"]);
  assert.equal(engines[0].closed, false);
  old.release();
  old.release();
  assert.deepEqual([engines[0].closed, engines[1].closed], [true, false]);
  fresh.release();
  await made.close();
});

test("a canary gets its share of callers, and a caller stays on one side", () => {
  const { made } = registry({ models: { a: { ...path("a"), canary: { model: "b", percent: 20 } }, b: path("b") } });
  const sides = Array.from({ length: 1000 }, (_, at) => made.resolve("a", `user ${at}`).name);
  const share = sides.filter((name) => name === "b").length;
  assert.ok(share > 150 && share < 250, `${share} of 1000`);
  assert.equal(made.resolve("a", "user 7").name, made.resolve("a", "user 7").name);
});

test("a model that cannot be loaded says so and can be tried again", async () => {
  let broken = true;
  const made = new ModelRegistry(parseConfig({ models: { a: path("a") } }), async () => {
    if (broken) throw new Error("the file is cut short");
    return scriptedModel();
  });
  await assert.rejects(made.acquire("a"), /'a' could not be loaded: the file is cut short/);
  broken = false;
  (await made.acquire("a")).release();
  await made.close();
});

test("adapters are models by name: loaded once into their base, gone with it, refused where they do not fit", async () => {
  const adapters = { legal: join(root, "b"), broken: join(root, "broken") };
  mkdirSync(adapters.broken, { recursive: true });
  const { made, engines, loads } = registry({ models: { a: { ...path("a"), adapters } }, aliases: { law: "legal" } });
  assert.equal(made.resolve("law", "").name, "legal");
  assert.deepEqual(
    made.list().map(({ id, aliases }) => [id, aliases]),
    [
      ["a", []],
      ["legal", ["law"]],
      ["broken", []],
    ],
  );
  const leases = await Promise.all([made.acquire("legal"), made.acquire("legal"), made.acquire("a")]);
  assert.deepEqual([loads, engines[0].adapters], [["a"], ["legal"]]);
  for (const [at, { backend, release }] of leases.entries()) {
    const request = { model: "x", input: { kind: "text" as const, prompt: "hi" } };
    for await (const _ of backend.generate(request, new AbortController().signal));
    assert.equal(engines[0].requests.at(-1)!.adapter, at < 2 ? "legal" : undefined);
    release();
  }
  await assert.rejects(made.acquire("broken"), /'broken' could not be loaded: .* is for another model/);
  await made.unload("a");
  (await made.acquire("legal")).release();
  assert.deepEqual(engines[1].adapters, ["legal"]);
  await made.close();
  assert.throws(() => registry({ models: { a: { ...path("a"), adapters: { a: "x" } } } }), /in use/);
  assert.throws(() => registry({ models: { a: { ...path("a"), adapters: { z: "/none" } } } }), /is not at/);
});
