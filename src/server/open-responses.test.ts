// The Open Responses compliance cases in our own words, on the bare wire: the shape of the response, the order of the stream's
// events (a state machine judges it), tools, several turns by state and by value, errors. Each event's shape is checked twice: when
// it arrives, and by the type checker against the types that OpenAI publishes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type OpenAI from "openai";
import { z } from "zod";
import { outputItem, responseObject } from "./protocols/openai/response-items.ts";
import { startTestServer, type TestServer } from "./testing/start.ts";

let running: TestServer;
before(async () => {
  running = await startTestServer();
});
after(() => running.stop());

const sequence_number = z.int().min(0);
const place = { sequence_number, item_id: z.string(), output_index: z.int().min(0) };
const inContent = { ...place, content_index: z.literal(0) };
const inSummary = { ...place, summary_index: z.literal(0) };
const logprob = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()) });
const logprobs = z.array(logprob.extend({ top_logprobs: z.array(logprob) }));
const outputText = z.strictObject({
  type: z.literal("output_text"),
  text: z.string(),
  annotations: z.array(z.never()),
  logprobs,
});
const thought = z.strictObject({ type: z.literal("reasoning_text"), text: z.string() });
const summary = z.strictObject({ type: z.literal("summary_text"), text: z.string() });
const whole = responseObject.strict();
const event = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("response.created"), sequence_number, response: whole }),
  z.strictObject({ type: z.literal("response.in_progress"), sequence_number, response: whole }),
  z.strictObject({ type: z.literal("response.completed"), sequence_number, response: whole }),
  z.strictObject({ type: z.literal("response.incomplete"), sequence_number, response: whole }),
  z.strictObject({
    type: z.literal("response.output_item.added"),
    sequence_number,
    output_index: z.int(),
    item: outputItem,
  }),
  z.strictObject({
    type: z.literal("response.output_item.done"),
    sequence_number,
    output_index: z.int(),
    item: outputItem,
  }),
  z.strictObject({
    type: z.literal("response.content_part.added"),
    ...inContent,
    part: z.union([outputText, thought]),
  }),
  z.strictObject({ type: z.literal("response.content_part.done"), ...inContent, part: z.union([outputText, thought]) }),
  z.strictObject({ type: z.literal("response.output_text.delta"), ...inContent, delta: z.string(), logprobs }),
  z.strictObject({ type: z.literal("response.output_text.done"), ...inContent, text: z.string(), logprobs }),
  z.strictObject({ type: z.literal("response.reasoning_text.delta"), ...inContent, delta: z.string() }),
  z.strictObject({ type: z.literal("response.reasoning_text.done"), ...inContent, text: z.string() }),
  z.strictObject({ type: z.literal("response.reasoning_summary_part.added"), ...inSummary, part: summary }),
  z.strictObject({ type: z.literal("response.reasoning_summary_part.done"), ...inSummary, part: summary }),
  z.strictObject({ type: z.literal("response.reasoning_summary_text.delta"), ...inSummary, delta: z.string() }),
  z.strictObject({ type: z.literal("response.reasoning_summary_text.done"), ...inSummary, text: z.string() }),
  z.strictObject({ type: z.literal("response.function_call_arguments.delta"), ...place, delta: z.string() }),
  z.strictObject({
    type: z.literal("response.function_call_arguments.done"),
    ...place,
    name: z.string(),
    arguments: z.string(),
  }),
]);
type Event = z.output<typeof event>;

/** The events that carry no response or item, field by field as OpenAI's client types them. */
type Plain = Exclude<Event, { response: unknown } | { item: unknown }>;
const published: Plain extends OpenAI.Responses.ResponseStreamEvent ? true : false = true;

const post = (body: object, path = "/v1/responses") =>
  fetch(running.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "tutor", ...body }),
  });

async function respond(body: object): Promise<z.output<typeof responseObject>> {
  const response = await post(body);
  assert.equal(response.status, 200);
  return whole.parse(await response.json());
}

const textOf = (response: z.output<typeof responseObject>): string =>
  response.output.flatMap((item) => (item.type === "message" ? item.content.map((part) => part.text) : [])).join("");

