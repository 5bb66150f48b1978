// The application's tables in the server's SQLite database. All names start with app_; the event log is append-only,
// every other table is either an account matter or an index that the log can rebuild.
import type { DatabaseSync } from "node:sqlite";

const tables = `
CREATE TABLE IF NOT EXISTS app_accounts (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, role TEXT NOT NULL, password TEXT NOT NULL,
  quota INTEGER, disabled INTEGER NOT NULL DEFAULT 0, preferences TEXT NOT NULL DEFAULT '{}', created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS app_sessions (
  id TEXT PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE, account TEXT NOT NULL REFERENCES app_accounts(id) ON DELETE CASCADE,
  agent TEXT NOT NULL, address TEXT NOT NULL, created_at INTEGER NOT NULL, seen_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS app_invitations (
  id TEXT PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE, role TEXT NOT NULL, quota INTEGER,
  created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS app_resets (
  token_hash TEXT PRIMARY KEY, account TEXT NOT NULL UNIQUE REFERENCES app_accounts(id) ON DELETE CASCADE,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS app_folders (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, instructions TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS app_conversations (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, title TEXT NOT NULL, automatic INTEGER NOT NULL, folder TEXT,
  pinned INTEGER NOT NULL, archived INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS app_conversations_by_account ON app_conversations(account, updated_at);
CREATE TABLE IF NOT EXISTS app_events (
  conversation TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, event TEXT NOT NULL,
  PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS app_inside (
  conversation TEXT NOT NULL, message TEXT NOT NULL, tokens BLOB NOT NULL, PRIMARY KEY (conversation, message)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS app_texts (
  rowid INTEGER PRIMARY KEY, account TEXT NOT NULL, conversation TEXT NOT NULL, message TEXT NOT NULL, text TEXT NOT NULL,
  UNIQUE (conversation, message)
) STRICT;
CREATE VIRTUAL TABLE IF NOT EXISTS app_words USING fts5(words, content='', contentless_delete=1, tokenize='unicode61');
CREATE TABLE IF NOT EXISTS app_usage (
  account TEXT NOT NULL, day TEXT NOT NULL, model TEXT NOT NULL, answers INTEGER NOT NULL, prompt INTEGER NOT NULL,
  cached INTEGER NOT NULL, completion INTEGER NOT NULL, reasoning INTEGER NOT NULL, compute_ms INTEGER NOT NULL,
  PRIMARY KEY (account, day, model)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS app_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
`;

export function createTables(db: DatabaseSync): void {
  db.exec(tables);
}

/** Runs `work` in one transaction; an error undoes all of it. */
export function transaction<T>(db: DatabaseSync, work: () => T): T {
  if (db.isTransaction) return work();
  db.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}
