// Anthropic's request and answer shapes as schemas, and the request as the internal conversation.
import { z } from "zod";
import type { Conversation, Message, Tool } from "../../../text/conversation.ts";
import { invalid } from "../../errors.ts";
import type { GenerationRequest, ToolChoice } from "../../generation.ts";
import { effortField, toEffort } from "../openai/messages.ts";

const textBlock = z.object({ type: z.literal("text"), text: z.string() });
const documentBlock = z.looseObject({
  type: z.literal("document"),
  source: z.looseObject({ type: z.string(), data: z.string().optional() }),
  title: z.string().nullish(),
});
const knownTypes = new Set(["text", "thinking", "redacted_thinking", "tool_use", "tool_result", "document"]);
/** Blocks the protocol knows and models that read text do not; refused with a sentence of their own later. */
const foreignBlock = z.looseObject({
  type: z.string().refine((type) => !knownTypes.has(type), "this block lacks a field or has one of a wrong type"),
});

const resultContent = z.union([
  z.string(),
  z.array(z.union([z.discriminatedUnion("type", [textBlock, documentBlock]), foreignBlock])),
]);
const block = z.union([
  z.discriminatedUnion("type", [
    textBlock,
    z.object({ type: z.literal("thinking"), thinking: z.string(), signature: z.string().optional() }),
    z.object({ type: z.literal("redacted_thinking"), data: z.string() }),
    z.object({
      type: z.literal("tool_use"),
      id: z.string().min(1).max(256),
      name: z.string().min(1).max(256),
      input: z.record(z.string(), z.unknown()),
    }),
    z.object({
      type: z.literal("tool_result"),
      tool_use_id: z.string().min(1).max(256),
      content: resultContent.nullish(),
      is_error: z.boolean().nullish(),
    }),
    documentBlock,
  ]),
  foreignBlock,
]);
type Block = z.output<typeof block>;

const tool = z.looseObject({
  type: z.string().nullish(),
  name: z.string().regex(/^[a-zA-Z0-9_-]{1,128}$/, "use 1 to 128 letters, digits, '_' and '-'"),
  description: z.string().nullish(),
  input_schema: z.record(z.string(), z.unknown()).optional(),
  strict: z.boolean().nullish(),
});

const ignored = z.unknown().optional();

const shared = {
  model: z.string().min(1).max(256),
  messages: z
    .array(z.object({ role: z.enum(["user", "assistant", "system"]), content: z.union([z.string(), z.array(block)]) }))
    .min(1),
  system: z.union([z.string(), z.array(textBlock)]).nullish(),
  thinking: z
    .discriminatedUnion("type", [
      z.looseObject({ type: z.literal("enabled"), budget_tokens: z.number().int().min(1) }),
      z.looseObject({ type: z.literal("adaptive") }),
      z.looseObject({ type: z.literal("disabled") }),
    ])
    .nullish(),
  tools: z.array(tool).max(128).nullish(),
  tool_choice: z
    .discriminatedUnion("type", [
      z.object({ type: z.literal("auto"), disable_parallel_tool_use: z.boolean().nullish() }),
      z.object({ type: z.literal("any"), disable_parallel_tool_use: z.boolean().nullish() }),
      z.object({ type: z.literal("tool"), name: z.string(), disable_parallel_tool_use: z.boolean().nullish() }),
      z.object({ type: z.literal("none") }),
    ])
    .nullish(),
  output_config: z
    .looseObject({
      effort: effortField.nullish(),
      format: z.object({ type: z.literal("json_schema"), schema: z.record(z.string(), z.unknown()) }).nullish(),
    })
    .nullish(),
  // Taken and without effect here.
  cache_control: ignored,
  container: ignored,
  context_management: ignored,
  diagnostics: ignored,
  inference_geo: ignored,
  mcp_servers: ignored,
  service_tier: ignored,
  speed: ignored,
  user_profile_id: ignored,
  workspace_id: ignored,
};

export const countRequest = z.strictObject(shared);

