// The unmodified `openai` client against a running server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import type { RunnableToolFunctionWithParse } from "openai/lib/RunnableFunction";
import { z } from "zod";
import { chatChunk, chatCompletion, textCompletion } from "./protocols/openai/answers.ts";
import { startTestServer, type TestServer } from "./testing/start.ts";

let running: TestServer;
let client: OpenAI;
before(async () => {
  running = await startTestServer();
  client = new OpenAI({ baseURL: `${running.url}/v1`, apiKey: "none", maxRetries: 0 });
});
after(() => running.stop());

const weather: OpenAI.ChatCompletionTool = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

test("a chat completion has OpenAI's shape", async () => {
  const answer = await client.chat.completions.create({
    model: "tutor",
    messages: [{ role: "user", content: "say 你好" }],
  });
  chatCompletion.parse(answer);
  assert.equal(answer.choices[0].message.content, "你好");
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.equal(answer.usage!.completion_tokens, 6);
  assert.equal(answer.usage!.total_tokens, answer.usage!.prompt_tokens + 6);
});

test("the stream has the same text, the finish reason and the usage", async () => {
  const stream = await client.chat.completions.create({
    model: "gpt-4o",
    messages: [{ role: "user", content: "say 你好 world" }],
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let end: string | null = null;
  let usage: OpenAI.CompletionUsage | null | undefined;
  for await (const chunk of stream) {
    chatChunk.parse(chunk);
    text += chunk.choices[0]?.delta.content ?? "";
    end = chunk.choices[0]?.finish_reason ?? end;
    usage = chunk.usage ?? usage;
    assert.equal(chunk.model, "tutor");
  }
  assert.equal(text, "你好 world");
  assert.equal(end, "stop");
  assert.equal(usage!.completion_tokens, 12);
});

test("tools: a call, its result, an answer; required and named choices; one call when parallel calls are off", async () => {
  const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "weathers in Chengdu" }];
  const first = await client.chat.completions.create({ model: "tutor", messages, tools: [weather] });
  const { message, finish_reason } = first.choices[0];
  assert.equal(finish_reason, "tool_calls");
  assert.equal(message.content, null);
  assert.equal(message.tool_calls?.length, 2);
  const call = message.tool_calls![0] as OpenAI.ChatCompletionMessageFunctionToolCall;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "x" });
  const results = message.tool_calls!.map(
    (each): OpenAI.ChatCompletionMessageParam => ({
      role: "tool",
      tool_call_id: each.id,
      content: "rain",
    }),
  );
  const second = await client.chat.completions.create({
    model: "tutor",
    messages: [...messages, message, ...results],
    tools: [weather],
  });
  assert.equal(second.choices[0].finish_reason, "stop");
  const single = await client.chat.completions.create({
    model: "tutor",
    messages,
    tools: [weather],
    parallel_tool_calls: false,
  });
  assert.equal(single.choices[0].message.tool_calls?.length, 1);
  assert.equal(single.choices[0].finish_reason, "tool_calls");
  const forced = await client.chat.completions.create({
    model: "tutor",
    messages: [{ role: "user", content: "hello" }],
    tools: [weather],
    tool_choice: { type: "function", function: { name: "get_weather" } },
  });
  assert.equal(forced.choices[0].message.tool_calls?.length, 1);
  const none = await client.chat.completions.create({
    model: "tutor",
    messages,
    tools: [weather],
    tool_choice: "none",
  });
  assert.equal(none.choices[0].message.tool_calls, undefined);
});

test("tool calls stream in fragments that the client joins", async () => {
  const stream = client.chat.completions.stream({
    model: "tutor",
    messages: [{ role: "user", content: "weather" }],
    tools: [weather],
  });
  const final = await stream.finalChatCompletion();
  const call = final.choices[0].message.tool_calls![0] as OpenAI.ChatCompletionMessageFunctionToolCall;
  assert.equal(call.function.name, "get_weather");
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "x" });
});

