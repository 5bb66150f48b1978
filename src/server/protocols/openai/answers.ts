// The shapes of OpenAI's chat and text answers, as schemas (for the OpenAPI document and the tests) and as functions that
// write them, with DeepSeek's reasoning_content and cache fields beside.
import { z } from "zod";
import type { Answer, AnswerEnd, GenerationUsage, TokenReport } from "../../generation.ts";

const logprob = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()).nullable() });
const tokenLogprob = logprob.extend({ top_logprobs: z.array(logprob) });
const chatLogprobs = z
  .object({
    content: z.array(tokenLogprob).nullable(),
    reasoning_content: z.array(tokenLogprob).optional(),
    refusal: z.array(tokenLogprob).nullable(),
  })
  .nullable();

const usageShape = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  prompt_tokens_details: z.object({ cached_tokens: z.int() }),
  completion_tokens_details: z.object({ reasoning_tokens: z.int() }),
  prompt_cache_hit_tokens: z.int(),
  prompt_cache_miss_tokens: z.int(),
  cost: z.object({ amount: z.number(), currency: z.string() }).optional(),
  energy_joules: z.number().optional(),
});

const finishReason = z.enum(["stop", "length", "tool_calls", "content_filter", "insufficient_system_resource"]);

const call = z.object({
  id: z.string(),
  type: z.literal("function"),
  function: z.object({ name: z.string(), arguments: z.string() }),
});

export const chatCompletion = z.object({
  id: z.string(),
  object: z.literal("chat.completion"),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      message: z.object({
        role: z.literal("assistant"),
        content: z.string().nullable(),
        reasoning_content: z.string().optional(),
        refusal: z.null(),
        tool_calls: z.array(call).optional(),
      }),
      logprobs: chatLogprobs,
      finish_reason: finishReason,
    }),
  ),
  usage: usageShape,
});

export const chatChunk = z.object({
  id: z.string(),
  object: z.literal("chat.completion.chunk"),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      delta: z.object({
        role: z.literal("assistant").optional(),
        content: z.string().nullable().optional(),
        reasoning_content: z.string().nullable().optional(),
        tool_calls: z
          .array(
            z.object({
              index: z.int(),
              id: z.string().optional(),
              type: z.literal("function").optional(),
              function: z.object({ name: z.string().optional(), arguments: z.string().optional() }),
            }),
          )
          .optional(),
      }),
      logprobs: chatLogprobs,
      finish_reason: finishReason.nullable(),
    }),
  ),
  usage: usageShape.nullable().optional(),
});

export const textCompletion = z.object({
  id: z.string(),
  object: z.literal("text_completion"),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      text: z.string(),
      logprobs: z
        .object({
          tokens: z.array(z.string()),
          token_logprobs: z.array(z.number().nullable()),
          top_logprobs: z.array(z.record(z.string(), z.number()).nullable()),
          text_offset: z.array(z.int()),
        })
        .nullable(),
      finish_reason: z.enum(["stop", "length", "content_filter"]).nullable(),
    }),
  ),
  usage: usageShape.nullable().optional(),
});

export function wireUsage(usage: GenerationUsage): z.output<typeof usageShape> {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    prompt_cache_hit_tokens: usage.cachedTokens,
    prompt_cache_miss_tokens: usage.promptTokens - usage.cachedTokens,
    cost: usage.cost,
    energy_joules: usage.energyJoules,
  };
}

/** JSON has no infinity; OpenAI's own stand-in for "impossible". */
export const finite = (value: number): number => (Number.isFinite(value) ? value : -9999);

const wireToken = ({ token, bytes, logprob: value }: { token: string; bytes: number[]; logprob: number }) => ({
  token,
  logprob: finite(value),
  bytes,
});

const wireTokens = (tokens: TokenReport[]) =>
  tokens.map((token) => ({ ...wireToken(token), top_logprobs: token.top.map(wireToken) }));

/** Null when nothing was asked for. */
export function wireLogprobs(
  wanted: boolean,
  content: TokenReport[] = [],
  reasoning: TokenReport[] = [],
): z.output<typeof chatLogprobs> {
  if (!wanted) return null;
  const thought = reasoning.length > 0 ? { reasoning_content: wireTokens(reasoning) } : {};
  return { content: wireTokens(content), ...thought, refusal: null };
}

export function wireEnd(end: AnswerEnd): z.output<typeof finishReason> {
  return end === "cancelled" ? "stop" : end;
}

export function wireMessage(answer: Answer, contentWhenEmpty: "" | null) {
  const calls = answer.toolCalls.map((each) => ({
    id: each.id,
    type: "function" as const,
    function: { name: each.name, arguments: each.arguments },
  }));
  return {
    role: "assistant" as const,
    content: answer.content === "" && calls.length > 0 ? contentWhenEmpty : answer.content,
    ...(answer.reasoning ? { reasoning_content: answer.reasoning } : {}),
    refusal: null,
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
}