export const messagesRequest = z.strictObject({
  ...shared,
  max_tokens: z.number().int().min(1),
  metadata: z.looseObject({ user_id: z.string().max(512).nullish() }).nullish(),
  stop_sequences: z.array(z.string().min(1).max(1000)).max(64).nullish(),
  stream: z.boolean().nullish(),
  temperature: z.number().min(0).max(1).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.number().int().min(0).nullish(),
});

const usage = z.object({
  input_tokens: z.int(),
  output_tokens: z.int(),
  cache_creation_input_tokens: z.int(),
  cache_read_input_tokens: z.int(),
  cache_creation: z.null(),
  inference_geo: z.null(),
  output_tokens_details: z.null(),
  server_tool_use: z.null(),
  service_tier: z.literal("standard"),
  speed: z.null(),
  cost: z.object({ amount: z.number(), currency: z.string() }).optional(),
  energy_joules: z.number().optional(),
});

export const messageAnswer = z.object({
  id: z.string(),
  type: z.literal("message"),
  role: z.literal("assistant"),
  model: z.string(),
  content: z.array(
    z.discriminatedUnion("type", [
      z.object({ type: z.literal("thinking"), thinking: z.string(), signature: z.string() }),
      z.object({ type: z.literal("text"), text: z.string() }),
      z.object({
        type: z.literal("tool_use"),
        id: z.string(),
        name: z.string(),
        input: z.unknown(),
        caller: z.object({ type: z.literal("direct") }),
      }),
    ]),
  ),
  stop_reason: z.enum(["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"]).nullable(),
  stop_sequence: z.string().nullable(),
  stop_details: z.null(),
  container: z.null(),
  diagnostics: z.null(),
  usage,
});

export const tokenCount = z.object({ input_tokens: z.int() });

type Shared = z.output<typeof countRequest>;

function blockText(content: string | { type: string }[], field: string): string {
  if (typeof content === "string") return content;
  return content
    .map((each, at) => {
      if (each.type === "text") return (each as z.output<typeof textBlock>).text;
      if (each.type === "document") {
        const { source, title } = each as z.output<typeof documentBlock>;
        // DeepSeek's own layout for files in a prompt (DeepSeek-R1 README).
        if (source.type === "text" && source.data !== undefined)
          return `[file name]: ${title ?? "document"}\n[file content begin]\n${source.data}\n[file content end]`;
      }
      throw invalid(
        `${field}[${at}]`,
        `This model reads text only; blocks of type '${each.type.slice(0, 50)}' cannot be sent to it.`,
      );
    })
    .join("\n\n");
}

function assistantMessage(blocks: Block[], field: string): Message {
  const message: Message = { role: "assistant", content: "" };
  for (const [at, each] of blocks.entries()) {
    if (each.type === "text") message.content += (each as z.output<typeof textBlock>).text;
    else if (each.type === "thinking")
      message.reasoningContent = (message.reasoningContent ?? "") + (each as { thinking: string }).thinking;
    else if (each.type === "tool_use") {
      const { id, name, input } = each as { id: string; name: string; input: unknown };
      message.toolCalls = [...(message.toolCalls ?? []), { id, name, arguments: JSON.stringify(input) }];
    } else if (each.type !== "redacted_thinking")
      throw invalid(
        `${field}[${at}]`,
        `An assistant message cannot hold a block of type '${each.type.slice(0, 50)}' here.`,
      );
  }
  return message;
}

/** Results become tool messages, everything else one user message after them. */
function userMessages(blocks: Block[], field: string, unanswered: Set<string>): Message[] {
  const results: Message[] = [];
  const rest: { type: string }[] = [];
  for (const [at, each] of blocks.entries()) {
    if (each.type !== "tool_result") {
      rest.push(each);
      continue;
    }
    const { tool_use_id, content, is_error } = each as {
      tool_use_id: string;
      content?: string | { type: string }[];
      is_error?: boolean;
    };
    if (!unanswered.delete(tool_use_id))
      throw invalid(
        `${field}[${at}]`,
        `The tool_result answers '${tool_use_id}', which is no tool_use of the assistant message before it.`,
      );
    const text = blockText(content ?? "", `${field}[${at}].content`);
    results.push({ role: "tool", toolCallId: tool_use_id, content: is_error ? `Error: ${text}` : text });
  }
  if (rest.length > 0) results.push({ role: "user", content: blockText(rest, field) });
  return results;
}

