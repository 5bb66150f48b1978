// POST /v1/completions and DeepSeek's /beta/completions: plain continuation, and filling in the middle with a suffix.
import { z } from "zod";
import { invalid, notAvailable, ServerError } from "../../errors.ts";
import {
  type Answer,
  collect,
  type GenerationEvent,
  type GenerationRequest,
  noUsage,
  type TokenReport,
} from "../../generation.ts";
import { readJson, validate } from "../../http/body.ts";
import { failure, type RouteContext, type Services } from "../../http/context.ts";
import { newId, startAnswer } from "../../http/generate.ts";
import { frameText, streamHeaders, textStream } from "../../http/sse.ts";
import { finite, type textCompletion, wireUsage } from "./answers.ts";
import type { ChatDialect } from "./chat.ts";
import { samplingFields, toSampling, toStop } from "./messages.ts";

const tokenIds = z.array(z.number().int().min(0)).min(1);

export const completionRequest = z.strictObject({
  model: z.string().min(1).max(256),
  prompt: z
    .union([z.string(), tokenIds, z.array(z.string()).min(1).max(128), z.array(tokenIds).min(1).max(128)])
    .nullish(),
  suffix: z.string().nullish(),
  ...samplingFields,
  max_tokens: z.number().int().min(0).nullish(),
  n: z.number().int().min(1).max(128).nullish(),
  best_of: z.number().int().min(1).max(128).nullish(),
  echo: z.boolean().nullish(),
  logprobs: z.number().int().min(0).max(20).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  user: z.string().max(512).nullish(),
  user_id: z.string().max(512).nullish(),
});

type CompletionRequest = z.output<typeof completionRequest>;
type WireCompletion = z.output<typeof textCompletion>;
type WireLogprobs = WireCompletion["choices"][number]["logprobs"];

function promptsOf(prompt: CompletionRequest["prompt"]): (string | number[])[] {
  if (prompt == null) return [""];
  if (typeof prompt === "string") return [prompt];
  return typeof prompt[0] === "number" ? [prompt as number[]] : (prompt as string[] | number[][]);
}

function toGeneration(body: CompletionRequest, prompt: string | number[]): GenerationRequest {
  const echo = body.echo === true;
  // With echo and no new tokens only the prompt is scored; the engine still needs to write one token to finish.
  return {
    model: body.model,
    input: { kind: "text", prompt, suffix: body.suffix ?? undefined },
    n: body.n ?? 1,
    maxTokens: body.max_tokens === 0 ? 1 : (body.max_tokens ?? 16),
    minTokens: body.min_tokens ?? undefined,
    ignoreEos: body.ignore_eos ?? undefined,
    sampling: toSampling(body),
    stop: toStop(body.stop),
    logprobs: body.logprobs ?? undefined,
    promptLogprobs: echo && body.logprobs != null ? true : undefined,
  };
}

function wireLogprobs(tokens: TokenReport[], offset: number): WireLogprobs {
  let at = offset;
  const offsets = tokens.map((token) => {
    const here = at;
    at += token.token.length;
    return here;
  });
  return {
    tokens: tokens.map((token) => token.token),
    token_logprobs: tokens.map((token) => (Number.isNaN(token.logprob) ? null : finite(token.logprob))),
    top_logprobs: tokens.map((token) =>
      Number.isNaN(token.logprob)
        ? null
        : Object.fromEntries(token.top.map((other) => [other.token, finite(other.logprob)])),
    ),
    text_offset: offsets,
  };
}

const wireEnd = (answer: Answer): "stop" | "length" => (answer.end === "length" ? "length" : "stop");

async function whole(
  context: RouteContext,
  services: Services,
  body: CompletionRequest,
  head: Omit<WireCompletion, "choices">,
) {
  const echo = body.echo === true;
  const choices: WireCompletion["choices"] = [];
  const usage = { ...noUsage };
  let model = head.model;
  for (const prompt of promptsOf(body.prompt)) {
    const request = toGeneration(body, prompt);
    const result = await collect(await startAnswer(context, services, request, body.user ?? body.user_id ?? undefined));
    model = result.model;
    if (request.promptLogprobs && !result.prompt)
      throw notAvailable(
        "echo with logprobs",
        `The engine of '${result.model}' does not report the prompt's log-probabilities.`,
      );
    usage.promptTokens += result.usage.promptTokens;
    usage.cachedTokens += result.usage.cachedTokens;
    usage.completionTokens += body.max_tokens === 0 ? 0 : result.usage.completionTokens;
    const before = echo
      ? typeof prompt === "string"
        ? prompt
        : await services.gateway.decode(body.model, prompt)
      : "";
    const scored = echo ? (result.prompt ?? []) : [];
    for (const answer of result.answers) {
      if (answer.end === "insufficient_system_resource")
        throw new ServerError(500, "engine_failed", "The engine could not finish the answer.");
      if (body.max_tokens === 0) Object.assign(answer, { content: "", contentTokens: [], end: "length" });
      choices.push({
        index: choices.length,
        text: before + answer.content,
        logprobs: body.logprobs == null ? null : wireLogprobs([...scored, ...answer.contentTokens], 0),
        finish_reason: wireEnd(answer),
      });
    }
  }
  return { ...head, model, choices, usage: wireUsage(usage) };
}

