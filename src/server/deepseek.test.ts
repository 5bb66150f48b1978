// DeepSeek's API: the Vercel provider, unmodified, and the wire facts that no client shows.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createDeepSeek } from "@ai-sdk/deepseek";
import { generateText, streamText, tool } from "ai";
import { z } from "zod";
import { createKey } from "./caller.ts";
import { startTestServer, type TestServer } from "./testing/start.ts";

let running: TestServer;
before(async () => {
  running = await startTestServer({ limits: { keepAliveSeconds: 0.05 } });
});
after(() => running.stop());

const post = async (path: string, body: object) => {
  const response = await fetch(running.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "tutor", ...body }),
  });
  const text = await response.text();
  return { status: response.status, text, json: () => JSON.parse(text) };
};
const user = (content: string) => [{ role: "user", content }];

test("the AI SDK's DeepSeek provider: text, reasoning, tools, cache figures", async () => {
  const deepseek = createDeepSeek({ baseURL: running.url, apiKey: "none" });
  const plain = await generateText({ model: deepseek("deepseek-chat"), prompt: "say 你好" });
  assert.equal(plain.text, "你好");
  const thinking = streamText({ model: deepseek("deepseek-reasoner"), prompt: "hi" });
  const kinds: string[] = [];
  for await (const part of thinking.fullStream) if (kinds.at(-1) !== part.type) kinds.push(part.type);
  assert.deepEqual(
    kinds.filter((kind) => kind.endsWith("-delta")),
    ["reasoning-delta", "text-delta"],
  );
  assert.equal(await thinking.reasoningText, "Let me see.");
  const asked: unknown[] = [];
  const called = await generateText({
    model: deepseek("tutor"),
    prompt: "weather",
    tools: {
      weather: tool({
        inputSchema: z.object({ city: z.string() }),
        execute: async (input) => {
          asked.push(input);
          return "rain";
        },
      }),
    },
    stopWhen: ({ steps }) => steps.length === 2,
  });
  assert.deepEqual(asked, [{ city: "x" }]);
  assert.equal(called.text, "You said: weather");
});

test("usage splits the prompt into cache hits and misses", async () => {
  const body = { messages: user(`say ${"x".repeat(300)}`) };
  await post("/chat/completions", body);
  const { usage } = (await post("/chat/completions", body)).json();
  assert.ok(usage.prompt_cache_hit_tokens >= 256);
  assert.equal(usage.prompt_cache_hit_tokens + usage.prompt_cache_miss_tokens, usage.prompt_tokens);
  assert.equal(usage.prompt_tokens_details.cached_tokens, usage.prompt_cache_hit_tokens);
});

test("a stream opens its thinking with an empty reasoning_content and carries the usage on the last chunk", async () => {
  const { text } = await post("/chat/completions", {
    messages: user("hi"),
    stream: true,
    thinking: { type: "enabled" },
  });
  const lines = text.split("\n\n").filter((line) => line.startsWith("data: "));
  assert.equal(lines.at(-1), "data: [DONE]");
  const chunks = lines.slice(0, -1).map((line) => JSON.parse(line.slice(6)));
  assert.deepEqual(chunks[0].choices[0].delta, { role: "assistant", content: null, reasoning_content: "" });
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  assert.equal(chunks.at(-1).usage.completion_tokens_details.reasoning_tokens, 12);
  const none = await post("/chat/completions", {
    messages: user("hi"),
    stream: true,
    stream_options: { include_usage: true },
  });
  const last = none.text
    .split("\n\n")
    .filter((line) => line.startsWith("data: "))
    .slice(-2, -1)[0];
  assert.deepEqual(JSON.parse(last.slice(6)).choices, []);
});

test("prefix: the answer continues the last assistant message", async () => {
  const messages = [...user("say"), { role: "assistant", content: "Once", prefix: true }];
  const { json, status } = await post("/beta/chat/completions", { messages });
  assert.equal(status, 200, json().error?.message);
  const prompt = Buffer.from(
    Array.from(running.engines[0].requests.at(-1)!.prompt).filter((id) => id < 256),
  ).toString();
  assert.ok(prompt.endsWith("[assistant]Once"));
  const misplaced = await post("/beta/chat/completions", { messages: [...messages].reverse() });
  assert.equal(misplaced.status, 400);
});

