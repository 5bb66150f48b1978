// OpenAI's Responses, files and batches through the unmodified `openai` client and the AI SDK's OpenAI providers.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, Output, streamText, tool } from "ai";
import OpenAI, { toFile } from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { batchObject } from "./protocols/openai/batches.ts";
import { fileObject } from "./protocols/openai/files.ts";
import { responseObject } from "./protocols/openai/response-items.ts";
import { startTestServer, type TestServer } from "./testing/start.ts";

let running: TestServer;
let client: OpenAI;
before(async () => {
  running = await startTestServer();
  client = new OpenAI({ baseURL: `${running.url}/v1`, apiKey: "none", maxRetries: 0 });
});
after(() => running.stop());

const weather: OpenAI.Responses.FunctionTool = {
  type: "function",
  name: "get_weather",
  description: "The weather of a city",
  strict: true,
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};
const lastPrompt = () =>
  Buffer.from(Array.from(running.engines[0].requests.at(-1)!.prompt).filter((id) => id < 256)).toString();

test("a response has OpenAI's shape, is stored, continued, listed and deleted", async () => {
  const first = await client.responses.create({
    model: "tutor",
    input: "say 你好",
    instructions: "Be brief.",
    metadata: { a: "b" },
  });
  responseObject.parse({ ...first, output_text: undefined });
  assert.equal(first.output_text, "你好");
  assert.deepEqual([first.status, first.usage!.output_tokens, first.metadata], ["completed", 6, { a: "b" }]);
  const second = await client.responses.create({ model: "tutor", input: "say more", previous_response_id: first.id });
  assert.equal(second.output_text, "more");
  assert.equal(lastPrompt(), "[user]say 你好[assistant]你好[user]say more[assistant]");
  const third = await client.responses.create({
    model: "tutor",
    input: "say end",
    previous_response_id: second.id,
    store: false,
  });
  assert.match(lastPrompt(), /你好.*more.*end/);
  assert.equal((await client.responses.retrieve(second.id)).output_text, "more");
  await assert.rejects(client.responses.retrieve(third.id), OpenAI.NotFoundError);
  const items: string[] = [];
  for await (const item of client.responses.inputItems.list(second.id)) items.push(item.type!);
  assert.deepEqual(items, ["message"]);
  await client.responses.delete(first.id);
  await assert.rejects(
    client.responses.create({ model: "tutor", input: "a", previous_response_id: first.id }),
    OpenAI.NotFoundError,
  );
  const counted = await client.responses.inputTokens.count({ model: "tutor", input: "abc" });
  assert.ok(counted.input_tokens > 3);
});

test("the events come in order, numbered, and end with the whole response", async () => {
  const stream = await client.responses.create({
    model: "tutor",
    input: "hi",
    reasoning: { effort: "low", summary: "auto" },
    stream: true,
  });
  const order: string[] = [];
  let numbers = 0;
  let text = "";
  let final: OpenAI.Responses.Response | undefined;
  for await (const event of stream) {
    assert.equal(event.sequence_number, numbers++);
    if (order.at(-1) !== event.type && !(event.type.includes("reasoning") && event.type.endsWith("delta")))
      order.push(event.type);
    if (event.type === "response.output_text.delta") text += event.delta;
    if (event.type === "response.completed") final = event.response;
  }
  assert.equal(text, "You said: hi");
  assert.deepEqual(order.slice(0, 3), ["response.created", "response.in_progress", "response.output_item.added"]);
  assert.deepEqual(order.slice(-7), [
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
  ]);
  assert.deepEqual(
    final!.output.map((item) => item.type),
    ["reasoning", "message"],
  );
  const [thought] = final!.output as [OpenAI.Responses.ResponseReasoningItem];
  assert.deepEqual([thought.content![0].text, thought.summary[0].text], ["Let me see.", "Let me see."]);
});

