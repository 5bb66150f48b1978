// Health, readiness, metrics, receipts and the OpenAPI document.
import type { Hono } from "hono";
import { ServerError } from "./errors.ts";
import type { Env } from "./http/context.ts";
import type { WeirServer } from "./index.ts";
import type { Metrics } from "./metrics.ts";
import { openapi } from "./openapi.ts";

export function mountOperations(app: Hono<Env>, server: WeirServer, metrics: Metrics): void {
  const { gateway, models, storage } = server;
  app.get("/health", (context) => context.json({ status: "ok" }));
  app.get("/ready", (context) => {
    const waiting = models.pending();
    const ready = !server.draining && waiting.length === 0;
    return context.json({ ready, draining: server.draining, loading: waiting }, ready ? 200 : 503);
  });
  app.get("/metrics", (context) => {
    const per = <T extends { name: string }>(items: T[], value: (item: T) => number) =>
      items.map((item) => ({ labels: { model_name: item.name }, value: value(item) }));
    const load = gateway.load();
    const engines = models.stats();
    const text = metrics.render([
      {
        name: "vllm:num_requests_running",
        help: "Requests the models are answering.",
        values: per(load, (each) => each.running),
      },
      { name: "vllm:num_requests_waiting", help: "Requests in the queue.", values: per(load, (each) => each.waiting) },
      {
        name: "vllm:kv_cache_usage_perc",
        help: "Used part of the latent cache; 1 is full.",
        values: per(engines, ({ stats }) => (stats.cacheCapacity > 0 ? stats.cacheTokens / stats.cacheCapacity : 0)),
      },
      {
        name: "weir:model_weight_bytes",
        help: "Weights in memory.",
        values: per(engines, ({ info }) => info.weightBytes),
      },
      {
        name: "process_resident_memory_bytes",
        help: "Resident memory.",
        values: [{ labels: {}, value: process.memoryUsage.rss() }],
      },
    ]);
    return context.text(text, 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  });
  let document: object | undefined;
  app.get("/openapi.json", (context) => context.json((document ??= openapi(app.routes))));
  app.get("/v1/receipts/:id", async (context) => {
    const receipt = await storage.getDocument("receipt", context.req.param("id"), context.get("call").caller.id);
    if (!receipt)
      throw new ServerError(
        404,
        "not_found",
        "There is no such receipt. Receipts are kept when the answer has ended and the request carried an X-Weir-Receipt header.",
      );
    return context.json(receipt.body as object);
  });
}
