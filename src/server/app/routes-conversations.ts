// Routes for conversations: the list, the tree, folders, search, answers, and export and import.
import type { Context, Hono } from "hono";
import { z } from "zod";
import type { Answers } from "./answers.ts";
import type { Conversations } from "./conversations.ts";
import { AppError, notFound } from "./errors.ts";
import type { AppEnv } from "./guard.ts";
import { readBody, readText } from "./input.ts";
import { newId } from "./passwords.ts";
import { attachmentSchema, readConversations, settingsSchema, toJson, toMarkdown, toPortable } from "./portable.ts";
import type { ChatMessage, LogEvent } from "./protocol.ts";
import { limits } from "./protocol.ts";

const messageId = z.string().regex(/^[A-Za-z0-9_-]{8,64}$/);
const title = z.string().trim().min(1).max(limits.title);

const question = z.object({
  /** Chosen by the page, so that sending the same question again after a lost reply does nothing twice. */
  id: messageId,
  parent: messageId.nullable(),
  content: z.string().max(limits.message),
  attachments: z.array(attachmentSchema).max(limits.attachments).default([]),
  settings: settingsSchema,
});

/** The first line of a question is the title until the user gives a better one. */
const titleOf = (content: string, fallback: string): string => {
  const line = content.trim().split("\n", 1)[0].trim() || fallback;
  return [...line].slice(0, 60).join("");
};

const fileName = (name: string): string => name.replace(/[^\p{L}\p{N} ._-]/gu, "_").slice(0, 80) || "conversation";