test("tools: calls, outputs sent back by reference and by value, parse, incomplete answers", async () => {
  const first = await client.responses.create({ model: "tutor", input: "weather", tools: [weather] });
  const call = first.output[0] as OpenAI.Responses.ResponseFunctionToolCall;
  assert.deepEqual([call.type, call.name, JSON.parse(call.arguments)], ["function_call", "get_weather", { city: "x" }]);
  const output: OpenAI.Responses.ResponseInputItem = {
    type: "function_call_output",
    call_id: call.call_id,
    output: "rain",
  };
  const second = await client.responses.create({
    model: "tutor",
    input: [output],
    previous_response_id: first.id,
    tools: [weather],
  });
  assert.equal(second.output_text, "You said: weather");
  const whole = await client.responses.create({
    model: "tutor",
    input: [{ role: "user", content: "weather" }, call, output],
    tools: [weather],
    store: false,
  });
  assert.equal(whole.output_text, "You said: weather");
  const helper = client.responses.stream({ model: "tutor", input: "weather", tools: [weather] });
  assert.equal((await helper.finalResponse()).output[0].type, "function_call");
  const parsed = await client.responses.parse({
    model: "tutor",
    input: "an event",
    text: { format: zodTextFormat(z.object({ name: z.string(), day: z.number() }), "event") },
  });
  assert.deepEqual(parsed.output_parsed, { name: "x", day: 7 });
  const cut = await client.responses.create({ model: "tutor", input: "say abcdef", max_output_tokens: 3 });
  assert.deepEqual(
    [cut.status, cut.incomplete_details, cut.output_text],
    ["incomplete", { reason: "max_output_tokens" }, "abc"],
  );
});

test("what is not offered is refused by name", async () => {
  const refused = async (body: object, status: number, text: RegExp) => {
    const request = { model: "tutor", input: "a", ...body } as OpenAI.Responses.ResponseCreateParamsNonStreaming;
    const error = await client.responses.create(request).then(
      () => assert.fail("was accepted"),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof OpenAI.APIError, String(error));
    assert.equal(error.status, status);
    assert.match(error.message, text);
  };
  await refused({ background: true }, 400, /background/i);
  await refused({ tools: [{ type: "web_search" }] }, 501, /not available on this server/);
  await refused({ conversation: "conv_1" }, 400, /previous_response_id/);
  await refused({ input: [{ type: "function_call_output", call_id: "x", output: "y" }] }, 400, /No tool call found/);
  await refused({ input: [{ role: "user", content: [{ type: "input_image", image_url: "x" }] }] }, 400, /text only/);
  await refused({ colour: 1 }, 400, /Unknown field/);
});

test("the AI SDK's OpenAI provider (Responses): two rounds with stored items and a tool", async () => {
  const openai = createOpenAI({ baseURL: `${running.url}/v1`, apiKey: "none" });
  const result = await generateText({
    model: openai.responses("tutor"),
    prompt: "weather",
    tools: { weather: tool({ inputSchema: z.object({ city: z.string() }), execute: async () => "rain" }) },
    stopWhen: ({ steps }) => steps.length === 2,
  });
  assert.equal(result.steps[0].toolCalls[0].toolName, "weather");
  assert.equal(result.text, "You said: weather");
  const streamed = streamText({
    model: openai.responses("o3"),
    prompt: "hi",
    providerOptions: { openai: { reasoningEffort: "low", reasoningSummary: "auto" } },
  });
  assert.equal(await streamed.text, "You said: hi");
  assert.equal(await streamed.reasoningText, "Let me see.");
});

test("a client that leaves a stream stops the engine: Responses, and DeepSeek's chat", async (t) => {
  const slow = await startTestServer({}, { tokenMs: 5 });
  t.after(() => slow.stop());
  const words = `say ${"long ".repeat(1000)}`;
  const bodies = {
    "/v1/responses": { input: words },
    "/chat/completions": { messages: [{ role: "user", content: words }], thinking: { type: "enabled" } },
  };
  for (const [at, [path, body]] of Object.entries(bodies).entries()) {
    const control = new AbortController();
    const response = await fetch(slow.url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "tutor", stream: true, ...body }),
      signal: control.signal,
    });
    await response.body!.getReader().read();
    assert.equal(slow.engines[0].running, 1);
    control.abort();
    for (let wait = 0; wait < 1000 && slow.engines[0].running > 0; wait++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual([slow.engines[0].running, slow.engines[0].cancelled], [0, at + 1], path);
  }
});

