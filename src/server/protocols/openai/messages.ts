// OpenAI's messages, tools and sampling fields, with DeepSeek's additions to them, as schemas and as the internal
// conversation. Shared by every endpoint that speaks this shape.
import { z } from "zod";
import type { SamplingParameters } from "../../../engine/types.ts";
import type { Conversation, Effort, Message, Tool } from "../../../text/conversation.ts";
import { invalid, notAvailable } from "../../errors.ts";
import type { ToolChoice } from "../../generation.ts";

const text = z.object({ type: z.literal("text"), text: z.string() });
const refusal = z.object({ type: z.literal("refusal"), refusal: z.string() });
/** Known to the protocol, but not to models that read text. */
const media = z.looseObject({ type: z.enum(["image_url", "input_audio", "file", "video_url"]) });
const textContent = z.union([z.string(), z.array(z.discriminatedUnion("type", [text])).min(1)]);
const userContent = z.union([z.string(), z.array(z.discriminatedUnion("type", [text, media])).min(1)]);
const assistantContent = z.union([z.string(), z.array(z.discriminatedUnion("type", [text, refusal]))]);

const name = z.string().max(256).nullish();

const toolCall = z.object({
  id: z.string().min(1).max(256),
  type: z.literal("function").default("function"),
  function: z.object({ name: z.string().min(1).max(256), arguments: z.string() }),
});

export const chatMessage = z.discriminatedUnion("role", [
  z.object({ role: z.literal("system"), content: textContent, name }),
  z.object({ role: z.literal("developer"), content: textContent, name }),
  z.object({ role: z.literal("user"), content: userContent, name }),
  z.object({
    role: z.literal("assistant"),
    content: assistantContent.nullish(),
    reasoning_content: z.string().nullish(),
    tool_calls: z.array(toolCall).nullish(),
    prefix: z.boolean().nullish(),
    name,
  }),
  z.object({ role: z.literal("tool"), content: textContent, tool_call_id: z.string().min(1).max(256), name }),
  z.object({ role: z.literal("latest_reminder"), content: textContent, name }),
]);

export type ChatMessage = z.output<typeof chatMessage>;

type Part = { type: string; text?: string; refusal?: string };

function plain(content: string | Part[] | null | undefined, field: string, separator: string): string {
  if (typeof content === "string") return content;
  return (content ?? [])
    .map((part, at) => {
      if (part.type !== "text" && part.type !== "refusal")
        throw invalid(
          `${field}[${at}]`,
          `This model reads text only; parts of type '${part.type}' cannot be sent to it.`,
        );
      return part.text ?? part.refusal ?? "";
    })
    .join(separator);
}

/** Checked messages in the internal shape; throws what OpenAI and DeepSeek refuse too. */
export function toMessages(messages: ChatMessage[]): Message[] {
  let unanswered = new Set<string>();
  const result = messages.map((message, at): Message => {
    const field = `messages[${at}]`;
    if (message.role === "tool") {
      if (!unanswered.delete(message.tool_call_id))
        throw invalid(
          `${field}.tool_call_id`,
          "A tool message must answer a call of the assistant message before it, once, by its id.",
        );
      return {
        role: "tool",
        content: plain(message.content, `${field}.content`, "\n\n"),
        toolCallId: message.tool_call_id,
      };
    }
    if (unanswered.size > 0)
      throw invalid(
        field,
        `The tool calls ${[...unanswered].join(", ").slice(0, 200)} need an answer (role 'tool') before the next message.`,
      );
    if (message.role === "assistant") {
      if (message.prefix && at !== messages.length - 1)
        throw invalid(`${field}.prefix`, "Only the last message can be a prefix to continue.");
      const calls = message.tool_calls ?? [];
      if (message.content == null && calls.length === 0 && message.reasoning_content == null)
        throw invalid(
          `${field}.content`,
          "An assistant message needs content or tool_calls; send an empty string for no content.",
        );
      unanswered = new Set(calls.map((call) => call.id));
      return {
        role: "assistant",
        content: plain(message.content, `${field}.content`, ""),
        reasoningContent: message.reasoning_content ?? undefined,
        toolCalls: calls.length > 0 ? calls.map(({ id, function: named }) => ({ id, ...named })) : undefined,
        name: message.name ?? undefined,
        prefix: message.prefix || undefined,
      };
    }
    // OpenAI's developer messages are its later name for system messages.
    const role = message.role === "developer" ? "system" : message.role;
    return { role, content: plain(message.content, `${field}.content`, "\n\n"), name: message.name ?? undefined };
  });
  if (unanswered.size > 0)
    throw invalid(
      `messages[${messages.length - 1}]`,
      `The tool calls ${[...unanswered].join(", ").slice(0, 200)} have no answer yet (role 'tool').`,
    );
  return result;
}

const jsonSchema = z.record(z.string(), z.unknown());

export const functionTool = z.object({
  type: z.literal("function"),
  function: z.object({
    name: z.string().regex(/^[a-zA-Z0-9_.-]{1,128}$/, "use 1 to 128 letters, digits, '_', '-' and '.'"),
    description: z.string().nullish(),
    parameters: jsonSchema.nullish(),
    strict: z.boolean().nullish(),
  }),
});

