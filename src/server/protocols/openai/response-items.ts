// OpenAI's Responses API: request, items and answer as schemas, and items as the internal conversation.
import { z } from "zod";
import type { Message, Tool } from "../../../text/conversation.ts";
import { invalid, notAvailable } from "../../errors.ts";
import type { ToolChoice } from "../../generation.ts";
import { effortField, samplingFields } from "./messages.ts";

const part = z.looseObject({ type: z.string(), text: z.string().optional() });
const content = z.union([z.string(), z.array(part)]);

const messageItem = z.object({
  type: z.literal("message").optional(),
  id: z.string().max(256).nullish(),
  role: z.enum(["user", "assistant", "system", "developer"]),
  content,
  status: z.string().nullish(),
});
const callItem = z.object({
  type: z.literal("function_call"),
  id: z.string().max(256).nullish(),
  call_id: z.string().min(1).max(256),
  name: z.string().min(1).max(256),
  arguments: z.string(),
});
const resultItem = z.object({
  type: z.literal("function_call_output"),
  id: z.string().max(256).nullish(),
  call_id: z.string().min(1).max(256),
  output: content,
});
const reasoningItem = z.object({
  type: z.literal("reasoning"),
  id: z.string().max(256).nullish(),
  summary: z.array(z.looseObject({ text: z.string() })).nullish(),
  content: z.array(z.looseObject({ text: z.string() })).nullish(),
  encrypted_content: z.string().nullish(),
});
const referenceItem = z.object({ type: z.literal("item_reference"), id: z.string().max(256) });

export const inputItem = z.union([messageItem, callItem, resultItem, reasoningItem, referenceItem]);
export type InputItem = z.output<typeof inputItem>;

const jsonSchema = z.record(z.string(), z.unknown());
const functionTool = z.looseObject({
  type: z.literal("function"),
  name: z.string().regex(/^[a-zA-Z0-9_.-]{1,128}$/, "use 1 to 128 letters, digits, '_', '-' and '.'"),
  description: z.string().nullish(),
  parameters: jsonSchema.nullish(),
  strict: z.boolean().nullish(),
});
const foreignTool = z.looseObject({
  type: z.string().refine((type) => type !== "function", "this function tool lacks a field or has one of a wrong type"),
});

const ignored = z.unknown().optional();

export const responseRequest = z.strictObject({
  model: z.string().min(1).max(256),
  input: z.union([z.string(), z.array(inputItem)]).nullish(),
  instructions: z.string().nullish(),
  previous_response_id: z.string().max(256).nullish(),
  store: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  max_output_tokens: z.number().int().min(1).nullish(),
  temperature: samplingFields.temperature,
  top_p: samplingFields.top_p,
  top_logprobs: z.number().int().min(0).max(20).nullish(),
  tools: z
    .array(z.union([functionTool, foreignTool]))
    .max(128)
    .nullish(),
  tool_choice: z
    .union([
      z.enum(["none", "auto", "required"]),
      z.object({ type: z.literal("function"), name: z.string() }),
      z.object({
        type: z.literal("allowed_tools"),
        mode: z.enum(["auto", "required"]),
        tools: z.array(z.looseObject({ type: z.literal("function"), name: z.string() })),
      }),
    ])
    .nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  reasoning: z
    .looseObject({ effort: effortField.nullish(), summary: z.enum(["auto", "concise", "detailed"]).nullish() })
    .nullish(),
  text: z
    .looseObject({
      format: z
        .discriminatedUnion("type", [
          z.looseObject({ type: z.literal("text") }),
          z.looseObject({ type: z.literal("json_object") }),
          z.looseObject({ type: z.literal("json_schema"), name: z.string().min(1).max(64), schema: jsonSchema }),
        ])
        .nullish(),
    })
    .nullish(),
  include: z.array(z.string()).nullish(),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
  user: z.string().max(512).nullish(),
  background: z.boolean().nullish(),
  conversation: ignored,
  prompt: ignored,
  // Taken and without effect here.
  context_management: ignored,
  max_tool_calls: z.number().int().min(1).nullish(),
  moderation: ignored,
  prompt_cache_key: z.string().max(512).nullish(),
  prompt_cache_options: ignored,
  prompt_cache_retention: ignored,
  safety_identifier: z.string().max(512).nullish(),
  service_tier: ignored,
  stream_options: ignored,
  truncation: ignored,
});

