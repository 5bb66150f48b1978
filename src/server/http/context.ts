// What the routes share: the parts of the server they work with and the facts of one request.
import type { Context } from "hono";
import type { ServerConfig } from "../config.ts";
import { type ServerError, toServerError } from "../errors.ts";
import type { Call, Gateway } from "../gateway.ts";
import type { ModelRegistry } from "../registry.ts";
import type { Storage } from "../store/storage.ts";
import type { Log } from "./log.ts";

export interface Services {
  gateway: Gateway;
  models: ModelRegistry;
  storage: Storage;
  config: ServerConfig;
  log: Log;
}

export interface Env {
  Variables: {
    call: Call;
    /** Facts for the request's log line; never content. */
    facts: Record<string, string | number>;
  };
}

export type RouteContext = Context<Env>;

/** The call of a request, with the end user's name when the protocol carries one. */
export function callOf(context: RouteContext, user?: string): Call {
  const call = context.get("call");
  return user === undefined ? call : { ...call, user };
}

/** Any error as what the client is told; what was not foreseen goes to the log under the request's id. */
export function failure(context: RouteContext, services: Pick<Services, "log">, error: unknown): ServerError {
  const told = toServerError(error);
  const facts = context.get("facts");
  if (facts) facts.error = told.code;
  if (told.code === "internal_error") {
    const stack = error instanceof Error ? error.stack : String(error);
    services.log.error("internal_error", { id: context.get("call")?.id, stack });
  }
  return told;
}
