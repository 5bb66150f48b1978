// Answers requests with another OpenAI-compatible server (vLLM, SGLang, the official API) behind the same names, keys,
// quotas and logs. Writes the internal request as chat or text completions and reads the stream back.
import type { Conversation, Message } from "../text/conversation.ts";
import type { ModelConfig } from "./config.ts";
import { type ErrorStatus, ServerError } from "./errors.ts";
import {
  type AnswerEnd,
  type GenerationEvent,
  type GenerationRequest,
  noUsage,
  type TokenReport,
} from "./generation.ts";
import type { Backend } from "./local.ts";

type Upstream = NonNullable<ModelConfig["upstream"]>;

/** The part of a stream chunk that is read; everything in it may be missing. */
interface Chunk {
  error?: { message?: string };
  choices?: {
    index?: number;
    text?: string;
    finish_reason?: string | null;
    delta?: {
      content?: string | null;
      reasoning_content?: string | null;
      reasoning?: string | null;
      tool_calls?: { index: number; id?: string; function?: { name?: string; arguments?: string } }[];
    };
    logprobs?: { content?: UpstreamLogprob[] | null; reasoning_content?: UpstreamLogprob[] | null } | null;
  }[];
  usage?: {
    prompt_tokens?: number;
    completion_tokens?: number;
    prompt_cache_hit_tokens?: number;
    prompt_tokens_details?: { cached_tokens?: number } | null;
    completion_tokens_details?: { reasoning_tokens?: number } | null;
  } | null;
}

interface UpstreamLogprob {
  token: string;
  bytes?: number[] | null;
  logprob: number;
  top_logprobs?: { token: string; bytes?: number[] | null; logprob: number }[];
}

function wireMessage(message: Message): Record<string, unknown> {
  return {
    role: message.role,
    content: message.content,
    name: message.name,
    reasoning_content: message.reasoningContent,
    tool_call_id: message.toolCallId,
    prefix: message.prefix,
    tool_calls: message.toolCalls?.map((call) => ({
      id: call.id,
      type: "function",
      function: { name: call.name, arguments: call.arguments },
    })),
  };
}

function wireFormat(format: Conversation["responseFormat"]): unknown {
  if (format?.type !== "json_schema") return format;
  return { type: "json_schema", json_schema: { name: format.name ?? "answer", schema: format.schema, strict: true } };
}

function wireBody(request: GenerationRequest, model: string): [path: string, body: Record<string, unknown>] {
  const { input, sampling } = request;
  const common = {
    model,
    stream: true,
    stream_options: { include_usage: true },
    n: request.n,
    max_tokens: request.maxTokens,
    stop: request.stop,
    temperature: sampling?.temperature,
    top_p: sampling?.topP,
    top_k: sampling?.topK,
    min_p: sampling?.minP,
    frequency_penalty: sampling?.frequencyPenalty,
    presence_penalty: sampling?.presencePenalty,
    repetition_penalty: sampling?.repetitionPenalty,
    logit_bias: sampling?.logitBias && Object.fromEntries(sampling.logitBias),
    seed: sampling?.seed,
  };
  if (input.kind === "text") return ["/completions", { ...common, prompt: input.prompt, suffix: input.suffix }];
  const { conversation } = input;
  const choice = request.toolChoice;
  const body = {
    ...common,
    messages: conversation.messages.map(wireMessage),
    tools: conversation.tools?.map((tool) => ({ type: "function", function: tool })),
    tool_choice: typeof choice === "object" ? { type: "function", function: choice } : choice,
    parallel_tool_calls: conversation.tools?.length ? request.parallelToolCalls : undefined,
    response_format: wireFormat(conversation.responseFormat),
    thinking: conversation.thinking && { type: conversation.thinking === "on" ? "enabled" : "disabled" },
    reasoning_effort: conversation.effort,
    logprobs: request.logprobs === undefined ? undefined : true,
    top_logprobs: request.logprobs || undefined,
  };
  return ["/chat/completions", body];
}

/** The data lines of a server-sent event stream, joined per event. */
export async function* sseData(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop()!;
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) yield data.join("\n");
        data = [];
      } else if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
    }
  }
  if (data.length > 0) yield data.join("\n");
}

function reports(items: UpstreamLogprob[] | null | undefined): TokenReport[] | undefined {
  const text = (item: { token: string; bytes?: number[] | null; logprob: number }) => ({
    token: item.token,
    bytes: item.bytes ?? [...Buffer.from(item.token)],
    logprob: item.logprob,
  });
  return items?.map((item) => ({ ...text(item), top: (item.top_logprobs ?? []).map(text) }));
}

/** What this server's client is told of a refusal by the other one. */
async function refusal(name: string, response: Response): Promise<ServerError> {
  const text = (await response.text().catch(() => "")).slice(0, 2000);
  let message = "";
  try {
    message = JSON.parse(text)?.error?.message ?? "";
  } catch {
    // Not JSON: a proxy's page, of no use to the client.
  }
  const retryAfter = Number(response.headers.get("retry-after")) || 5;
  const said = message ? ` It said: ${String(message).slice(0, 500)}` : "";
  if (response.status === 429 || response.status === 503)
    return new ServerError(response.status, "upstream_busy", `The server behind '${name}' is busy.${said}`, {
      retryAfter,
    });
  const status: ErrorStatus = response.status === 400 || response.status === 422 ? 400 : 502;
  return new ServerError(
    status,
    "upstream_error",
    `The server behind '${name}' refused the request (${response.status}).${said}`,
  );
}

