// Storage in one SQLite file (node:sqlite), in WAL mode so that a killed process loses no finished transaction and readers
// never wait. Statements are synchronous and short; the interface is asynchronous for the databases that come later.
import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { Document, KeyRecord, Page, Storage, UsageRecord, UsageTotals } from "./storage.ts";

const schema = `
CREATE TABLE IF NOT EXISTS keys (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, hint TEXT NOT NULL, limits TEXT NOT NULL,
  created_at INTEGER NOT NULL, revoked_at INTEGER, expires_at INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS usage (
  id TEXT NOT NULL, caller TEXT NOT NULL, at INTEGER NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL, cost REAL NOT NULL, currency TEXT NOT NULL, energy_joules REAL NOT NULL,
  duration_ms REAL NOT NULL, outcome TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS usage_by_caller ON usage (caller, at);
CREATE TABLE IF NOT EXISTS documents (
  kind TEXT NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER,
  body TEXT NOT NULL, PRIMARY KEY (kind, id)) STRICT;
CREATE INDEX IF NOT EXISTS documents_by_owner ON documents (kind, owner, created_at, id);
CREATE TABLE IF NOT EXISTS bytes (id TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
`;

type Row = Record<string, SQLInputValue>;

function toKey(row: Row): KeyRecord {
  return {
    id: row.id as string,
    name: row.name as string,
    hash: row.hash as string,
    hint: row.hint as string,
    limits: JSON.parse(row.limits as string),
    createdAt: row.created_at as number,
    revokedAt: (row.revoked_at as number | null) ?? undefined,
    expiresAt: (row.expires_at as number | null) ?? undefined,
  };
}

function toDocument(row: Row): Document {
  return {
    id: row.id as string,
    owner: row.owner as string,
    createdAt: row.created_at as number,
    body: JSON.parse(row.body as string),
  };
}

/** Opens the file (":memory:" for a throw-away one), creating it and its folder, readable by its owner only. */
export function openDatabase(path: string): DatabaseSync {
  if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;");
  if (path !== ":memory:") chmodSync(path, 0o600);
  database.exec(schema);
  return database;
}

export class SqliteStorage implements Storage {
  readonly database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #unwritten: UsageRecord[] = [];
  #writing: Promise<void> | undefined;

