// Mounts every wire protocol.
import type { Hono } from "hono";
import type { Env, Services } from "../http/context.ts";
import { mountAnthropic } from "./anthropic/routes.ts";
import { mountDeepseek } from "./deepseek/routes.ts";
import { mountOpenai } from "./openai/routes.ts";

/** Returns what ends the protocols' background work. */
export function mountProtocols(app: Hono<Env>, services: Services): () => Promise<void> {
  mountAnthropic(app, services);
  mountDeepseek(app, services);
  mountOpenai(app, services);
  return async () => {};
}