export class UpstreamBackend implements Backend {
  readonly #name: string;
  readonly #upstream: Upstream;

  constructor(name: string, upstream: Upstream) {
    this.#name = name;
    this.#upstream = upstream;
  }

  async #post(path: string, body: unknown, signal: AbortSignal): Promise<Response> {
    const { url, apiKeyEnv } = this.#upstream;
    const key = apiKeyEnv === undefined ? undefined : process.env[apiKeyEnv];
    let response: Response;
    try {
      response = await fetch(url.replace(/\/+$/, "") + path, {
        method: "POST",
        headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) },
        body: JSON.stringify(body),
        signal,
      });
    } catch {
      signal.throwIfAborted();
      throw new ServerError(502, "upstream_unreachable", `The server behind '${this.#name}' cannot be reached.`);
    }
    if (!response.ok) throw await refusal(this.#name, response);
    return response;
  }

  async *generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent> {
    if (request.promptLogprobs)
      throw new ServerError(
        400,
        "unsupported",
        `Log-probabilities of the prompt are not available from '${this.#name}'.`,
      );
    const [path, body] = wireBody(request, this.#upstream.model ?? this.#name);
    const start = performance.now();
    const response = await this.#post(path, body, signal);
    yield { type: "start", model: request.model, promptTokens: 0 };
    const usage = { ...noUsage };
    const ends = new Map<number, AnswerEnd>();
    const open = new Map<number, Set<number>>();
    let firstAt = 0;
    let done = false;
    for await (const data of sseData(response.body as unknown as AsyncIterable<Uint8Array>)) {
      if (data === "[DONE]") {
        done = true;
        break;
      }
      let chunk: Chunk;
      try {
        chunk = JSON.parse(data);
      } catch {
        throw new ServerError(
          502,
          "upstream_error",
          `The server behind '${this.#name}' sent something that is not JSON.`,
        );
      }
      if (chunk.error)
        throw new ServerError(
          502,
          "upstream_error",
          `The server behind '${this.#name}' failed: ${chunk.error.message ?? ""}`,
        );
      if (chunk.usage) {
        usage.promptTokens = chunk.usage.prompt_tokens ?? usage.promptTokens;
        usage.completionTokens = chunk.usage.completion_tokens ?? usage.completionTokens;
        usage.cachedTokens =
          chunk.usage.prompt_tokens_details?.cached_tokens ?? chunk.usage.prompt_cache_hit_tokens ?? usage.cachedTokens;
        usage.reasoningTokens = chunk.usage.completion_tokens_details?.reasoning_tokens ?? usage.reasoningTokens;
      }
      for (const choice of chunk.choices ?? []) {
        const index = choice.index ?? 0;
        const { delta, logprobs } = choice;
        firstAt ||= performance.now();
        const reasoning = delta?.reasoning_content ?? delta?.reasoning;
        if (reasoning)
          yield {
            type: "delta",
            index,
            delta: { type: "reasoning", text: reasoning },
            tokens: reports(logprobs?.reasoning_content),
          };
        const content = delta?.content ?? choice.text;
        if (content)
          yield { type: "delta", index, delta: { type: "content", text: content }, tokens: reports(logprobs?.content) };
        const started = open.get(index) ?? new Set<number>();
        open.set(index, started);
        for (const call of delta?.tool_calls ?? []) {
          if (!started.has(call.index)) {
            for (const earlier of started)
              if (earlier === call.index - 1)
                yield { type: "delta", index, delta: { type: "tool-call-end", index: earlier } };
            started.add(call.index);
            const { id = `call_${call.index}`, function: named } = call;
            yield {
              type: "delta",
              index,
              delta: { type: "tool-call-start", index: call.index, id, name: named?.name ?? "" },
            };
          }
          const text = call.function?.arguments;
          if (text) yield { type: "delta", index, delta: { type: "tool-call-arguments", index: call.index, text } };
        }
        if (choice.finish_reason) {
          if (started.size > 0)
            yield { type: "delta", index, delta: { type: "tool-call-end", index: Math.max(...started) } };
          ends.set(index, choice.finish_reason as AnswerEnd);
        }
      }
    }
    if (!done && ends.size === 0)
      throw new ServerError(502, "upstream_error", `The server behind '${this.#name}' broke off its answer.`);
    for (const [index, reason] of ends) yield { type: "finish", index, reason };
    usage.prefillMs = (firstAt || performance.now()) - start;
    usage.decodeMs = firstAt ? performance.now() - firstAt : 0;
    yield { type: "usage", usage };
  }

  async embed(
    inputs: (string | number[])[],
    signal: AbortSignal,
  ): Promise<{ vectors: Float32Array[]; promptTokens: number }> {
    const body = { model: this.#upstream.model ?? this.#name, input: inputs, encoding_format: "float" };
    const response = await this.#post("/embeddings", body, signal);
    const answer = (await response.json()) as {
      data: { index: number; embedding: number[] }[];
      usage?: { prompt_tokens?: number };
    };
    const vectors = [...answer.data].sort((a, b) => a.index - b.index).map((item) => Float32Array.from(item.embedding));
    return { vectors, promptTokens: answer.usage?.prompt_tokens ?? 0 };
  }

  async countTokens(): Promise<number> {
    throw new ServerError(
      400,
      "unsupported",
      `Tokens cannot be counted for '${this.#name}', which runs on another server.`,
    );
  }
}