/** Reads a stream, holding every event to its shape and the whole to the protocol's order. */
async function events(body: object): Promise<Event[]> {
  const response = await post({ ...body, stream: true });
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
  const frames = (await response.text()).split("\n\n").filter((frame) => frame !== "" && !frame.startsWith(":"));
  const list = frames.map((frame) => {
    const [, name, data] = /^event: (\S+)\ndata: (.*)$/.exec(frame) ?? assert.fail(`not a frame: ${frame}`);
    const parsed = event.parse(JSON.parse(data));
    assert.equal(parsed.type, name);
    return parsed;
  });
  checkOrder(list);
  return list;
}

function checkOrder(list: Event[]): void {
  assert.equal(published, true);
  assert.deepEqual(
    list.map((each) => each.sequence_number),
    list.map((_, at) => at),
  );
  assert.deepEqual(
    list.slice(0, 2).map((each) => each.type),
    ["response.created", "response.in_progress"],
  );
  const last = list.at(-1)!;
  assert.ok(last.type === "response.completed" || last.type === "response.incomplete");
  let items = 0;
  let openItem: string | undefined;
  let openPart = false;
  let text = "";
  for (const each of list.slice(2, -1)) {
    if (each.type === "response.output_item.added") {
      assert.equal(openItem, undefined, "one item at a time");
      assert.equal(each.output_index, items);
      assert.equal(each.item.status, "in_progress");
      openItem = each.item.id;
      text = "";
      continue;
    }
    if ("item_id" in each) {
      assert.equal(each.item_id, openItem, each.type);
      assert.equal(each.output_index, items);
    }
    if (each.type === "response.content_part.added") {
      assert.equal(openPart, false);
      assert.equal(each.part.text, "");
      openPart = true;
    } else if (each.type === "response.output_text.delta" || each.type === "response.reasoning_text.delta") {
      assert.equal(openPart, true, "text comes in an open part");
      text += each.delta;
    } else if (each.type === "response.function_call_arguments.delta") text += each.delta;
    else if (each.type === "response.output_text.done" || each.type === "response.reasoning_text.done")
      assert.equal(each.text, text);
    else if (each.type === "response.function_call_arguments.done") assert.equal(each.arguments, text);
    else if (each.type === "response.content_part.done") {
      assert.equal(each.part.text, text);
      openPart = false;
    } else if (each.type === "response.output_item.done") {
      assert.equal(each.item.id, openItem);
      assert.equal(openPart, false, "a part ends before its item");
      assert.notEqual(each.item.status, "in_progress");
      assert.deepEqual(last.response.output[items], each.item);
      openItem = undefined;
      items++;
    }
  }
  assert.equal(openItem, undefined);
  assert.equal(last.response.output.length, items);
  assert.ok(last.response.usage);
}