export function conversationRoutes(api: Hono<AppEnv>, conversations: Conversations, answers: Answers): void {
  const load = (c: Context<AppEnv>) => {
    const id = c.req.param("id")!;
    const account = c.var.account.id;
    answers.settle(account, id, conversations.state(account, id).state.messages);
    return { id, account, ...conversations.state(account, id) };
  };

  api.get("/conversations", (c) =>
    c.json({
      conversations: conversations
        .list(c.var.account.id)
        .map((one) => ({ ...one, running: answers.isRunning(one.id) })),
      folders: conversations.folders(c.var.account.id),
    }),
  );
  api.post("/conversations", async (c) => {
    const body = await readBody(
      c,
      z.object({ folder: z.string().max(64).nullable().default(null), settings: settingsSchema.optional() }),
    );
    if (body.folder !== null) conversations.folder(c.var.account.id, body.folder);
    const id = conversations.create(c.var.account.id);
    conversations.append(c.var.account.id, id, [
      { kind: "conversation-changed", folder: body.folder, ...(body.settings ? { settings: body.settings } : {}) },
    ]);
    return c.json({ id }, 201);
  });
  api.get("/conversations/:id", (c) => {
    const { id, state, seq } = load(c);
    const running = answers.running(id);
    const message = running && state.messages.get(running.id);
    if (running && message) Object.assign(message, answers.text(id));
    return c.json({
      conversation: {
        ...state,
        ...conversations.summary(c.var.account.id, id),
        messages: [...state.messages.values()],
      },
      running: running?.id ?? null,
      cursor: `${seq}.${running?.frames ?? 0}`,
    });
  });
  api.patch("/conversations/:id", async (c) => {
    const body = await readBody(
      c,
      z.object({
        title: title.optional(),
        folder: z.string().max(64).nullable().optional(),
        pinned: z.boolean().optional(),
        archived: z.boolean().optional(),
        settings: settingsSchema.optional(),
      }),
    );
    if (typeof body.folder === "string") conversations.folder(c.var.account.id, body.folder);
    conversations.append(c.var.account.id, c.req.param("id"), [{ kind: "conversation-changed", ...body }]);
    return c.json({});
  });
  api.delete("/conversations/:id", async (c) => {
    conversations.summary(c.var.account.id, c.req.param("id"));
    await answers.stop(c.var.account, c.req.param("id"));
    conversations.remove(c.var.account.id, c.req.param("id"));
    answers.changed(c.var.account.id, c.req.param("id"));
    return c.json({});
  });

  // Asking.

  api.post("/conversations/:id/messages", async (c) => {
    const body = await readBody(c, question);
    const { id, account, state } = load(c);
    if (state.messages.has(body.id)) return c.json({ id: body.id }, 200);
    if (body.content.trim() === "" && body.attachments.length === 0)
      throw new AppError(400, "empty", "The message is empty.");
    if (body.parent !== null && !state.messages.has(body.parent)) throw notFound("message to answer");
    const total = body.attachments.reduce((sum, { text }) => sum + text.length, 0);
    if (total > limits.attachmentsTotal)
      throw new AppError(
        413,
        "too_large",
        `The attachments hold ${total} characters; at most ${limits.attachmentsTotal} fit.`,
      );
    answers.check(c.var.account, id, body.settings);
    const message: ChatMessage = {
      id: body.id,
      parent: body.parent,
      role: "user",
      content: body.content,
      at: Date.now(),
    };
    if (body.attachments.length > 0) message.attachments = body.attachments;
    const events: LogEvent[] = [{ kind: "message-added", message }];
    if (state.title === "" && state.automatic)
      events.push({
        kind: "conversation-changed",
        title: titleOf(body.content, body.attachments[0]?.name ?? "…"),
        automatic: true,
      });
    if (JSON.stringify(state.settings) !== JSON.stringify(body.settings))
      events.push({ kind: "conversation-changed", settings: body.settings });
    conversations.append(account, id, events);
    return c.json({ id: body.id, answer: answers.start(c.var.account, id, body.id, body.settings) }, 201);
  });
  api.post("/conversations/:id/answers", async (c) => {
    const body = await readBody(c, z.object({ parent: messageId, settings: settingsSchema }));
    const { id, state } = load(c);
    if (state.messages.get(body.parent)?.role !== "user") throw notFound("question");
    return c.json({ answer: answers.start(c.var.account, id, body.parent, body.settings) }, 201);
  });
  api.post("/conversations/:id/answers/:answer/continue", async (c) => {
    const body = await readBody(c, z.object({ settings: settingsSchema }));
    const { id } = load(c);
    answers.continue(c.var.account, id, c.req.param("answer"), body.settings);
    return c.json({});
  });
  api.post("/conversations/:id/stop", async (c) => {
    await answers.stop(c.var.account, load(c).id);
    return c.json({});
  });
  api.post("/conversations/:id/answer-now", (c) => {
    answers.answerNow(c.var.account, load(c).id);
    return c.json({});
  });
  api.put("/conversations/:id/head", async (c) => {
    const body = await readBody(c, z.object({ id: messageId }));
    const { id, account, state } = load(c);
    if (!state.messages.has(body.id)) throw notFound("message");
    conversations.append(account, id, [{ kind: "head-moved", id: body.id }]);
    return c.json({});
  });
  api.delete("/conversations/:id/messages/:message", async (c) => {
    const { id, account, state } = load(c);
    if (!state.messages.has(c.req.param("message"))) throw notFound("message");
    if (answers.isRunning(id)) await answers.stop(c.var.account, id);
    conversations.append(account, id, [{ kind: "branch-removed", id: c.req.param("message") }]);
    return c.json({});
  });
  api.get("/conversations/:id/inside/:message", (c) =>
    c.json({ tokens: conversations.inside(c.var.account.id, c.req.param("id"), c.req.param("message")) }),
  );
  api.get("/conversations/:id/log", (c) =>
    c.json({ events: conversations.eventsAfter(c.var.account.id, c.req.param("id"), 0) }),
  );

  // Folders and search.

  const folder = z.object({
    name: z.string().trim().min(1).max(limits.folderName),
    instructions: z.string().max(limits.system),
  });
  api.post("/folders", async (c) => {
    const body = await readBody(c, folder.partial({ instructions: true }));
    return c.json({ folder: conversations.addFolder(c.var.account.id, body.name, body.instructions) }, 201);
  });
  api.patch("/folders/:id", async (c) => {
    const body = await readBody(c, folder.partial());
    return c.json({ folder: conversations.changeFolder(c.var.account.id, c.req.param("id"), body) });
  });
  api.delete("/folders/:id", (c) => {
    conversations.removeFolder(c.var.account.id, c.req.param("id"));
    return c.json({});
  });
  api.get("/search", (c) => c.json({ hits: conversations.search(c.var.account.id, c.req.query("q") ?? "") }));

  // Leaving and entering.

  const portable = (account: string, id: string) => {
    const { state } = conversations.state(account, id);
    const name = conversations.folders(account).find((one) => one.id === state.folder)?.name;
    return { state, portable: toPortable(state, conversations.summary(account, id).createdAt, name) };
  };
  const download = (c: Context, name: string, type: string, body: string): Response => {
    c.header("content-type", `${type}; charset=utf-8`);
    c.header("content-disposition", `attachment; filename*=UTF-8''${encodeURIComponent(name)}`);
    return c.body(body);
  };
  api.get("/conversations/:id/export", (c) => {
    const one = portable(c.var.account.id, c.req.param("id"));
    const name = fileName(one.state.title);
    if (c.req.query("format") === "markdown") return download(c, `${name}.md`, "text/markdown", toMarkdown(one.state));
    return download(c, `${name}.json`, "application/json", toJson([one.portable]));
  });
  api.get("/export", (c) => {
    const all = conversations.list(c.var.account.id).map(({ id }) => portable(c.var.account.id, id).portable);
    return download(c, "weir-conversations.json", "application/json", toJson(all));
  });
  api.post("/import", async (c) => {
    const account = c.var.account.id;
    const read = readConversations(await readText(c, limits.importBytes));
    const folders = new Map(conversations.folders(account).map((one) => [one.name, one.id]));
    const ids = read.conversations.map((one) => {
      const id = newId();
      conversations.create(account, id, one.createdAt);
      if (one.folder !== undefined && !folders.has(one.folder))
        folders.set(one.folder, conversations.addFolder(account, one.folder).id);
      const events: LogEvent[] = one.messages.map((message) => ({ kind: "message-added", message }));
      if (one.head !== null) events.push({ kind: "head-moved", id: one.head });
      const { title, settings, pinned, archived } = one;
      const filed = one.folder === undefined ? null : folders.get(one.folder)!;
      events.push({ kind: "conversation-changed", title, settings: settings ?? {}, pinned, archived, folder: filed });
      conversations.append(account, id, events, Math.max(one.createdAt, ...one.messages.map(({ at }) => at)));
      return id;
    });
    return c.json({ format: read.format, imported: ids, skipped: read.skipped }, 201);
  });
}
