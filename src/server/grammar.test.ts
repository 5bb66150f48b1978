// Grammars through the whole server with a model of random weights, which writes nonsense wherever it is let: every tool call is
// valid, JSON is JSON, schemas hold, in the syntaxes of three model generations and through three protocols.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { parseConfig as parseModel } from "../checkpoint/config.ts";
import { elementCount } from "../checkpoint/dtype.ts";
import { randomNumbers, smallConfigs } from "../checkpoint/models.fixture.ts";
import { tensorSpecs } from "../checkpoint/tensors.ts";
import { modelFromArrays, writeHuggingFace } from "../checkpoint/write-model.ts";
import { parseConfig } from "./config.ts";
import { createServer } from "./index.ts";
import { type Listening, listen } from "./listen.ts";
import { loadEngine } from "./load.ts";
import { openDatabase } from "./store/sqlite.ts";

const formats = ["deepseek-r1", "deepseek-v3.1", "deepseek-v3.2"];
const tokenizer = fileURLToPath(new URL("../../models/tutor/tokenizer.json", import.meta.url));

const { vocab } = JSON.parse(readFileSync(tokenizer, "utf8")).model as { vocab: Record<string, number> };
const idOf = (text: string): number => vocab[text] ?? assert.fail(`no token ${text}`);

/** A model directory of random weights that speaks a generation's chat format. */
function randomModel(folder: string, format: string): string {
  const { rope_scaling: _, ...small } = smallConfigs.qwen2;
  const config = parseModel({ ...small, vocab_size: 1024, max_position_embeddings: 2048, weir_chat_format: format });
  const random = randomNumbers(7);
  const tensors = new Map(
    tensorSpecs(config, { mtp: false }).map(({ name, shape }) => [
      name,
      { shape, values: Float32Array.from({ length: elementCount(shape) }, () => random() - 0.5) },
    ]),
  );
  const path = join(folder, format);
  writeHuggingFace(
    path,
    modelFromArrays(config, tensors, { tokenizer: { kind: "tokenizer.json", path: tokenizer, configPath: null } }),
  );
  return path;
}

let folder: string;
let listening: Listening;
let openai: OpenAI;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-grammar-"));
  const models = Object.fromEntries(
    formats.map((format) => [
      format,
      { path: randomModel(folder, format), engine: { context: 2048, cacheTokens: 8192 } },
    ]),
  );
  const config = parseConfig({ port: 0, log: { level: "silent" }, models });
  listening = await listen(createServer({ config, database: openDatabase(":memory:"), loadEngine }));
  openai = new OpenAI({ baseURL: `${listening.url}/v1`, apiKey: "none", maxRetries: 0 });
});
after(async () => {
  await listening.drain();
  rmSync(folder, { recursive: true, force: true });
});

const parameters = {
  type: "object",
  properties: {
    city: { type: "string", maxLength: 12 },
    unit: { enum: ["C", "F"] },
    days: { type: "array", items: { type: "integer", minimum: 1, maximum: 7 }, minItems: 1, maxItems: 3 },
  },
  required: ["city", "unit", "days"],
  additionalProperties: false,
};
const weather: OpenAI.ChatCompletionFunctionTool = {
  type: "function",
  function: { name: "get_weather", description: "The weather of a city", parameters },
};
const clock: OpenAI.ChatCompletionFunctionTool = {
  type: "function",
  function: {
    name: "get_time",
    parameters: { type: "object", properties: { zone: { enum: ["UTC", "CST"] } }, required: ["zone"] },
  },
};

function checkCall(name: string, text: string): void {
  const value = JSON.parse(text) as Record<string, unknown>;
  if (name === "get_time") {
    assert.ok(value.zone === "UTC" || value.zone === "CST", text);
    return;
  }
  assert.equal(name, "get_weather");
  const { city, unit, days } = value as { city: string; unit: string; days: number[] };
  assert.deepEqual(Object.keys(value).sort(), ["city", "days", "unit"], text);
  assert.ok(typeof city === "string" && [...city].length <= 12, text);
  assert.ok(["C", "F"].includes(unit), text);
  assert.ok(
    days.length >= 1 && days.length <= 3 && days.every((day) => Number.isInteger(day) && day >= 1 && day <= 7),
    text,
  );
}

const messages = [{ role: "user" as const, content: "weather and time" }];

for (const model of formats)
  test(`${model}: a required call is always one of the tools, with valid arguments`, async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, seed) =>
        openai.chat.completions.create({
          model,
          messages,
          tools: [weather, clock],
          tool_choice: seed % 2 ? "required" : { type: "function", function: { name: "get_weather" } },
          parallel_tool_calls: false,
          reasoning_effort: "none",
          seed,
          max_tokens: 1000,
        }),
      ),
    );
    for (const [seed, { choices }] of answers.entries()) {
      assert.equal(choices[0].finish_reason, "tool_calls");
      const [call] = choices[0].message.tool_calls as OpenAI.ChatCompletionMessageFunctionToolCall[];
      if (seed % 2 === 0) assert.equal(call.function.name, "get_weather");
      checkCall(call.function.name, call.function.arguments);
    }
  });