test("the AI SDK's openai-compatible provider: text, reasoning, objects, embeddings", async () => {
  const provider = createOpenAICompatible({
    name: "weir",
    baseURL: `${running.url}/v1`,
    supportsStructuredOutputs: true,
  });
  const streamed = streamText({
    model: provider("tutor"),
    prompt: "hi",
    providerOptions: { weir: { reasoningEffort: "low" } },
  });
  assert.equal(await streamed.text, "You said: hi");
  assert.equal(await streamed.reasoningText, "Let me see.");
  const { output } = await generateText({
    model: provider("tutor"),
    output: Output.object({ schema: z.object({ n: z.number() }) }),
    prompt: "a",
  });
  assert.deepEqual(output, { n: 7 });
  const { embeddings } = await embedMany({ model: provider.embeddingModel("tutor"), values: ["a", "b"] });
  assert.equal(embeddings.length, 2);
});

test("files are kept, paged, read back and deleted; a hostile name stays a name", async () => {
  const before = await client.files.create({
    purpose: "user_data",
    file: await toFile(Buffer.from("hello"), "../../etc/passwd"),
  });
  fileObject.parse(before);
  assert.deepEqual([before.filename, before.bytes, before.purpose], ["passwd", 5, "user_data"]);
  const second = await client.files.create({
    purpose: "batch",
    file: await toFile(Buffer.from("{}"), "b.jsonl"),
    expires_after: { anchor: "created_at", seconds: 3600 },
  });
  assert.ok(second.expires_at! > second.created_at);
  const names: string[] = [];
  for await (const file of client.files.list({ limit: 1, order: "asc" })) names.push(file.filename);
  assert.deepEqual(names, ["passwd", "b.jsonl"]);
  assert.equal(await (await client.files.content(before.id)).text(), "hello");
  await client.files.delete(before.id);
  await assert.rejects(client.files.retrieve(before.id), OpenAI.NotFoundError);
  const body = new FormData();
  body.append("purpose", "text_recognition");
  body.append("file", new Blob(["x"]), "a.pdf");
  const refused = await fetch(`${running.url}/files`, { method: "POST", body });
  assert.equal(refused.status, 501);
});

async function finished(id: string): Promise<OpenAI.Batch> {
  for (let wait = 0; wait < 200; wait++) {
    const batch = await client.batches.retrieve(id);
    if (["completed", "failed", "cancelled"].includes(batch.status)) return batch;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("the batch did not end");
}

test("a batch answers its lines, keeps their order and their errors, and says which line is broken", async () => {
  const request = (id: string, content: string, extra = {}) =>
    JSON.stringify({
      custom_id: id,
      method: "POST",
      url: "/v1/chat/completions",
      body: { model: "tutor", messages: [{ role: "user", content }], ...extra },
    });
  const submit = async (text: string) => {
    const file = await client.files.create({ purpose: "batch", file: await toFile(Buffer.from(text), "in.jsonl") });
    return client.batches.create({
      input_file_id: file.id,
      endpoint: "/v1/chat/completions",
      completion_window: "24h",
    });
  };
  const lines = [...Array(20).keys()].map((at) => request(`r${at}`, `say ${at}`));
  const batch = await submit([...lines, request("bad", "x", { temperature: 9 })].join("\n"));
  batchObject.parse(batch);
  const done = await finished(batch.id);
  assert.deepEqual([done.status, done.request_counts], ["completed", { total: 21, completed: 20, failed: 1 }]);
  const output = (await (await client.files.content(done.output_file_id!)).text())
    .trim()
    .split("\n")
    .map((each) => JSON.parse(each));
  assert.deepEqual(
    output.map((each) => [each.custom_id, each.response.body.choices[0].message.content]),
    [...Array(20).keys()].map((at) => [`r${at}`, `${at}`]),
  );
  const errors = JSON.parse(await (await client.files.content(done.error_file_id!)).text());
  assert.deepEqual([errors.custom_id, errors.response.status_code], ["bad", 400]);
  const broken = await finished((await submit(`${request("a", "b")}\n{`)).id);
  assert.deepEqual([broken.status, broken.errors!.data![0].line], ["failed", 2]);
  const ids: string[] = [];
  for await (const each of client.batches.list()) ids.push(each.id);
  assert.ok(ids.includes(batch.id) && ids.includes(broken.id));
});
