// OpenAI's endpoints under /v1 and the shape of its errors.
import type { Hono } from "hono";
import type { ServerError } from "../../errors.ts";
import type { Env, Services } from "../../http/context.ts";
import { type ChatDialect, chat, chatRequest } from "./chat.ts";
import { complete } from "./completions.ts";
import { embeddings } from "./embeddings.ts";
import { findModel, listModels } from "./models.ts";

const types: Record<number, string> = {
  401: "authentication_error",
  402: "insufficient_quota",
  403: "permission_error",
  429: "rate_limit_error",
};

export function openaiError(error: ServerError) {
  const type = types[error.status] ?? (error.status >= 500 ? "server_error" : "invalid_request_error");
  return { error: { message: error.message, type, param: error.field ?? null, code: error.code } };
}

const openaiDialect: ChatDialect = {
  name: "openai",
  schema: chatRequest,
  check: () => {},
  thinkingOf: () => undefined,
  contentWhenEmpty: null,
  errorBody: openaiError,
};

export function mountOpenai(app: Hono<Env>, services: Services): void {
  app.post("/v1/chat/completions", (context) => chat(context, services, openaiDialect));
  app.post("/v1/completions", (context) => complete(context, services, openaiDialect));
  app.post("/v1/embeddings", (context) => embeddings(context, services));
  app.get("/v1/models", (context) => context.json(listModels(services.models, context.get("call").caller)));
  app.get("/v1/models/:id{.+}", (context) =>
    context.json(findModel(services.models, context.get("call").caller, context.req.param("id"))),
  );
}
