// What the server keeps: keys, usage, documents (responses, files, batches) and bytes. SQLite is the first implementation;
// another database implements this interface and passes store/contract.fixture.ts. All times are milliseconds since 1970.

export interface Limits {
  requestsPerMinute?: number;
  requestsPerDay?: number;
  tokensPerMinute?: number;
  tokensPerDay?: number;
  /** Requests running or waiting at once. */
  concurrency?: number;
  /** Money in the currency of the price table, over the key's life or per calendar month (UTC). */
  budget?: { amount: number; currency: string; period: "total" | "month" };
  /** Names this key may use; absent: all. */
  models?: string[];
}

export interface KeyRecord {
  id: string;
  name: string;
  /** SHA-256 of the secret, hexadecimal; the secret itself is never kept. */
  hash: string;
  /** First characters of the secret, for a person to recognise it by. */
  hint: string;
  limits: Limits;
  createdAt: number;
  revokedAt?: number;
  expiresAt?: number;
}

export interface UsageRecord {
  /** The request's id. */
  id: string;
  /** The caller: a key's id, or "local". */
  caller: string;
  at: number;
  model: string;
  endpoint: string;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  reasoningTokens: number;
  cost: number;
  currency: string;
  energyJoules: number;
  durationMs: number;
  outcome: string;
}

export interface UsageTotals {
  requests: number;
  promptTokens: number;
  completionTokens: number;
  /** Cost per currency. */
  cost: Record<string, number>;
}

export interface Document<T = unknown> {
  id: string;
  owner: string;
  createdAt: number;
  body: T;
}

export interface Page {
  /** Id after which to go on. */
  after?: string;
  limit: number;
  order: "asc" | "desc";
}

export interface Storage {
  putKey(key: KeyRecord): Promise<void>;
  findKey(hash: string): Promise<KeyRecord | undefined>;
  listKeys(): Promise<KeyRecord[]>;
  /** False when there is no such key. */
  revokeKey(id: string, at: number): Promise<boolean>;

  addUsage(record: UsageRecord): Promise<void>;
  usage(caller: string, since: number): Promise<UsageTotals>;

  putDocument(kind: string, document: Document, expiresAt?: number): Promise<void>;
  /** Only what this owner stored; others' documents look as if they were not there. */
  getDocument(kind: string, id: string, owner: string): Promise<Document | undefined>;
  /** `filter` compares one top-level field of the body. An unknown `after` gives an empty page. */
  listDocuments(
    kind: string,
    owner: string,
    page: Page,
    filter?: { field: string; value: string },
  ): Promise<Document[]>;
  /** Everyone's, for work to be resumed at start. */
  allDocuments(kind: string, filter: { field: string; value: string }): Promise<Document[]>;
  deleteDocument(kind: string, id: string, owner: string): Promise<boolean>;
  deleteExpired(now: number): Promise<number>;

  putBytes(id: string, bytes: Uint8Array): Promise<void>;
  getBytes(id: string): Promise<Uint8Array | undefined>;
  deleteBytes(id: string): Promise<void>;

  close(): Promise<void>;
}
