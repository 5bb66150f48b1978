// POST /v1/chat/completions, and DeepSeek's /chat/completions, which is the same shape with other rules (the dialect).
import { z } from "zod";
import type { Thinking } from "../../../text/conversation.ts";
import { invalid, notAvailable, ServerError } from "../../errors.ts";
import { collect, type GenerationEvent, type GenerationRequest } from "../../generation.ts";
import { readJson, validate } from "../../http/body.ts";
import { failure, type RouteContext, type Services } from "../../http/context.ts";
import { newId, startAnswer } from "../../http/generate.ts";
import { frameText, patientJson, streamHeaders, textStream } from "../../http/sse.ts";
import { type chatChunk, type chatCompletion, wireEnd, wireLogprobs, wireMessage, wireUsage } from "./answers.ts";
import {
  chatMessage,
  chatTools,
  effortField,
  responseFormatField,
  samplingFields,
  toEffort,
  toMessages,
  toolChoiceField,
  toResponseFormat,
  toSampling,
  toStop,
  toToolChoice,
  toTools,
} from "./messages.ts";

const ignored = z.unknown().optional();

/** Every field that OpenAI documents, DeepSeek's additions, and vLLM's names for engine features. */
export const chatRequest = z.strictObject({
  model: z.string().min(1).max(256),
  messages: z.array(chatMessage).min(1),
  ...samplingFields,
  max_completion_tokens: z.number().int().min(1).nullish(),
  max_tokens: z.number().int().min(1).nullish(),
  n: z.number().int().min(1).max(128).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
  tools: chatTools.nullish(),
  tool_choice: toolChoiceField.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: responseFormatField.nullish(),
  reasoning_effort: effortField.nullish(),
  user: z.string().max(512).nullish(),
  modalities: z.array(z.string()).nullish(),
  audio: ignored,
  web_search_options: ignored,
  functions: ignored,
  function_call: ignored,
  // DeepSeek's.
  thinking: z
    .looseObject({
      type: z.enum(["enabled", "disabled"]),
      budget_tokens: z.number().int().min(1).nullish(),
      reasoning_effort: effortField.nullish(),
    })
    .nullish(),
  user_id: z.string().max(512).nullish(),
  title: z.looseObject({ enabled: z.boolean() }).nullish(),
  safety_check: ignored,
  // vLLM's.
  chat_template_kwargs: z
    .looseObject({ thinking: z.boolean().optional(), enable_thinking: z.boolean().optional() })
    .nullish(),
  // Taken and without effect here.
  metadata: ignored,
  moderation: ignored,
  prediction: ignored,
  prompt_cache_key: ignored,
  prompt_cache_options: ignored,
  prompt_cache_retention: ignored,
  safety_identifier: ignored,
  service_tier: ignored,
  store: ignored,
  verbosity: ignored,
});

export type ChatRequest = z.output<typeof chatRequest>;

export interface ChatDialect {
  name: "openai" | "deepseek";
  /** DeepSeek takes fields it does not know, OpenAI refuses them. */
  schema: z.ZodType<ChatRequest>;
  /** Rules beyond the schema. */
  check(body: ChatRequest): void;
  /** What a model's name alone says about thinking. */
  thinkingOf(model: string): Thinking | undefined;
  contentWhenEmpty: "" | null;
  /** The whole of an error's body. */
  errorBody(error: ServerError): unknown;
}

function refuseUnsupported(body: ChatRequest): void {
  if (body.audio != null || body.modalities?.some((each) => each !== "text"))
    throw invalid("modalities", "The models here answer in text only.", "unsupported_value");
  if (body.functions != null || body.function_call != null)
    throw invalid(
      "functions",
      "functions and function_call are retired; use tools and tool_choice.",
      "unsupported_parameter",
    );
  if (body.web_search_options != null)
    throw notAvailable(
      "Web search (web_search_options)",
      "Declare a function tool that searches and execute it yourself.",
    );
  if (body.safety_check != null) throw notAvailable("safety_check", "Leave the field out.");
  if (body.title?.enabled)
    throw notAvailable("title", "Leave the field out, or ask the model for a title in a request of its own.");
}

export function toGeneration(body: ChatRequest, dialect: ChatDialect): GenerationRequest {
  refuseUnsupported(body);
  const messages = toMessages(body.messages);
  const { choice, tools } = toToolChoice(body.tool_choice, toTools(body.tools));
  if (body.top_logprobs != null && !body.logprobs)
    throw invalid("top_logprobs", "top_logprobs needs logprobs set to true.");
  const kwargs = body.chat_template_kwargs;
  const switched = kwargs?.thinking ?? kwargs?.enable_thinking;
  const effort = body.reasoning_effort ?? body.thinking?.reasoning_effort;
  let thinking = dialect.thinkingOf(body.model);
  if (effort != null) thinking = effort === "none" ? "off" : "on";
  if (switched !== undefined) thinking = switched ? "on" : "off";
  if (body.thinking) thinking = body.thinking.type === "enabled" ? "on" : "off";
  return {
    model: body.model,
    input: {
      kind: "chat",
      conversation: {
        messages,
        tools,
        thinking,
        effort: toEffort(effort),
        responseFormat: toResponseFormat(body.response_format),
      },
    },
    n: body.n ?? 1,
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
    minTokens: body.min_tokens ?? undefined,
    ignoreEos: body.ignore_eos ?? undefined,
    sampling: toSampling(body),
    stop: toStop(body.stop),
    toolChoice: choice,
    parallelToolCalls: body.parallel_tool_calls ?? undefined,
    logprobs: body.logprobs ? (body.top_logprobs ?? 0) : undefined,
    thinkingBudget: body.thinking?.budget_tokens ?? undefined,
  };
}

