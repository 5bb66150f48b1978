// Puts a server on a port: time limits for slow senders, and an orderly end that lets running answers finish.
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { ConfigError } from "./config.ts";
import { isLoopback } from "./http/guard.ts";
import type { WeirServer } from "./index.ts";

export interface Listening {
  url: string;
  port: number;
  /** Takes no more requests, waits for running ones (at most drainSeconds), then closes everything. */
  drain(): Promise<void>;
}

/** Binds to config.host and config.port. Refuses an address that others can reach unless keys are required and exist. */
export async function listen(server: WeirServer): Promise<Listening> {
  const { config } = server;
  if (!isLoopback(config.host)) {
    const now = Date.now();
    const usable = (await server.storage.listKeys()).some(
      (key) => key.revokedAt === undefined && (key.expiresAt ?? Infinity) > now,
    );
    if (!config.keys.required || !usable)
      throw new ConfigError(
        `${config.host} can be reached from other machines, which needs API keys: create one with 'weir keys create NAME' and start with --require-keys (or keys: {required: true}).`,
      );
  }
  const { limits } = config;
  const node = createAdaptorServer({
    fetch: server.app.fetch,
    hostname: config.host,
    overrideGlobalObjects: false,
    serverOptions: {
      headersTimeout: limits.receiveSeconds * 1000,
      requestTimeout: limits.receiveSeconds * 1000,
      connectionsCheckingInterval: Math.min(5000, limits.receiveSeconds * 250),
      keepAliveTimeout: 65_000,
      maxHeaderSize: 16 * 1024,
    },
  }) as Server;
  node.maxRequestsPerSocket = 0;
  await new Promise<void>((resolve, reject) => {
    node.once("listening", resolve);
    node.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        error.code === "EADDRINUSE"
          ? new ConfigError(`Port ${config.port} on ${config.host} is taken; choose another with --port.`)
          : error,
      ),
    );
    // Room for a burst of connections while the event loop is busy; the system may lower it.
    node.listen({ host: config.host, port: config.port, backlog: 4096 });
  });
  const { port } = node.address() as AddressInfo;
  const host = config.host.includes(":") ? `[${config.host}]` : config.host;
  let ending: Promise<void> | undefined;
  const end = async () => {
    server.draining = true;
    const closed = new Promise<void>((resolve) => node.close(() => resolve()));
    node.closeIdleConnections();
    const patience = Date.now() + limits.drainSeconds * 1000;
    while (server.gateway.active > 0 && Date.now() < patience) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      node.closeIdleConnections();
    }
    // The last bytes of a finished answer may still be on their way out.
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 500))]);
    node.closeAllConnections();
    await closed;
    await server.close();
  };
  return {
    url: `http://${host}:${port}`,
    port,
    drain: () => (ending ??= end()),
  };
}
