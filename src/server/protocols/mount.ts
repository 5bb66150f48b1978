// Mounts every wire protocol.
import type { Hono } from "hono";
import type { Env, Services } from "../http/context.ts";
import { mountOpenai } from "./openai/routes.ts";

/** Returns what ends the protocols' background work. */
export function mountProtocols(app: Hono<Env>, services: Services): () => Promise<void> {
  mountOpenai(app, services);
  return async () => {};
}
