// Mutated requests for every JSON endpoint: deterministic, so that a failure can be repeated by its seed.

export const bodies: Record<string, object[]> = {
  "/v1/chat/completions": [
    {
      model: "tutor",
      messages: [
        { role: "system", content: "a" },
        { role: "user", content: [{ type: "text", text: "weather" }] },
        {
          role: "assistant",
          content: "",
          tool_calls: [{ id: "c", type: "function", function: { name: "f", arguments: "{}" } }],
        },
        { role: "tool", tool_call_id: "c", content: "b" },
        { role: "user", content: "c" },
      ],
      tools: [
        {
          type: "function",
          function: {
            name: "f",
            description: "d",
            parameters: { type: "object", properties: { a: { type: "string" } } },
          },
        },
      ],
      tool_choice: "auto",
      temperature: 0.5,
      top_p: 0.9,
      n: 2,
      stop: ["x"],
      max_tokens: 5,
      logprobs: true,
      top_logprobs: 2,
      logit_bias: { "5": 1 },
      seed: 1,
      response_format: { type: "json_schema", json_schema: { name: "n", schema: { type: "object" } } },
      stream_options: { include_usage: true },
      stream: true,
      reasoning_effort: "low",
      thinking: { type: "enabled" },
    },
  ],
  "/v1/completions": [
    {
      model: "tutor",
      prompt: ["a", "b"],
      suffix: null,
      max_tokens: 5,
      echo: true,
      logprobs: 2,
      n: 1,
      stop: "x",
      stream: false,
    },
    { model: "tutor", prompt: [1, 2, 3], suffix: "b", stream: true },
  ],
  "/v1/embeddings": [
    { model: "tutor", input: ["a", "b"], encoding_format: "base64", dimensions: 4 },
    { model: "tutor", input: [[1, 2], [3]] },
  ],
  "/v1/responses": [
    {
      model: "tutor",
      input: [
        { role: "user", content: [{ type: "input_text", text: "a" }] },
        { type: "reasoning", summary: [{ type: "summary_text", text: "s" }], content: [], encrypted_content: null },
        { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
        { type: "function_call_output", call_id: "c", output: "b" },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "t" }] },
        { role: "user", content: "a" },
      ],
      instructions: "i",
      tools: [{ type: "function", name: "f", parameters: { type: "object" }, strict: true }],
      tool_choice: { type: "function", name: "f" },
      text: { format: { type: "json_schema", name: "n", schema: {} } },
      reasoning: { effort: "low", summary: "auto" },
      metadata: { a: "b" },
      include: ["reasoning.encrypted_content"],
      max_output_tokens: 5,
      stream: true,
    },
  ],
  "/v1/messages": [
    {
      model: "tutor",
      max_tokens: 5,
      system: [{ type: "text", text: "s" }],
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "weather" },
            { type: "document", source: { type: "text", data: "d" }, title: "t" },
          ],
        },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "t", signature: "s" },
            { type: "tool_use", id: "u", name: "f", input: { a: 1 } },
          ],
        },
        {
          role: "user",
          content: [{ type: "tool_result", tool_use_id: "u", content: [{ type: "text", text: "r" }], is_error: true }],
        },
      ],
      tools: [{ name: "f", description: "d", input_schema: { type: "object" } }],
      tool_choice: { type: "any", disable_parallel_tool_use: true },
      thinking: { type: "enabled", budget_tokens: 1024 },
      output_config: { effort: "low", format: { type: "json_schema", schema: { type: "object" } } },
      stop_sequences: ["x"],
      metadata: { user_id: "u" },
      temperature: 0.5,
      stream: true,
    },
  ],
  "/v1/messages/count_tokens": [
    { model: "tutor", messages: [{ role: "user", content: "a" }], tools: [{ name: "f", input_schema: {} }] },
  ],
  "/beta/chat/completions": [
    {
      model: "deepseek-chat",
      messages: [
        { role: "latest_reminder", content: "2026-11-09" },
        { role: "user", content: "weather" },
        { role: "assistant", content: "a", reasoning_content: "r", prefix: true },
      ],
      tools: [
        {
          type: "function",
          function: {
            name: "f",
            strict: true,
            parameters: {
              type: "object",
              properties: { a: { type: "string" } },
              required: ["a"],
              additionalProperties: false,
            },
          },
        },
      ],
      thinking: { type: "disabled" },
      response_format: { type: "json_object" },
      user_id: "u",
    },
  ],
  "/beta/completions": [{ model: "tutor", prompt: "a", suffix: "b", max_tokens: 5, stream: true }],
  "/v1/batches": [
    { input_file_id: "file-x", endpoint: "/v1/responses", completion_window: "24h", metadata: { a: "b" } },
  ],
};

/** Mulberry32: a small generator with a 32-bit seed. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

const strange = [
  null,
  true,
  false,
  0,
  -1,
  1,
  0.5,
  1e308,
  -1e308,
  2 ** 53,
  4294967296,
  "",
  " ",
  "a",
  "\u0000",
  "😀",
  "__proto__",
  "constructor",
  "toString",
  "true",
  "{}",
  "../..",
  "a".repeat(5000),
  [],
  {},
  [[]],
  [null],
  { type: "x" },
  { type: "function" },
  { type: null },
  { $ref: "#" },
  [1, "a", {}],
  ["a", "a"],
  "assistant",
  "tool",
  "user",
  "none",
  "required",
  { length: 1 },
  { toString: 1 },
  "file-x",
  "resp_x",
  "system",
] as const;

type Slot = [holder: Record<string | number, unknown>, key: string | number];

function slots(value: unknown, found: Slot[] = []): Slot[] {
  if (typeof value !== "object" || value === null) return found;
  for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    found.push([value as Slot[0], key]);
    slots((value as Slot[0])[key], found);
  }
  return found;
}

/** One mutated body: one to three changes to the structure, sometimes one to the text. */
export function mutate(body: object, next: () => number): string {
  const copy = structuredClone(body);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)];
  for (let changes = 1 + Math.floor(next() * 3); changes > 0; changes--) {
    const all = slots(copy);
    if (all.length === 0) break;
    const [holder, key] = pick(all);
    const kind = next();
    if (kind < 0.55) holder[key] = structuredClone(pick<unknown>(strange));
    else if (kind < 0.7) delete holder[key];
    else if (kind < 0.8 && Array.isArray(holder)) holder.push(structuredClone(holder[key as number]));
    else if (kind < 0.9) {
      const [other, from] = pick(all);
      holder[key] = structuredClone(other[from]);
    } else {
      const name = pick(["stream", "x", "type", "content", "role", "__proto__", "n", "id"]);
      // Plain assignment to __proto__ would change this process, not the text that is sent.
      const value = structuredClone(pick<unknown>(strange));
      Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });
    }
  }
  let text = JSON.stringify(copy);
  if (next() < 0.1) {
    const at = Math.floor(next() * text.length);
    text =
      next() < 0.5
        ? text.slice(0, at)
        : text.slice(0, at) + pick(['"', "{", "]", ",", "\\", "\u0001", "é"]) + text.slice(at + 1);
  }
  return text;
}
