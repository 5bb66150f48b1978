// DeepSeek's endpoints: its own bases, error codes and model-name behaviour over the shared chat shape. The application
// fields of November 2026 (web tools, document parsing, speech) are named and refused until something answers them.
import type { Hono } from "hono";
import { z } from "zod";
import { type ErrorStatus, invalid, notAvailable, type ServerError } from "../../errors.ts";
import type { Env, RouteContext, Services } from "../../http/context.ts";
import { type ChatDialect, type ChatRequest, chat, chatRequest } from "../openai/chat.ts";
import { complete, completionRequest } from "../openai/completions.ts";
import { findModel, listModels } from "../openai/models.ts";
import { checkStrictSchema } from "./strict.ts";

/** Parameters that cannot be are 422 at DeepSeek; unreadable bodies, messages and model names 400 (API, error codes). */
export function deepseekStatus(error: ServerError): ErrorStatus {
  if (error.status === 404 && error.code === "model_not_found") return 400;
  const structural = error.field === undefined || error.field === "" || error.field.startsWith("messages");
  if (error.status === 400 && !structural && error.code !== "context_length_exceeded") return 422;
  return error.status;
}

const types: Partial<Record<ErrorStatus, string>> = {
  401: "authentication_error",
  402: "insufficient_balance",
  429: "rate_limit_reached",
  500: "server_error",
  503: "server_overloaded",
};

export function deepseekError(error: ServerError) {
  const status = deepseekStatus(error);
  const type = types[status] ?? (status >= 500 ? "server_error" : "invalid_request_error");
  return { error: { message: error.message, type, param: error.field ?? null, code: error.code } };
}

/** Unknown fields are dropped, as DeepSeek does. */
const lenientChat = z.object(chatRequest.shape);
const lenientCompletion = z.object(completionRequest.shape);

/** On the beta base: if one function is strict, all are, and their schemas follow the strict rules. */
function checkStrictTools(body: ChatRequest): void {
  const functions = (body.tools ?? []).map(
    (tool) => (tool as { function?: { strict?: boolean; parameters?: unknown } }).function,
  );
  if (!functions.some((each) => each?.strict === true)) return;
  for (const [at, each] of functions.entries()) {
    const field = `tools[${at}].function`;
    if (each?.strict !== true) throw invalid(`${field}.strict`, "Strict mode: every function must set strict to true.");
    checkStrictSchema(
      each.parameters ?? { type: "object", properties: {}, additionalProperties: false },
      `${field}.parameters`,
    );
  }
}

function dialect(beta: boolean): ChatDialect {
  return {
    name: "deepseek",
    schema: lenientChat,
    check: beta ? checkStrictTools : () => {},
    thinkingOf: (model) => (model === "deepseek-reasoner" ? "on" : model === "deepseek-chat" ? "off" : undefined),
    contentWhenEmpty: "",
    errorBody: deepseekError,
  };
}

async function balance(context: RouteContext, services: Services): Promise<Response> {
  const { caller } = context.get("call");
  const { budget } = caller.limits;
  if (!budget) return context.json({ is_available: true, balance_infos: [] });
  const left = Math.max(0, budget.amount - (await services.gateway.quotas.spent(caller)));
  const info = {
    currency: budget.currency,
    total_balance: left.toFixed(2),
    granted_balance: "0.00",
    topped_up_balance: left.toFixed(2),
  };
  return context.json({ is_available: left > 0, balance_infos: [info] });
}

export function mountDeepseek(app: Hono<Env>, services: Services): void {
  const main = dialect(false);
  const beta = dialect(true);
  app.post("/chat/completions", (context) => chat(context, services, main));
  app.post("/beta/chat/completions", (context) => chat(context, services, beta));
  app.post("/beta/v1/chat/completions", (context) => chat(context, services, beta));
  app.post("/beta/completions", (context) => complete(context, services, beta, lenientCompletion));
  app.post("/completions", (context) => complete(context, services, main, lenientCompletion));
  for (const path of ["/models", "/beta/models"]) {
    app.get(path, (context) => context.json(listModels(services.models, context.get("call").caller)));
    app.get(`${path}/:id{.+}`, (context) =>
      context.json(findModel(services.models, context.get("call").caller, context.req.param("id") ?? "")),
    );
  }
  app.get("/user/balance", (context) => balance(context, services));
  app.all("/v1/tools/:tool", (context) => {
    throw notAvailable(
      `The tool endpoint /v1/tools/${context.req.param("tool").slice(0, 50)}`,
      "Run the tool in your own program.",
    );
  });
}