export type ResponseRequest = z.output<typeof responseRequest>;

const logprob = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()) });
const status = z.enum(["in_progress", "completed", "incomplete"]);

export const outputItem = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("message"),
    id: z.string(),
    role: z.literal("assistant"),
    status,
    content: z.array(
      z.object({
        type: z.literal("output_text"),
        text: z.string(),
        annotations: z.array(z.never()),
        logprobs: z.array(logprob.extend({ top_logprobs: z.array(logprob) })),
      }),
    ),
  }),
  z.object({
    type: z.literal("function_call"),
    id: z.string(),
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
    status,
  }),
  z.object({
    type: z.literal("reasoning"),
    id: z.string(),
    summary: z.array(z.object({ type: z.literal("summary_text"), text: z.string() })),
    content: z.array(z.object({ type: z.literal("reasoning_text"), text: z.string() })),
    encrypted_content: z.string().nullable(),
    status,
  }),
]);

export type OutputItem = z.output<typeof outputItem>;

export const responseObject = z.object({
  id: z.string(),
  object: z.literal("response"),
  created_at: z.int(),
  completed_at: z.int().nullable(),
  status: z.enum(["in_progress", "completed", "incomplete", "failed"]),
  access_programs: z.null(),
  background: z.literal(false),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  frequency_penalty: z.literal(0),
  incomplete_details: z.object({ reason: z.enum(["max_output_tokens", "content_filter"]) }).nullable(),
  instructions: z.string().nullable(),
  max_output_tokens: z.int().nullable(),
  max_tool_calls: z.int().nullable(),
  metadata: z.record(z.string(), z.string()),
  model: z.string(),
  output: z.array(outputItem),
  parallel_tool_calls: z.boolean(),
  presence_penalty: z.literal(0),
  prompt_cache_key: z.string().nullable(),
  previous_response_id: z.string().nullable(),
  reasoning: z.object({ effort: z.string().nullable(), summary: z.string().nullable() }),
  safety_identifier: z.string().nullable(),
  service_tier: z.literal("default"),
  store: z.boolean(),
  temperature: z.number().nullable(),
  text: z.object({ format: z.unknown() }),
  tool_choice: z.unknown(),
  tools: z.array(
    z.object({
      type: z.literal("function"),
      name: z.string(),
      description: z.string().nullable(),
      parameters: z.record(z.string(), z.unknown()).nullable(),
      strict: z.boolean().nullable(),
    }),
  ),
  top_logprobs: z.int(),
  top_p: z.number().nullable(),
  truncation: z.literal("disabled"),
  usage: z
    .object({
      input_tokens: z.int(),
      input_tokens_details: z.object({ cached_tokens: z.int(), cache_write_tokens: z.int() }),
      output_tokens: z.int(),
      output_tokens_details: z.object({ reasoning_tokens: z.int() }),
      total_tokens: z.int(),
      cost: z.object({ amount: z.number(), currency: z.string() }).optional(),
      energy_joules: z.number().optional(),
    })
    .nullable(),
  user: z.string().nullable(),
});

export type ResponseObject = z.output<typeof responseObject>;

/** Thinking handed to a client that keeps the state itself. It is encoded, not secret: the client may read it anyway. */
const sealPrefix = "weir1:";
export const seal = (text: string): string => sealPrefix + Buffer.from(text).toString("base64");

function unseal(sealed: string | null | undefined): string {
  return sealed?.startsWith(sealPrefix) ? Buffer.from(sealed.slice(sealPrefix.length), "base64").toString() : "";
}

