// Slows guessing of passwords and tokens: after a few failures, each further one doubles the wait. Kept in memory; a
// restart forgives, which an attacker cannot cause.

const free = 5;
const longest = 15 * 60_000;
/** A name is not locked longer than this by strangers' failures: its owner wants to get in too. */
const longestForName = 60_000;
const forget = 60 * 60_000;
const mostKeys = 10_000;

export class Throttle {
  #failures = new Map<string, { count: number; until: number; last: number }>();
  #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Milliseconds until any of the keys may try again; 0 means now. */
  wait(keys: string[]): number {
    const now = this.#now();
    return Math.max(0, ...keys.map((key) => (this.#failures.get(key)?.until ?? 0) - now));
  }

  fail(keys: string[]): void {
    const now = this.#now();
    if (this.#failures.size > mostKeys)
      for (const [key, entry] of this.#failures) if (now - entry.last > forget) this.#failures.delete(key);
    if (this.#failures.size > mostKeys) this.#failures.delete(this.#failures.keys().next().value!);
    for (const key of keys) {
      const before = this.#failures.get(key);
      const count = (before && now - before.last < forget ? before.count : 0) + 1;
      const most = key.startsWith("name ") ? longestForName : longest;
      const until = count < free ? 0 : now + Math.min(most, 1000 * 2 ** (count - free));
      this.#failures.set(key, { count, until, last: now });
    }
  }

  succeed(keys: string[]): void {
    for (const key of keys) this.#failures.delete(key);
  }
}
