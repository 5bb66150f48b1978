// Answers that are being computed. They belong to the server, not to the page that asked: pages come and go, follow by
// frames, resume from any frame, and stop the engine from any device. Finished answers live in the conversation's log.

import type { Conversation, Message } from "../../text/conversation.ts";
import type { Conversations } from "./conversations.ts";
import type { AnswerEvent, AppDeps } from "./deps.ts";
import { AppError, notFound } from "./errors.ts";
import { newId } from "./passwords.ts";
import type {
  Account,
  AnswerStatus,
  AnswerTiming,
  AnswerUsage,
  Attachment,
  ChatMessage,
  ConversationSettings,
  Frame,
  LogEvent,
  LoggedEvent,
  TokenRecord,
} from "./protocol.ts";
import { pathTo } from "./tree.ts";
import type { UsageBook } from "./usage.ts";

/** New text is gathered this long before it becomes a frame: 30 a second are as smooth as a thousand. */
const frameMs = 33;
/** How often the log is brought up to date with a running answer, against a crash. */
const progressMs = 1000;
const runningPerAccount = 4;

type Follower = (frame: Frame) => void;

export interface Listener {
  event(conversation: string, logged: LoggedEvent): void;
  changed(conversation: string): void;
}

interface Running {
  account: string;
  conversation: string;
  id: string;
  abort: AbortController;
  /** Tokens the account may still have computed today. */
  quotaLeft: number;
  /** Set when the abort is an "answer now": the answer goes on without thinking. */
  answerNow: boolean;
  frames: Frame[];
  /** The whole text up to the last frame. */
  shown: { reasoning: string; content: string };
  followers: Set<Follower>;
  done: Promise<void>;
}

/** DeepSeek's template for uploaded files (its official prompt): file blocks, then the question. */
function withAttachments(content: string, attachments: Attachment[] = []): string {
  const files = attachments.map(
    ({ name, text }) => `[file name]: ${name}\n[file content begin]\n${text}\n[file content end]\n`,
  );
  return files.join("") + content;
}

const atMost = (wanted: number | undefined, left: number): number | undefined =>
  Number.isFinite(left) ? Math.min(wanted ?? left, left) : wanted;

export class Answers {
  #deps: AppDeps;
  #conversations: Conversations;
  #usage: UsageBook;
  #now: () => number;
  #running = new Map<string, Running>();
  #listeners = new Map<string, Set<Listener>>();

