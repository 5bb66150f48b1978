// The OpenAPI document of this server: its routes as they are mounted, with the schemas that they check with.
import { z } from "zod";
import { countRequest, messageAnswer, messagesRequest, tokenCount } from "./protocols/anthropic/schema.ts";
import { chatCompletion, textCompletion } from "./protocols/openai/answers.ts";
import { batchObject, batchRequest } from "./protocols/openai/batches.ts";
import { chatRequest } from "./protocols/openai/chat.ts";
import { completionRequest } from "./protocols/openai/completions.ts";
import { embeddingList, embeddingRequest } from "./protocols/openai/embeddings.ts";
import { fileObject } from "./protocols/openai/files.ts";
import { modelCard, modelList } from "./protocols/openai/models.ts";
import { responseObject, responseRequest } from "./protocols/openai/response-items.ts";

interface Endpoint {
  summary: string;
  body?: z.ZodType;
  answer?: z.ZodType;
}

const listOf = (item: z.ZodType) => z.object({ object: z.literal("list"), data: z.array(item), has_more: z.boolean() });
const deleted = z.object({ id: z.string(), object: z.string(), deleted: z.boolean() });

/** By method and canonical path; the other bases of the same endpoint are recognised by `canonical`. */
const endpoints: Record<string, Endpoint> = {
  "POST /v1/chat/completions": { summary: "Chat", body: chatRequest, answer: chatCompletion },
  "POST /v1/completions": {
    summary: "Text completion and filling in the middle",
    body: completionRequest,
    answer: textCompletion,
  },
  "POST /v1/embeddings": { summary: "Embeddings", body: embeddingRequest, answer: embeddingList },
  "GET /v1/models": { summary: "Models", answer: modelList },
  "GET /v1/models/{id}": { summary: "One model", answer: modelCard },
  "POST /v1/responses": { summary: "Responses", body: responseRequest, answer: responseObject },
  "POST /v1/responses/input_tokens": { summary: "Count a response's input tokens", body: responseRequest },
  "GET /v1/responses/{id}": { summary: "A stored response", answer: responseObject },
  "DELETE /v1/responses/{id}": { summary: "Delete a stored response", answer: deleted },
  "GET /v1/responses/{id}/input_items": { summary: "The input of a stored response" },
  "POST /v1/responses/{id}/cancel": { summary: "Refused: background responses are not offered" },
  "POST /v1/files": { summary: "Upload a file (multipart: purpose, file)", answer: fileObject },
  "GET /v1/files": { summary: "Files", answer: listOf(fileObject) },
  "GET /v1/files/{id}": { summary: "One file", answer: fileObject },
  "GET /v1/files/{id}/content": { summary: "A file's bytes" },
  "DELETE /v1/files/{id}": { summary: "Delete a file", answer: deleted },
  "POST /v1/batches": { summary: "Start a batch", body: batchRequest, answer: batchObject },
  "GET /v1/batches": { summary: "Batches", answer: listOf(batchObject) },
  "GET /v1/batches/{id}": { summary: "One batch", answer: batchObject },
  "POST /v1/batches/{id}/cancel": { summary: "Cancel a batch", answer: batchObject },
  "POST /v1/messages": { summary: "Messages (Anthropic)", body: messagesRequest, answer: messageAnswer },
  "POST /v1/messages/count_tokens": { summary: "Count tokens (Anthropic)", body: countRequest, answer: tokenCount },
  "GET /user/balance": { summary: "What is left of the key's budget (DeepSeek)" },
  "GET /v1/receipts/{id}": { summary: "The receipt of an answer that was asked for with X-Weir-Receipt" },
  "GET /health": { summary: "The process lives" },
  "GET /ready": { summary: "Models that are to be loaded at start are there, and the server is not draining" },
  "GET /metrics": { summary: "Prometheus metrics" },
  "GET /openapi.json": { summary: "This document" },
};

/** DeepSeek's bases ("", /beta, /beta/v1, /anthropic) hold the same endpoints as /v1. */
const canonical = (path: string): string =>
  path
    .replace(/^\/anthropic/, "")
    .replace(/^\/beta(?:\/v1)?/, "/v1")
    .replace(/^\/(chat|completions|models|responses|files)\b/, "/v1/$1");

const json = (schema: z.ZodType, io: "input" | "output") => ({
  "application/json": { schema: z.toJSONSchema(schema, { target: "openapi-3.0", io, unrepresentable: "any" }) },
});

function describe(endpoint: Endpoint, path: string): object {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  return {
    summary: endpoint.summary,
    parameters: names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } })),
    ...(endpoint.body ? { requestBody: { required: true, content: json(endpoint.body, "input") } } : {}),
    responses: {
      200: { description: "The answer", ...(endpoint.answer ? { content: json(endpoint.answer, "output") } : {}) },
      default: { description: "An error in the protocol's own shape" },
    },
  };
}

/** Describes the given routes; those of the chat application are its own business and left out. */
export function openapi(routes: { method: string; path: string }[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const { method, path } of routes) {
    const name = path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}");
    const endpoint = endpoints[`${method} ${canonical(name)}`];
    if (endpoint) (paths[name] ??= {})[method.toLowerCase()] = describe(endpoint, name);
  }
  return {
    openapi: "3.0.3",
    info: { title: "Weir", version: "1", description: "OpenAI's, DeepSeek's and Anthropic's API on your own machine." },
    components: { securitySchemes: { key: { type: "http", scheme: "bearer" } } },
    security: [{ key: [] }, {}],
    paths,
  };
}
