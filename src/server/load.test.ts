// A real model behind the server: the tutor where it has been trained, else a small one of the shared material.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import OpenAI from "openai";
import { parseConfig } from "./config.ts";
import { createServer } from "./index.ts";
import { listen } from "./listen.ts";
import { loadEngine, recommendedSampling } from "./load.ts";
import { openDatabase } from "./store/sqlite.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const tutor = join(root, "models/tutor");
const stories = join(root, "../shared/data/weights/stories260K.bin");
const path = [tutor, stories].find((each) => existsSync(each));

test("the sampling that a model recommends is read from its generation_config.json", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-generation-"));
  assert.equal(await recommendedSampling(folder), undefined);
  const write = (value: object) => writeFileSync(join(folder, "generation_config.json"), JSON.stringify(value));
  write({ do_sample: false });
  assert.deepEqual(await recommendedSampling(folder), { temperature: 0 });
  write({ do_sample: true, temperature: 0.6, top_p: 0.95, eos_token_id: 1 });
  assert.deepEqual(await recommendedSampling(folder), { temperature: 0.6, topP: 0.95, topK: undefined });
});

if (path === undefined)
  console.log("load.test: neither models/tutor nor the shared weights are here; no real model is served");
else
  test(`a real model (${path === tutor ? "the tutor" : "stories260K"}) answers through the openai client, the same twice with a seed`, async (t) => {
    const config = parseConfig({ port: 0, log: { level: "silent" }, models: { tutor: { path } } });
    const server = createServer({ config, database: openDatabase(":memory:"), loadEngine });
    const listening = await listen(server);
    t.after(() => listening.drain());
    const client = new OpenAI({ baseURL: `${listening.url}/v1`, apiKey: "none", maxRetries: 0 });
    const request = {
      model: "tutor",
      messages: [{ role: "user" as const, content: "3 + 4 = ?" }],
      max_tokens: 40,
      temperature: 0.8,
      seed: 7,
      logprobs: true,
      top_logprobs: 2,
    };
    const first = await client.chat.completions.create(request);
    const again = await client.chat.completions.create(request);
    assert.ok(first.usage!.completion_tokens > 0);
    assert.equal(again.choices[0].message.content, first.choices[0].message.content);
    const text = first.choices[0].logprobs!.content!.map((token) => token.token).join("");
    assert.ok(text.endsWith(first.choices[0].message.content!));
    const [vector] = (await client.embeddings.create({ model: "tutor", input: "3" })).data;
    assert.ok(Math.abs(Math.hypot(...vector.embedding) - 1) < 1e-3);
    const scored = await client.completions.create({
      model: "tutor",
      prompt: "3 + 4 = 7",
      echo: true,
      logprobs: 2,
      max_tokens: 1,
      temperature: 0,
    });
    const [{ text: echoed, logprobs: likely }] = scored.choices;
    assert.ok(echoed.startsWith("3 + 4 = 7"));
    assert.equal(likely!.tokens!.join(""), echoed);
    assert.ok(likely!.token_logprobs!.slice(1).every((each) => each !== null && each <= 0));
    assert.ok(likely!.top_logprobs!.slice(1).every((each) => Object.keys(each ?? {}).length >= 1));
    const long = client.chat.completions.create({
      ...request,
      messages: [{ role: "user", content: "1+".repeat(20_000) }],
    });
    await assert.rejects(
      long,
      (error: unknown) => error instanceof OpenAI.BadRequestError && error.code === "context_length_exceeded",
    );
  });
