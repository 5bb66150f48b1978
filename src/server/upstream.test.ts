// Another server behind our names: a second server of our own plays it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { startTestServer, type TestServer } from "./testing/start.ts";
import { sseData } from "./upstream.ts";

let behind: TestServer;
let front: TestServer;
let client: OpenAI;
before(async () => {
  behind = await startTestServer({}, { tokenMs: 1 });
  front = await startTestServer({
    models: {
      remote: { upstream: { url: `${behind.url}/v1`, model: "tutor" } },
      gone: { upstream: { url: "http://127.0.0.1:1/v1" } },
      wrong: { upstream: { url: `${behind.url}/v1`, model: "nothing" } },
    },
    aliases: {},
  });
  client = new OpenAI({ baseURL: `${front.url}/v1`, apiKey: "none", maxRetries: 0 });
});
after(async () => {
  await front.stop();
  await behind.stop();
});

test("thinking, text, tools, logprobs and usage pass through, whole and streamed", async () => {
  const answer = await client.chat.completions.create({
    model: "remote",
    messages: [{ role: "user", content: "weathers" }],
    reasoning_effort: "low",
    tools: [
      {
        type: "function",
        function: { name: "f", parameters: { type: "object", properties: { city: { type: "string" } } } },
      },
    ],
  });
  const message = answer.choices[0].message as unknown as {
    reasoning_content: string;
    tool_calls: { function: { arguments: string } }[];
  };
  assert.equal(message.reasoning_content, "Let me see.");
  assert.deepEqual(
    message.tool_calls.map((call) => call.function.arguments),
    ['{"city":"x"}', '{"city":"x"}'],
  );
  assert.equal(answer.choices[0].finish_reason, "tool_calls");
  assert.ok(answer.usage!.prompt_tokens > 10 && answer.usage!.completion_tokens_details!.reasoning_tokens! > 0);
  assert.equal(answer.model, "remote");
  const stream = await client.chat.completions.create({
    model: "remote",
    messages: [{ role: "user", content: "say 你好" }],
    stream: true,
    logprobs: true,
  });
  let text = "";
  let tokens = 0;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    tokens += chunk.choices[0]?.logprobs?.content?.length ?? 0;
  }
  assert.deepEqual([text, tokens], ["你好", 6]);
  const plain = await client.completions.create({ model: "remote", prompt: "say abc", max_tokens: 10 });
  assert.equal(plain.choices[0].text, "abc");
  const vectors = await client.embeddings.create({ model: "remote", input: ["a", "b"] });
  assert.equal(vectors.data[1].embedding.length, 4);
});

test("usage of upstream answers is on our record; an abort reaches the engine behind", async () => {
  const before = await front.server.storage.usage("local", 0);
  const stream = await client.chat.completions.create({
    model: "remote",
    messages: [{ role: "user", content: `say ${"x".repeat(5000)}` }],
    stream: true,
  });
  let seen = 0;
  for await (const _ of stream) if (++seen === 5) break;
  for (let wait = 0; wait < 100 && behind.engines[0].running > 0; wait++)
    await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(behind.engines[0].running, 0);
  assert.equal(behind.engines[0].cancelled, 1);
  const recorded = () => front.server.storage.usage("local", 0);
  for (let wait = 0; wait < 500 && (await recorded()).requests === before.requests; wait++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  const after = await recorded();
  assert.equal(after.requests, before.requests + 1);
});

test("an upstream that is down or refuses is named as such", async () => {
  const fails = async (model: string, status: number, text: RegExp) => {
    const error = await client.chat.completions.create({ model, messages: [{ role: "user", content: "a" }] }).then(
      () => assert.fail("was accepted"),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof OpenAI.APIError);
    assert.equal(error.status, status);
    assert.match(error.message, text);
  };
  await fails("gone", 502, /behind 'gone' cannot be reached/);
  await fails("wrong", 502, /does not exist/);
});

test("event streams are read across any cut, with comments, CRLF and several data lines", async () => {
  const text = ": hi\r\n\r\ndata: a\r\ndata: 你\r\n\r\nevent: x\ndata:b\n\n\n: keep-alive\n\ndata: [DONE]\n\n";
  const bytes = new TextEncoder().encode(text);
  for (let size = 1; size < 12; size++) {
    const chunks = (async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })();
    const found: string[] = [];
    for await (const data of sseData(chunks)) found.push(data);
    assert.deepEqual(found, ["a\n你", "b", "[DONE]"], `cut at ${size}`);
  }
});