/** Tools that DeepSeek's and OpenAI's own servers execute. */
const serverTool = z.looseObject({
  type: z.string().refine((type) => type !== "function", "this function tool lacks a field or has one of a wrong type"),
});

export const chatTools = z.array(z.union([functionTool, serverTool])).max(128);

export const toolChoiceField = z.union([
  z.enum(["none", "auto", "required"]),
  z.object({ type: z.literal("function"), function: z.object({ name: z.string() }) }),
  z.object({
    type: z.literal("allowed_tools"),
    allowed_tools: z.object({
      mode: z.enum(["auto", "required"]),
      tools: z.array(z.looseObject({ type: z.literal("function"), function: z.object({ name: z.string() }) })),
    }),
  }),
]);

export function toTools(tools: z.output<typeof chatTools> | null | undefined): Tool[] | undefined {
  if (!tools || tools.length === 0) return undefined;
  const names = new Set<string>();
  return tools.map((tool, at) => {
    if (tool.type !== "function")
      throw notAvailable(
        `The tool type '${tool.type.slice(0, 80)}' (tools[${at}])`,
        "Declare a tool of type 'function' and execute it yourself.",
      );
    const { name, description, parameters, strict } = (tool as z.output<typeof functionTool>).function;
    if (names.has(name)) throw invalid(`tools[${at}].function.name`, `Two tools are called '${name}'.`);
    names.add(name);
    return {
      name,
      description: description ?? undefined,
      parameters: parameters ?? undefined,
      strict: strict ?? undefined,
    };
  });
}

/** The choice, and the tools that it leaves. */
export function toToolChoice(
  choice: z.output<typeof toolChoiceField> | null | undefined,
  tools: Tool[] | undefined,
): { choice?: ToolChoice; tools?: Tool[] } {
  if (choice == null) return { tools };
  if (!tools) {
    if (choice === "none" || choice === "auto") return {};
    throw invalid("tool_choice", "tool_choice is only allowed when tools are specified.");
  }
  if (typeof choice === "string") return { choice, tools };
  const known = (name: string) => {
    if (!tools.some((tool) => tool.name === name))
      throw invalid("tool_choice", `tool_choice names '${name}', which is not in tools.`);
  };
  if (choice.type === "function") {
    known(choice.function.name);
    return { choice: { name: choice.function.name }, tools };
  }
  const allowed = choice.allowed_tools.tools.map((tool) => tool.function.name);
  for (const name of allowed) known(name);
  return { choice: choice.allowed_tools.mode, tools: tools.filter((tool) => allowed.includes(tool.name)) };
}

export const responseFormatField = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object") }),
  z.object({
    type: z.literal("json_schema"),
    json_schema: z.object({
      name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, "use 1 to 64 letters, digits, '_' and '-'"),
      description: z.string().nullish(),
      schema: jsonSchema.nullish(),
      strict: z.boolean().nullish(),
    }),
  }),
]);

export function toResponseFormat(
  format: z.output<typeof responseFormatField> | null | undefined,
): Conversation["responseFormat"] {
  if (format == null || format.type === "text") return undefined;
  if (format.type === "json_object") return { type: "json_object" };
  return { type: "json_schema", name: format.json_schema.name, schema: format.json_schema.schema ?? {} };
}

export const effortField = z.enum(["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"]);

/** DeepSeek's three levels from everyone's words for them (deepseek API, create-chat-completion). */
export function toEffort(effort: z.output<typeof effortField> | null | undefined): Effort | undefined {
  if (effort == null || effort === "none") return undefined;
  if (effort === "minimal" || effort === "low") return "low";
  return effort === "max" || effort === "ultra" ? "max" : "high";
}

export const samplingFields = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z.record(z.string().regex(/^\d{1,9}$/, "keys are token ids"), z.number().min(-100).max(100)).nullish(),
  seed: z.number().int().nullish(),
  stop: z.union([z.string().min(1).max(1000), z.array(z.string().min(1).max(1000)).max(16)]).nullish(),
  // Not OpenAI's; vLLM's names for what engines can do beside.
  top_k: z.number().int().min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().gt(0).max(10).nullish(),
  min_tokens: z.number().int().min(0).nullish(),
  ignore_eos: z.boolean().nullish(),
};

const samplingSchema = z.object(samplingFields);

export function toSampling(fields: z.output<typeof samplingSchema>): SamplingParameters {
  const bias =
    fields.logit_bias && Object.entries(fields.logit_bias).map(([id, value]): [number, number] => [Number(id), value]);
  return {
    temperature: fields.temperature ?? undefined,
    topP: fields.top_p ?? undefined,
    topK: fields.top_k == null || fields.top_k < 0 ? undefined : fields.top_k,
    minP: fields.min_p ?? undefined,
    frequencyPenalty: fields.frequency_penalty ?? undefined,
    presencePenalty: fields.presence_penalty ?? undefined,
    repetitionPenalty: fields.repetition_penalty ?? undefined,
    logitBias: bias && bias.length > 0 ? new Map(bias) : undefined,
    seed: fields.seed ?? undefined,
  };
}

export function toStop(stop: string | string[] | null | undefined): string[] | undefined {
  if (stop == null) return undefined;
  return typeof stop === "string" ? [stop] : stop;
}