const weather = {
  type: "function",
  name: "get_weather",
  description: "The weather of a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

test("a basic response has every field, typed", async () => {
  const response = await respond({ input: "say hello" });
  assert.equal(response.status, "completed");
  assert.ok(response.completed_at! >= response.created_at);
  assert.equal(textOf(response), "hello");
  const { usage } = response;
  assert.equal(usage!.total_tokens, usage!.input_tokens + usage!.output_tokens);
  assert.deepEqual(response.tools, []);
});

test("a stream: text, thinking with summary, a call, log-probabilities, and an answer that is cut", async () => {
  const text = await events({ input: "say 你好 world" });
  const joined = text.flatMap((each) => (each.type === "response.output_text.delta" ? [each.delta] : [])).join("");
  assert.equal(joined, "你好 world");
  const thinking = await events({ input: "hi", reasoning: { effort: "low", summary: "auto" } });
  assert.ok(thinking.some((each) => each.type === "response.reasoning_text.delta"));
  assert.ok(thinking.some((each) => each.type === "response.reasoning_summary_text.done"));
  const called = await events({ input: "weathers", tools: [weather] });
  const done = called.filter((each) => each.type === "response.function_call_arguments.done");
  assert.deepEqual(
    done.map(({ name, arguments: args }) => [name, JSON.parse(args)]),
    [
      ["get_weather", { city: "x" }],
      ["get_weather", { city: "x" }],
    ],
  );
  const likely = await events({ input: "say ab", top_logprobs: 2, include: ["message.output_text.logprobs"] });
  const delta = likely.find((each) => each.type === "response.output_text.delta");
  assert.equal(delta!.logprobs[0].top_logprobs.length, 2);
  const cut = (await events({ input: "say abcdef", max_output_tokens: 3 })).at(-1)!;
  assert.equal(cut.type, "response.incomplete");
});

test("instructions act on this response alone; a system message in the input is one", async () => {
  const prompt = () =>
    Buffer.from(Array.from(running.engines[0].requests.at(-1)!.prompt).filter((id) => id < 256)).toString();
  const first = await respond({ input: "say a", instructions: "Be brief." });
  assert.match(prompt(), /^\[system\]Be brief\.\[user\]say a/);
  assert.equal(first.instructions, "Be brief.");
  const second = await respond({ input: "say b", previous_response_id: first.id });
  assert.doesNotMatch(prompt(), /Be brief/);
  assert.equal(second.instructions, null);
  await respond({
    input: [
      { type: "message", role: "system", content: "Pirate." },
      { role: "user", content: "hi" },
    ],
  });
  assert.match(prompt(), /^\[system\]Pirate\.\[user\]hi/);
});

test("tools are repeated with every field; a call and its output continue by state and by value", async () => {
  const first = await respond({ input: "weather", tools: [weather], tool_choice: "required" });
  assert.deepEqual(first.tools, [{ ...weather, strict: null }]);
  const [call] = first.output;
  assert.ok(call.type === "function_call");
  assert.deepEqual(JSON.parse(call.arguments), { city: "x" });
  const output = { type: "function_call_output", call_id: call.call_id, output: "rain" };
  const byState = await respond({ input: [output], previous_response_id: first.id, tools: [weather] });
  const byValue = await respond({ input: [{ role: "user", content: "weather" }, call, output], tools: [weather] });
  assert.equal(textOf(byState), textOf(byValue));
  assert.equal(byState.previous_response_id, first.id);
});

test("several turns by value: assistant messages as they were returned are taken back", async () => {
  const first = await respond({ input: "say a", reasoning: { effort: "low" } });
  const again = await respond({
    input: [{ role: "user", content: "say a" }, ...first.output, { role: "user", content: "say b" }],
  });
  assert.equal(textOf(again), "b");
});

test("errors: one shape, the field, the right status; a broken stream ends with response.failed", async () => {
  const wrong: [object, number, string | null][] = [
    [{ input: "a", temperature: 9 }, 400, "temperature"],
    [{ input: "a", model: "none" }, 404, "model"],
    [{ input: "a", previous_response_id: "resp_none" }, 404, "previous_response_id"],
    [{}, 400, "input"],
    [{ input: [{ role: "user", content: [{ type: "input_image", image_url: "x" }] }] }, 400, "input[0].content[0]"],
    [{ input: [{ type: "function_call_output", call_id: "none", output: "x" }] }, 400, "input[0].call_id"],
    [{ input: "a", tool_choice: { type: "function", name: "none" }, tools: [weather] }, 400, "tool_choice"],
  ];
  const shape = z.strictObject({
    error: z.strictObject({
      message: z.string().min(10),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string().nullable(),
    }),
  });
  for (const [body, status, param] of wrong)
    for (const stream of [false, true]) {
      const response = await post({ ...body, stream });
      assert.equal(response.status, status, JSON.stringify(body));
      assert.equal(shape.parse(await response.json()).error.param, param);
    }
  const failing = await startTestServer(
    {},
    {
      script: () => {
        throw new Error("the engine broke");
      },
    },
  );
  try {
    const response = await fetch(`${failing.url}/v1/responses`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "tutor", input: "a", stream: true }),
    });
    const text = await response.text();
    if (response.status === 200) assert.match(text, /event: response\.failed\n/);
    else assert.equal(response.status, 500);
    assert.doesNotMatch(text, /the engine broke/, "what broke inside is for the log");
  } finally {
    await failing.stop();
  }
});