test("strict tools on the beta base follow DeepSeek's rules", async () => {
  const tools = (parameters: object, strict = true) => [
    { type: "function", function: { name: "f", strict, parameters } },
  ];
  const good = {
    type: "object",
    properties: { a: { type: "string", format: "uuid" } },
    required: ["a"],
    additionalProperties: false,
  };
  const attempt = (list: object[]) => post("/beta/chat/completions", { messages: user("weather"), tools: list });
  assert.equal((await attempt(tools(good))).status, 200);
  const cases: [object, RegExp][] = [
    [{ ...good, required: [] }, /required/],
    [{ ...good, additionalProperties: true }, /additionalProperties/],
    [{ ...good, properties: { a: { type: "string", minLength: 1 } } }, /minLength/],
    [{ ...good, properties: { a: { type: "array", items: { type: "string" }, maxItems: 1 } } }, /maxItems/],
  ];
  for (const [schema, field] of cases) {
    const refused = await attempt(tools(schema));
    assert.equal(refused.status, 422);
    assert.match(refused.json().error.param, field);
  }
  const other = { type: "function", function: { name: "g", parameters: good } };
  assert.equal((await attempt([...tools(good), other])).status, 422);
});

test("filling in the middle at /beta/completions", async () => {
  const { json } = await post("/beta/completions", { prompt: "ab", suffix: "cd", max_tokens: 30 });
  assert.equal(json().choices[0].text, "You said: abcd");
});

test("error codes are DeepSeek's: 400 format, 422 parameters, 400 unknown model, unknown fields ignored", async () => {
  assert.equal((await post("/chat/completions", { messages: user("a"), temperature: 9 })).status, 422);
  assert.equal((await post("/chat/completions", { messages: user("a"), model: "nothing" })).status, 400);
  assert.equal((await post("/chat/completions", { messages: [{ role: "assistant", content: null }] })).status, 400);
  assert.equal((await post("/chat/completions", { messages: user("a"), colour: 1 })).status, 200);
  const response = await fetch(`${running.url}/chat/completions`, { method: "POST", body: "{" });
  assert.equal(response.status, 400);
});

test("the application's fields are refused by name, not ignored", async () => {
  for (const field of [
    { safety_check: { level: "high" } },
    { title: { enabled: true } },
    { tools: [{ type: "deepseek_read_url" }] },
  ]) {
    const { status, json } = await post("/chat/completions", { messages: user("a"), ...field });
    assert.equal(status, 501);
    assert.match(json().error.message, /not available on this server/);
  }
  assert.equal((await post("/v1/tools/search", {})).status, 501);
  const reminder = { role: "latest_reminder", content: "2026-11-09,星期一,,Web,中文" };
  assert.equal((await post("/chat/completions", { messages: [reminder, ...user("a")] })).status, 200);
});

test("a slow answer is kept alive: comments in a stream, blank lines before JSON", async (t) => {
  const slow = await startTestServer({ limits: { keepAliveSeconds: 0.05 } }, { tokenMs: 120 });
  t.after(() => slow.stop());
  const ask = async (stream: boolean) => {
    const body = JSON.stringify({ model: "tutor", messages: user("say ab"), stream });
    return (await fetch(`${slow.url}/chat/completions`, { method: "POST", body })).text();
  };
  assert.match(await ask(true), /: keep-alive\n\n/);
  const text = await ask(false);
  assert.match(text, /^\n+\{/);
  assert.equal(JSON.parse(text).choices[0].message.content, "ab");
});

test("the balance is what is left of the key's budget", async (t) => {
  const keyed = await startTestServer({
    keys: { required: true },
    models: { tutor: { path: "/tmp", price: { hit: 0, miss: 0, output: 1e6, currency: "CNY" } } },
    aliases: {},
  });
  t.after(() => keyed.stop());
  const { secret } = await createKey(keyed.server.storage, {
    name: "a",
    limits: { budget: { amount: 5, currency: "CNY", period: "total" } },
  });
  const headers = { authorization: `Bearer ${secret}` };
  const balance = async () =>
    (await (await fetch(`${keyed.url}/user/balance`, { headers })).json()) as {
      balance_infos: object[];
      is_available: boolean;
    };
  const ask = () =>
    fetch(`${keyed.url}/chat/completions`, {
      method: "POST",
      headers,
      body: JSON.stringify({ model: "tutor", messages: user("say abc") }),
    });
  assert.deepEqual((await balance()).balance_infos, [
    { currency: "CNY", total_balance: "5.00", granted_balance: "0.00", topped_up_balance: "5.00" },
  ]);
  const answer = (await (await ask()).json()) as { usage: { cost: object } };
  assert.deepEqual(answer.usage.cost, { amount: 3, currency: "CNY" });
  assert.equal((await ask()).status, 200);
  assert.equal((await ask()).status, 402);
  assert.equal((await balance()).is_available, false);
});
