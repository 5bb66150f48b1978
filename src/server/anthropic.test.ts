// Anthropic's API: its own client and the AI SDK's provider, unmodified, against a running server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import Anthropic from "@anthropic-ai/sdk";
import { generateText, streamText, tool } from "ai";
import { z } from "zod";
import { messageAnswer } from "./protocols/anthropic/schema.ts";
import { startTestServer, type TestServer } from "./testing/start.ts";

let running: TestServer;
let client: Anthropic;
before(async () => {
  running = await startTestServer({ limits: { keepAliveSeconds: 0.05 } });
  client = new Anthropic({ baseURL: running.url, apiKey: "none", maxRetries: 0 });
});
after(() => running.stop());

const tools: Anthropic.Tool[] = [
  { name: "weather", input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
];
const user = (content: string): Anthropic.MessageParam[] => [{ role: "user", content }];

test("a message has Anthropic's shape, under both bases", async () => {
  for (const base of ["", "/anthropic"]) {
    const own = new Anthropic({ baseURL: running.url + base, apiKey: "none" });
    const message = await own.messages.create({
      model: "claude-sonnet-5",
      max_tokens: 50,
      system: "Be brief.",
      messages: user("say 你好"),
    });
    messageAnswer.parse(message);
    assert.deepEqual(message.content, [{ type: "text", text: "你好" }]);
    assert.deepEqual([message.stop_reason, message.usage.output_tokens, message.model], ["end_turn", 6, "tutor"]);
  }
});

test("the stream's events come in Anthropic's order, thinking first", async () => {
  const stream = client.messages.stream({
    model: "tutor",
    max_tokens: 5000,
    thinking: { type: "enabled", budget_tokens: 2000 },
    tools,
    messages: user("weather"),
  });
  const order: string[] = [];
  stream.on("streamEvent", (event) => {
    if (order.at(-1) !== event.type) order.push(event.type);
  });
  const message = await stream.finalMessage();
  const block = ["content_block_start", "content_block_delta", "content_block_stop"];
  assert.deepEqual(order, ["message_start", ...block, ...block, "message_delta", "message_stop"]);
  assert.deepEqual(
    message.content.map((each) => each.type),
    ["thinking", "tool_use"],
  );
  const [thought, call] = message.content as [Anthropic.ThinkingBlock, Anthropic.ToolUseBlock];
  assert.equal(thought.thinking, "Let me see.");
  assert.ok(thought.signature.length > 20);
  assert.deepEqual([call.name, call.input, message.stop_reason], ["weather", { city: "x" }, "tool_use"]);
  assert.equal(running.engines[0].requests.at(-1)!.thinkingBudget, 2000);
});

test("tool results, sent back with the thinking, lead to an answer", async () => {
  const first = await client.messages.create({ model: "tutor", max_tokens: 500, tools, messages: user("weathers") });
  const calls = first.content.filter((each): each is Anthropic.ToolUseBlock => each.type === "tool_use");
  assert.equal(calls.length, 2);
  const results = calls.map(
    (call): Anthropic.ToolResultBlockParam => ({ type: "tool_result", tool_use_id: call.id, content: "rain" }),
  );
  const messages: Anthropic.MessageParam[] = [
    ...user("weathers"),
    { role: "assistant", content: first.content },
    { role: "user", content: results },
  ];
  const second = await client.messages.create({ model: "tutor", max_tokens: 500, tools, messages });
  assert.equal(second.stop_reason, "end_turn");
  const one = await client.messages.create({
    model: "tutor",
    max_tokens: 500,
    tools,
    tool_choice: { type: "any", disable_parallel_tool_use: true },
    messages: user("weathers"),
  });
  assert.deepEqual([one.content.length, one.stop_reason], [1, "tool_use"]);
});

test("stop reasons: end_turn, max_tokens, stop_sequence", async () => {
  const ask = (extra: object) =>
    client.messages.create({ model: "tutor", max_tokens: 50, messages: user("say abcdef"), ...extra });
  const short = await ask({ max_tokens: 2 });
  assert.equal(short.stop_reason, "max_tokens");
  const stopped = await ask({ stop_sequences: ["de"] });
  assert.deepEqual(
    [stopped.stop_reason, stopped.stop_sequence, stopped.content],
    ["stop_sequence", "de", [{ type: "text", text: "abc" }]],
  );
});

test("count_tokens counts without running, models are listed, structured output is enforced", async () => {
  const before = running.engines[0].requests.length;
  const counted = await client.messages.countTokens({ model: "tutor", messages: user("abc"), tools });
  assert.ok(counted.input_tokens > 10);
  assert.equal(running.engines[0].requests.length, before);
  const models = await client.models.list();
  assert.equal(models.data[0].id, "tutor");
  const schema = { type: "object", properties: { n: { type: "integer" } } };
  const message = await client.messages.create({
    model: "tutor",
    max_tokens: 50,
    messages: user("a"),
    output_config: { format: { type: "json_schema", schema } },
  });
  assert.deepEqual(JSON.parse((message.content[0] as Anthropic.TextBlock).text), { n: 7 });
});

test("errors have Anthropic's shape and name the field", async () => {
  const refused = async (body: object, status: number, type: string, text: RegExp) => {
    const request = {
      model: "tutor",
      max_tokens: 5,
      messages: user("a"),
      ...body,
    } as Anthropic.MessageCreateParamsNonStreaming;
    const error = await client.messages.create(request).then(
      () => assert.fail("was accepted"),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof Anthropic.APIError, String(error));
    assert.equal(error.status, status);
    const shape = error.error as { type: string; error: { type: string; message: string }; request_id: string };
    assert.deepEqual([shape.type, shape.error.type], ["error", type]);
    assert.match(shape.error.message, text);
    assert.match(shape.request_id, /^req_/);
  };
  await refused({ max_tokens: undefined }, 400, "invalid_request_error", /max_tokens.*required/);
  await refused({ colour: 1 }, 400, "invalid_request_error", /colour/);
  await refused({ model: "nothing" }, 404, "not_found_error", /does not exist/);
  await refused(
    { messages: [{ role: "user", content: [{ type: "image", source: {} }] }] },
    400,
    "invalid_request_error",
    /messages\.0\.content\.0.*text only/,
  );
  await refused(
    { messages: [{ role: "user", content: [{ type: "tool_result", tool_use_id: "x" }] }] },
    400,
    "invalid_request_error",
    /tool_use/,
  );
  await refused(
    { tools: [{ type: "web_search_20250305", name: "web_search" }] },
    400,
    "invalid_request_error",
    /not available on this server/,
  );
});

test("the AI SDK's Anthropic provider: text, reasoning, tools", async () => {
  const anthropic = createAnthropic({ baseURL: `${running.url}/anthropic/v1`, apiKey: "none" });
  const streamed = streamText({
    model: anthropic("tutor"),
    prompt: "hi",
    providerOptions: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } },
  });
  assert.equal(await streamed.text, "You said: hi");
  assert.equal(await streamed.reasoningText, "Let me see.");
  const called = await generateText({
    model: anthropic("tutor"),
    prompt: "weather",
    tools: { weather: tool({ inputSchema: z.object({ city: z.string() }), execute: async () => "rain" }) },
    stopWhen: ({ steps }) => steps.length === 2,
  });
  assert.equal(called.steps[0].toolCalls[0].toolName, "weather");
  assert.equal(called.text, "You said: weather");
});

test("an abort stops the engine", async (t) => {
  const slow = await startTestServer({}, { tokenMs: 5 });
  t.after(() => slow.stop());
  const own = new Anthropic({ baseURL: slow.url, apiKey: "none" });
  const stream = await own.messages.create({
    model: "tutor",
    max_tokens: 5000,
    messages: user(`say ${"long ".repeat(500)}`),
    stream: true,
  });
  let seen = 0;
  for await (const _ of stream) if (++seen === 8) break;
  for (let wait = 0; wait < 100 && slow.engines[0].running > 0; wait++)
    await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(slow.engines[0].cancelled, 1);
});