function plain(value: string | z.output<typeof part>[], field: string, separator: string): string {
  if (typeof value === "string") return value;
  return value
    .map((each, at) => {
      if (
        each.text === undefined ||
        !["input_text", "output_text", "text", "refusal", "summary_text"].includes(each.type)
      )
        throw invalid(
          `${field}[${at}]`,
          `This model reads text only; parts of type '${each.type.slice(0, 50)}' cannot be sent to it.`,
        );
      return each.text;
    })
    .join(separator);
}

/** Items as messages; neighbouring assistant items (thinking, text, calls) are one message. References are resolved before. */
export function itemsToMessages(items: Exclude<InputItem, z.output<typeof referenceItem>>[]): Message[] {
  const messages: Message[] = [];
  let unanswered = new Set<string>();
  let open: Message | undefined;
  const assistant = (): Message => {
    if (!open) messages.push((open = { role: "assistant", content: "" }));
    return open;
  };
  for (const [at, item] of items.entries()) {
    const field = `input[${at}]`;
    if (item.type === "reasoning") {
      const text =
        item.content?.map((each) => each.text).join("") ||
        unseal(item.encrypted_content) ||
        (item.summary ?? []).map((each) => each.text).join("");
      if (text) assistant().reasoningContent = text;
      continue;
    }
    if (item.type === "function_call") {
      const message = assistant();
      message.toolCalls = [
        ...(message.toolCalls ?? []),
        { id: item.call_id, name: item.name, arguments: item.arguments },
      ];
      unanswered.add(item.call_id);
      continue;
    }
    if (item.type === "function_call_output") {
      if (!unanswered.delete(item.call_id))
        throw invalid(
          `${field}.call_id`,
          `No tool call found for function call output with call_id '${item.call_id}'.`,
        );
      open = undefined;
      messages.push({ role: "tool", toolCallId: item.call_id, content: plain(item.output, `${field}.output`, "\n\n") });
      continue;
    }
    if (unanswered.size > 0)
      throw invalid(field, `No tool output found for function call ${[...unanswered].join(", ").slice(0, 200)}.`);
    unanswered = new Set();
    if (item.role === "assistant") {
      const message = assistant();
      message.content += plain(item.content, `${field}.content`, "");
    } else {
      open = undefined;
      const role = item.role === "developer" ? "system" : item.role;
      messages.push({ role, content: plain(item.content, `${field}.content`, "\n\n") });
    }
  }
  if (unanswered.size > 0)
    throw invalid("input", `No tool output found for function call ${[...unanswered].join(", ").slice(0, 200)}.`);
  return messages;
}

export function toTools(tools: ResponseRequest["tools"]): Tool[] | undefined {
  if (!tools || tools.length === 0) return undefined;
  return tools.map((tool, at) => {
    if (tool.type !== "function")
      throw notAvailable(
        `The tool type '${tool.type.slice(0, 80)}' (tools[${at}])`,
        "Declare a tool of type 'function' and execute it yourself.",
      );
    const { name, description, parameters, strict } = tool as z.output<typeof functionTool>;
    return {
      name,
      description: description ?? undefined,
      parameters: parameters ?? undefined,
      strict: strict ?? undefined,
    };
  });
}

export function toToolChoice(
  choice: ResponseRequest["tool_choice"],
  tools: Tool[] | undefined,
): { choice?: ToolChoice; tools?: Tool[] } {
  if (choice == null || choice === "auto" || choice === "none") return { choice: choice ?? undefined, tools };
  if (!tools) throw invalid("tool_choice", "tool_choice is only allowed when tools are specified.");
  const known = (name: string) => {
    if (!tools.some((tool) => tool.name === name))
      throw invalid("tool_choice", `tool_choice names '${name.slice(0, 100)}', which is not in tools.`);
  };
  if (choice === "required") return { choice, tools };
  if (choice.type === "function") {
    known(choice.name);
    return { choice: { name: choice.name }, tools };
  }
  for (const tool of choice.tools) known(tool.name);
  return { choice: choice.mode, tools: tools.filter((tool) => choice.tools.some((each) => each.name === tool.name)) };
}
