// What operators rely on: health, metrics, logs without content, receipts, cost and energy, canaries, the OpenAPI document,
// queues that say where one stands, and time limits.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withCost } from "./gateway.ts";
import { noUsage } from "./generation.ts";
import { createLog } from "./http/log.ts";
import { startTestServer } from "./testing/start.ts";

const chat = (url: string, content: string, extra: object = {}, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers,
    body: JSON.stringify({ model: "tutor", messages: [{ role: "user", content }], ...extra }),
  });

test("health, readiness, metrics under vLLM's names", async (t) => {
  const running = await startTestServer();
  t.after(() => running.stop());
  await (await chat(running.url, "say abc")).text();
  await (await chat(running.url, "a", { temperature: 9 })).text();
  assert.deepEqual(await (await fetch(`${running.url}/health`)).json(), { status: "ok" });
  assert.equal((await fetch(`${running.url}/ready`)).status, 200);
  const text = await (await fetch(`${running.url}/metrics`)).text();
  for (const line of [
    'vllm:request_success_total{model_name="tutor",finished_reason="stop"} 1',
    'vllm:generation_tokens_total{model_name="tutor"} 3',
    'vllm:num_requests_running{model_name="tutor"} 0',
    'vllm:kv_cache_usage_perc{model_name="tutor"} 0.1',
    'vllm:time_to_first_token_seconds_count{model_name="tutor"} 1',
    'vllm:inter_token_latency_seconds_count{model_name="tutor"} 2',
    'vllm:e2e_request_latency_seconds_bucket{model_name="tutor",le="+Inf"} 1',
    'weir:http_requests_total{route="/v1/chat/completions",status="400"} 1',
  ])
    assert.ok(text.includes(`${line}\n`), `${line}\n${text}`);
  for (const each of text.trim().split("\n"))
    assert.match(each, /^(# (HELP|TYPE) \S+ .+|[a-z_:0-9]+(\{[^}]*\})? \S+)$/);
  running.server.draining = true;
  assert.equal((await fetch(`${running.url}/ready`)).status, 503);
  assert.equal((await chat(running.url, "a")).status, 503);
});

test("a receipt is kept only when asked for, and only for who asked", async (t) => {
  const running = await startTestServer();
  t.after(() => running.stop());
  const plain = await chat(running.url, "a");
  assert.equal(plain.headers.get("x-weir-receipt"), null);
  for (const stream of [false, true]) {
    const response = await chat(running.url, "say abc", { seed: 9, stream }, { "x-weir-receipt": "1" });
    await response.text();
    const id = response.headers.get("x-weir-receipt");
    const receipt = (await (await fetch(`${running.url}/v1/receipts/${id}`)).json()) as {
      seed: number;
      prompt: number[];
    };
    assert.equal(receipt.seed, 9);
    assert.ok(receipt.prompt.length > 5);
  }
});

test("cost and energy are in the usage when configured", async (t) => {
  const price = { hit: 1, miss: 10, output: 100, currency: "CNY" };
  const usage = { ...noUsage, promptTokens: 1000, cachedTokens: 400, completionTokens: 50 };
  const counted = withCost(usage, price, { joulesPerPromptToken: 0.5, joulesPerOutputToken: 2 });
  assert.deepEqual(counted.cost, { amount: (400 * 1 + 600 * 10 + 50 * 100) / 1e6, currency: "CNY" });
  assert.equal(counted.energyJoules, 600 * 0.5 + 50 * 2);
  const running = await startTestServer({
    energy: { joulesPerOutputToken: 3 },
    models: { tutor: { path: "/", price } },
    aliases: {},
  });
  t.after(() => running.stop());
  const answer = (await (await chat(running.url, "say ab")).json()) as {
    usage: { energy_joules: number; cost: object };
  };
  assert.equal(answer.usage.energy_joules, 6);
  assert.ok(answer.usage.cost);
});

test("log lines hold facts and no content", async (t) => {
  const lines: string[] = [];
  const log = createLog("info", (line) => {
    lines.push(line);
  });
  const running = await startTestServer({}, { log });
  t.after(() => running.stop());
  await (await chat(running.url, "say a very secret sentence")).text();
  await (await chat(running.url, "another secret", { colour: "secret" })).text();
  const events = lines.map((line) => JSON.parse(line));
  assert.ok(lines.every((line) => line.endsWith("\n") && !line.includes("secret")));
  const answer = events.find((event) => event.event === "answer");
  assert.deepEqual(
    [answer.model, answer.outcome, answer.caller, answer.completionTokens],
    ["tutor", "stop", "local", 22],
  );
  assert.ok(
    events.some((event) => event.event === "request" && event.status === 400 && event.error === "unknown_parameter"),
  );
});

test("a canary answers its percentage under the same name; the answer says which model it was", async (t) => {
  const models = { tutor: { path: "/", canary: { model: "next", percent: 50 } }, next: { path: "/" } };
  const running = await startTestServer({ models, aliases: {} });
  t.after(() => running.stop());
  const names = new Set<string>();
  for (let user = 0; user < 30; user++) {
    const answer = (await (await chat(running.url, "a", { user: `u${user}` })).json()) as { model: string };
    names.add(answer.model);
  }
  assert.deepEqual([...names].sort(), ["next", "tutor"]);
});

test("one request at a time: the others wait, see their place, and the overflow is told when to return", async (t) => {
  const running = await startTestServer(
    {
      models: { tutor: { path: "/", maxRunning: 1 } },
      aliases: {},
      limits: { queueLength: 2, keepAliveSeconds: 0.02 },
    },
    { tokenMs: 10 },
  );
  t.after(() => running.stop());
  const call = {
    id: "req",
    caller: { id: "a", name: "a", limits: {} },
    endpoint: "test",
    signal: new AbortController().signal,
  };
  const request = { model: "tutor", input: { kind: "text" as const, prompt: "say abcdefghij" } };
  const follow = async () => {
    const positions: number[] = [];
    for await (const event of running.server.gateway.generate(request, call))
      if (event.type === "queued") positions.push(event.position);
    return positions;
  };
  const answers = [follow(), follow(), follow()];
  await new Promise((resolve) => setTimeout(resolve, 30));
  const overflow = await chat(running.url, "a");
  assert.equal(overflow.status, 503);
  assert.ok(Number(overflow.headers.get("retry-after")) >= 1);
  assert.deepEqual(await Promise.all(answers), [[], [1], [2, 1]]);
});

test("an answer that takes too long ends with 504", async (t) => {
  const running = await startTestServer({ limits: { requestSeconds: 0.1 } }, { tokenMs: 10 });
  t.after(() => running.stop());
  const response = await chat(running.url, `say ${"x".repeat(500)}`);
  assert.equal(response.status, 504);
  const stream = await (await chat(running.url, `say ${"x".repeat(500)}`, { stream: true })).text();
  assert.match(stream, /"code":"timeout"/);
  assert.equal(running.engines[0].running, 0);
});

test("the OpenAPI document describes every endpoint with the schemas in use", async (t) => {
  const running = await startTestServer();
  t.after(() => running.stop());
  const document = (await (await fetch(`${running.url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { requestBody?: object }>>;
  };
  const routes = running.server.app.routes.filter((route) => route.method !== "ALL" && !route.path.startsWith("/app"));
  const missing = routes
    .map((route) => [route.path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}"), route.method.toLowerCase()])
    .filter(([path, method]) => document.paths[path]?.[method] === undefined);
  assert.deepEqual(missing, []);
  const body = document.paths["/v1/chat/completions"].post.requestBody as {
    content: Record<string, { schema: { properties: object } }>;
  };
  assert.ok("reasoning_effort" in body.content["application/json"].schema.properties);
});

test("a process that is behind sheds requests before reading them, and takes them again when it has caught up", async (t) => {
  const running = await startTestServer({ limits: { lagSeconds: 0.3 } });
  t.after(() => running.stop());
  const { app } = running.server;
  const ask = () => app.request(`${running.url}/v1/models`);
  // Give way first, so that the watch has a recent turn to count from.
  await new Promise((resolve) => setTimeout(resolve, 150));
  const until = performance.now() + 600;
  while (performance.now() < until);
  const behind = await ask();
  assert.equal(behind.status, 503);
  assert.equal(behind.headers.get("retry-after"), "1");
  for (let turn = 0; turn < 50 && (await ask()).status !== 200; turn++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal((await ask()).status, 200);
});
