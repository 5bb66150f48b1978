// What every Storage must do; each implementation's test file runs this suite. Test code only.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import type { KeyRecord, Storage, UsageRecord } from "./storage.ts";

const key = (id: string, extra: Partial<KeyRecord> = {}): KeyRecord => ({
  id,
  name: `name of ${id}`,
  hash: `hash of ${id}`,
  hint: "sk-…",
  limits: { tokensPerDay: 5, budget: { amount: 1, currency: "CNY", period: "month" }, models: ["tutor"] },
  createdAt: 1000,
  revokedAt: undefined,
  expiresAt: undefined,
  ...extra,
});

const record = (extra: Partial<UsageRecord> = {}): UsageRecord => ({
  id: "req_1",
  caller: "key_1",
  at: 1000,
  model: "tutor",
  endpoint: "/v1/chat/completions",
  promptTokens: 10,
  cachedTokens: 4,
  completionTokens: 3,
  reasoningTokens: 1,
  cost: 0.5,
  currency: "CNY",
  energyJoules: 2,
  durationMs: 12.5,
  outcome: "stop",
  ...extra,
});

export function storageContract(name: string, open: () => Promise<Storage>): void {
  let storage: Storage;
  beforeEach(async () => {
    storage = await open();
  });
  afterEach(() => storage.close());

  test(`${name}: keys are found by hash, listed in order, revoked once`, async () => {
    await storage.putKey(key("b", { createdAt: 2000 }));
    await storage.putKey(key("a", { expiresAt: 9000 }));
    assert.deepEqual(await storage.findKey("hash of a"), key("a", { expiresAt: 9000 }));
    assert.equal(await storage.findKey("hash of c"), undefined);
    assert.deepEqual(
      (await storage.listKeys()).map((each) => each.id),
      ["a", "b"],
    );
    assert.equal(await storage.revokeKey("a", 5000), true);
    assert.equal(await storage.revokeKey("a", 6000), true);
    assert.equal((await storage.findKey("hash of a"))!.revokedAt, 5000);
    assert.equal(await storage.revokeKey("c", 5000), false);
    await assert.rejects(storage.putKey(key("a")));
  });

  test(`${name}: usage sums per caller, since a time, per currency`, async () => {
    await storage.addUsage(record());
    await storage.addUsage(record({ at: 2000, cost: 0.25 }));
    await storage.addUsage(record({ at: 2000, currency: "USD", cost: 9 }));
    await storage.addUsage(record({ caller: "key_2", promptTokens: 1000 }));
    assert.deepEqual(await storage.usage("key_1", 1000), {
      requests: 3,
      promptTokens: 30,
      completionTokens: 9,
      cost: { CNY: 0.75, USD: 9 },
    });
    assert.deepEqual(await storage.usage("key_1", 1001), {
      requests: 2,
      promptTokens: 20,
      completionTokens: 6,
      cost: { CNY: 0.25, USD: 9 },
    });
    await Promise.all(Array.from({ length: 50 }, () => storage.addUsage(record({ caller: "key_3" }))));
    assert.equal((await storage.usage("key_3", 0)).requests, 50);
    assert.deepEqual(await storage.usage("nobody", 0), { requests: 0, promptTokens: 0, completionTokens: 0, cost: {} });
  });

  test(`${name}: documents belong to their owner and page both ways`, async () => {
    const put = (id: string, owner: string, createdAt: number, purpose = "x") =>
      storage.putDocument("file", {
        id,
        owner,
        createdAt,
        body: { purpose, text: "'; DROP TABLE keys; --", n: [1, { a: null }] },
      });
    await put("b", "o1", 10);
    await put("a", "o1", 10, "y");
    await put("c", "o1", 20);
    await put("d", "o2", 30);
    const ids = async (
      after: string | undefined,
      order: "asc" | "desc",
      limit = 10,
      filter?: { field: string; value: string },
    ) => (await storage.listDocuments("file", "o1", { after, order, limit }, filter)).map((each) => each.id);
    assert.deepEqual(await ids(undefined, "asc"), ["a", "b", "c"]);
    assert.deepEqual(await ids("a", "asc"), ["b", "c"]);
    assert.deepEqual(await ids("c", "desc"), ["b", "a"]);
    assert.deepEqual(await ids(undefined, "desc", 2), ["c", "b"]);
    assert.deepEqual(await ids("d", "asc"), []);
    assert.deepEqual(await ids(undefined, "asc", 10, { field: "purpose", value: "y" }), ["a"]);
    assert.deepEqual((await storage.getDocument("file", "b", "o1"))!.body, {
      purpose: "x",
      text: "'; DROP TABLE keys; --",
      n: [1, { a: null }],
    });
    assert.equal(await storage.getDocument("file", "d", "o1"), undefined);
    assert.equal(await storage.getDocument("other", "b", "o1"), undefined);
    await storage.putDocument("file", { id: "d", owner: "o1", createdAt: 1, body: "stolen" });
    assert.equal(await storage.getDocument("file", "d", "o1"), undefined);
    assert.notEqual((await storage.getDocument("file", "d", "o2"))!.body, "stolen");
    await storage.putDocument("file", { id: "b", owner: "o1", createdAt: 99, body: { purpose: "z" } });
    assert.deepEqual(await storage.getDocument("file", "b", "o1"), {
      id: "b",
      owner: "o1",
      createdAt: 10,
      body: { purpose: "z" },
    });
    assert.deepEqual(
      (await storage.allDocuments("file", { field: "purpose", value: "x" })).map((each) => each.id),
      ["c", "d"],
    );
    assert.equal(await storage.deleteDocument("file", "d", "o1"), false);
    assert.equal(await storage.deleteDocument("file", "d", "o2"), true);
    assert.equal(await storage.deleteDocument("file", "d", "o2"), false);
  });

  test(`${name}: expired documents are gone at once, their bytes with the next sweep`, async () => {
    await storage.putDocument("file", { id: "old", owner: "o", createdAt: 1, body: 1 }, Date.now() - 1);
    await storage.putDocument("file", { id: "new", owner: "o", createdAt: 1, body: 1 }, Date.now() + 60_000);
    await storage.putBytes("old", new Uint8Array([1]));
    assert.equal(await storage.getDocument("file", "old", "o"), undefined);
    assert.deepEqual(
      (await storage.listDocuments("file", "o", { limit: 9, order: "asc" })).map((each) => each.id),
      ["new"],
    );
    assert.equal(await storage.deleteExpired(Date.now()), 1);
    assert.equal(await storage.getBytes("old"), undefined);
  });

  test(`${name}: bytes come back exactly`, async () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, at) => at % 256);
    await storage.putBytes("a", bytes);
    assert.deepEqual(new Uint8Array((await storage.getBytes("a"))!), bytes);
    await storage.putBytes("a", new Uint8Array());
    assert.equal((await storage.getBytes("a"))!.length, 0);
    await storage.deleteBytes("a");
    assert.equal(await storage.getBytes("a"), undefined);
  });
}
