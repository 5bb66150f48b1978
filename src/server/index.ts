// The server: `createServer` joins configuration, storage, models and protocols into one Hono app; `listen` (listen.ts) puts
// it on a port.
//
// For other parts of the program that add routes (the chat application): write `src/server/app/index.ts` with
//
//   export function mountApp(app: Hono<Env>, deps: AppDeps): void
//
// and hand it over as createServer({ …, mount: mountApp }). Routes mounted so come after the protocols and before the built
// page (web/dist, any GET that nothing else answers). They have, as every route:
//   - context.get("call"): the request's id, the caller (API key or "this machine"), and an AbortSignal that fires when
//     the client goes away. Paths under /app/ get through without an API key, as localCaller: the application has its own
//     log-in. Everything else has been checked.
//   - errors: throw ServerError(status, code, message); it is written as {"error": {message, type, param, code}}.
//   - bodies: http/body.ts (readJson, validate), streams: http/sse.ts (frameText, textStream, streamHeaders).
// deps.gateway.generate(request, call) is the one way to an answer (quota, queue, accounting); its events are
// GenerationEvent (generation.ts). deps.database is the server's own SQLite connection: create tables there with an "app_"
// prefix. deps.storage holds keys, usage and documents; deps.models lists, defines and swaps models.
import type { DatabaseSync } from "node:sqlite";
import { Hono } from "hono";
import { identify, localCaller } from "./caller.ts";
import type { ServerConfig } from "./config.ts";
import { ServerError } from "./errors.ts";
import { Gateway } from "./gateway.ts";
import { type Env, failure, type RouteContext, type Services } from "./http/context.ts";
import { newId } from "./http/generate.ts";
import { guard } from "./http/guard.ts";
import { createLog, type Log } from "./http/log.ts";
import { Metrics } from "./metrics.ts";
import type { LoadEngine } from "./model.ts";
import { mountOperations } from "./operations.ts";
import { mountPage } from "./page.ts";
import { errorFor } from "./protocols/errors.ts";
import { mountProtocols } from "./protocols/mount.ts";
import { Quotas } from "./quota.ts";
import { ModelRegistry } from "./registry.ts";
import { SqliteStorage } from "./store/sqlite.ts";

export type { Caller } from "./caller.ts";
export type { Call } from "./gateway.ts";
export type { Env } from "./http/context.ts";

export interface AppDeps extends Services {
  database: DatabaseSync;
}

export interface ServerOptions {
  config: ServerConfig;
  loadEngine: LoadEngine;
  /** From openDatabase(); closed by close(). */
  database: DatabaseSync;
  /** Folder of the built page, served when it exists. */
  page?: string;
  mount?: (app: Hono<Env>, deps: AppDeps) => void;
  log?: Log;
}

export interface WeirServer {
  app: Hono<Env>;
  gateway: Gateway;
  models: ModelRegistry;
  storage: SqliteStorage;
  config: ServerConfig;
  log: Log;
  /** Told to clients as 503 once true; /ready says no. */
  draining: boolean;
  /** Ends background work, unloads models, closes the database. */
  close(): Promise<void>;
}

/** First path segments that need an API key where keys are required; the page and the application's routes do not. */
const protectedRoots = new Set([
  "v1",
  "beta",
  "chat",
  "completions",
  "models",
  "user",
  "files",
  "responses",
  "anthropic",
  "metrics",
]);

export function createServer(options: ServerOptions): WeirServer {
  const { config, database } = options;
  const log = options.log ?? createLog(config.log.level);
  const storage = new SqliteStorage(database);
  const models = new ModelRegistry(config, options.loadEngine);
  const metrics = new Metrics();
  const gateway = new Gateway({ models, quotas: new Quotas(storage), config, metrics, log });
  const services: Services = { gateway, models, storage, config, log };
  const app = new Hono<Env>();
  const server: WeirServer = { app, gateway, models, storage, config, log, draining: false, close };

  app.onError((error, context) => {
    const told = failure(context as RouteContext, services, error);
    const headers: Record<string, string> =
      told.retryAfter === undefined ? {} : { "retry-after": String(told.retryAfter) };
    // 499 is for the log: the client has gone and reads no status.
    const status = told.status === 499 ? 400 : told.status;
    return context.json(errorFor(context.req.path, told, context.get("call")?.id), status, headers);
  });
  app.notFound((context) => {
    const path = context.req.path.slice(0, 100);
    const told = new ServerError(404, "not_found", `There is no ${context.req.method} ${path} on this server.`);
    return context.json(errorFor(context.req.path, told, context.get("call")?.id), 404);
  });
  app.use(async (context, next) => {
    const arrived = performance.now();
    const id = newId("req_");
    context.set("facts", {});
    context.set("call", { id, caller: localCaller, endpoint: context.req.path, signal: context.req.raw.signal });
    context.header("x-request-id", id);
    const preflight = guard(context, server);
    if (preflight) return preflight;
    const { path } = context.req;
    if (protectedRoots.has(path.split("/", 2)[1])) {
      const caller = await identify(context.req.raw.headers, storage, config.keys.required);
      context.set("call", { ...context.get("call"), caller });
    }
    await next();
    const { status } = context.res;
    metrics.add("weir:http_requests_total", { route: context.req.routePath ?? "", status: String(status) });
    log.info("request", {
      id,
      caller: context.get("call").caller.id,
      method: context.req.method,
      path: path.slice(0, 200),
      status,
      ms: Math.round(performance.now() - arrived),
      ...context.get("facts"),
    });
  });
  mountOperations(app, server, metrics);
  const stop = mountProtocols(app, services);
  options.mount?.(app, { ...services, database });
  if (options.page !== undefined) mountPage(app, options.page);

  async function close(): Promise<void> {
    await stop();
    await models.close();
    await storage.close();
  }
  return server;
}
