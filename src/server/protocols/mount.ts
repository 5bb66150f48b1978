// Mounts every wire protocol.
import type { Hono } from "hono";
import type { Env, Services } from "../http/context.ts";
import { mountAnthropic } from "./anthropic/routes.ts";
import { mountDeepseek } from "./deepseek/routes.ts";
import { type Dispatch, mountBatches } from "./openai/batches.ts";
import { mountFiles } from "./openai/files.ts";
import { mountResponses } from "./openai/responses.ts";
import { mountOpenai } from "./openai/routes.ts";

/** Mounts them and takes up unfinished batches; the result ends that background work. */
export function mountProtocols(app: Hono<Env>, services: Services, dispatch: Dispatch): () => Promise<void> {
  mountAnthropic(app, services);
  mountDeepseek(app, services);
  mountOpenai(app, services);
  mountResponses(app, services);
  mountFiles(app, services);
  const batches = mountBatches(app, services, dispatch);
  const resumed = batches.resume();
  return async () => {
    await resumed;
    await batches.close();
  };
}
