// Conversations in SQLite: appending to a conversation's event log, folding it back, and the list, folder and search
// indexes that follow the log. Every function takes the account and sees nothing of others'.
import type { DatabaseSync } from "node:sqlite";
import { gunzipSync, gzipSync } from "node:zlib";
import { AppError, notFound } from "./errors.ts";
import { newId } from "./passwords.ts";
import type {
  ConversationState,
  ConversationSummary,
  Folder,
  LogEvent,
  LoggedEvent,
  SearchHit,
  TokenRecord,
} from "./protocol.ts";
import { limits } from "./protocol.ts";
import { transaction } from "./schema.ts";
import { applyEvent, emptyState } from "./tree.ts";
import { indexWords, searchExpression, snippet } from "./words.ts";

type Row = Record<string, unknown>;

const toSummary = (row: Row): Omit<ConversationSummary, "running"> => ({
  id: row.id as string,
  title: row.title as string,
  automatic: row.automatic === 1,
  folder: row.folder as string | null,
  pinned: row.pinned === 1,
  archived: row.archived === 1,
  createdAt: row.created_at as number,
  updatedAt: row.updated_at as number,
});

type Listener = (account: string, conversation: string, logged: LoggedEvent) => void;

export class Conversations {
  #db: DatabaseSync;
  #now: () => number;
  #listeners = new Set<Listener>();

  constructor(db: DatabaseSync, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  /** Called after each event is stored. */
  onEvent(listener: Listener): void {
    this.#listeners.add(listener);
  }

  create(account: string, id: string = newId(), at: number = this.#now()): string {
    this.#db
      .prepare(
        "INSERT INTO app_conversations (id, account, title, automatic, folder, pinned, archived, created_at, updated_at) VALUES (?, ?, '', 1, NULL, 0, 0, ?, ?)",
      )
      .run(id, account, at, at);
    return id;
  }

  /** Refuses conversations that are not this account's as if they did not exist. */
  summary(account: string, id: string): Omit<ConversationSummary, "running"> {
    const row = this.#db.prepare("SELECT * FROM app_conversations WHERE id = ? AND account = ?").get(id, account);
    if (!row) throw notFound("conversation");
    return toSummary(row);
  }

  list(account: string): Omit<ConversationSummary, "running">[] {
    return this.#db
      .prepare("SELECT * FROM app_conversations WHERE account = ? ORDER BY updated_at DESC")
      .all(account)
      .map(toSummary);
  }

  /** Appends events in one transaction and keeps the indexes in step. */
  append(account: string, id: string, events: LogEvent[], at: number = this.#now()): LoggedEvent[] {
    const logged = transaction(this.#db, () => {
      this.summary(account, id);
      let seq = this.lastSeq(id);
      const insert = this.#db.prepare("INSERT INTO app_events (conversation, seq, at, event) VALUES (?, ?, ?, ?)");
      return events.map((event) => {
        insert.run(id, ++seq, at, JSON.stringify(event));
        this.#index(account, id, event, at);
        return { seq, at, event };
      });
    });
    for (const one of logged) for (const listener of this.#listeners) listener(account, id, one);
    return logged;
  }

  #index(account: string, id: string, event: LogEvent, at: number): void {
    if (event.kind === "conversation-changed") {
      const state = { ...emptyState(), ...this.summary(account, id) };
      applyEvent(state, event, at);
      this.#db
        .prepare(
          "UPDATE app_conversations SET title = ?, automatic = ?, folder = ?, pinned = ?, archived = ? WHERE id = ?",
        )
        .run(state.title, state.automatic ? 1 : 0, state.folder, state.pinned ? 1 : 0, state.archived ? 1 : 0, id);
    } else if (event.kind === "message-added") {
      const files = event.message.attachments?.map((attachment) => attachment.name) ?? [];
      this.#indexText(account, id, event.message.id, [event.message.content, ...files].join("\n"));
      this.#touch(id, at);
    } else if (event.kind === "answer-finished") {
      const message = this.#fold(id).state.messages.get(event.id);
      if (message) this.#indexText(account, id, event.id, message.content);
      this.#touch(id, at);
    } else if (event.kind === "branch-removed") {
      const left = this.#fold(id).state.messages;
      const rows = this.#db.prepare("SELECT rowid, message FROM app_texts WHERE conversation = ?").all(id);
      for (const row of rows) if (!left.has(row.message as string)) this.#dropText(row.rowid as number);
    }
  }