test("a call that the model begins by itself is held to its grammar; streamed and with thinking too", async () => {
  const model = "deepseek-v3.1";
  let calls = 0;
  for (let seed = 0; seed < 4; seed++) {
    const final = await openai.chat.completions
      .stream({
        model,
        messages,
        tools: [weather, clock],
        seed,
        max_tokens: 600,
        reasoning_effort: seed % 2 ? "high" : "none",
        // Token 6 ends the thinking, token 7 begins calls; token 1 would end the answer.
        logit_bias: { 6: 12, 7: 12, 1: -100 },
        parallel_tool_calls: false,
      })
      .finalChatCompletion();
    for (const call of (final.choices[0].message.tool_calls ?? []) as OpenAI.ChatCompletionMessageFunctionToolCall[]) {
      calls++;
      checkCall(call.function.name, call.function.arguments);
    }
  }
  assert.ok(calls >= 2, `${calls} calls`);
});

test("JSON objects and JSON schemas hold", async () => {
  const model = "deepseek-v3.1";
  for (let seed = 0; seed < 3; seed++) {
    const asked = { model, messages: [{ role: "user" as const, content: "json" }], seed, max_tokens: 1500 };
    const held = await openai.chat.completions.create({
      ...asked,
      reasoning_effort: "none",
      response_format: { type: "json_schema", json_schema: { name: "w", strict: true, schema: parameters } },
    });
    assert.equal(held.choices[0].finish_reason, "stop");
    checkCall("get_weather", held.choices[0].message.content!);
    const free = await openai.chat.completions.create({
      ...asked,
      reasoning_effort: "none",
      response_format: { type: "json_object" },
      // "}" ends a random walk through objects within the limit.
      logit_bias: { [idOf("}")]: 12, [idOf('"')]: 9 },
    });
    const { message, finish_reason } = free.choices[0];
    assert.ok(message.content!.startsWith("{"));
    assert.equal(finish_reason, "stop");
    assert.equal(typeof JSON.parse(message.content!), "object");
  }
  const response = await openai.responses.create({
    model,
    input: "json",
    reasoning: { effort: "none" },
    text: { format: { type: "json_schema", name: "w", schema: parameters } },
  });
  checkCall("get_weather", response.output_text);
});

test("Anthropic's and the Responses protocol get valid calls from the same model", async () => {
  const model = "deepseek-v3.2";
  const anthropic = new Anthropic({ baseURL: listening.url, apiKey: "none", maxRetries: 0 });
  const message = await anthropic.messages.create({
    model,
    max_tokens: 800,
    messages: [{ role: "user", content: "weather" }],
    tools: [{ name: "get_weather", input_schema: parameters as Anthropic.Tool.InputSchema }],
    tool_choice: { type: "tool", name: "get_weather", disable_parallel_tool_use: true },
  });
  const use = message.content.find((block) => block.type === "tool_use");
  assert.ok(use);
  checkCall(use.name, JSON.stringify(use.input));
  const response = await openai.responses.create({
    model,
    input: "weather",
    reasoning: { effort: "none" },
    tools: [{ type: "function", name: "get_weather", parameters, strict: true }],
    tool_choice: "required",
    parallel_tool_calls: false,
  });
  const call = response.output.find((item) => item.type === "function_call");
  assert.ok(call);
  checkCall(call.name, call.arguments);
});

test("a schema beyond the grammar: held loosely where the tool is not strict, refused by name where it is", async () => {
  const beyond = { ...parameters, not: { required: ["x"] } };
  const ask = (strict: boolean) =>
    openai.chat.completions.create({
      model: "deepseek-v3.1",
      messages,
      tools: [{ type: "function", function: { name: "get_weather", parameters: beyond, strict } }],
      tool_choice: "required",
      parallel_tool_calls: false,
      reasoning_effort: "none",
      // Loosened, the string has no limit: the quote ends it.
      logit_bias: { [idOf('"')]: 9, [idOf("]")]: 9 },
      max_tokens: 1500,
    });
  const { message } = (await ask(false)).choices[0];
  const call = message.tool_calls![0] as OpenAI.ChatCompletionMessageFunctionToolCall;
  const value = JSON.parse(call.function.arguments);
  assert.deepEqual(Object.keys(value).sort(), ["city", "days", "unit"]);
  assert.ok(["C", "F"].includes(value.unit));
  await assert.rejects(ask(true), (error: unknown) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.match(error.message, /not/);
    return true;
  });
});
