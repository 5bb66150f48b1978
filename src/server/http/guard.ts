// Turns away what must not reach a route: requests while draining, pages of foreign origins, and host names that a
// hostile DNS entry points at this machine (where no key protects the API).

import type { ServerConfig } from "../config.ts";
import { ServerError } from "../errors.ts";
import type { RouteContext } from "./context.ts";

const always = new Set(["/health", "/ready", "/metrics"]);

export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, "").toLowerCase();
  return name === "localhost" || name.endsWith(".localhost") || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);
}

const hostName = (host: string): string => host.replace(/:\d+$/, "");

/** Knows how long the event loop has not come round: the wait that every new request is in for. */
export class LagWatch {
  #last = performance.now();
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => {
      this.#last = performance.now();
    }, 100);
    this.#timer.unref();
  }

  get seconds(): number {
    return (performance.now() - this.#last) / 1000;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Throws for what is refused; returns a response for a permitted preflight. */
export function guard(
  context: RouteContext,
  server: { draining: boolean; config: ServerConfig },
  lag: LagWatch,
): Response | undefined {
  const { config } = server;
  if (server.draining && !always.has(context.req.path)) {
    context.header("connection", "close");
    throw new ServerError(503, "shutting_down", "The server is shutting down; try again shortly.", { retryAfter: 5 });
  }
  if (lag.seconds > config.limits.lagSeconds && !always.has(context.req.path))
    throw new ServerError(503, "overloaded", "The server is behind with its work; please try again later.", {
      retryAfter: Math.ceil(lag.seconds),
    });
  const host = context.req.header("host") ?? new URL(context.req.url).host;
  if (!config.keys.required && isLoopback(config.host) && !isLoopback(hostName(host)))
    throw new ServerError(
      403,
      "wrong_host",
      "Without API keys this server answers under the names of this machine only (localhost, 127.0.0.1).",
    );
  const origin = context.req.header("origin");
  if (origin === undefined) return undefined;
  const allowed = config.cors.includes("*") || config.cors.includes(origin);
  if (allowed) {
    context.header("access-control-allow-origin", origin);
    context.header("vary", "origin");
    if (context.req.method === "OPTIONS")
      return context.body(null, 204, {
        "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers": context.req.header("access-control-request-headers") ?? "*",
        "access-control-max-age": "600",
      });
    return undefined;
  }
  const own = /^https?:\/\/(.+)$/.exec(origin)?.[1] === host;
  if (!own && !["GET", "HEAD"].includes(context.req.method))
    throw new ServerError(
      403,
      "origin_not_allowed",
      `Pages of ${origin.slice(0, 100)} may not call this server; list the origin under cors in its configuration.`,
    );
  return undefined;
}
