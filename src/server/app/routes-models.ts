// Routes for models and the tutor: what is there, loading and unloading, a speed test, exercises and marks.
import type { Hono } from "hono";
import { z } from "zod";
import type { AppDeps } from "./deps.ts";
import { AppError } from "./errors.ts";
import type { AppEnv } from "./guard.ts";
import { requireAdmin } from "./guard.ts";
import { readBody } from "./input.ts";
import type { UsageBook } from "./usage.ts";

export function modelRoutes(api: Hono<AppEnv>, deps: AppDeps, usage: UsageBook): void {
  const find = (name: string) => {
    const model = deps.models.list().find((one) => one.name === name);
    if (!model)
      throw new AppError(404, "model_missing", `There is no model '${name}' on this server.`, { model: name });
    return model;
  };

  api.get("/models", (c) => c.json({ models: deps.models.list(), default: deps.models.default() ?? null }));
  api.post("/models/load", async (c) => {
    requireAdmin(c.var.account);
    const { name } = await readBody(c, z.object({ name: z.string() }));
    await deps.models.load(find(name).name).catch((error: Error) => {
      throw new AppError(503, "model_not_loaded", `The model '${name}' could not be loaded: ${error.message}`, {
        model: name,
      });
    });
    return c.json({ model: find(name) });
  });
  api.post("/models/unload", async (c) => {
    requireAdmin(c.var.account);
    const { name } = await readBody(c, z.object({ name: z.string() }));
    await deps.models.unload(find(name).name);
    return c.json({ model: find(name) });
  });
  /** Measures one short answer: prompt and answer tokens per second, time to the first token. */
  api.post("/models/speed", async (c) => {
    const { name } = await readBody(c, z.object({ name: z.string() }));
    find(name);
    usage.requireQuota(c.var.account);
    const started = performance.now();
    let firstTokenMs: number | undefined;
    let measured = { promptTokens: 0, cachedTokens: 0, completionTokens: 0, prefillMs: 0, decodeMs: 0 };
    const events = deps.generate({
      model: name,
      // A different prompt each time, so that no cached prefix flatters the figure.
      conversation: {
        messages: [
          { role: "user", content: `${Math.floor(Math.random() * 1e6)} + ${Math.floor(Math.random() * 1e6)} = ?` },
        ],
      },
      sampling: { temperature: 0 },
      maxTokens: 128,
      inside: false,
      signal: AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(120_000)]),
    });
    for await (const event of events) {
      if (event.type === "delta") firstTokenMs ??= performance.now() - started;
      if (event.type === "usage") {
        measured = event.usage;
        usage.add(c.var.account.id, name, event.usage);
      }
    }
    return c.json({ ...measured, firstTokenMs: firstTokenMs ?? null, totalMs: performance.now() - started });
  });

  // The tutor.

  const tutor = () => {
    if (!deps.tutor) throw new AppError(404, "no_tutor", "This server has no tutor.");
    return deps.tutor;
  };
  const language = z.enum(["zh", "en"]);
  api.get("/tutor/skills", (c) => c.json({ skills: deps.tutor?.skills() ?? [] }));
  api.post("/tutor/exercise", async (c) => {
    const body = await readBody(
      c,
      z.object({
        skill: z.string().max(100),
        difficulty: z.number().int().min(1).max(5),
        language,
        seed: z.number().int().min(0).optional(),
      }),
    );
    if (
      !tutor()
        .skills()
        .some(({ id }) => id === body.skill)
    )
      throw new AppError(404, "no_skill", `The tutor has no skill '${body.skill}'.`);
    const seed = body.seed ?? Math.floor(Math.random() * 2 ** 31);
    return c.json({ exercise: tutor().exercise(body.skill, body.difficulty, body.language, seed) });
  });
  api.post("/tutor/mark", async (c) => {
    const body = await readBody(
      c,
      z.object({
        question: z.string().max(10_000),
        working: z.string().max(100_000),
        answer: z.string().max(100_000).default(""),
        language,
      }),
    );
    return c.json({ marks: tutor().mark(body.question, body, body.language) });
  });
}
