// /v1/batches: a file of requests worked through in the background by the same routes, under the same quotas. Every finished
// line is stored, so that a restarted server goes on where the last one stopped.
import type { Hono } from "hono";
import { z } from "zod";
import type { Caller } from "../../caller.ts";
import { invalid, ServerError } from "../../errors.ts";
import { readJson, validate } from "../../http/body.ts";
import type { Env, RouteContext, Services } from "../../http/context.ts";
import { newId } from "../../http/generate.ts";
import { findFile, storeFile } from "./files.ts";
import { listPage, pageQuery } from "./lists.ts";

const endpoints = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"] as const;
const most = 50_000;

export const batchRequest = z.strictObject({
  input_file_id: z.string().max(256),
  endpoint: z.enum(endpoints),
  completion_window: z.literal("24h"),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
  output_expires_after: z.unknown().optional(),
});

const time = z.int().nullable();
export const batchObject = z.object({
  id: z.string(),
  object: z.literal("batch"),
  endpoint: z.enum(endpoints),
  input_file_id: z.string(),
  completion_window: z.literal("24h"),
  status: z.enum(["validating", "failed", "in_progress", "finalizing", "completed", "cancelling", "cancelled"]),
  errors: z
    .object({
      object: z.literal("list"),
      data: z.array(
        z.object({ code: z.string(), message: z.string(), param: z.string().nullable(), line: z.int().nullable() }),
      ),
    })
    .nullable(),
  output_file_id: z.string().nullable(),
  error_file_id: z.string().nullable(),
  created_at: z.int(),
  in_progress_at: time,
  finalizing_at: time,
  completed_at: time,
  failed_at: time,
  cancelling_at: time,
  cancelled_at: time,
  expires_at: z.int(),
  request_counts: z.object({ total: z.int(), completed: z.int(), failed: z.int() }),
  metadata: z.record(z.string(), z.string()).nullable(),
});

type Batch = z.output<typeof batchObject>;

const line = z.object({
  custom_id: z.string().min(1).max(512),
  method: z.literal("POST"),
  url: z.string(),
  body: z.record(z.string(), z.unknown()),
});
type Line = z.output<typeof line>;

interface Result {
  batch: string;
  ok: boolean;
  text: string;
}

const seconds = (): number => Math.floor(Date.now() / 1000);

class LineError extends Error {
  readonly line: number;

  constructor(at: number, message: string) {
    super(message);
    this.line = at;
  }
}

function parseLines(bytes: Uint8Array, endpoint: string): Line[] {
  const texts = new TextDecoder()
    .decode(bytes)
    .split("\n")
    .filter((text) => text.trim() !== "");
  if (texts.length === 0) throw new LineError(1, "The file holds no requests.");
  if (texts.length > most) throw new LineError(most + 1, `A batch holds at most ${most} requests.`);
  const seen = new Set<string>();
  return texts.map((text, at) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new LineError(at + 1, "This line is not valid JSON.");
    }
    const parsed = line.safeParse(value);
    if (!parsed.success)
      throw new LineError(
        at + 1,
        `This line is no request: ${parsed.error.issues[0].path.join(".")}: ${parsed.error.issues[0].message}.`,
      );
    if (parsed.data.url !== endpoint) throw new LineError(at + 1, `The url must be the batch's endpoint, ${endpoint}.`);
    if (parsed.data.body.stream === true) throw new LineError(at + 1, "Requests of a batch cannot stream.");
    if (seen.has(parsed.data.custom_id))
      throw new LineError(at + 1, `The custom_id '${parsed.data.custom_id}' appears twice.`);
    seen.add(parsed.data.custom_id);
    return parsed.data;
  });
}

/** Sends a request through this server's own routes. */
export type Dispatch = (path: string, body: unknown, caller: Caller, signal: AbortSignal) => Promise<Response>;

/** Works batches off, one after the other. */
class BatchRunner {
  readonly #services: Services;
  readonly #dispatch: Dispatch;
  readonly #stop = new AbortController();
  readonly #cancels = new Map<string, AbortController>();
  #work: Promise<void> = Promise.resolve();

  constructor(services: Services, dispatch: Dispatch) {
    this.#services = services;
    this.#dispatch = dispatch;
  }