  #touch(id: string, at: number): void {
    this.#db.prepare("UPDATE app_conversations SET updated_at = max(updated_at, ?) WHERE id = ?").run(at, id);
  }

  #dropText(rowid: number): void {
    this.#db.prepare("DELETE FROM app_texts WHERE rowid = ?").run(rowid);
    this.#db.prepare("DELETE FROM app_words WHERE rowid = ?").run(rowid);
  }

  #indexText(account: string, conversation: string, message: string, text: string): void {
    const old = this.#db
      .prepare("SELECT rowid FROM app_texts WHERE conversation = ? AND message = ?")
      .get(conversation, message);
    if (old) this.#dropText(old.rowid as number);
    const { lastInsertRowid } = this.#db
      .prepare("INSERT INTO app_texts (account, conversation, message, text) VALUES (?, ?, ?, ?)")
      .run(account, conversation, message, text.slice(0, limits.message));
    this.#db
      .prepare("INSERT INTO app_words (rowid, words) VALUES (?, ?)")
      .run(lastInsertRowid, indexWords(text.slice(0, limits.message)).join(" "));
  }

  #fold(id: string): { state: ConversationState; seq: number } {
    const state = emptyState();
    let seq = 0;
    for (const row of this.#db
      .prepare("SELECT seq, at, event FROM app_events WHERE conversation = ? ORDER BY seq")
      .iterate(id)) {
      applyEvent(state, JSON.parse(row.event as string), row.at as number);
      seq = row.seq as number;
    }
    return { state, seq };
  }

  /** The conversation as its log tells it, and the number of the last event. */
  state(account: string, id: string): { state: ConversationState; seq: number } {
    this.summary(account, id);
    return this.#fold(id);
  }

  eventsAfter(account: string, id: string, seq: number): LoggedEvent[] {
    this.summary(account, id);
    return this.#db
      .prepare("SELECT seq, at, event FROM app_events WHERE conversation = ? AND seq > ? ORDER BY seq")
      .all(id, seq)
      .map((row) => ({ seq: row.seq as number, at: row.at as number, event: JSON.parse(row.event as string) }));
  }

  lastSeq(id: string): number {
    return this.#db.prepare("SELECT coalesce(max(seq), 0) AS n FROM app_events WHERE conversation = ?").get(id)!
      .n as number;
  }

  remove(account: string, id: string): void {
    transaction(this.#db, () => {
      this.summary(account, id);
      for (const row of this.#db.prepare("SELECT rowid FROM app_texts WHERE conversation = ?").all(id))
        this.#dropText(row.rowid as number);
      for (const table of ["app_events", "app_inside"])
        this.#db.prepare(`DELETE FROM ${table} WHERE conversation = ?`).run(id);
      this.#db.prepare("DELETE FROM app_conversations WHERE id = ?").run(id);
    });
  }

  removeAll(account: string): void {
    for (const { id } of this.list(account)) this.remove(account, id);
    this.#db.prepare("DELETE FROM app_folders WHERE account = ?").run(account);
  }

  /** Messages that hold every word of the query, best first. */
  search(account: string, query: string): SearchHit[] {
    const expression = searchExpression(query);
    if (expression === "") return [];
    return this.#db
      .prepare(
        `SELECT t.conversation, t.message, t.text, c.title FROM app_words w
         JOIN app_texts t ON t.rowid = w.rowid JOIN app_conversations c ON c.id = t.conversation
         WHERE w.words MATCH ? AND t.account = ? ORDER BY c.updated_at DESC LIMIT 60`,
      )
      .all(expression, account)
      .map((row) => ({
        conversation: row.conversation as string,
        title: row.title as string,
        message: row.message as string,
        ...snippet(row.text as string, query),
      }));
  }

  // Folders.

  folders(account: string): Folder[] {
    return this.#db
      .prepare("SELECT id, name, instructions FROM app_folders WHERE account = ? ORDER BY created_at")
      .all(account)
      .map((row) => ({ id: row.id as string, name: row.name as string, instructions: row.instructions as string }));
  }

  folder(account: string, id: string): Folder {
    const folder = this.folders(account).find((one) => one.id === id);
    if (!folder) throw notFound("folder");
    return folder;
  }

  addFolder(account: string, name: string, instructions = ""): Folder {
    if (this.folders(account).length >= 200)
      throw new AppError(409, "too_many_folders", "There are 200 folders already.");
    const id = newId();
    this.#db
      .prepare("INSERT INTO app_folders (id, account, name, instructions, created_at) VALUES (?, ?, ?, ?, ?)")
      .run(id, account, name, instructions, this.#now());
    return { id, name, instructions };
  }

  changeFolder(account: string, id: string, change: Partial<Omit<Folder, "id">>): Folder {
    const next = { ...this.folder(account, id), ...change };
    this.#db
      .prepare("UPDATE app_folders SET name = ?, instructions = ? WHERE id = ?")
      .run(next.name, next.instructions, id);
    return next;
  }

  /** Removes the folder; its conversations stay, outside of any. */
  removeFolder(account: string, id: string): void {
    this.folder(account, id);
    for (const one of this.list(account))
      if (one.folder === id) this.append(account, one.id, [{ kind: "conversation-changed", folder: null }]);
    this.#db.prepare("DELETE FROM app_folders WHERE id = ?").run(id);
  }

  // See inside: per answer, compressed.

  putInside(conversation: string, message: string, tokens: TokenRecord[]): void {
    this.#db
      .prepare("INSERT OR REPLACE INTO app_inside (conversation, message, tokens) VALUES (?, ?, ?)")
      .run(conversation, message, gzipSync(JSON.stringify(tokens), { level: 3 }));
  }

  inside(account: string, conversation: string, message: string): TokenRecord[] {
    this.summary(account, conversation);
    const row = this.#db
      .prepare("SELECT tokens FROM app_inside WHERE conversation = ? AND message = ?")
      .get(conversation, message);
    return row ? JSON.parse(gunzipSync(row.tokens as Uint8Array).toString()) : [];
  }
}
