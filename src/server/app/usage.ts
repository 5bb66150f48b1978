// Counts what each account computes per day and model, and refuses answers to accounts whose day's quota is used up.
import type { DatabaseSync } from "node:sqlite";
import { AppError } from "./errors.ts";
import type { Account, AnswerUsage, UsageDay } from "./protocol.ts";

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

export class UsageBook {
  #db: DatabaseSync;
  #now: () => number;

  constructor(db: DatabaseSync, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  add(account: string, model: string, usage: AnswerUsage): void {
    const { promptTokens, cachedTokens, completionTokens, reasoningTokens, prefillMs, decodeMs } = usage;
    this.#db
      .prepare(
        `INSERT INTO app_usage VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?) ON CONFLICT (account, day, model) DO UPDATE SET
         answers = answers + 1, prompt = prompt + excluded.prompt, cached = cached + excluded.cached,
         completion = completion + excluded.completion, reasoning = reasoning + excluded.reasoning,
         compute_ms = compute_ms + excluded.compute_ms`,
      )
      .run(
        account,
        dayOf(this.#now()),
        model,
        promptTokens,
        cachedTokens,
        completionTokens,
        reasoningTokens,
        Math.round(prefillMs + decodeMs),
      );
  }

  /** Tokens that count against today's quota (days are UTC's): computed prompt tokens and all completion tokens. */
  usedToday(account: string): number {
    const row = this.#db
      .prepare(
        "SELECT coalesce(sum(prompt - cached + completion), 0) AS n FROM app_usage WHERE account = ? AND day = ?",
      )
      .get(account, dayOf(this.#now()))!;
    return row.n as number;
  }

  /** Tokens left today; Infinity without a quota. */
  left(account: Account): number {
    return account.quota === null ? Number.POSITIVE_INFINITY : Math.max(0, account.quota - this.usedToday(account.id));
  }

  requireQuota(account: Account): void {
    if (account.quota !== null && this.left(account) === 0)
      throw new AppError(
        429,
        "quota_used_up",
        `Today's ${account.quota} tokens are used up; the count starts anew at 00:00 UTC.`,
        {
          quota: account.quota,
        },
      );
  }

  /** Days with use, newest first; every account's when none is named. */
  days(account: string | undefined, days: number): UsageDay[] {
    const since = dayOf(this.#now() - (days - 1) * 24 * 3600_000);
    return this.#db
      .prepare(
        "SELECT account, day, model, answers, prompt, cached, completion, reasoning, compute_ms AS computeMs FROM app_usage WHERE day >= ? AND (? IS NULL OR account = ?) ORDER BY day DESC, model",
      )
      .all(since, account ?? null, account ?? null) as unknown as UsageDay[];
  }
}