  /** Takes up what an earlier process left unfinished. */
  async resume(): Promise<void> {
    for (const status of ["validating", "in_progress", "finalizing", "cancelling"])
      for (const found of await this.#services.storage.allDocuments("batch", { field: "status", value: status }))
        this.enqueue(found.body as Batch, found.owner);
  }

  enqueue(batch: Batch, owner: string): void {
    const cancel = new AbortController();
    this.#cancels.set(batch.id, cancel);
    if (batch.status === "cancelling") cancel.abort();
    this.#work = this.#work
      .then(() => this.#run(batch, owner, AbortSignal.any([cancel.signal, this.#stop.signal]), cancel.signal))
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted)
          this.#services.log.error("batch_failed", { id: batch.id, stack: String((error as Error).stack) });
      })
      .finally(() => this.#cancels.delete(batch.id));
  }

  cancel(id: string): void {
    this.#cancels.get(id)?.abort();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  async #save(batch: Batch, owner: string): Promise<void> {
    await this.#services.storage.putDocument("batch", {
      id: batch.id,
      owner,
      createdAt: batch.created_at * 1000,
      body: batch,
    });
  }

  async #caller(owner: string): Promise<Caller | undefined> {
    if (owner === "local") return { id: "local", name: "this machine", limits: {} };
    const key = (await this.#services.storage.listKeys()).find((each) => each.id === owner);
    return key && key.revokedAt === undefined ? { id: key.id, name: key.name, limits: key.limits } : undefined;
  }

  async #run(batch: Batch, owner: string, signal: AbortSignal, cancelled: AbortSignal): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { storage, config } = this.#services;
    const caller = await this.#caller(owner);
    let lines: Line[];
    try {
      if (!caller) throw new LineError(0, "The API key of this batch has been revoked.");
      lines = parseLines((await storage.getBytes(batch.input_file_id)) ?? new Uint8Array(), batch.endpoint);
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      batch.status = "failed";
      batch.failed_at = seconds();
      batch.errors = {
        object: "list",
        data: [{ code: "invalid_line", message: error.message, param: null, line: error.line || null }],
      };
      return this.#save(batch, owner);
    }
    const done = new Map<string, Result>();
    for (const found of await storage.listDocuments(
      "batch_line",
      owner,
      { limit: most + 1, order: "asc" },
      { field: "batch", value: batch.id },
    ))
      done.set(found.id, found.body as Result);
    if (batch.status === "validating") {
      batch.status = "in_progress";
      batch.in_progress_at = seconds();
    }
    const count = () => {
      const results = [...done.values()];
      batch.request_counts = {
        total: lines.length,
        completed: results.filter((each) => each.ok).length,
        failed: results.filter((each) => !each.ok).length,
      };
    };
    count();
    await this.#save(batch, owner);
    let next = 0;
    const worker = async () => {
      while (next < lines.length && !signal.aborted) {
        const at = next++;
        const id = `${batch.id}:${String(at).padStart(6, "0")}`;
        if (done.has(id)) continue;
        const result = await this.#answer(batch, lines[at], caller, signal);
        if (!result) return;
        done.set(id, result);
        await storage.putDocument("batch_line", { id, owner, createdAt: at, body: result });
        count();
        if (batch.status === "in_progress") await this.#save(batch, owner);
      }
    };
    await Promise.all(Array.from({ length: config.limits.batchParallel }, worker));
    // A stopping server leaves the rest to the next one; a cancelled batch ends with what it has.
    if (this.#stop.signal.aborted) return;
    await this.#finish(batch, owner, done, cancelled.aborted);
  }

  async #finish(batch: Batch, owner: string, done: Map<string, Result>, cancelled: boolean): Promise<void> {
    const { storage } = this.#services;
    if (!cancelled) {
      batch.status = "finalizing";
      batch.finalizing_at = seconds();
      await this.#save(batch, owner);
    }
    const write = async (kind: "output" | "error", ok: boolean) => {
      const texts = [...done.entries()]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([, each]) => (each.ok === ok ? [each.text] : []));
      if (texts.length === 0) return null;
      const bytes = new TextEncoder().encode(`${texts.join("\n")}\n`);
      return (
        await storeFile(storage, owner, { filename: `${batch.id}_${kind}.jsonl`, purpose: "batch_output", bytes })
      ).id;
    };
    batch.output_file_id = await write("output", true);
    batch.error_file_id = await write("error", false);
    batch.status = cancelled ? "cancelled" : "completed";
    if (cancelled) batch.cancelled_at = seconds();
    else batch.completed_at = seconds();
    if (cancelled) batch.cancelling_at ??= seconds();
    await this.#save(batch, owner);
    for (const id of done.keys()) await storage.deleteDocument("batch_line", id, owner);
  }

  /** One line's result; undefined when the batch ended meanwhile. Busy answers are waited out. */
  async #answer(batch: Batch, request: Line, caller: Caller, signal: AbortSignal): Promise<Result | undefined> {
    for (;;) {
      const response = await this.#dispatch(batch.endpoint, request.body, caller, signal);
      const body = await response.json();
      if (signal.aborted) return undefined;
      if (response.status === 429 || response.status === 503) {
        const wait = Number(response.headers.get("retry-after") ?? 1) * 1000;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, wait);
          signal.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true });
        });
        if (signal.aborted) return undefined;
        continue;
      }
      const answer = { status_code: response.status, request_id: response.headers.get("x-request-id") ?? "", body };
      const text = JSON.stringify({
        id: newId("batch_req_"),
        custom_id: request.custom_id,
        response: answer,
        error: null,
      });
      return { batch: batch.id, ok: response.ok, text };
    }
  }
}

