// Holds every caller to the limits of their key: requests and tokens per minute and day, concurrency, money. Counts are kept
// in memory and read from the usage records once per window, so that a restart forgives nothing.

import type { Caller } from "./caller.ts";
import { ServerError } from "./errors.ts";
import type { Storage, UsageRecord } from "./store/storage.ts";

const minute = 60_000;
const day = 24 * 60 * minute;

interface Window {
  start: number;
  requests: number;
  tokens: number;
  cost: Record<string, number>;
}

interface Account {
  running: number;
  windows: Map<string, Promise<Window>>;
}

function windowStart(name: string, now: number): number {
  if (name === "minute") return now - (now % minute);
  if (name === "day") return now - (now % day);
  if (name === "month") return Date.UTC(new Date(now).getUTCFullYear(), new Date(now).getUTCMonth(), 1);
  return 0;
}

const secondsUntil = (end: number, now: number): number => Math.max(1, Math.ceil((end - now) / 1000));

export class Quotas {
  readonly #storage: Storage;
  readonly #accounts = new Map<string, Account>();
  readonly #now: () => number;

  constructor(storage: Storage, now: () => number = Date.now) {
    this.#storage = storage;
    this.#now = now;
  }

  #account(caller: string): Account {
    let account = this.#accounts.get(caller);
    if (!account) this.#accounts.set(caller, (account = { running: 0, windows: new Map() }));
    return account;
  }

  async #window(caller: string, name: string): Promise<Window> {
    const start = windowStart(name, this.#now());
    const { windows } = this.#account(caller);
    const known = windows.get(name);
    if (known && (await known).start === start) return known;
    const fresh = this.#storage.usage(caller, start).then((totals) => ({
      start,
      requests: totals.requests,
      tokens: totals.promptTokens + totals.completionTokens,
      cost: totals.cost,
    }));
    windows.set(name, fresh);
    return fresh;
  }

  /** What a key has spent in its budget's period. */
  async spent(caller: Caller): Promise<number> {
    const { budget } = caller.limits;
    if (!budget) return 0;
    const window = await this.#window(caller.id, budget.period);
    return window.cost[budget.currency] ?? 0;
  }

  /** Lets a request in or throws (429, 402, 403); the returned function must be called when it has ended. */
  async admit(caller: Caller, model: string): Promise<() => void> {
    const { limits } = caller;
    const now = this.#now();
    if (limits.models && !limits.models.includes(model))
      throw new ServerError(403, "model_not_allowed", `This API key may not use the model '${model}'.`, {
        field: "model",
      });
    const account = this.#account(caller.id);
    const refuse = (what: string, retryAfter: number) =>
      new ServerError(429, "rate_limit_exceeded", `This API key's limit is reached: ${what}.`, { retryAfter });
    if (limits.concurrency !== undefined && account.running >= limits.concurrency)
      throw refuse(`${limits.concurrency} requests at once`, 1);
    if (limits.requestsPerMinute !== undefined || limits.tokensPerMinute !== undefined) {
      const window = await this.#window(caller.id, "minute");
      const wait = secondsUntil(window.start + minute, now);
      if (window.requests >= (limits.requestsPerMinute ?? Infinity))
        throw refuse(`${limits.requestsPerMinute} requests per minute`, wait);
      if (window.tokens >= (limits.tokensPerMinute ?? Infinity))
        throw refuse(`${limits.tokensPerMinute} tokens per minute`, wait);
    }
    if (limits.requestsPerDay !== undefined || limits.tokensPerDay !== undefined) {
      const window = await this.#window(caller.id, "day");
      const wait = secondsUntil(window.start + day, now);
      if (window.requests >= (limits.requestsPerDay ?? Infinity))
        throw refuse(`${limits.requestsPerDay} requests per day`, wait);
      if (window.tokens >= (limits.tokensPerDay ?? Infinity))
        throw refuse(`${limits.tokensPerDay} tokens per day`, wait);
    }
    const { budget } = limits;
    if (budget && (await this.spent(caller)) >= budget.amount)
      throw new ServerError(
        402,
        "insufficient_balance",
        `This API key's budget of ${budget.amount} ${budget.currency} (${budget.period}) is used up.`,
      );
    // Reading a window may have taken time in which others came in.
    if (limits.concurrency !== undefined && account.running >= limits.concurrency)
      throw refuse(`${limits.concurrency} requests at once`, 1);
    account.running++;
    // A running request counts at once; its tokens when it has ended.
    for (const window of await Promise.all(account.windows.values())) window.requests++;
    return () => {
      account.running--;
    };
  }

  /** Writes what a request used; the request itself was counted by admit. */
  async record(record: UsageRecord): Promise<void> {
    const account = this.#accounts.get(record.caller);
    const windows = account ? await Promise.all(account.windows.values()) : [];
    for (const window of windows) {
      window.tokens += record.promptTokens + record.completionTokens;
      window.cost[record.currency] = (window.cost[record.currency] ?? 0) + record.cost;
    }
    await this.#storage.addUsage(record);
  }
}