interface Head {
  id: string;
  created: number;
  model: string;
  system_fingerprint: string;
}

/** The chunks of a stream, without the closing [DONE]. */
async function* chatChunks(
  events: AsyncIterable<GenerationEvent>,
  options: { head: Head; logprobs: boolean; includeUsage: boolean; dialect: ChatDialect },
): AsyncGenerator<z.output<typeof chatChunk>> {
  const { head, includeUsage, dialect } = options;
  type Choice = z.output<typeof chatChunk>["choices"][number];
  const chunk = (choices: Choice[]): z.output<typeof chatChunk> => ({
    ...head,
    object: "chat.completion.chunk",
    choices,
    ...(includeUsage ? { usage: null } : {}),
  });
  const started = new Set<number>();
  const thought = new Set<number>();
  // DeepSeek puts the usage on the chunk with the finish reason, so the last of these is held back until it is known.
  let held: z.output<typeof chatChunk> | undefined;
  for await (const event of events) {
    if (event.type === "start") head.model = event.model;
    else if (event.type === "delta" || event.type === "finish") {
      const { index } = event;
      if (!started.has(index)) {
        started.add(index);
        const thinks = event.type === "delta" && event.delta.type === "reasoning";
        if (thinks) thought.add(index);
        const delta = thinks
          ? { role: "assistant" as const, content: null, reasoning_content: "" }
          : { role: "assistant" as const, content: "" };
        yield chunk([{ index, delta, logprobs: null, finish_reason: null }]);
      }
      if (event.type === "finish") {
        if (held) yield held;
        held = chunk([{ index, delta: {}, logprobs: null, finish_reason: wireEnd(event.reason) }]);
        if (dialect.name === "openai") {
          yield held;
          held = undefined;
        }
        continue;
      }
      const { delta, tokens } = event;
      const wanted = options.logprobs && tokens !== undefined;
      if (delta.type === "reasoning") {
        const logprobs = wireLogprobs(wanted, [], tokens);
        yield chunk([{ index, delta: { reasoning_content: delta.text }, logprobs, finish_reason: null }]);
      } else if (delta.type === "content") {
        const logprobs = wireLogprobs(wanted, tokens);
        yield chunk([{ index, delta: { content: delta.text }, logprobs, finish_reason: null }]);
      } else if (delta.type === "tool-call-start") {
        const named = { name: delta.name, arguments: "" };
        const calls = [{ index: delta.index, id: delta.id, type: "function" as const, function: named }];
        yield chunk([{ index, delta: { tool_calls: calls }, logprobs: null, finish_reason: null }]);
      } else if (delta.type === "tool-call-arguments") {
        const calls = [{ index: delta.index, function: { arguments: delta.text } }];
        yield chunk([{ index, delta: { tool_calls: calls }, logprobs: null, finish_reason: null }]);
      }
    } else if (event.type === "usage") {
      const usage = wireUsage(event.usage);
      if (held) yield includeUsage ? held : { ...held, usage };
      if (includeUsage) yield { ...chunk([]), usage };
    }
  }
}

/** Answers one chat request in the given dialect. */
export async function chat(context: RouteContext, services: Services, dialect: ChatDialect): Promise<Response> {
  const body = validate(dialect.schema, await readJson(context.req.raw, services.config.limits));
  dialect.check(body);
  const request = toGeneration(body, dialect);
  const head: Head = {
    id: newId("chatcmpl-"),
    created: Math.floor(Date.now() / 1000),
    model: body.model,
    system_fingerprint: "weir",
  };
  const user = body.user_id ?? body.user ?? undefined;
  const { keepAliveSeconds } = services.config.limits;
  if (body.stream) {
    const events = await startAnswer(context, services, request, user);
    const chunks = chatChunks(events, {
      head,
      logprobs: body.logprobs === true,
      includeUsage: body.stream_options?.include_usage === true,
      dialect,
    });
    const texts = async function* () {
      for await (const chunk of chunks) yield frameText({ data: chunk });
      yield frameText({ data: "[DONE]" });
    };
    const stream = textStream(texts(), {
      idleMs: keepAliveSeconds * 1000,
      idle: () => ": keep-alive\n\n",
      failed: (error) => frameText({ data: dialect.errorBody(failure(context, services, error)) }),
    });
    return context.body(stream, 200, streamHeaders);
  }
  const whole = async (): Promise<z.output<typeof chatCompletion>> => {
    const result = await collect(await startAnswer(context, services, request, user));
    if (dialect.name === "openai" && result.answers.some((answer) => answer.end === "insufficient_system_resource"))
      throw new ServerError(500, "engine_failed", "The engine could not finish the answer.");
    return {
      ...head,
      model: result.model,
      object: "chat.completion",
      choices: result.answers.map((answer, index) => ({
        index,
        message: wireMessage(answer, dialect.contentWhenEmpty),
        logprobs: wireLogprobs(body.logprobs === true, answer.contentTokens, answer.reasoningTokens),
        finish_reason: wireEnd(answer.end),
      })),
      usage: wireUsage(result.usage),
    };
  };
  if (dialect.name === "openai") return context.json(await whole());
  const failed = (error: unknown) => JSON.stringify(dialect.errorBody(failure(context, services, error)));
  return patientJson(context, whole(), keepAliveSeconds * 1000, failed);
}