test("runTools drives the loop", async () => {
  const asked: unknown[] = [];
  const tool: RunnableToolFunctionWithParse<object> = {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather of a city",
      parameters: { type: "object", properties: { city: { type: "string" } } },
      parse: (text) => JSON.parse(text),
      function: (args) => {
        asked.push(args);
        return "rain";
      },
    },
  };
  const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "weather" }];
  const runner = client.chat.completions.runTools({ model: "tutor", messages, tools: [tool] });
  assert.equal(await runner.finalContent(), "You said: weather");
  assert.deepEqual(asked, [{ city: "x" }]);
});

test("parse gives a typed answer from a JSON schema", async () => {
  const answer = await client.chat.completions.parse({
    model: "tutor",
    messages: [{ role: "user", content: "an event" }],
    response_format: zodResponseFormat(z.object({ name: z.string(), day: z.number() }), "event"),
  });
  assert.deepEqual(answer.choices[0].message.parsed, { name: "x", day: 7 });
});

test("n, stop, max_tokens, logprobs and seed reach the engine and come back", async () => {
  const answer = await client.chat.completions.create({
    model: "tutor",
    messages: [{ role: "user", content: "abc" }],
    n: 2,
    stop: [" abc"],
    seed: 5,
    logprobs: true,
    top_logprobs: 3,
    logit_bias: { "65": 10 },
  });
  assert.deepEqual(
    answer.choices.map((choice) => choice.message.content),
    ["You said:", "1: You said:"],
  );
  const tokens = answer.choices[0].logprobs!.content!;
  assert.equal(tokens.map((each) => each.token).join(""), "You said:");
  assert.equal(tokens[0].top_logprobs.length, 3);
  const { sampling, n } = running.engines[0].requests.at(-1)!;
  assert.deepEqual([sampling!.seed, n, sampling!.logitBias], [5, 2, new Map([[65, 10]])]);
  const short = await client.chat.completions.create({
    model: "tutor",
    messages: [{ role: "user", content: "abc" }],
    max_tokens: 4,
  });
  assert.deepEqual([short.choices[0].message.content, short.choices[0].finish_reason], ["You ", "length"]);
});

test("a token's log-probability covers whole characters although tokens are bytes", async () => {
  const stream = await client.chat.completions.create({
    model: "tutor",
    messages: [{ role: "user", content: "say 好a" }],
    stream: true,
    logprobs: true,
  });
  const pieces: [string, number][] = [];
  for await (const chunk of stream) {
    const { delta, logprobs } = chunk.choices[0];
    if (delta.content) pieces.push([delta.content, logprobs!.content!.length]);
  }
  assert.deepEqual(pieces, [
    ["好", 3],
    ["a", 1],
  ]);
});

test("reasoning comes beside the content and before it", async () => {
  const answer = await client.chat.completions.create({
    model: "tutor",
    messages: [{ role: "user", content: "hi" }],
    reasoning_effort: "low",
  });
  const message = answer.choices[0].message as unknown as { content: string; reasoning_content: string };
  assert.deepEqual([message.reasoning_content, message.content], ["Let me see.", "You said: hi"]);
  assert.equal(answer.usage!.completion_tokens_details!.reasoning_tokens, 12);
});

test("text completions: list of prompts, echo, log-probabilities, filling in the middle, stream", async () => {
  const two = await client.completions.create({ model: "tutor", prompt: ["say a", "say b"], max_tokens: 20 });
  textCompletion.parse(two);
  assert.deepEqual(
    two.choices.map((choice) => choice.text),
    ["a", "b"],
  );
  const echo = await client.completions.create({
    model: "tutor",
    prompt: "say a",
    echo: true,
    logprobs: 2,
    max_tokens: 20,
  });
  assert.equal(echo.choices[0].text, "say aa");
  const { tokens, token_logprobs, text_offset } = echo.choices[0].logprobs!;
  assert.equal(tokens!.length, 7);
  assert.equal(token_logprobs![0], null);
  assert.equal(text_offset![2], 1);
  const score = await client.completions.create({
    model: "tutor",
    prompt: "abc",
    echo: true,
    logprobs: 0,
    max_tokens: 0,
  });
  assert.equal(score.choices[0].text, "abc");
  assert.equal(score.usage!.completion_tokens, 0);
  const middle = await client.completions.create({ model: "tutor", prompt: "ab", suffix: "cd", max_tokens: 20 });
  assert.equal(middle.choices[0].text, "You said: abcd");
  let text = "";
  const stream = await client.completions.create({ model: "tutor", prompt: "say xyz", stream: true, max_tokens: 20 });
  for await (const chunk of stream) text += chunk.choices[0].text;
  assert.equal(text, "xyz");
});