  constructor(deps: AppDeps, conversations: Conversations, usage: UsageBook) {
    this.#deps = deps;
    this.#conversations = conversations;
    this.#usage = usage;
    this.#now = deps.now ?? Date.now;
    conversations.onEvent((account, conversation, logged) => {
      for (const listener of this.#listeners.get(account) ?? []) listener.event(conversation, logged);
      if (logged.event.kind !== "answer-progressed" && logged.event.kind !== "head-moved")
        this.changed(account, conversation);
    });
  }

  /** What a page listens to: log events of the account's conversations, and that its list changed. */
  listen(account: string, listener: Listener): () => void {
    const own = this.#listeners.get(account) ?? new Set();
    this.#listeners.set(account, own.add(listener));
    return () => {
      own.delete(listener);
      if (own.size === 0) this.#listeners.delete(account);
    };
  }

  /** Tells every page of the account that a conversation's entry in the list is new, other or gone. */
  changed(account: string, conversation: string): void {
    for (const listener of this.#listeners.get(account) ?? []) listener.changed(conversation);
  }

  /** The text of a running answer up to its last frame. */
  text(conversation: string): { reasoning?: string; content?: string } {
    return { ...this.#running.get(conversation)?.shown };
  }

  isRunning(conversation: string): boolean {
    return this.#running.has(conversation);
  }

  running(conversation: string): { id: string; frames: number } | undefined {
    const running = this.#running.get(conversation);
    return running && { id: running.id, frames: running.frames.length };
  }

  /** Replays the frames after number `after` and goes on with new ones; the result ends the following. */
  follow(conversation: string, after: number, follower: Follower): () => void {
    const running = this.#running.get(conversation);
    if (!running) return () => {};
    for (const frame of running.frames) if (frame.n > after) follower(frame);
    running.followers.add(follower);
    return () => running.followers.delete(follower);
  }

  /** Everything that would refuse an answer, checked before the user's message is stored. */
  check(account: Account, conversation: string, settings: ConversationSettings): string {
    if (this.#running.has(conversation))
      throw new AppError(409, "answer_running", "This conversation is being answered.");
    const mine = [...this.#running.values()].filter((one) => one.account === account.id).length;
    if (mine >= runningPerAccount)
      throw new AppError(429, "too_many_answers", `${runningPerAccount} answers are being computed for you already.`);
    this.#usage.requireQuota(account);
    const model = settings.model ?? this.#deps.models.default();
    if (model === undefined || !this.#deps.models.list().some((one) => one.name === model))
      throw new AppError(404, "model_missing", `There is no model '${model ?? ""}' on this server.`, {
        model: model ?? "",
      });
    return model;
  }

  /** Starts the answer to `parent`; returns its id at once. */
  start(account: Account, conversation: string, parent: string, settings: ConversationSettings): string {
    const model = this.check(account, conversation, settings);
    return this.#begin(account, conversation, { id: newId(), parent, model, settings });
  }

  /** Goes on with an answer that ended early. */
  continue(account: Account, conversation: string, id: string, settings: ConversationSettings): void {
    const { state } = this.#conversations.state(account.id, conversation);
    const message = state.messages.get(id);
    if (message?.role !== "assistant") throw notFound("answer");
    const model = this.check(account, conversation, { ...settings, model: settings.model ?? message.model });
    this.#begin(account, conversation, { id, parent: message.parent!, model, settings, resumes: "continue" });
  }

  /** Ends the thinking of a running answer; the answer itself begins with what was thought so far. */
  answerNow(account: Account, conversation: string): void {
    const running = this.#running.get(conversation);
    if (running?.account !== account.id) throw notFound("running answer");
    running.answerNow = true;
    running.abort.abort();
  }

  /** Stops the engine; resolves when the log says so. */
  async stop(account: Account, conversation: string): Promise<void> {
    const running = this.#running.get(conversation);
    if (running?.account !== account.id) return;
    running.answerNow = false;
    running.abort.abort();
    await running.done;
  }

  /** Answers that a dead process left unfinished are marked as interrupted. */
  settle(account: string, conversation: string, messages: Map<string, ChatMessage>): void {
    if (this.#running.has(conversation)) return;
    const left = [...messages.values()].filter((message) => message.status === "running");
    if (left.length > 0)
      this.#conversations.append(
        account,
        conversation,
        left.map(({ id }) => ({ kind: "answer-finished", id, status: "interrupted" })),
      );
  }

  /** Stops everything, for the server's end. */
  async close(): Promise<void> {
    const all = [...this.#running.values()];
    for (const running of all) {
      running.answerNow = false;
      running.abort.abort();
    }
    await Promise.all(all.map((running) => running.done));
  }

  #begin(
    account: Account,
    conversation: string,
    answer: { id: string; parent: string; model: string; settings: ConversationSettings; resumes?: "continue" },
  ): string {
    const { state } = this.#conversations.state(account.id, conversation);
    const instructions = state.folder === null ? "" : this.#conversations.folder(account.id, state.folder).instructions;
    const system = [instructions, answer.settings.system ?? ""]
      .map((part) => part.trim())
      .filter((part) => part !== "")
      .join("\n\n");
    this.#conversations.append(account.id, conversation, [
      { kind: "answer-started", ...answer, ...(system === "" ? {} : { system }) },
    ]);
    const sofar = state.messages.get(answer.id);
    const running: Running = {
      account: account.id,
      conversation,
      id: answer.id,
      abort: new AbortController(),
      quotaLeft: this.#usage.left(account),
      answerNow: false,
      frames: [],
      shown: { reasoning: sofar?.reasoning ?? "", content: sofar?.content ?? "" },
      followers: new Set(),
      done: Promise.resolve(),
    };
    this.#running.set(conversation, running);
    running.done = this.#compute(running, answer, system);
    return answer.id;
  }

  async #compute(
    running: Running,
    answer: { id: string; parent: string; model: string; settings: ConversationSettings },
    system: string,
  ): Promise<void> {
    const writer = new AnswerWriter(running, this.#conversations, this.#now);
    let outcome: { status: Exclude<AnswerStatus, "running">; error?: string } = { status: "done" };
    try {
      for (;;) {
        const status = await this.#pass(running, answer, system, writer);
        if (status === "stopped" && running.answerNow) {
          running.answerNow = false;
          running.abort = new AbortController();
          writer.event({ kind: "answer-started", ...answer, resumes: "answer-now" });
          continue;
        }
        outcome = { status };
        break;
      }
    } catch (error) {
      if (running.abort.signal.aborted) outcome = { status: "stopped" };
      else {
        outcome = { status: "failed", error: (error as { code?: string }).code ?? "engine_failed" };
        this.#deps.print(`chat: answer ${answer.id} failed: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    try {
      if (writer.usage) this.#usage.add(running.account, answer.model, writer.usage);
      this.#running.delete(running.conversation);
      writer.finish(outcome);
    } catch (error) {
      // The conversation was deleted while it was being answered.
      if (!(error instanceof AppError)) this.#deps.print(`chat: answer ${answer.id} was not stored: ${String(error)}`);
    } finally {
      this.#running.delete(running.conversation);
    }
  }

  /** One request to the engine. */
  async #pass(
    running: Running,
    answer: { id: string; parent: string; model: string; settings: ConversationSettings },
    system: string,
    writer: AnswerWriter,
  ): Promise<Exclude<AnswerStatus, "running">> {
    const { state } = this.#conversations.state(running.account, running.conversation);
    const messages: Message[] = pathTo(state.messages, answer.parent).map((message) =>
      message.role === "user"
        ? { role: "user", content: withAttachments(message.content, message.attachments) }
        : { role: "assistant", content: message.content },
    );
    if (system !== "") messages.unshift({ role: "system", content: system });
    const sofar = state.messages.get(answer.id)!;
    const { settings } = answer;
    const resumed = sofar.content !== "" || (sofar.reasoning ?? "") !== "";
    if (resumed)
      messages.push({
        role: "assistant",
        content: sofar.content,
        reasoningContent: sofar.reasoning ?? "",
        prefix: true,
      });
    const conversation: Conversation = { messages };
    if (settings.thinking !== undefined) conversation.thinking = settings.thinking ? "on" : "off";
    if (settings.effort !== undefined && settings.thinking !== false) conversation.effort = settings.effort;
    let status: Exclude<AnswerStatus, "running"> = "done";
    const signal = running.abort.signal;
    // Arithmetic has one right answer: the tutor does not throw dice unless told to.
    const tutor = this.#deps.models.list().find((one) => one.name === answer.model)?.tutor;
    const events = this.#deps.generate({
      model: answer.model,
      conversation,
      sampling: { temperature: settings.temperature ?? (tutor ? 0 : undefined), topP: settings.topP },
      maxTokens: atMost(settings.maxTokens, running.quotaLeft),
      thinkingBudget: settings.thinkingBudget,
      inside: settings.inside ?? false,
      signal,
    });
    try {
      for await (const event of events) {
        if (event.type === "finish")
          status =
            event.reason === "length"
              ? "length"
              : event.reason === "cancelled"
                ? "stopped"
                : event.reason === "error"
                  ? "failed"
                  : "done";
        else writer.take(event);
      }
    } catch (error) {
      // Engines may end an aborted request with an error; that is the end that was asked for.
      if (!signal.aborted) throw error;
    } finally {
      writer.endPass(signal.aborted);
    }
    return signal.aborted ? "stopped" : status;
  }
}

/** Gathers one answer's events into frames for followers and progress for the log. */
class AnswerWriter {
  usage: AnswerUsage | undefined;
  #running: Running;
  #conversations: Conversations;
  #now: () => number;
  #started: number;
  #timing: Omit<AnswerTiming, "totalMs"> = {};
  #thinking = false;
  #passStarted: number;
  /** Pieces of text received and not yet counted by the engine: at least one token each. */
  #pieces = 0;
  #pending: Omit<Frame, "id" | "n"> = {};
  #timer: NodeJS.Timeout | undefined;
  #unlogged = { reasoning: "", content: "" };
  #loggedAt: number;
  #tokens: TokenRecord[] = [];

  constructor(running: Running, conversations: Conversations, now: () => number) {
    this.#running = running;
    this.#conversations = conversations;
    this.#now = now;
    this.#started = this.#loggedAt = this.#passStarted = now();
  }

  event(event: LogEvent): void {
    this.#conversations.append(this.#running.account, this.#running.conversation, [event]);
  }

  take(event: Exclude<AnswerEvent, { type: "finish" }>): void {
    const elapsed = this.#now() - this.#started;
    if (event.type === "usage") {
      this.#addUsage(event.usage);
      this.#pieces = 0;
    } else if (event.type === "queued")
      this.#pending.queue = { position: event.position, estimatedWaitMs: event.estimatedWaitMs };
    else if (event.type === "token") {
      (this.#pending.tokens ??= []).push(event.token);
      this.#tokens.push(event.token);
    } else if (event.delta.type === "reasoning" || event.delta.type === "content") {
      this.#timing.firstTokenMs ??= elapsed;
      this.#pieces++;
      const { type, text } = event.delta;
      if (type === "reasoning") this.#thinking = true;
      else if (this.#thinking && this.#timing.reasoningMs === undefined) this.#timing.reasoningMs = elapsed;
      this.#pending[type] = (this.#pending[type] ?? "") + text;
      this.#unlogged[type] += text;
    }
    this.#timer ??= setTimeout(() => this.flush(), frameMs);
  }

  #addUsage(usage: AnswerUsage): void {
    const before = this.usage;
    if (!before) {
      this.usage = usage;
      return;
    }
    const sum = { ...usage, promptTokens: Math.max(usage.promptTokens, before.promptTokens) };
    for (const key of ["completionTokens", "reasoningTokens", "queueMs", "prefillMs", "decodeMs"] as const)
      sum[key] += before[key];
    if (usage.cost && before.cost) sum.cost = { ...usage.cost, amount: usage.cost.amount + before.cost.amount };
    if (before.energyJoules !== undefined) sum.energyJoules = (usage.energyJoules ?? 0) + before.energyJoules;
    this.usage = sum;
  }

  /** Ends one request to the engine. One that was stopped before it counted is counted by its pieces of text. */
  endPass(aborted: boolean): void {
    if (aborted && this.#pieces > 0)
      this.#addUsage({
        promptTokens: 0,
        cachedTokens: 0,
        completionTokens: this.#pieces,
        reasoningTokens: 0,
        queueMs: 0,
        prefillMs: 0,
        decodeMs: this.#now() - this.#passStarted,
      });
    this.#pieces = 0;
    this.#passStarted = this.#now();
    this.flush();
    this.progress();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (Object.keys(this.#pending).length > 0) {
      const frame: Frame = { id: this.#running.id, n: this.#running.frames.length + 1, ...this.#pending };
      this.#pending = {};
      this.#running.frames.push(frame);
      this.#running.shown.reasoning += frame.reasoning ?? "";
      this.#running.shown.content += frame.content ?? "";
      for (const follower of this.#running.followers) follower(frame);
    }
    if (this.#now() - this.#loggedAt >= progressMs) this.progress();
  }

  progress(): void {
    this.#loggedAt = this.#now();
    const { reasoning, content } = this.#unlogged;
    if (reasoning === "" && content === "") return;
    this.#unlogged = { reasoning: "", content: "" };
    const event: LogEvent = { kind: "answer-progressed", id: this.#running.id };
    if (reasoning !== "") event.reasoning = reasoning;
    if (content !== "") event.content = content;
    try {
      this.event(event);
    } catch {
      // Deleted meanwhile: nobody will read it, so the engine may stop.
      this.#running.abort.abort();
    }
  }

  finish(outcome: { status: Exclude<AnswerStatus, "running">; error?: string }): void {
    this.flush();
    this.progress();
    const totalMs = this.#now() - this.#started;
    if (this.#thinking) this.#timing.reasoningMs ??= totalMs;
    if (this.#tokens.length > 0)
      this.#conversations.putInside(this.#running.conversation, this.#running.id, this.#tokens);
    this.event({
      kind: "answer-finished",
      id: this.#running.id,
      ...outcome,
      ...(this.usage ? { usage: this.usage } : {}),
      timing: { ...this.#timing, totalMs },
      ...(this.#tokens.length > 0 ? { inside: true } : {}),
    });
  }
}