async function* pieces(
  streams: AsyncGenerator<GenerationEvent, void>[],
  body: CompletionRequest,
  head: Omit<WireCompletion, "choices">,
  echoes: string[],
): AsyncGenerator<WireCompletion> {
  const n = body.n ?? 1;
  const usage = { ...noUsage };
  for (const [at, events] of streams.entries()) {
    const offsets = new Map<number, number>();
    for (let index = 0; echoes[at] && index < n; index++) {
      offsets.set(index, echoes[at].length);
      yield { ...head, choices: [{ index: at * n + index, text: echoes[at], logprobs: null, finish_reason: null }] };
    }
    for await (const event of events) {
      if (event.type === "start") head.model = event.model;
      else if (event.type === "delta" && event.delta.type === "content") {
        const { text } = event.delta;
        const offset = offsets.get(event.index) ?? 0;
        offsets.set(event.index, offset + text.length);
        const logprobs = body.logprobs == null ? null : wireLogprobs(event.tokens ?? [], offset);
        yield { ...head, choices: [{ index: at * n + event.index, text, logprobs, finish_reason: null }] };
      } else if (event.type === "finish") {
        const finish_reason = event.reason === "length" ? ("length" as const) : ("stop" as const);
        yield { ...head, choices: [{ index: at * n + event.index, text: "", logprobs: null, finish_reason }] };
      } else if (event.type === "usage") {
        usage.promptTokens += event.usage.promptTokens;
        usage.cachedTokens += event.usage.cachedTokens;
        usage.completionTokens += event.usage.completionTokens;
      }
    }
  }
  if (body.stream_options?.include_usage) yield { ...head, choices: [], usage: wireUsage(usage) };
}

export async function complete(
  context: RouteContext,
  services: Services,
  dialect: Pick<ChatDialect, "errorBody">,
  schema: z.ZodType<CompletionRequest> = completionRequest,
): Promise<Response> {
  const body = validate(schema, await readJson(context.req.raw, services.config.limits));
  if (body.best_of != null && body.best_of !== (body.n ?? 1))
    throw invalid("best_of", "best_of other than n is not offered; sample n answers and choose.", "unsupported_value");
  if (body.echo && body.suffix != null) throw invalid("echo", "echo cannot be combined with suffix.");
  if (body.max_tokens === 0 && !body.echo)
    throw invalid("max_tokens", "max_tokens must be at least 1 unless echo is set.");
  const head = {
    id: newId("cmpl-"),
    object: "text_completion" as const,
    created: Math.floor(Date.now() / 1000),
    model: body.model,
    system_fingerprint: "weir",
  };
  if (!body.stream) return context.json(await whole(context, services, body, head));
  if (body.echo && body.logprobs != null)
    throw invalid("stream", "echo with logprobs is answered whole only; leave stream out.", "unsupported_value");
  const prompts = promptsOf(body.prompt);
  // Prompts are answered one after the other; the first decides the status, the others start when their turn comes.
  const start = (prompt: string | number[]) =>
    startAnswer(context, services, toGeneration(body, prompt), body.user ?? undefined);
  const first = await start(prompts[0]);
  const later = prompts.slice(1).map((prompt) =>
    (async function* () {
      yield* await start(prompt);
    })(),
  );
  const echoes = body.echo
    ? await Promise.all(
        prompts.map((prompt) => (typeof prompt === "string" ? prompt : services.gateway.decode(body.model, prompt))),
      )
    : [];
  const texts = async function* () {
    for await (const piece of pieces([first, ...later], body, head, echoes)) yield frameText({ data: piece });
    yield frameText({ data: "[DONE]" });
  };
  const stream = textStream(texts(), {
    idleMs: services.config.limits.keepAliveSeconds * 1000,
    idle: () => ": keep-alive\n\n",
    failed: (error) => frameText({ data: dialect.errorBody(failure(context, services, error)) }),
  });
  return context.body(stream, 200, streamHeaders);
}