test("embeddings as numbers and as base64, models by name and alias", async () => {
  const result = await client.embeddings.create({ model: "tutor", input: ["a", "b"] });
  assert.equal(result.data.length, 2);
  assert.ok(Math.abs(Math.hypot(...result.data[0].embedding) - 1) < 1e-6);
  const plain = await client.embeddings.create({ model: "tutor", input: "a", encoding_format: "float" });
  assert.deepEqual(plain.data[0].embedding, result.data[0].embedding);
  const ids: string[] = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ["tutor", "gpt-4o"]);
  assert.equal((await client.models.retrieve("tutor")).id, "tutor");
});

test("errors name the field and keep OpenAI's classes", async () => {
  const refused = async (work: Promise<unknown>, status: number, param: string | null, text: RegExp) => {
    const error = await work.then(
      () => assert.fail("was accepted"),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof OpenAI.APIError, String(error));
    assert.equal(error.status, status);
    assert.equal(error.param, param);
    assert.match(error.message, text);
  };
  const create = (body: object) =>
    client.chat.completions.create({ model: "tutor", messages: [{ role: "user", content: "a" }], ...body } as never);
  await refused(create({ model: "nothing" }), 404, "model", /The models here: tutor/);
  await refused(create({ temperature: 3 }), 400, "temperature", /<=2/);
  await refused(create({ messages: [] }), 400, "messages", /messages/);
  await refused(create({ messages: [{ role: "user" }] }), 400, "messages[0].content", /content/);
  await refused(create({ colour: 1 }), 400, "colour", /Unknown field/);
  await refused(
    create({ messages: [{ role: "tool", content: "a", tool_call_id: "x" }] }),
    400,
    "messages[0].tool_call_id",
    /answer/,
  );
  await refused(
    create({ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }] }),
    400,
    "messages[0].content[0]",
    /text only/,
  );
  await refused(create({ tools: [{ type: "deepseek_web_search" }] }), 501, null, /not available on this server/);
  await refused(create({ top_logprobs: 2 }), 400, "top_logprobs", /logprobs/);
  await refused(create({ messages: [{ role: "user", content: "a".repeat(100_001) }] }), 400, "messages", /100000/);
  await refused(create({ tool_choice: "required" }), 400, "tool_choice", /tools/);
});

test("a client that goes away stops the computation, and what it used is on record", async (t) => {
  const slow = await startTestServer({}, { tokenMs: 5 });
  t.after(() => slow.stop());
  const openai = new OpenAI({ baseURL: `${slow.url}/v1`, apiKey: "none", maxRetries: 0 });
  const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: `say ${"long ".repeat(1000)}` }];
  const stream = await openai.chat.completions.create({ model: "tutor", messages, stream: true });
  let seen = 0;
  for await (const _ of stream) if (++seen === 5) break;
  const idle = async (wanted: number) => {
    for (let wait = 0; wait < 500 && slow.engines[0].running !== wanted; wait++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(slow.engines[0].running, wanted);
  };
  await idle(0);
  const control = new AbortController();
  const whole = openai.chat.completions.create({ model: "tutor", messages }, { signal: control.signal });
  const rejected = assert.rejects(whole, OpenAI.APIUserAbortError);
  await idle(1);
  control.abort();
  await rejected;
  await idle(0);
  assert.equal(slow.engines[0].cancelled, 2);
  const recorded = () => slow.server.storage.usage("local", 0);
  for (let wait = 0; wait < 500 && (await recorded()).requests < 2; wait++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  const usage = await recorded();
  assert.equal(usage.requests, 2);
  assert.ok(usage.completionTokens > 0 && usage.completionTokens < 1000);
});
