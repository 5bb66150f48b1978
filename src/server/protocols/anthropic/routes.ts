// Anthropic's /v1/messages and count_tokens, with and without DeepSeek's /anthropic prefix, and the shape of its errors.
import { createHash } from "node:crypto";
import type { Hono } from "hono";
import type { z } from "zod";
import type { ServerError } from "../../errors.ts";
import { type Answer, collect, type GenerationEvent, type GenerationUsage, noUsage } from "../../generation.ts";
import { readJson, validate } from "../../http/body.ts";
import { callOf, type Env, failure, type RouteContext, type Services } from "../../http/context.ts";
import { newId, startAnswer } from "../../http/generate.ts";
import { type Frame, frameText, streamHeaders, textStream } from "../../http/sse.ts";
import { listModels } from "../openai/models.ts";
import {
  countRequest,
  type messageAnswer,
  messagesRequest,
  toConversation,
  toGeneration,
  type tokenCount,
} from "./schema.ts";

type Wire = z.output<typeof messageAnswer>;

const types: Record<number, string> = {
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error",
};

/** Anthropic says 529 where others say 503, and knows no 501. */
export function anthropicStatus(error: ServerError): number {
  if (error.status === 503) return 529;
  return error.status === 501 || error.status === 422 ? 400 : error.status;
}

export function anthropicError(error: ServerError, requestId: string | undefined) {
  const status = anthropicStatus(error);
  const type = types[status] ?? (status >= 500 ? "api_error" : "invalid_request_error");
  const field = error.field?.replace(/\[(\d+)\]/g, ".$1");
  const message = field && !error.message.includes(field) ? `${field}: ${error.message}` : error.message;
  return { type: "error", error: { type, message }, request_id: requestId ?? null };
}

/** Marks a thinking block as written here; clients send it back unchanged. */
const signature = (thinking: string): string => createHash("sha256").update(thinking).digest("base64");

function wireUsage(usage: GenerationUsage): Wire["usage"] {
  return {
    input_tokens: usage.promptTokens - usage.cachedTokens,
    output_tokens: usage.completionTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: usage.cachedTokens,
    cache_creation: null,
    inference_geo: null,
    output_tokens_details: null,
    server_tool_use: null,
    service_tier: "standard",
    speed: null,
    cost: usage.cost,
    energy_joules: usage.energyJoules,
  };
}

function stopReason(answer: Pick<Answer, "end" | "stop">): Wire["stop_reason"] {
  if (answer.end === "length") return "max_tokens";
  if (answer.end === "tool_calls") return "tool_use";
  if (answer.end === "content_filter") return "refusal";
  return answer.stop === undefined ? "end_turn" : "stop_sequence";
}