function toMessages(body: Shared): Message[] {
  const messages: Message[] = [];
  if (body.system != null && body.system.length > 0)
    messages.push({ role: "system", content: blockText(body.system, "system") });
  let unanswered = new Set<string>();
  for (const [at, { role, content }] of body.messages.entries()) {
    const field = `messages[${at}].content`;
    const blocks: Block[] = typeof content === "string" ? [{ type: "text", text: content }] : content;
    if (role === "assistant") {
      const message = assistantMessage(blocks, field);
      messages.push(message);
      unanswered = new Set(message.toolCalls?.map((call) => call.id));
      continue;
    }
    if (role === "user") messages.push(...userMessages(blocks, field, unanswered));
    else messages.push({ role: "system", content: blockText(blocks, field) });
    if (unanswered.size > 0)
      throw invalid(
        field,
        `The tool_use blocks ${[...unanswered].join(", ").slice(0, 200)} need tool_result blocks in the next message.`,
      );
  }
  const last = messages.at(-1);
  // Anthropic continues a last assistant message.
  if (last?.role === "assistant") {
    if (last.toolCalls)
      throw invalid(
        `messages[${body.messages.length - 1}]`,
        "The last message calls tools; send their tool_result blocks.",
      );
    last.prefix = true;
  }
  return messages;
}

function toTools(tools: Shared["tools"]): Tool[] | undefined {
  if (!tools || tools.length === 0) return undefined;
  return tools.map(({ type, name, description, input_schema, strict }, at) => {
    if (type != null && type !== "custom")
      throw invalid(
        `tools[${at}].type`,
        `The tool type '${type.slice(0, 80)}' is not available on this server; declare a custom tool and execute it yourself.`,
      );
    if (!input_schema)
      throw invalid(`tools[${at}].input_schema`, "The field 'input_schema' is required.", "missing_required_parameter");
    return { name, description: description ?? undefined, parameters: input_schema, strict: strict ?? undefined };
  });
}

export function toConversation(body: Shared): Conversation {
  const format = body.output_config?.format;
  const effort = body.output_config?.effort;
  return {
    messages: toMessages(body),
    tools: toTools(body.tools),
    thinking: body.thinking ? (body.thinking.type === "disabled" ? "off" : "on") : undefined,
    effort: toEffort(effort),
    responseFormat: format ? { type: "json_schema", schema: format.schema } : undefined,
  };
}

function toChoice(choice: Shared["tool_choice"], tools: Tool[] | undefined): ToolChoice | undefined {
  if (!choice) return undefined;
  if (choice.type === "none" || choice.type === "auto") return choice.type;
  if (!tools) throw invalid("tool_choice", "tool_choice may only be specified while providing tools.");
  if (choice.type === "any") return "required";
  if (!tools.some((each) => each.name === choice.name))
    throw invalid("tool_choice.name", `The tool '${choice.name.slice(0, 100)}' is not in tools.`);
  return { name: choice.name };
}

export function toGeneration(body: z.output<typeof messagesRequest>): GenerationRequest {
  const conversation = toConversation(body);
  const choice = body.tool_choice;
  return {
    model: body.model,
    input: { kind: "chat", conversation },
    maxTokens: body.max_tokens,
    sampling: {
      temperature: body.temperature ?? undefined,
      topP: body.top_p ?? undefined,
      topK: body.top_k ?? undefined,
    },
    stop: body.stop_sequences ?? undefined,
    toolChoice: toChoice(choice, conversation.tools),
    parallelToolCalls: choice && choice.type !== "none" && choice.disable_parallel_tool_use ? false : undefined,
    thinkingBudget: body.thinking?.type === "enabled" ? body.thinking.budget_tokens : undefined,
  };
}