export function mountBatches(app: Hono<Env>, services: Services, dispatch: Dispatch): BatchRunner {
  const { storage } = services;
  const runner = new BatchRunner(services, dispatch);
  const owner = (context: RouteContext) => context.get("call").caller.id;
  const find = async (context: RouteContext): Promise<Batch> => {
    const id = context.req.param("id") ?? "";
    const found = await storage.getDocument("batch", id, owner(context));
    if (!found) throw new ServerError(404, "not_found", `No batch found with id '${id.slice(0, 100)}'.`);
    return found.body as Batch;
  };
  app.post("/v1/batches", async (context) => {
    const body = validate(batchRequest, await readJson(context.req.raw, services.config.limits));
    const file = await findFile(storage, body.input_file_id, owner(context), "input_file_id");
    if (file.body.purpose !== "batch")
      throw invalid("input_file_id", `The file's purpose is '${file.body.purpose}'; upload it with purpose 'batch'.`);
    const now = seconds();
    const batch: Batch = {
      id: newId("batch_"),
      object: "batch",
      endpoint: body.endpoint,
      input_file_id: body.input_file_id,
      completion_window: "24h",
      status: "validating",
      errors: null,
      output_file_id: null,
      error_file_id: null,
      created_at: now,
      in_progress_at: null,
      finalizing_at: null,
      completed_at: null,
      failed_at: null,
      cancelling_at: null,
      cancelled_at: null,
      expires_at: now + 24 * 3600,
      request_counts: { total: 0, completed: 0, failed: 0 },
      metadata: body.metadata ?? null,
    };
    await storage.putDocument("batch", { id: batch.id, owner: owner(context), createdAt: now * 1000, body: batch });
    runner.enqueue(structuredClone(batch), owner(context));
    return context.json(batch);
  });
  app.get("/v1/batches", async (context) => {
    const { limit, after, order } = validate(pageQuery, context.req.query());
    const found = await storage.listDocuments("batch", owner(context), { after, order, limit: limit + 1 });
    return context.json(
      listPage(
        found.map((each) => each.body as Batch),
        limit,
      ),
    );
  });
  app.get("/v1/batches/:id", async (context) => context.json(await find(context)));
  app.post("/v1/batches/:id/cancel", async (context) => {
    const batch = await find(context);
    if (!["validating", "in_progress"].includes(batch.status))
      throw new ServerError(409, "batch_ended", `The batch is ${batch.status} and cannot be cancelled any more.`);
    batch.status = "cancelling";
    batch.cancelling_at = seconds();
    await storage.putDocument("batch", {
      id: batch.id,
      owner: owner(context),
      createdAt: batch.created_at * 1000,
      body: batch,
    });
    runner.cancel(batch.id);
    return context.json(batch);
  });
  return runner;
}