/** Arguments cut off by the token limit are not JSON; the block then has an empty input and stop_reason tells why. */
function parseInput(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

function skeleton(id: string, model: string, usage: GenerationUsage): Wire {
  return {
    id,
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    container: null,
    diagnostics: null,
    usage: wireUsage(usage),
  };
}

function wireMessage(id: string, model: string, answer: Answer, usage: GenerationUsage): Wire {
  const message = skeleton(id, model, usage);
  if (answer.reasoning)
    message.content.push({ type: "thinking", thinking: answer.reasoning, signature: signature(answer.reasoning) });
  if (answer.content) message.content.push({ type: "text", text: answer.content });
  for (const call of answer.toolCalls)
    message.content.push({
      type: "tool_use",
      id: call.id,
      name: call.name,
      input: parseInput(call.arguments),
      caller: { type: "direct" },
    });
  message.stop_reason = stopReason(answer);
  message.stop_sequence = answer.stop ?? null;
  return message;
}

/** The stream's events in Anthropic's order: start, per block start/deltas/stop, message_delta, message_stop. */
async function* frames(events: AsyncIterable<GenerationEvent>, id: string): AsyncGenerator<Frame> {
  const frame = (type: string, rest: object): Frame => ({ event: type, data: { type, ...rest } });
  let open: "thinking" | "text" | "tool_use" | undefined;
  let index = -1;
  let thinking = "";
  let end: Pick<Answer, "end" | "stop"> = { end: "stop" };
  const close = function* (): Generator<Frame> {
    if (open === "thinking")
      yield frame("content_block_delta", { index, delta: { type: "signature_delta", signature: signature(thinking) } });
    if (open) yield frame("content_block_stop", { index });
    open = undefined;
  };
  const begin = function* (kind: typeof open, block: object): Generator<Frame> {
    yield* close();
    open = kind;
    index++;
    yield frame("content_block_start", { index, content_block: block });
  };
  for await (const event of events) {
    if (event.type === "start") {
      const message = skeleton(id, event.model, { ...noUsage, promptTokens: event.promptTokens });
      yield frame("message_start", { message });
    } else if (event.type === "delta") {
      const { delta } = event;
      if (delta.type === "reasoning") {
        if (open !== "thinking") yield* begin("thinking", { type: "thinking", thinking: "", signature: "" });
        thinking += delta.text;
        yield frame("content_block_delta", { index, delta: { type: "thinking_delta", thinking: delta.text } });
      } else if (delta.type === "content") {
        if (open !== "text") yield* begin("text", { type: "text", text: "" });
        yield frame("content_block_delta", { index, delta: { type: "text_delta", text: delta.text } });
      } else if (delta.type === "tool-call-start") {
        const block = { type: "tool_use", id: delta.id, name: delta.name, input: {}, caller: { type: "direct" } };
        yield* begin("tool_use", block);
      } else if (delta.type === "tool-call-arguments")
        yield frame("content_block_delta", { index, delta: { type: "input_json_delta", partial_json: delta.text } });
      else yield* close();
    } else if (event.type === "finish") end = { end: event.reason, stop: event.stop };
    else if (event.type === "usage") {
      yield* close();
      const delta = {
        stop_reason: stopReason(end),
        stop_sequence: end.stop ?? null,
        stop_details: null,
        container: null,
      };
      yield frame("message_delta", { delta, usage: wireUsage(event.usage) });
      yield frame("message_stop", {});
    }
  }
}

async function messages(context: RouteContext, services: Services): Promise<Response> {
  const body = validate(messagesRequest, await readJson(context.req.raw, services.config.limits));
  const request = toGeneration(body);
  const id = newId("msg_");
  const events = await startAnswer(context, services, request, body.metadata?.user_id ?? undefined);
  if (!body.stream) {
    const result = await collect(events);
    return context.json(wireMessage(id, result.model, result.answers[0], result.usage));
  }
  const texts = async function* () {
    for await (const frame of frames(events, id)) yield frameText(frame);
  };
  const stream = textStream(texts(), {
    idleMs: services.config.limits.keepAliveSeconds * 1000,
    idle: () => frameText({ event: "ping", data: { type: "ping" } }),
    failed: (error) => {
      const data = anthropicError(failure(context, services, error), context.get("call").id);
      return frameText({ event: "error", data });
    },
  });
  return context.body(stream, 200, streamHeaders);
}

async function count(context: RouteContext, services: Services): Promise<Response> {
  const body = validate(countRequest, await readJson(context.req.raw, services.config.limits));
  const tokens = await services.gateway.countTokens(body.model, toConversation(body), callOf(context));
  const answer: z.output<typeof tokenCount> = { input_tokens: tokens };
  return context.json(answer);
}

/** The model list in Anthropic's shape. */
function anthropicModels(context: RouteContext, services: Services): object {
  const data = listModels(services.models, context.get("call").caller).data.map((card) => ({
    type: "model",
    id: card.id,
    display_name: card.id,
    created_at: new Date(card.created * 1000).toISOString(),
  }));
  return { data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
}

export function mountAnthropic(app: Hono<Env>, services: Services): void {
  for (const prefix of ["", "/anthropic"]) {
    app.post(`${prefix}/v1/messages`, (context) => messages(context, services));
    app.post(`${prefix}/v1/messages/count_tokens`, (context) => count(context, services));
  }
  // OpenAI's list lives at the same path; Anthropic's clients always send their version.
  app.get("/v1/models", (context, next) =>
    context.req.header("anthropic-version") ? context.json(anthropicModels(context, services)) : next(),
  );
  app.get("/anthropic/v1/models", (context) => context.json(anthropicModels(context, services)));
}
