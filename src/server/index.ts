// The server: `createServer` joins configuration, storage, models and protocols into one Hono app; `listen` (listen.ts) puts
// it on a port.
//
// The chat application (app/) is mounted by its own function through `mount`; app-host.ts hands it what it asks for. Routes
// mounted so come after the protocols. They have, as every route, context.get("call"): the request's id, the caller, and an
// AbortSignal that fires when the client goes away. Paths outside the protocols' roots (below) get through without an API
// key: the application has its own log-in. services.gateway.generate(request, call) is the one way to an answer (quota,
// queue, accounting); services.storage and the database are the server's own, other tables take a prefix.
import type { DatabaseSync } from "node:sqlite";
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { type Caller, identify, localCaller } from "./caller.ts";
import type { ServerConfig } from "./config.ts";
import { ServerError } from "./errors.ts";
import { Gateway } from "./gateway.ts";
import { type Env, failure, type RouteContext, type Services } from "./http/context.ts";
import { newId } from "./http/generate.ts";
import { guard, LagWatch } from "./http/guard.ts";
import { createLog, type Log } from "./http/log.ts";
import { Metrics } from "./metrics.ts";
import type { LoadEngine } from "./model.ts";
import { mountOperations } from "./operations.ts";
import { errorFor } from "./protocols/errors.ts";
import { mountProtocols } from "./protocols/mount.ts";
import { Quotas } from "./quota.ts";
import { ModelRegistry } from "./registry.ts";
import { SqliteStorage } from "./store/sqlite.ts";
import { readTraceparent, Telemetry } from "./telemetry.ts";

export type { Caller } from "./caller.ts";
export type { Call } from "./gateway.ts";
export type { Env } from "./http/context.ts";

export interface ServerOptions {
  config: ServerConfig;
  loadEngine: LoadEngine;
  /** From openDatabase(); closed by close(). */
  database: DatabaseSync;
  /** Adds routes; what it returns ends their background work before the database closes. */
  mount?: (app: Hono<Env>, services: Services, database: DatabaseSync) => { close(): Promise<void> };
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
  const telemetry = config.telemetry && new Telemetry(config.telemetry, log);
  const gateway = new Gateway({ models, quotas: new Quotas(storage), config, metrics, log, telemetry });
  const services: Services = { gateway, models, storage, config, log };
  const lag = new LagWatch();
  const app = new Hono<Env>();
  const server: WeirServer = { app, gateway, models, storage, config, log, draining: false, close };

  app.onError((error, context) => {
    const told = failure(context as RouteContext, services, error);
    const headers: Record<string, string> =
      told.retryAfter === undefined ? {} : { "retry-after": String(told.retryAfter) };
    // 499 is for the log: the client has gone and reads no status.
    const { status, body } = errorFor(context.req.path, told, context.get("call")?.id);
    return context.json(body, (status === 499 ? 400 : status) as ContentfulStatusCode, headers);
  });
  app.notFound((context) => {
    const path = context.req.path.slice(0, 100);
    const told = new ServerError(404, "not_found", `There is no ${context.req.method} ${path} on this server.`);
    return context.json(errorFor(context.req.path, told, context.get("call")?.id).body, 404);
  });
  app.use(async (context, next) => {
    const arrived = performance.now();
    const id = newId("req_");
    context.set("facts", {});
    const trace = readTraceparent(context.req.header("traceparent"));
    context.set("call", { id, caller: localCaller, endpoint: context.req.path, signal: context.req.raw.signal, trace });
    context.header("x-request-id", id);
    const preflight = guard(context, server, lag);
    if (preflight) return preflight;
    const { path } = context.req;
    // Set for the server's own requests only (batches): what comes over the network has the socket's two objects there.
    const inside = (context.env as { caller?: Caller } | undefined)?.caller;
    if (inside || protectedRoots.has(path.split("/", 2)[1])) {
      const caller = inside ?? (await identify(context.req.raw.headers, storage, config.keys.required));
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
  const dispatch = async (path: string, body: unknown, caller: Caller, signal: AbortSignal) =>
    app.request(
      `http://localhost${path}`,
      { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal },
      { caller },
    );
  const stop = mountProtocols(app, services, dispatch);
  const mounted = options.mount?.(app, services, database);

  // Expired files and responses take room until they are swept.
  const sweeper = setInterval(() => void storage.deleteExpired(Date.now()), 60 * 60 * 1000);
  sweeper.unref();
  async function close(): Promise<void> {
    clearInterval(sweeper);
    lag.stop();
    await stop();
    await mounted?.close();
    await models.close();
    await telemetry?.close();
    await storage.close();
  }
  return server;
}