  constructor(database: DatabaseSync) {
    this.database = database;
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) this.#statements.set(text, (statement = this.database.prepare(text)));
    return statement;
  }

  async putKey(key: KeyRecord): Promise<void> {
    this.#sql("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?)").run(
      key.id,
      key.name,
      key.hash,
      key.hint,
      JSON.stringify(key.limits),
      key.createdAt,
      key.revokedAt ?? null,
      key.expiresAt ?? null,
    );
  }

  async findKey(hash: string): Promise<KeyRecord | undefined> {
    const row = this.#sql("SELECT * FROM keys WHERE hash = ?").get(hash);
    return row && toKey(row);
  }

  async listKeys(): Promise<KeyRecord[]> {
    return this.#sql("SELECT * FROM keys ORDER BY created_at, id").all().map(toKey);
  }

  async revokeKey(id: string, at: number): Promise<boolean> {
    const result = this.#sql("UPDATE keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?").run(at, id);
    return result.changes > 0;
  }

  /** Records that arrive in the same turn of the event loop share a transaction; the promise resolves when it is committed. */
  addUsage(record: UsageRecord): Promise<void> {
    this.#unwritten.push(record);
    this.#writing ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#writing = undefined;
        try {
          this.#writeUsage(this.#unwritten.splice(0));
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
    return this.#writing;
  }

  #writeUsage(records: UsageRecord[]): void {
    const insert = this.#sql("INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    this.database.exec("BEGIN");
    try {
      for (const record of records)
        insert.run(
          record.id,
          record.caller,
          record.at,
          record.model,
          record.endpoint,
          record.promptTokens,
          record.cachedTokens,
          record.completionTokens,
          record.reasoningTokens,
          record.cost,
          record.currency,
          record.energyJoules,
          record.durationMs,
          record.outcome,
        );
      this.database.exec("COMMIT");
    } catch (error) {
      this.database.exec("ROLLBACK");
      throw error;
    }
  }

  async usage(caller: string, since: number): Promise<UsageTotals> {
    const rows = this.#sql(
      `SELECT currency, count(*) AS requests, sum(prompt_tokens) AS prompt, sum(completion_tokens) AS completion,
       sum(cost) AS cost FROM usage WHERE caller = ? AND at >= ? GROUP BY currency`,
    ).all(caller, since);
    const totals: UsageTotals = { requests: 0, promptTokens: 0, completionTokens: 0, cost: {} };
    for (const row of rows) {
      totals.requests += row.requests as number;
      totals.promptTokens += row.prompt as number;
      totals.completionTokens += row.completion as number;
      totals.cost[row.currency as string] = row.cost as number;
    }
    return totals;
  }

  async putDocument(kind: string, document: Document, expiresAt?: number): Promise<void> {
    this.#sql(
      `INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body, expires_at = excluded.expires_at
       WHERE owner = excluded.owner`,
    ).run(kind, document.id, document.owner, document.createdAt, expiresAt ?? null, JSON.stringify(document.body));
  }

  async getDocument(kind: string, id: string, owner: string): Promise<Document | undefined> {
    const row = this.#sql(
      "SELECT * FROM documents WHERE kind = ? AND id = ? AND owner = ? AND (expires_at IS NULL OR expires_at > ?)",
    ).get(kind, id, owner, Date.now());
    return row && toDocument(row);
  }

  async listDocuments(
    kind: string,
    owner: string,
    page: Page,
    filter?: { field: string; value: string },
  ): Promise<Document[]> {
    const parameters: SQLInputValue[] = [kind, owner, Date.now()];
    let where = "kind = ? AND owner = ? AND (expires_at IS NULL OR expires_at > ?)";
    if (filter) {
      where += " AND json_extract(body, ?) = ?";
      parameters.push(`$.${filter.field}`, filter.value);
    }
    if (page.after !== undefined) {
      const sign = page.order === "asc" ? ">" : "<";
      where += ` AND (created_at, id) ${sign} (SELECT created_at, id FROM documents WHERE kind = ? AND id = ? AND owner = ?)`;
      parameters.push(kind, page.after, owner);
    }
    const text = `SELECT * FROM documents WHERE ${where} ORDER BY created_at ${page.order}, id ${page.order} LIMIT ?`;
    return this.#sql(text)
      .all(...parameters, page.limit)
      .map(toDocument);
  }

  async allDocuments(kind: string, filter: { field: string; value: string }): Promise<Document[]> {
    return this.#sql("SELECT * FROM documents WHERE kind = ? AND json_extract(body, ?) = ? ORDER BY created_at, id")
      .all(kind, `$.${filter.field}`, filter.value)
      .map(toDocument);
  }

  async deleteDocument(kind: string, id: string, owner: string): Promise<boolean> {
    return this.#sql("DELETE FROM documents WHERE kind = ? AND id = ? AND owner = ?").run(kind, id, owner).changes > 0;
  }

  async deleteExpired(now: number): Promise<number> {
    this.#sql("DELETE FROM bytes WHERE id IN (SELECT id FROM documents WHERE expires_at <= ?)").run(now);
    return Number(this.#sql("DELETE FROM documents WHERE expires_at <= ?").run(now).changes);
  }

  async putBytes(id: string, bytes: Uint8Array): Promise<void> {
    this.#sql("INSERT INTO bytes VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET content = excluded.content").run(
      id,
      bytes,
    );
  }

  async getBytes(id: string): Promise<Uint8Array | undefined> {
    return this.#sql("SELECT content FROM bytes WHERE id = ?").get(id)?.content as Uint8Array | undefined;
  }

  async deleteBytes(id: string): Promise<void> {
    this.#sql("DELETE FROM bytes WHERE id = ?").run(id);
  }

  async close(): Promise<void> {
    await this.#writing;
    this.#statements.clear();
    this.database.close();
  }
}
