// Limits of keys: per minute, per day, at once, in money, by model.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Caller } from "./caller.ts";
import { ServerError } from "./errors.ts";
import { Quotas } from "./quota.ts";
import { openDatabase, SqliteStorage } from "./store/sqlite.ts";
import type { Limits, UsageRecord } from "./store/storage.ts";

const noon = Date.UTC(2026, 10, 21, 12, 0, 0);
const caller = (limits: Limits): Caller => ({ id: "key_1", name: "a", limits });
const used = (at: number, tokens: number, cost = 0): UsageRecord => ({
  id: "r",
  caller: "key_1",
  at,
  model: "m",
  endpoint: "/",
  promptTokens: tokens,
  cachedTokens: 0,
  completionTokens: 0,
  reasoningTokens: 0,
  cost,
  currency: "CNY",
  energyJoules: 0,
  durationMs: 1,
  outcome: "stop",
});
const refused = (status: number, retryAfter?: number) => (error: unknown) =>
  error instanceof ServerError &&
  error.status === status &&
  (retryAfter === undefined || error.retryAfter === retryAfter);

function quotas() {
  const clock = { now: noon + 15_000 };
  const storage = new SqliteStorage(openDatabase(":memory:"));
  return { clock, storage, quotas: new Quotas(storage, () => clock.now) };
}

test("requests per minute: refused until the minute is over, with the seconds until then", async () => {
  const { clock, quotas: book } = quotas();
  const limited = caller({ requestsPerMinute: 2 });
  (await book.admit(limited, "m"))();
  (await book.admit(limited, "m"))();
  await assert.rejects(book.admit(limited, "m"), refused(429, 45));
  clock.now += 45_000;
  (await book.admit(limited, "m"))();
});

test("tokens per day count what was used, over a restart too", async () => {
  const { clock, storage, quotas: book } = quotas();
  const limited = caller({ tokensPerDay: 100 });
  const leave = await book.admit(limited, "m");
  await book.record(used(clock.now, 100));
  leave();
  await assert.rejects(book.admit(limited, "m"), refused(429, 12 * 3600 - 15));
  const restarted = new Quotas(storage, () => clock.now);
  await assert.rejects(restarted.admit(limited, "m"), refused(429));
  clock.now += 12 * 3600 * 1000;
  (await restarted.admit(limited, "m"))();
});

test("concurrency holds under simultaneous arrivals", async () => {
  const { quotas: book } = quotas();
  const limited = caller({
    concurrency: 2,
    requestsPerMinute: 100,
    tokensPerDay: 100,
    budget: { amount: 1, currency: "CNY", period: "total" },
  });
  const results = await Promise.allSettled([1, 2, 3, 4].map(() => book.admit(limited, "m")));
  const admitted = results.filter((each) => each.status === "fulfilled");
  assert.equal(admitted.length, 2);
  admitted[0].value();
  (await book.admit(limited, "m"))();
});

test("a budget of money: per month and for ever, 402 when it is gone", async () => {
  const { clock, quotas: book } = quotas();
  const monthly = caller({ budget: { amount: 1, currency: "CNY", period: "month" } });
  (await book.admit(monthly, "m"))();
  await book.record(used(clock.now, 1, 1.5));
  assert.equal(await book.spent(monthly), 1.5);
  await assert.rejects(book.admit(monthly, "m"), refused(402));
  clock.now = Date.UTC(2026, 11, 1);
  (await book.admit(monthly, "m"))();
  await assert.rejects(
    book.admit(caller({ budget: { amount: 1, currency: "CNY", period: "total" } }), "m"),
    refused(402),
  );
});

test("a key limited to some models is refused the others", async () => {
  const { quotas: book } = quotas();
  await assert.rejects(book.admit(caller({ models: ["tutor"] }), "big"), refused(403));
  (await book.admit(caller({ models: ["tutor"] }), "tutor"))();
});
