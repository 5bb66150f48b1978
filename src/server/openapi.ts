// The OpenAPI document of this server, generated from the schemas that its routes check with.
import { z } from "zod";
import { chatCompletion, textCompletion } from "./protocols/openai/answers.ts";
import { chatRequest } from "./protocols/openai/chat.ts";
import { completionRequest } from "./protocols/openai/completions.ts";
import { embeddingList, embeddingRequest } from "./protocols/openai/embeddings.ts";
import { modelCard, modelList } from "./protocols/openai/models.ts";

interface Endpoint {
  method: "get" | "post" | "delete";
  path: string;
  summary: string;
  body?: z.ZodType;
  answer?: z.ZodType;
}

const endpoints: Endpoint[] = [
  { method: "post", path: "/v1/chat/completions", summary: "Chat (OpenAI)", body: chatRequest, answer: chatCompletion },
  {
    method: "post",
    path: "/v1/completions",
    summary: "Text completion",
    body: completionRequest,
    answer: textCompletion,
  },
  { method: "post", path: "/v1/embeddings", summary: "Embeddings", body: embeddingRequest, answer: embeddingList },
  { method: "get", path: "/v1/models", summary: "Models", answer: modelList },
  { method: "get", path: "/v1/models/{id}", summary: "One model", answer: modelCard },
];

const json = (schema: z.ZodType, io: "input" | "output") => ({
  "application/json": { schema: z.toJSONSchema(schema, { target: "openapi-3.0", io, unrepresentable: "any" }) },
});

function describe(endpoint: Endpoint): object {
  const names = [...endpoint.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
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

let document: object | undefined;

export function openapi(): object {
  if (document) return document;
  const paths: Record<string, Record<string, object>> = {};
  for (const endpoint of endpoints) (paths[endpoint.path] ??= {})[endpoint.method] = describe(endpoint);
  document = {
    openapi: "3.0.3",
    info: { title: "Weir", version: "1", description: "OpenAI's, DeepSeek's and Anthropic's API on your own machine." },
    components: { securitySchemes: { key: { type: "http", scheme: "bearer" } } },
    security: [{ key: [] }, {}],
    paths,
  };
  return document;
}
