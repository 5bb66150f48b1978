// The answers' schemas against the types that OpenAI and Anthropic publish with their clients: the type checker compares them,
// so a field that is missing or of another type fails `npm run check`. The other tests validate real answers with the same schemas.
import assert from "node:assert/strict";
import { test } from "node:test";
import type Anthropic from "@anthropic-ai/sdk";
import type OpenAI from "openai";
import type { z } from "zod";
import type { messageAnswer, tokenCount } from "./protocols/anthropic/schema.ts";
import type { chatChunk, chatCompletion, textCompletion } from "./protocols/openai/answers.ts";
import type { batchObject } from "./protocols/openai/batches.ts";
import type { embeddingList } from "./protocols/openai/embeddings.ts";
import type { fileObject } from "./protocols/openai/files.ts";
import type { modelCard } from "./protocols/openai/models.ts";
import type { responseObject } from "./protocols/openai/response-items.ts";

/** Fields that are null here where the client's type only knows "absent" are as good as absent. */
type NullsAbsent<T> = T extends (infer Item)[]
  ? NullsAbsent<Item>[]
  : T extends object
    ? { [Key in keyof T]: null extends T[Key] ? NullsAbsent<Exclude<T[Key], null>> | undefined : NullsAbsent<T[Key]> }
    : T;
type Matches<Ours, Theirs> = NullsAbsent<Ours> extends Theirs ? true : false;

/** DeepSeek's own finish reason is the one that OpenAI's type cannot have. */
type WithoutDeepSeek<T> = T extends (infer Item)[]
  ? WithoutDeepSeek<Item>[]
  : T extends object
    ? { [Key in keyof T]: WithoutDeepSeek<T[Key]> }
    : Exclude<T, "insufficient_system_resource">;

const matches: {
  chunk: Matches<
    WithoutDeepSeek<z.output<typeof chatChunk>>["choices"][number]["delta"],
    OpenAI.ChatCompletionChunk.Choice.Delta
  >;
  usage: Matches<z.output<typeof chatCompletion>["usage"], OpenAI.CompletionUsage>;
  toolCall: Matches<
    NonNullable<z.output<typeof chatCompletion>["choices"][number]["message"]["tool_calls"]>[number],
    OpenAI.ChatCompletionMessageFunctionToolCall
  >;
  text: Matches<z.output<typeof textCompletion>["choices"][number]["text"], OpenAI.CompletionChoice["text"]>;
  responseUsage: Matches<
    Omit<NonNullable<z.output<typeof responseObject>["usage"]>, "cost" | "energy_joules">,
    OpenAI.Responses.ResponseUsage
  >;
  responseItem: Matches<z.output<typeof responseObject>["output"][number], OpenAI.Responses.ResponseOutputItem>;
  responseTool: z.output<typeof responseObject>["tools"][number] extends OpenAI.Responses.FunctionTool ? true : false;
  file: Matches<Omit<z.output<typeof fileObject>, "purpose">, Omit<OpenAI.FileObject, "purpose">>;
  model: Matches<z.output<typeof modelCard>, OpenAI.Model>;
  batch: Matches<Omit<z.output<typeof batchObject>, "errors">, Omit<OpenAI.Batch, "errors">>;
  embedding: Matches<z.output<typeof embeddingList>["usage"], OpenAI.CreateEmbeddingResponse["usage"]>;
  count: Matches<z.output<typeof tokenCount>, Anthropic.MessageTokensCount>;
} = {
  chunk: true,
  usage: true,
  toolCall: true,
  text: true,
  responseUsage: true,
  responseItem: true,
  responseTool: true,
  file: true,
  model: true,
  batch: true,
  embedding: true,
  count: true,
};

/** Every field that the client's type requires is there (their nulls allowed). */
type Has<Ours, Theirs> = {
  [Key in keyof Theirs as undefined extends Theirs[Key] ? never : Key]: unknown;
} extends infer Needed
  ? [keyof Needed] extends [keyof Ours]
    ? true
    : Exclude<keyof Needed, keyof Ours>
  : never;

const complete: {
  chat: Has<z.output<typeof chatCompletion>, OpenAI.ChatCompletion>;
  chunk: Has<z.output<typeof chatChunk>, OpenAI.ChatCompletionChunk>;
  choice: Has<z.output<typeof chatCompletion>["choices"][number], OpenAI.ChatCompletion.Choice>;
  message: Has<z.output<typeof chatCompletion>["choices"][number]["message"], OpenAI.ChatCompletionMessage>;
  text: Has<z.output<typeof textCompletion>, OpenAI.Completion>;
  response: Has<z.output<typeof responseObject>, Omit<OpenAI.Responses.Response, "output_text">>;
  outputMessage: Has<
    Extract<z.output<typeof responseObject>["output"][number], { type: "message" }>,
    OpenAI.Responses.ResponseOutputMessage
  >;
  call: Has<
    Extract<z.output<typeof responseObject>["output"][number], { type: "function_call" }>,
    OpenAI.Responses.ResponseFunctionToolCall
  >;
  reasoning: Has<
    Extract<z.output<typeof responseObject>["output"][number], { type: "reasoning" }>,
    OpenAI.Responses.ResponseReasoningItem
  >;
  embeddings: Has<z.output<typeof embeddingList>, OpenAI.CreateEmbeddingResponse>;
  message_: Has<z.output<typeof messageAnswer>, Anthropic.Message>;
  usage_: Has<z.output<typeof messageAnswer>["usage"], Anthropic.Usage>;
} = {
  chat: true,
  chunk: true,
  choice: true,
  message: true,
  text: true,
  response: true,
  outputMessage: true,
  call: true,
  reasoning: true,
  embeddings: true,
  message_: true,
  usage_: true,
};

test("the schemas are compared with the clients' published types by the type checker", () => {
  assert.ok(Object.values({ ...matches, ...complete }).every(Boolean));
});
